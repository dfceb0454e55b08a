"""The embedded worker: threads in this process that reconcile due certificates and stop cleanly."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from certcore.engine.apply_step import LeasedCertificate
from certcore.engine.failed_steps import put_off
from certcore.engine.health import Health
from certcore.engine.leases import LEASE
from certcore.engine.outbox import Outbox
from certcore.engine.preflight_pace import PreflightPace
from certcore.engine.reconcile import Engine
from certcore.engine.supervised_threads import Crew
from certcore.errors import (
    CertCoreError,
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    StorageBusyError,
    StorageError,
    StorageUnavailableError,
)
from certcore.messages import Message
from certcore.model.certificate import Schedule

__all__ = ["Health", "Worker"]

_log = logging.getLogger(__name__)
#: A certificate whose next look is due within this time is kept under its lease.
HOLD: Final = timedelta(seconds=2)
_CLOCK_WENT_BACK: Final = timedelta(minutes=1)
#: After a failure of the store, or of the worker itself, wait this long (seconds) before trying again.
_PAUSE: Final = 1.0
#: Seconds after which a resting thread wakes without a signal, in case no other thread wakes it.
_LOOK_AROUND: Final = 10.0
#: Most certificates whose failed step is remembered.
_MOST_FAILED: Final = 1000


@define(kw_only=True, eq=False)
class Worker:
    """Reconciles due certificates in threads.

    `start` returns at once; `stop` lets the running steps finish, gives all leases back and joins the threads.

    One idle thread watches the clock, and the others rest. A thread that takes a certificate wakes a resting thread,
    which takes the next one or watches the clock. So all threads are awake while there is enough work.
    """

    engine: Engine
    outbox: Outbox
    #: The regular checks of certificates in service; None leaves them to other processes.
    preflights: PreflightPace | None = None
    #: How many threads take steps.
    threads: int = 4
    #: Most certificates in hand at once, which also bounds the orders in flight of this process.
    in_flight: int = 8
    #: Seconds between two looks into the store when nothing is known to be due.
    poll_interval: float = 1.0
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    #: Condition on `_lock`, on which the thread that watches the clock waits.
    _clock: threading.Condition = field(init=False, repr=False)
    #: Conditions on `_lock`: for resting threads, callers that wait until the worker is idle, and the delivery thread.
    _resting: threading.Condition = field(init=False, repr=False)
    _quiet: threading.Condition = field(init=False, repr=False)
    _told: threading.Condition = field(init=False, repr=False)
    #: Leased certificates that wait for a thread or for their due time; just claimed ones are not loaded yet.
    _heap: list[tuple[datetime, int, LeasedCertificate | Schedule]] = field(factory=list, init=False, repr=False)
    _order: itertools.count[int] = field(factory=itertools.count, init=False, repr=False)
    #: The threads that take steps.
    _steps: Crew = field(init=False, repr=False)
    #: The thread that delivers events, so that a slow observer delays no certificate.
    _teller: Crew = field(init=False, repr=False)
    #: The thread that does the regular checks, so that a slow check delays no certificate.
    _checks: Crew = field(init=False, repr=False)
    _news: bool = field(default=False, init=False)
    _teller_stops: bool = field(default=False, init=False)
    #: What each thread works on, and which threads claim and watch the clock. It is released when a thread dies.
    _in_hand: dict[threading.Thread, LeasedCertificate | Schedule] = field(factory=dict, init=False, repr=False)
    _claimer: threading.Thread | None = field(default=None, init=False, repr=False)
    _watch: threading.Thread | None = field(default=None, init=False, repr=False)
    #: Certificates whose step could not be stored and whose lease could not be released, with the end of the lease.
    _lost: dict[str, datetime] = field(factory=dict, init=False, repr=False)
    #: Certificates whose last step raised an unexpected error, oldest first, as keys.
    _failed: dict[str, None] = field(factory=dict, init=False, repr=False)
    #: time.monotonic() of the next look into the store.
    _claim_at: float = field(default=0.0, init=False)
    #: Whether the last use of the store failed. Then no steps are taken, because they could not be stored.
    _store_fails: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _ending: threading.Event = field(factory=threading.Event, init=False, repr=False)
    #: time.monotonic() of the store's last answer.
    _answered_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.threads < 1 or self.in_flight < 1 or self.poll_interval <= 0:
            text = "threads and in_flight are at least 1, poll_interval is above 0."
            raise InvalidInputError("worker", Message("input.worker_numbers", text))
        self.after_fork()
        self._steps = Crew(name="certcore-worker", size=self.threads, job=self._loop, let_go=self._let_go)
        self._teller = Crew(name="certcore-outbox", size=1, job=self._tell, let_go=self.engine.leases.forget)
        self._checks = Crew(name="certcore-preflights", size=1, job=self._check_ahead, let_go=self.engine.leases.forget)

    def after_fork(self) -> None:
        """Threads and certificates in hand belong to the parent; see `certcore.forks`."""
        self._lock, self._ending, self._claimer, self._watch = threading.Lock(), threading.Event(), None, None
        self._clock, self._resting, self._quiet, self._told = (threading.Condition(self._lock) for _ in range(4))
        self._heap, self._in_hand, self._lost, self._failed = [], {}, {}, {}

    def start(self) -> None:
        """Start the threads. A worker can be started again after `stop`.

        Raises:
            RuntimeError: It is running already.
        """
        if self._teller.alive or self._steps.alive or self._checks.alive:
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
        if self.preflights is not None:
            self._checks.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Drain and stop: running steps are finished, and the observers are told of them; safe to call twice.

        Args:
            timeout: Seconds to wait for running steps; None for no limit.

        Returns:
            Whether all threads have ended. The others end after their step, and their leases expire.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        for crew in (self._steps, self._teller, self._checks):
            crew.expect_end()
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
        return all([self._teller.end(deadline), self._checks.end(deadline), steps_ended])

    def wake(self) -> None:
        """Check the store now, because something was made due."""
        with self._lock:
            self._claim_at = 0.0
            self._clock.notify()

    @property
    def busy(self) -> int:
        """How many certificates are in hand."""
        with self._lock:
            return self._count()

    def health(self) -> Health:
        """The state of the worker, for a supervisor. Missing threads are replaced first."""
        self._check()
        with self._lock:
            return Health(
                threads=self._steps.alive,
                wanted=self.threads,
                in_hand=self._count(),
                silent=time.monotonic() - max(self._answered_at, self.engine.leases.renewed_at),
                replaced=sum(crew.replaced for crew in (self._steps, self._teller, self._checks, self.engine.leases)),
                lost=len(self._lost.keys() | self._failed.keys()),
                started_in_parent=self._steps.started_in_parent,
            )

    @property
    def lost(self) -> tuple[str, ...]:
        """The IDs of the certificates that `Health.lost` counts."""
        with self._lock:
            return tuple(sorted(self._lost.keys() | self._failed.keys()))

    def is_idle(self, within: timedelta) -> bool:
        """Whether nothing is in hand and nothing will be due within this time.

        A certificate that another process has leased counts as due at the end of the lease. A certificate that this
        worker lost because the store failed counts as in hand until it can be claimed again.
        """
        self._check()
        now = self.engine.environment.now()
        with self._lock:
            self._lost = {lost: until for lost, until in self._lost.items() if until > now}
            before = self._claim_at
            if self._count() or self._claimer is not None or self._lost:
                return False
        with self.engine.storage.read() as transaction:
            next_due = transaction.schedules.next_due(now=now)
        with self._lock:  # a claim made meanwhile looks like that of another process
            if self._claim_at != before or self._count() or self._claimer is not None:
                return False
        return (next_due is None or next_due > now + within) and not self.outbox.has_work()

    def wait_until_idle(self, *, within: timedelta = timedelta(seconds=10), timeout: float) -> bool:
        """Wait until nothing is left to do now.

        Args:
            within: Certificates that become due within this time are waited for, too.
            timeout: Seconds to wait at most.

        Returns:
            Whether the worker became idle in that time.
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
                claimed = self._next()
                if claimed is None:
                    self._give_back()
                    return
                self._work(claimed)
            except BaseException:  # boundary: a worker thread must survive every exception, SystemExit too
                self._let_go(threading.current_thread())
                _log.exception("The worker goes on after an unexpected error")
                self._ending.wait(_PAUSE)

    def _work(self, claimed: LeasedCertificate | Schedule) -> None:
        schedule = claimed.schedule if isinstance(claimed, LeasedCertificate) else claimed
        after = None
        try:
            if not isinstance(claimed, LeasedCertificate):
                claimed = self.engine.load(claimed)
            after = self.engine.step(claimed, keep_lease=HOLD)
            self._note_answer(schedule.certificate_id)
        except (LeaseLostError, NotFoundError):
            self._note_answer(schedule.certificate_id)
        except StorageUnavailableError as error:
            self._note_lost(schedule, error)
        except BaseException as error:  # boundary: an error of one certificate must not affect others
            self._put_off(claimed, error)
        # If an exception is raised from here on, the certificate stays in hand, and `_let_go` releases it.
        with self._lock:
            self._news = True
            self._told.notify()
            if after is not None and after.schedule.lease_owner:
                self._push(after, after.schedule.due_at)  # under the same lock, so is_idle() never sees a gap
            self._in_hand.pop(threading.current_thread(), None)
            if not self._count():
                self._quiet.notify_all()

    def _put_off(self, claimed: LeasedCertificate | Schedule, error: BaseException) -> None:
        with self._lock:
            schedule = claimed.schedule if isinstance(claimed, LeasedCertificate) else claimed
            self._failed[schedule.certificate_id] = None
            if len(self._failed) > _MOST_FAILED:
                del self._failed[next(iter(self._failed))]
        try:
            put_off(claimed, error, storage=self.engine.storage, environment=self.engine.environment)
        except StorageError as refused:
            self._note_lost(schedule, refused)

    def _note_lost(self, schedule: Schedule, error: StorageError) -> None:
        """A step could not be stored: it is repeated, immediately if the lease can be released."""
        if isinstance(error, StorageUnavailableError) and not isinstance(error, StorageBusyError):
            self._note_failure(error)
        else:  # only this certificate is affected
            self._note_answer()
            _log.warning("A step of certificate %s could not be stored: %s", schedule.certificate_id, error)
        self._release(schedule)

    def _release(self, schedule: Schedule) -> None:
        try:
            self.engine.release(schedule)
        except StorageError:  # the lease expires
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
            except StorageBusyError as error:
                _log.warning("Events will be delivered later: %s", error)
            except StorageError as error:
                self.engine.leases.outage.failed(error)
                self._ending.wait(_PAUSE)
            except CertCoreError as error:
                _log.warning("Events could not be delivered: %s", error)
            except BaseException:  # boundary: the thread must survive every exception of the store or an observer
                _log.exception("The outbox goes on after an unexpected error")
                self._ending.wait(_PAUSE)
            with self._lock:
                self._quiet.notify_all()
            if last:
                return

    def _check_ahead(self) -> None:
        if self.preflights is not None:
            self.preflights.run(self._ending, lambda: len(self._in_hand) < self.threads)

    def _count(self) -> int:
        return len(self._in_hand) + len(self._heap)

    def _push(self, claimed: LeasedCertificate | Schedule, due_at: datetime | None) -> None:
        now = self.engine.environment.now()
        due_at = due_at or now
        heapq.heappush(self._heap, (due_at, next(self._order), claimed))
        if self._heap[0][2] is claimed and due_at > now:
            self._clock.notify()  # the watching thread has to wake earlier; this thread takes what is due now

    def _next(self) -> LeasedCertificate | Schedule | None:
        """Wait for the next certificate to step; None when the worker stops."""
        me = threading.current_thread()
        while True:
            self._check()
            with self._lock:
                if self._stopping:
                    self._resting.notify()
                    return None
                now = self.engine.environment.now()
                if self._heap and self._is_due(self._heap[0][0], now) and not self._store_fails:
                    claimed = heapq.heappop(self._heap)[2]
                    self._in_hand[me] = claimed
                    self._resting.notify()  # for the next work, or for the watch
                    return claimed
                room = self._room()
                if not room or self._claim_at > time.monotonic():
                    self._rest(me, now, room)
                    continue
                self._claimer = me
                self._resting.notify()
            self._claim(room)

    @staticmethod
    def _is_due(due_at: datetime, now: datetime) -> bool:
        """Whether a certificate in hand is due; one due after `HOLD` means that the clock went back."""
        return due_at <= now or due_at > now + _CLOCK_WENT_BACK

    def _room(self) -> int:
        """How many certificates may be claimed now; at least one after a failure, to see whether the store is back."""
        if self._claimer is not None:
            return 0
        return max(self.in_flight - self._count(), 1 if self._store_fails else 0)

    def _rest(self, me: threading.Thread, now: datetime, room: int) -> None:
        """Wait to be woken; the thread that watches the clock waits until something is due."""
        if self._watch is not None:
            # Only one thread watches the clock; otherwise all would wake for one certificate.
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
        """Replace threads that died without starting a replacement."""
        if not self._stopping:
            self._steps.check()
            if self.outbox.plugins.observers:
                self._teller.check()
            if self.preflights is not None:
                self._checks.check()
        self.engine.leases.check()

    def _let_go(self, thread: threading.Thread) -> None:
        """Release what a dead or interrupted thread held."""
        with self._lock:
            claimed = self._in_hand.pop(thread, None)
            if self._claimer is thread:
                self._claimer = None
            if self._watch is thread:
                self._watch = None
            self._clock.notify_all()
            self._resting.notify_all()
        self.engine.leases.forget(thread)
        if claimed is not None:
            self._release(claimed.schedule if isinstance(claimed, LeasedCertificate) else claimed)

    def _give_back(self) -> None:
        """Release the certificates that wait for their due time, because the worker stops."""
        with self._lock:
            waiting = [entry[2] for entry in self._heap]
            self._heap.clear()
        for claimed in waiting:
            self._put_down(claimed)

    def _put_down(self, claimed: LeasedCertificate | Schedule) -> None:
        if isinstance(claimed, Schedule):
            self._release(claimed)
            return
        try:
            self.engine.put_down(claimed)
        except StorageError:
            self._release(claimed.schedule)
