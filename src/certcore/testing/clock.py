"""An environment for tests, with a clock that only moves when a test sets it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from certcore.errors import InvalidInputError

__all__ = ["FrozenEnvironment"]

_START: Final = datetime(2030, 1, 1, tzinfo=UTC)


class FrozenEnvironment:
    """A `certcore.plugin.Environment` for tests: the clock stands still, IDs count up, and the random number is fixed.

    Args:
        start: The first moment, with its time zone.
        roll: The number that `roll` returns, from 0 (included) to 1 (excluded).

    Example:
        >>> environment = FrozenEnvironment()
        >>> environment.advance(timedelta(days=60))
        >>> environment.now().isoformat()
        '2030-03-02T00:00:00+00:00'
    """

    def __init__(self, start: datetime = _START, *, roll: float = 0.5) -> None:
        if start.tzinfo is None:
            raise InvalidInputError("start", "must have a time zone.")
        self._lock = threading.Lock()
        self._now = start.astimezone(UTC)
        self._count = 0
        #: The number that the next calls of `roll` return.
        self.next_roll = roll

    def now(self) -> datetime:
        """The present moment of the clock."""
        with self._lock:
            return self._now

    def advance(self, duration: timedelta) -> None:
        """Move the clock forward."""
        with self._lock:
            self._now += duration

    def set(self, moment: datetime) -> None:
        """Set the clock to a moment, which may be in the past.

        Raises:
            InvalidInputError: The moment has no time zone.
        """
        if moment.tzinfo is None:
            raise InvalidInputError("moment", "must have a time zone.")
        with self._lock:
            self._now = moment.astimezone(UTC)

    def new_id(self) -> str:
        """``id-00000001``, ``id-00000002`` and so on."""
        with self._lock:
            self._count += 1
            return f"id-{self._count:08}"

    def roll(self) -> float:
        """The fixed random number."""
        return self.next_roll
