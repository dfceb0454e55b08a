"""Leases are renewed while a step runs, so that they can be short: a process that dies is soon replaced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import define, field, frozen

from certcore.errors import CertCoreError, LeaseLost, NotFound
from certcore.model.certificate import Schedule
from certcore.model.timeline import Timeline
from certcore.ports.environment import Environment
from certcore.ports.storage import Storage

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
    #: Seconds after which a lease is renewed.
    renew_after: float = _RENEW_AFTER
    #: When the store took a renewal for the last time, by time.monotonic(): a sign of life in a long step.
    renewed_at: float = field(default=0.0, init=False)
    #: What is running: when its lease was written last, by time.monotonic().
    _running: dict[int, tuple[_Lease, float]] = field(factory=dict, init=False, repr=False)
    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    @contextmanager
    def keep(self, leased: Schedule | Timeline) -> Iterator[None]:
        """Renew this lease as long as the block runs."""
        me = threading.get_ident()
        lease = _Lease(leased.certificate_id, leased.token, isinstance(leased, Timeline))
        with self._changed:
            self._running[me] = (lease, time.monotonic())
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="certcore-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._running.pop(me, None)

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
        lease_until = self.environment.now() + LEASE
        try:
            with self.storage.write() as transaction:
                repository = transaction.timelines if lease.on_timeline else transaction.schedules
                repository.renew_lease(lease.certificate_id, token=lease.token, lease_until=lease_until)
            self.renewed_at = time.monotonic()
        except (LeaseLost, NotFound):
            pass  # the step learns of it when it stores its outcome
        except CertCoreError as error:
            _log.warning("The lease on certificate %s could not be renewed: %s", lease.certificate_id, error)
        except Exception:  # boundary: this thread keeps the leases of all the others
            _log.exception("The lease on certificate %s could not be renewed", lease.certificate_id)
