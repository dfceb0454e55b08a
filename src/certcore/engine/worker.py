"""The embedded worker: a few threads in this process that reconcile whatever is due, and stop cleanly."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from certcore.engine.crew import Crew
from certcore.engine.health import Health
from certcore.engine.leases import LEASE
from certcore.engine.outbox import Outbox
from certcore.engine.outcome import Held
from certcore.engine.reconcile import Engine
from certcore.engine.troubles import put_off
from certcore.errors import CertCoreError, LeaseLost, NotFound, StorageBusy, StorageError, StorageUnavailable
from certcore.model.certificate import Schedule

__all__ = ["Health", "Worker"]

_log = logging.getLogger(__name__)
#: A certificate whose next look is this near is kept in hand instead of being given back.
HOLD: Final = timedelta(seconds=2)
_CLOCK_WENT_BACK: Final = timedelta(minutes=1)
#: After a failure of the store, or of the worker itself, wait this long (seconds) before trying again.
_PAUSE: Final = 1.0
#: A resting thread looks around by itself this often (seconds), should nobody be left to wake it.
_LOOK_AROUND: Final = 10.0
#: Of how many certificates it is known that their step failed.
_MOST_FAILED: Final = 1000


@define(kw_only=True, eq=False)
class Worker:
    """Reconciles due certificates in threads.

    `start` returns at once; `stop` lets the running steps finish, gives all leases back and joins the threads.

    Of the threads without work one watches the clock, the others rest. Every thread that takes work up wakes one that
    rests: it takes the next work and wakes another one, or takes the watch over. So all are awake while there is work.
    """

    engine: Engine
    outbox: Outbox
    #: How many threads take steps.
    threads: int = 4
    #: How many certificates are in hand at once; also a bound on the orders in flight from this process.
    in_flight: int = 8
    #: Seconds between two looks into the store when nothing is known to be due.
    poll_interval: float = 1.0
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    #: The thread on watch waits on this, on `_lock`.
    _clock: threading.Condition = field(init=False, repr=False)
    #: The other threads that have nothing to do; callers that wait until the worker is idle; the teller; on this lock.
    _resting: threading.Condition = field(init=False, repr=False)
    _quiet: threading.Condition = field(init=False, repr=False)
    _told: threading.Condition = field(init=False, repr=False)
    #: Leased certificates that wait for a thread or for their moment; those that were just claimed are not loaded yet.
    _heap: list[tuple[datetime, int, Held | Schedule]] = field(factory=list, init=False, repr=False)
    _order: itertools.count[int] = field(factory=itertools.count, init=False, repr=False)
    #: The threads that take steps.
    _steps: Crew = field(init=False, repr=False)
    #: The thread that tells the observers what happened, so that a slow one keeps no certificate waiting.
    _teller: Crew = field(init=False, repr=False)
    _news: bool = field(default=False, init=False)
    _teller_stops: bool = field(default=False, init=False)
    #: What each thread has in hand, which one is claiming, which watches the clock: what a dead one held is known.
    _in_hand: dict[threading.Thread, Held | Schedule] = field(factory=dict, init=False, repr=False)
    _claimer: threading.Thread | None = field(default=None, init=False, repr=False)
    _watch: threading.Thread | None = field(default=None, init=False, repr=False)
    #: Certificates whose step could not be stored and whose lease could not be given back: when it runs out.
    _lost: dict[str, datetime] = field(factory=dict, init=False, repr=False)
    #: Certificates whose last step raised what nobody expected; the newest, as keys.
    _failed: dict[str, None] = field(factory=dict, init=False, repr=False)
    #: time.monotonic() of the next look into the store.
    _claim_at: float = field(default=0.0, init=False)
    #: Whether the store failed the last time: then no step is taken, because its outcome could not be stored.
    _store_fails: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _ending: threading.Event = field(factory=threading.Event, init=False, repr=False)
    #: time.monotonic() of the store's last answer.
    _answered_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.after_fork()
        self._steps = Crew(name="certcore-worker", size=self.threads, job=self._loop, let_go=self._let_go)
        self._teller = Crew(name="certcore-outbox", size=1, job=self._tell, let_go=self.engine.leases.forget)

    def after_fork(self) -> None:
        """Its threads, and what they have in hand, are the parent's; see `certcore.ports.forks`."""
        self._lock, self._ending, self._claimer, self._watch = threading.Lock(), threading.Event(), None, None
        self._clock, self._resting, self._quiet, self._told = (threading.Condition(self._lock) for _ in range(4))
        self._heap, self._in_hand, self._lost, self._failed = [], {}, {}, {}

    def start(self) -> None:
        """Start the threads. A worker can be started again after `stop`.

        Raises:
            RuntimeError: It is running already.
        """
        if self._teller.alive or self._steps.alive:
            raise RuntimeError("This worker is running already.")
        with self._lock:
            self._stopping = self._teller_stops = self._store_fails = False
            self._ending.clear()
            self._claim_at = 0.0
            self._answered_at = time.monotonic()
            self._lost.clear()
            self._failed.clear()
        self._steps.start()
        if self.outbox.plugins.observers:
            self._teller.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Drain and stop: running steps are finished, and the observers are told of them; safe to call twice.

        Args:
            timeout: Seconds to wait for running steps; None waits as long as they take.

        Returns:
            Whether all threads have ended. Those that have not end with their step; their leases run out.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._stopping = True
            self._ending.set()
            self._clock.notify_all()
            self._resting.notify_all()
        steps_ended = self._steps.end(deadline)
        self._give_back()
        with self._lock:
            self._teller_stops = True
            self._told.notify_all()
        return self._teller.end(deadline) and steps_ended

    def wake(self) -> None:
        """Look into the store now: something was made due."""
        with self._lock:
            self._claim_at = 0.0
            self._clock.notify()

    @property
    def busy(self) -> int:
        """How many certificates are in hand."""
        with self._lock:
            return self._count()

    def health(self) -> Health:
        """How it is, for a supervisor. Threads that are missing are replaced first."""
        self._check()
        with self._lock:
            return Health(
                threads=self._steps.alive,
                wanted=self.threads,
                in_hand=self._count(),
                silent=time.monotonic() - max(self._answered_at, self.engine.leases.renewed_at),
                replaced=self._steps.replaced + self._teller.replaced + self.engine.leases.replaced,
                lost=len(self._lost.keys() | self._failed.keys()),
                started_in_parent=self._steps.started_in_parent,
            )

    @property
    def lost(self) -> tuple[str, ...]:
        """The ids of the certificates that `Health.lost` counts."""
        with self._lock:
            return tuple(sorted(self._lost.keys() | self._failed.keys()))

    def is_idle(self, within: timedelta) -> bool:
        """Whether nothing is in hand and nothing will be due within this time.

        What another process has leased counts as due when that lease ends; what this worker lost, as the store failed,
        as being in hand until it can be taken up again.
        """
        self._check()
        now = self.engine.environment.now()
        with self._lock:
            self._lost = {one: until for one, until in self._lost.items() if until > now}
            before = self._claim_at
            if self._count() or self._claimer is not None or self._lost:
                return False
        with self.engine.storage.read() as transaction:
            next_due = transaction.schedules.next_due(now=now)
        with self._lock:  # what was claimed meanwhile looks like another process's
            if self._claim_at != before or self._count() or self._claimer is not None:
                return False
        return (next_due is None or next_due > now + within) and not self.outbox.has_work()

    def wait_until_idle(self, *, within: timedelta = timedelta(seconds=10), timeout: float) -> bool:
        """Wait until nothing is left to do now.

        Args:
            within: What becomes due this soon is waited for as well.
            timeout: Seconds to wait at most; returns whether the worker became idle in that time.
        """
        deadline = time.monotonic() + timeout
        while not self.is_idle(within):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._quiet:
                self._quiet.wait(min(0.1, left))
        return True

    def _loop(self) -> None:
        while True:
            try:
                taken = self._next()
                if taken is None:
                    self._give_back()
                    return
                self._work(taken)
            except BaseException:  # boundary: a worker thread must outlive whatever is thrown at it, SystemExit too
                self._let_go(threading.current_thread())
                _log.exception("The worker goes on after an unexpected error")
                self._ending.wait(_PAUSE)

    def _work(self, taken: Held | Schedule) -> None:
        schedule = taken.schedule if isinstance(taken, Held) else taken
        after = None
        try:
            if not isinstance(taken, Held):
                taken = self.engine.load(taken)
            after = self.engine.step(taken, keep_lease=HOLD)
            if after.events:
                self.outbox.take_up(schedule.certificate_id)
            self._note_answer(schedule.certificate_id)
        except (LeaseLost, NotFound):
            self._note_answer(schedule.certificate_id)
        except StorageUnavailable as error:
            self._note_lost(schedule, error)
        except BaseException as error:  # boundary: it is this certificate's trouble, and nobody else's
            self._put_off(taken, error)
        # What is thrown past this point leaves it in hand: `_let_go` gives it back.
        with self._lock:
            self._news = True
            self._told.notify()
            if after is not None and after.schedule.lease_owner:
                self._push(after, after.schedule.due_at)  # in the same breath: nobody may think that all is done
            self._in_hand.pop(threading.current_thread(), None)
            if not self._count():
                self._quiet.notify_all()

    def _put_off(self, taken: Held | Schedule, error: BaseException) -> None:
        with self._lock:
            schedule = taken.schedule if isinstance(taken, Held) else taken
            self._failed[schedule.certificate_id] = None
            if len(self._failed) > _MOST_FAILED:
                del self._failed[next(iter(self._failed))]
        try:
            put_off(taken, error, storage=self.engine.storage, environment=self.engine.environment)
        except StorageError as refused:
            self._note_lost(schedule, refused)

    def _note_lost(self, schedule: Schedule, error: StorageError) -> None:
        """A step could not be stored: somebody looks again, at once if the lease can be given back."""
        if isinstance(error, StorageUnavailable) and not isinstance(error, StorageBusy):
            self._note_failure(error)
        else:  # what is in the way is in the way of this certificate alone
            self._note_answer()
            _log.warning("A step of certificate %s could not be stored: %s", schedule.certificate_id, error)
        self._release(schedule)

    def _release(self, schedule: Schedule) -> None:
        try:
            self.engine.release(schedule)
        except StorageError:  # it runs out by itself
            with self._lock:
                self._lost[schedule.certificate_id] = self.engine.environment.now() + LEASE

    def _note_answer(self, stepped: str = "") -> None:
        self.engine.leases.outage.answered()
        with self._lock:
            self._failed.pop(stepped, None)
            self._answered_at = time.monotonic()
            if self._store_fails:
                self._store_fails = False
                self._resting.notify()  # steps are taken again

    def _note_failure(self, error: StorageError) -> None:
        self.engine.leases.outage.failed(error)
        with self._lock:
            self._store_fails = True
            self._claim_at = time.monotonic() + _PAUSE

    def _tell(self) -> None:
        while True:
            with self._lock:
                if not self._news and not self._teller_stops:
                    self._told.wait(self.poll_interval)
                self._news = False
                last = self._teller_stops
            try:
                self.outbox.deliver()
            except StorageBusy as error:
                _log.warning("The observers are told later: %s", error)
            except StorageError as error:
                self.engine.leases.outage.failed(error)
                self._ending.wait(_PAUSE)
            except CertCoreError as error:
                _log.warning("The observers could not be told: %s", error)
            except BaseException:  # boundary: the thread must outlive whatever the store or an observer throws at it
                _log.exception("The outbox goes on after an unexpected error")
                self._ending.wait(_PAUSE)
            with self._lock:
                self._quiet.notify_all()
            if last:
                return

    def _count(self) -> int:
        return len(self._in_hand) + len(self._heap)

    def _push(self, taken: Held | Schedule, due_at: datetime | None) -> None:
        now = self.engine.environment.now()
        due_at = due_at or now
        heapq.heappush(self._heap, (due_at, next(self._order), taken))
        if self._heap[0][2] is taken and due_at > now:
            self._clock.notify()  # the watch looks at its clock anew; what is due now is taken by this thread

    def _next(self) -> Held | Schedule | None:
        """The next certificate to step; waits for one; None when the worker stops."""
        me = threading.current_thread()
        while True:
            self._check()
            with self._lock:
                if self._stopping:
                    self._resting.notify()
                    return None
                now = self.engine.environment.now()
                if self._heap and self._is_due(self._heap[0][0], now) and not self._store_fails:
                    taken = heapq.heappop(self._heap)[2]
                    self._in_hand[me] = taken
                    self._resting.notify()  # for the next work, or for the watch
                    return taken
                room = self._room()
                if not room or self._claim_at > time.monotonic():
                    self._rest(me, now, room)
                    continue
                self._claimer = me
                self._resting.notify()
            self._claim(room)

    @staticmethod
    def _is_due(due_at: datetime, now: datetime) -> bool:
        """What is in hand is due now or within `HOLD`; when it is further ahead, the clock went back meanwhile."""
        return due_at <= now or due_at > now + _CLOCK_WENT_BACK

    def _room(self) -> int:
        """How many certificates may be claimed now; a store that failed is asked for one, to see whether it is back."""
        if self._claimer is not None:
            return 0
        return max(self.in_flight - self._count(), 1 if self._store_fails else 0)

    def _rest(self, me: threading.Thread, now: datetime, room: int) -> None:
        """Wait until somebody wakes this thread; the one on watch, until something is due."""
        if self._watch is not None:
            # One thread watches the clock for all; if all did, all would wake for one certificate.
            self._resting.wait(_LOOK_AROUND)
            return
        waits = [self._claim_at - time.monotonic() if room else self.poll_interval]
        if self._heap and not self._store_fails:
            waits.append((self._heap[0][0] - now).total_seconds())
        self._watch = me
        try:
            self._clock.wait(max(0.0005, min(waits)))
        finally:
            self._watch = None

    def _claim(self, room: int) -> None:
        due: list[Schedule] = []
        pause = _PAUSE
        try:
            due += self.engine.claim_due(room)
            self._note_answer()
            # A full claim means that there may be more; else look again after the interval.
            pause = 0.0 if len(due) >= room else self.poll_interval
        except StorageError as error:
            self._note_failure(error)
        finally:
            with self._lock:
                for schedule in due:
                    self._push(schedule, schedule.due_at)
                self._claimer = None
                self._claim_at = time.monotonic() + pause
                self._clock.notify()

    def _check(self) -> None:
        """Replace threads that died without being able to say so."""
        if not self._stopping:
            self._steps.check()
            if self.outbox.plugins.observers:
                self._teller.check()
        self.engine.leases.check()

    def _let_go(self, thread: threading.Thread) -> None:
        """Take back what a thread held that is dead, or that was thrown out of what it did."""
        with self._lock:
            taken = self._in_hand.pop(thread, None)
            if self._claimer is thread:
                self._claimer = None
            if self._watch is thread:
                self._watch = None
            self._clock.notify_all()
            self._resting.notify_all()
        self.engine.leases.forget(thread)
        if taken is not None:
            self._release(taken.schedule if isinstance(taken, Held) else taken)

    def _give_back(self) -> None:
        """Give back what waits for its moment: the worker stops."""
        with self._lock:
            waiting = [entry[2] for entry in self._heap]
            self._heap.clear()
        for taken in waiting:
            self._release(taken.schedule if isinstance(taken, Held) else taken)
