"""Leases are renewed while a step runs, so that they can be short: a process that dies is soon replaced."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import define, field, frozen

from certcore.engine.outage import Outage
from certcore.errors import LeaseLost, NotFound, StorageBusy, StorageError
from certcore.model.certificate import Schedule
from certcore.model.timeline import Timeline
from certcore.ports.environment import Environment
from certcore.ports.forks import renew_after_fork
from certcore.ports.storage import LockWait, Storage

__all__ = ["LEASE", "LeaseKeeper"]

_log = logging.getLogger(__name__)
#: How long a lease lasts. A certificate whose process has died waits this long at most for another one.
LEASE: Final = timedelta(minutes=1)
#: Seconds after which the lease of a step that still runs is renewed: twice more before it would run out.
_RENEW_AFTER: Final = LEASE.total_seconds() / 3


@frozen
class _Lease:
    certificate_id: str
    token: int
    #: Whether it is on the delivery of events, not on the certificate's schedule.
    on_timeline: bool


@define(kw_only=True, eq=False)
class LeaseKeeper:
    """Renews the leases of running steps and deliveries from one thread, which lives while there are any."""

    storage: Storage
    environment: Environment
    #: Who holds the leases: unique per process; empty, and a new one is made when it is asked for.
    _owner: str = field(default="", init=False, repr=False)
    #: Is told how the store does, by this and by all other threads of the process.
    outage: Outage = field(factory=Outage)
    #: Seconds after which a lease is renewed.
    renew_after: float = _RENEW_AFTER
    #: When the store answered to a renewal for the last time, by time.monotonic(): a sign of life in a long step.
    renewed_at: float = field(default=0.0, init=False)
    #: How many times the thread died and was replaced.
    replaced: int = field(default=0, init=False)
    #: What is running: when its lease was written last, by time.monotonic().
    _running: dict[int, tuple[_Lease, float]] = field(factory=dict, init=False, repr=False)
    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The leases that run are the parent's, and so is its name; see `certcore.ports.forks`."""
        self._changed, self._thread, self._owner = threading.Condition(), None, ""
        self._running.clear()

    @property
    def owner(self) -> str:
        """Who holds the leases of this process."""
        with self._changed:
            self._owner = self._owner or f"{os.getpid()}-{self.environment.new_id()}"[:60]
            return self._owner

    @contextmanager
    def keep(self, leased: Schedule | Timeline) -> Iterator[None]:
        """Renew this lease as long as the block runs."""
        me = threading.get_ident()
        lease = _Lease(leased.certificate_id, leased.token, isinstance(leased, Timeline))
        with self._changed:
            self._running[me] = (lease, time.monotonic())
            self._start_thread()
        try:
            yield
        finally:
            with self._changed:
                self._running.pop(me, None)

    def check(self) -> None:
        """Replace the thread when it is missing."""
        with self._changed:
            self._start_thread()

    def forget(self, thread: threading.Thread) -> None:
        """Renew no lease any more for a thread that has died."""
        with self._changed:
            self._running.pop(thread.ident or 0, None)

    def _start_thread(self) -> None:
        if not self._running or (self._thread is not None and self._thread.is_alive()):
            return
        self.replaced += self._thread is not None
        self._thread = None
        thread = threading.Thread(target=self._serve, name="certcore-leases", daemon=True)
        thread.start()
        self._thread = thread

    def _serve(self) -> None:
        try:
            self._watch()
        except BaseException:  # boundary: without this thread every long step would lose its lease
            with self._changed:
                self._thread = None
                self.replaced += 1
                self._start_thread()
            _log.exception("The thread that renews leases died; another one takes its place")

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self.renew_after / 4)
                if not self._running:
                    self._thread = None  # the next step starts another one
                    return
                now = time.monotonic()
                old = [key for key, (_, since) in self._running.items() if now - since >= self.renew_after]
                leases = [self._running[key][0] for key in old]
                for key, lease in zip(old, leases, strict=True):
                    self._running[key] = (lease, now)
            for lease in leases:
                self._renew(lease)

    def _renew(self, lease: _Lease) -> None:
        try:
            lease_until = self.environment.now() + LEASE
            with self.storage.write(LockWait.NONE) as transaction:
                repository = transaction.timelines if lease.on_timeline else transaction.schedules
                repository.renew_lease(lease.certificate_id, token=lease.token, lease_until=lease_until)
            self._note_answer()
        except (LeaseLost, NotFound):
            self._note_answer()  # the step learns of it when it stores its outcome
        except StorageBusy as error:
            self._note_answer()
            _log.warning("The lease on certificate %s could not be renewed: %s", lease.certificate_id, error)
        except StorageError as error:
            self.outage.failed(error)
        except BaseException:  # boundary: this thread keeps the leases of all the others
            _log.exception("The lease on certificate %s could not be renewed", lease.certificate_id)

    def _note_answer(self) -> None:
        self.renewed_at = time.monotonic()
        self.outage.answered()
