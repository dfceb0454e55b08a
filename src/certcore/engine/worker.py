"""The embedded worker: a few threads in this process that reconcile whatever is due, and stop cleanly."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field, frozen

from certcore.engine.outbox import Outbox
from certcore.engine.outcome import Held
from certcore.engine.reconcile import Engine
from certcore.errors import CertCoreError, LeaseLost, NotFound
from certcore.model.certificate import Schedule

__all__ = ["Health", "Worker"]

_log = logging.getLogger(__name__)
#: A certificate whose next look is this near is kept in hand instead of being given back.
HOLD: Final = timedelta(seconds=2)
#: After a failure of the store, wait this long (seconds) before asking it again.
_PAUSE: Final = 1.0


@frozen(kw_only=True)
class Health:
    """How a worker is."""

    #: Threads that are alive, and how many there should be.
    threads: int
    wanted: int
    #: Certificates in hand.
    in_hand: int
    #: Seconds since the store last did what the worker asked of it.
    silent: float


@define(kw_only=True, eq=False)
class Worker:
    """Reconciles due certificates in threads.

    `start` returns at once; `stop` lets the running steps finish, gives all leases back and joins the threads.
    """

    engine: Engine
    outbox: Outbox
    #: How many threads take steps.
    threads: int = 4
    #: How many certificates are in hand at once; also a bound on the orders in flight from this process.
    in_flight: int = 8
    #: Seconds between two looks into the store when nothing is known to be due.
    poll_interval: float = 1.0
    #: The lock of all that follows; the one thread waits on it that watches the clock.
    _condition: threading.Condition = field(init=False, repr=False)
    #: The other threads that have nothing to do, on the same lock; one is woken to take over the watch.
    _resting: threading.Condition = field(init=False, repr=False)
    #: Callers that wait until the worker is idle, on the same lock.
    _quiet: threading.Condition = field(init=False, repr=False)
    _heap: list[tuple[datetime, int, Held]] = field(factory=list, init=False, repr=False)
    _order: itertools.count[int] = field(factory=itertools.count, init=False, repr=False)
    _running: list[threading.Thread] = field(factory=list, init=False, repr=False)
    #: Tells the observers what happened, so that a slow one keeps no certificate waiting.
    _teller: threading.Thread | None = field(default=None, init=False, repr=False)
    #: The teller waits on this, on the same lock.
    _told: threading.Condition = field(init=False, repr=False)
    _news: bool = field(default=False, init=False)
    _teller_stops: bool = field(default=False, init=False)
    #: Certificates in a thread's hands.
    _busy: int = field(default=0, init=False)
    _claiming: bool = field(default=False, init=False)
    _watched: bool = field(default=False, init=False)
    #: time.monotonic() of the next look into the store.
    _claim_at: float = field(default=0.0, init=False)
    _stopping: bool = field(default=False, init=False)
    #: time.monotonic() of the store's last answer.
    _answered_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        lock = threading.Lock()
        self._condition, self._resting, self._quiet, self._told = (threading.Condition(lock) for _ in range(4))

    def start(self) -> None:
        """Start the threads. A worker can be started again after `stop`.

        Raises:
            RuntimeError: It is running already.
        """
        with self._condition:
            if self._running:
                raise RuntimeError("This worker is running already.")
            self._stopping = False
            self._claim_at = 0.0
            self._answered_at = time.monotonic()
            self._running = [
                threading.Thread(target=self._loop, name=f"certcore-worker-{number}", daemon=True)
                for number in range(self.threads)
            ]
            if self.outbox.plugins.observers:
                self._teller_stops = False
                self._teller = threading.Thread(target=self._tell, name="certcore-outbox", daemon=True)
                self._teller.start()
        for thread in self._running:
            thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Drain and stop: running steps are finished, and the observers are told of them; safe to call twice.

        Args:
            timeout: Seconds to wait for running steps; None waits as long as they take.

        Returns:
            Whether all threads have ended. Those that have not end with their step; their leases run out.
        """
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
            self._resting.notify_all()
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._running:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        with self._condition:
            held = [entry[2] for entry in self._heap]
            self._heap.clear()
            self._running = [thread for thread in self._running if thread.is_alive()]
            self._teller_stops = True
            self._told.notify()
        for one in held:
            self._release(one.schedule)
        if self._teller is not None:
            self._teller.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            self._teller = self._teller if self._teller.is_alive() else None
        return not self._running and self._teller is None

    def wake(self) -> None:
        """Look into the store now: something was made due."""
        with self._condition:
            self._claim_at = 0.0
            self._condition.notify()

    @property
    def busy(self) -> int:
        """How many certificates are in hand."""
        with self._condition:
            return self._busy + len(self._heap)

    def health(self) -> Health:
        """How it is, for a supervisor."""
        with self._condition:
            return Health(
                threads=sum(thread.is_alive() for thread in self._running),
                wanted=self.threads,
                in_hand=self._busy + len(self._heap),
                silent=time.monotonic() - max(self._answered_at, self.engine.leases.renewed_at),
            )

    def is_idle(self, within: timedelta) -> bool:
        """Whether nothing is in hand and nothing will be due within this time."""
        with self._condition:
            if self._busy or self._heap or self._claiming:
                return False
        now = self.engine.environment.now()
        with self.engine.storage.read() as transaction:
            next_due = transaction.schedules.next_due(now=now)
        return (next_due is None or next_due > now + within) and not self.outbox.has_work()

    def wait_until_idle(self, *, within: timedelta = timedelta(seconds=10), timeout: float) -> bool:
        """Wait until nothing is left to do now.

        Args:
            within: What becomes due this soon is waited for as well.
            timeout: Seconds to wait at most.

        Returns:
            Whether the worker became idle in time.
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
                held = self._next()
                if held is None:
                    return
                self._work(held)
            except Exception:  # boundary: a worker thread must outlive whatever the store or a step throws at it
                _log.exception("The worker goes on after an unexpected error")
                self._pause()

    def _work(self, held: Held) -> None:
        after = None
        try:
            after = self.engine.step(held, keep_lease=HOLD)
            self._answered_at = time.monotonic()
        except (LeaseLost, NotFound):
            return
        except CertCoreError as error:
            _log.warning("A step of certificate %s could not be stored: %s", held.certificate.id, error)
            self._release(held.schedule)
            self._pause()
        except Exception:  # boundary: whatever it is, the lease is given back before it goes on
            self._release(held.schedule)
            raise
        finally:
            with self._condition:
                self._busy -= 1
                self._news = True
                self._told.notify()
                if after is not None and after.schedule.lease_owner:
                    self._push(after)  # in the same breath: nobody may think that all is done
                elif not self._busy and not self._heap:
                    self._quiet.notify_all()

    def _tell(self) -> None:
        while True:
            with self._condition:
                if not self._news and not self._teller_stops:
                    self._told.wait(self.poll_interval)
                self._news = False
                last = self._teller_stops
            try:
                self.outbox.deliver()
            except CertCoreError as error:
                _log.warning("The observers could not be told: %s", error)
            except Exception:  # boundary: the thread must outlive whatever the store throws at it
                _log.exception("The outbox goes on after an unexpected error")
            with self._condition:
                self._quiet.notify_all()
            if last:
                return

    def _push(self, held: Held) -> None:
        due_at = held.schedule.due_at or self.engine.environment.now()
        heapq.heappush(self._heap, (due_at, next(self._order), held))
        if self._heap[0][2] is held and due_at > self.engine.environment.now():
            self._condition.notify()  # the watch looks at its clock anew; what is due now is taken by this thread

    def _next(self) -> Held | None:
        """The next certificate to step; waits for one; None when the worker stops."""
        while True:
            with self._condition:
                room = self._wait()
                if not room:
                    if self._stopping:
                        return None
                    self._busy += 1
                    return heapq.heappop(self._heap)[2]
            self._claim(room)

    def _wait(self) -> int:
        """Wait until there is something to do: 0 for a step or the end, else how many certificates to claim."""
        while True:
            now = self.engine.environment.now()
            if self._stopping or (self._heap and self._heap[0][0] <= now):
                return 0
            room = self.in_flight - self._busy - len(self._heap)
            claimable = room > 0 and not self._claiming
            until_claim = self._claim_at - time.monotonic()
            if claimable and until_claim <= 0:
                self._claiming = True
                return room
            if self._watched:
                # One thread watches the clock for all; if all did, all would wake for one certificate.
                self._resting.wait()
                continue
            waits = [until_claim if claimable else self.poll_interval]
            if self._heap:
                waits.append((self._heap[0][0] - now).total_seconds())
            self._watched = True
            self._condition.wait(max(0.0005, min(waits)))
            self._watched = False
            self._resting.notify()  # the next one takes over the watch

    def _claim(self, room: int) -> None:
        claimed = 0
        try:
            due = self.engine.claim_due(room)
            self._answered_at = time.monotonic()
            for schedule in due:
                claimed += 1
                try:
                    held = self.engine.load(schedule)
                except NotFound:
                    continue
                except CertCoreError as error:
                    _log.warning("Certificate %s could not be loaded: %s", schedule.certificate_id, error)
                    self._release(schedule)
                    continue
                with self._condition:
                    self._push(held)
        finally:
            with self._condition:
                self._claiming = False
                # A full claim means that there may be more; else look again after the interval.
                self._claim_at = time.monotonic() + (0.0 if claimed >= room else self.poll_interval)
                self._condition.notify()

    def _pause(self) -> None:
        """Give a store in trouble some time."""
        with self._condition:
            if not self._stopping:
                self._resting.wait(_PAUSE)

    def _release(self, schedule: Schedule) -> None:
        try:
            self.engine.release(schedule)
        except CertCoreError as error:
            _log.warning("The lease on certificate %s runs out by itself: %s", schedule.certificate_id, error)
