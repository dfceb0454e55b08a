"""Renew leases while steps run. So leases can be short, and another process soon replaces a dead one."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import define, field

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
    #: time.monotonic() of the last successful renewal.
    renewed_at: float = field(default=0.0, init=False)
    #: How many times the thread died and was replaced.
    replaced: int = field(default=0, init=False)
    #: Leases of running steps and deliveries by thread, with the time.monotonic() of their last write.
    _running: dict[int, tuple[Sequence[Schedule | DeliveryCursor], float]] = field(factory=dict, init=False, repr=False)
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
            self._running[me] = (leased, time.monotonic())
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
                old = [key for key, (_, since) in self._running.items() if now - since >= self.renew_after]
                groups = [self._running[key][0] for key in old]
                for key, group in zip(old, groups, strict=True):
                    self._running[key] = (group, now)
            for lease in itertools.chain.from_iterable(groups):
                self._renew(lease)

    def _renew(self, lease: Schedule | DeliveryCursor) -> None:
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
            _log.warning("The lease on certificate %s could not be renewed: %s", lease.certificate_id, error)
        except StorageError as error:
            self.outage.failed(error)
        except BaseException:  # boundary: this thread keeps the leases of all the others
            _log.exception("The lease on certificate %s could not be renewed", lease.certificate_id)

    def _note_answer(self) -> None:
        self.renewed_at = time.monotonic()
        self.outage.answered()
