"""Renew leases while steps run, so that leases can be short and another process soon replaces a dead one."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import define, evolve, field, frozen

from certcore.engine.outage import Outage
from certcore.errors import LeaseLostError, NotFoundError, StorageBusyError, StorageError
from certcore.forks import renew_after_fork
from certcore.model.certificate import Schedule
from certcore.model.deliveries import DeliveryCursor
from certcore.ports.environment import Environment
from certcore.ports.storage import LockWait, Storage

__all__ = ["LEASE", "LeaseKeeper"]

_log = logging.getLogger(__name__)
#: Duration of a lease: a certificate of a dead process waits at most this long.
LEASE: Final = timedelta(minutes=1)
#: Seconds after which the lease of a running step is renewed: twice before it would expire.
_RENEW_AFTER: Final = LEASE.total_seconds() / 3
#: Seconds without a renewal after which a locked row is worth a warning: the lease lasts for several more attempts.
_WARN_AFTER: Final = 2 * _RENEW_AFTER


@frozen(kw_only=True)
class _Running:
    """The leases of a running step or of running deliveries."""

    leases: Sequence[Schedule | DeliveryCursor]
    #: time.monotonic() of their last write.
    written_at: float
    #: Whether the log says that a row stays locked.
    is_warned_of: bool = False


@define(kw_only=True, eq=False)
class LeaseKeeper:
    """Renews the leases of running steps and deliveries in one thread, which runs while there are any."""

    storage: Storage
    environment: Environment
    #: Owner of the leases, unique per process; made at the first use.
    _owner: str = field(default="", init=False, repr=False)
    #: Tracks outages of the store for all threads of this process.
    outage: Outage = field(factory=Outage)
    #: Seconds after which a lease is renewed.
    renew_after: float = _RENEW_AFTER
    #: Seconds without a renewal after which a row that stays locked is logged.
    warn_after: float = _WARN_AFTER
    #: time.monotonic() of the last successful renewal.
    renewed_at: float = field(default=0.0, init=False)
    #: How many times the thread died and was replaced.
    replaced: int = field(default=0, init=False)
    #: The running leases by the ID of their thread.
    _running: dict[int, _Running] = field(factory=dict, init=False, repr=False)
    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Running leases and the owner belong to the parent; see `certcore.forks`."""
        self._changed, self._thread, self._owner = threading.Condition(), None, ""
        self._running.clear()

    @property
    def owner(self) -> str:
        """The owner of the leases of this process."""
        with self._changed:
            self._owner = self._owner or f"{os.getpid()}-{self.environment.new_id()}"[:60]
            return self._owner

    @contextmanager
    def keep(self, *leased: Schedule | DeliveryCursor) -> Iterator[None]:
        """Renew these leases as long as the block runs."""
        me = threading.get_ident()
        with self._changed:
            self._running[me] = _Running(leases=leased, written_at=time.monotonic())
            self._start_thread()
        try:
            yield
        finally:
            with self._changed:
                self._running.pop(me, None)

    def check(self) -> None:
        """Replace the thread if it has died."""
        with self._changed:
            self._start_thread()

    def forget(self, thread: threading.Thread) -> None:
        """Stop renewing the lease of a dead thread."""
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
                all_running = self._running.items()
                due = {thread: each for thread, each in all_running if now - each.written_at >= self.renew_after}
            for thread, running in due.items():
                renewed = self._renew_all(running, now)
                with self._changed:
                    if self._running.get(thread) is running:  # it may run another step by now
                        self._running[thread] = renewed

    def _renew_all(self, running: _Running, now: float) -> _Running:
        """Renew the leases of a thread. Leases whose rows are locked stay due, so that they are tried again soon."""
        locked = [(lease, error) for lease in running.leases if (error := self._renew(lease)) is not None]
        if not locked:
            return evolve(running, written_at=now, is_warned_of=False)
        silent = now - running.written_at
        if silent < self.warn_after or running.is_warned_of:
            return running
        lease, error = locked[0]
        _log.warning(
            "The lease on certificate %s has not been renewed for %.0f s: %s", lease.certificate_id, silent, error
        )
        return evolve(running, is_warned_of=True)

    def _renew(self, lease: Schedule | DeliveryCursor) -> StorageBusyError | None:
        """Renew a lease; returns the error if another transaction has locked its row, as the end of the step does."""
        try:
            lease_until = self.environment.now() + LEASE
            with self.storage.write(LockWait.NONE) as transaction:
                if isinstance(lease, DeliveryCursor):
                    transaction.deliveries.renew_lease(lease, lease_until=lease_until)
                else:
                    transaction.schedules.renew_lease(lease.certificate_id, token=lease.token, lease_until=lease_until)
            self._note_answer()
        except (LeaseLostError, NotFoundError):
            self._note_answer()  # the step learns of it when it stores its outcome
        except StorageBusyError as error:
            self._note_answer()
            _log.debug("The lease on certificate %s is not renewed yet: %s", lease.certificate_id, error)
            return error
        except StorageError as error:
            self.outage.failed(error)
        except BaseException:  # boundary: this thread keeps the leases of all the others
            _log.exception("The lease on certificate %s could not be renewed", lease.certificate_id)
        return None

    def _note_answer(self) -> None:
        self.renewed_at = time.monotonic()
        self.outage.answered()
