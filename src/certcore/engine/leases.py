"""Leases are renewed while a step runs, so that they can be short: a process that dies is soon replaced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import define, field

from certcore.errors import CertCoreError, LeaseLost, NotFound
from certcore.model.certificate import Schedule
from certcore.ports.environment import Environment
from certcore.ports.storage import Storage

__all__ = ["LEASE", "LeaseKeeper"]

_log = logging.getLogger(__name__)
#: How long a lease lasts. A certificate whose process has died waits this long at most for another one.
LEASE: Final = timedelta(minutes=1)
#: Seconds after which the lease of a step that still runs is renewed: twice more before it would run out.
_RENEW_AFTER: Final = LEASE.total_seconds() / 3


@define(kw_only=True, eq=False)
class LeaseKeeper:
    """Renews the leases of running steps from one thread, which lives while there are long steps."""

    storage: Storage
    environment: Environment
    #: Seconds after which a lease is renewed.
    renew_after: float = _RENEW_AFTER
    #: What is running: when its lease was written last, by time.monotonic().
    _running: dict[int, tuple[Schedule, float]] = field(factory=dict, init=False, repr=False)
    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    @contextmanager
    def keep(self, schedule: Schedule) -> Iterator[None]:
        """Renew this lease as long as the block runs."""
        me = threading.get_ident()
        with self._changed:
            self._running[me] = (schedule, time.monotonic())
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
                schedules = [self._running[key][0] for key in old]
                for key, schedule in zip(old, schedules, strict=True):
                    self._running[key] = (schedule, now)
            for schedule in schedules:
                self._renew(schedule)

    def _renew(self, schedule: Schedule) -> None:
        lease_until = self.environment.now() + LEASE
        try:
            with self.storage.write() as transaction:
                transaction.schedules.renew_lease(
                    schedule.certificate_id, token=schedule.token, lease_until=lease_until
                )
        except (LeaseLost, NotFound):
            pass  # the step learns of it when it stores its outcome
        except CertCoreError as error:
            _log.warning("The lease on certificate %s could not be renewed: %s", schedule.certificate_id, error)
