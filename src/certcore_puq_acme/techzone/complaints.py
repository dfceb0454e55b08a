"""Log failures of a name server's sources."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from certcore.errors import CertCoreError

__all__ = ["Complaints"]

_log = logging.getLogger(__name__)
#: Seconds between two log lines.
_LOG_EVERY: Final = 60.0


class Complaints:
    """Logs failures of sources: the first at once, then at most one a minute, with the number of others since."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._quiet_until: float | None = None
        self._unsaid = 0

    def about(self, error: Exception) -> None:
        """Log a failure, or count it."""
        with self._lock:
            now = self._monotonic()
            if self._quiet_until is not None and now < self._quiet_until:
                self._unsaid += 1
                return
            self._quiet_until = now + _LOG_EVERY
            unsaid, self._unsaid = self._unsaid, 0
        # Only the texts of certcore's own errors are known to have no secrets. Of others, the type is logged.
        reason = str(error) if isinstance(error, CertCoreError) else type(error).__name__
        more = f" ({unsaid} more since the last message)" if unsaid else ""
        _log.error("A DNS query got SERVFAIL because its zone source failed: %s%s, at %s", reason, more, _place(error))


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "an unknown place"
