"""`Outage`: log an outage of the store once when it begins and once when it ends."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from attrs import define, field

from certcore.errors import StorageError
from certcore.forks import renew_after_fork

__all__ = ["Outage"]

_log = logging.getLogger(__name__)
#: Seconds without a failure after which an outage is over.
_CALM: Final = 5.0


@define(kw_only=True, eq=False)
class Outage:
    """Tracks outages of one store. All threads of a process share it, and report failures and successes."""

    #: Seconds without a failure after which an outage is over. A full disk, for example, refuses only some calls.
    calm: float = _CALM
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)
    #: By time.monotonic(): when the outage began; when the store answered again for the first time since it failed.
    _began_at: float | None = field(default=None, init=False)
    _answered_at: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`."""
        self._lock = threading.Lock()

    @property
    def lasts(self) -> bool:
        """Whether there is an outage now."""
        return self._began_at is not None

    def failed(self, error: StorageError) -> None:
        """A call of the store failed."""
        with self._lock:
            self._answered_at = None
            begins = self._began_at is None
            if begins:
                self._began_at = time.monotonic()
        if begins:
            _log.error("The store cannot be used; work goes on when it answers again. %s", error)

    def answered(self) -> None:
        """A call of the store succeeded."""
        if self._began_at is None:
            return
        now = time.monotonic()
        with self._lock:
            if self._began_at is None:
                return
            if self._answered_at is None:
                self._answered_at = now
            if now - self._answered_at < self.calm:
                return
            lasted = self._answered_at - self._began_at
            self._began_at = None
        _log.warning("The store answers again. The outage lasted %.0f seconds.", lasted)
