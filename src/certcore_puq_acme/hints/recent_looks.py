"""Recent DNS lookups for the right column, so that many viewers of a page cause one lookup."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any, Final

from certcore.forks import renew_after_fork

__all__ = ["RecentLooks"]

#: How long a lookup is reused.
_FRESH: Final = timedelta(minutes=1)
#: How many lookups are kept.
_MOST: Final = 500


class RecentLooks:
    """Lookups of the last minute, by subject. Threads may share an instance; a child process begins with none."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`."""
        self._lock = threading.Lock()
        self._looks: OrderedDict[Hashable, tuple[datetime, Any]] = OrderedDict()

    def get(self, subject: Hashable, now: datetime, look: Callable[[], Any]) -> Any:
        """The result of a lookup less than a minute ago, or of one now.

        Args:
            subject: The subject of the lookup.
            now: The present moment.
            look: Does the lookup; it may take seconds.
        """
        with self._lock:
            at, result = self._looks.get(subject, (None, None))
        if at is not None and timedelta() <= now - at < _FRESH:  # a clock may have been put back
            return result
        result = look()
        with self._lock:
            self._looks[subject] = (now, result)
            self._looks.move_to_end(subject)
            while len(self._looks) > _MOST:
                self._looks.popitem(last=False)
        return result
