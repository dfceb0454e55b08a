"""Our clock beside the CA's: each answer has a Date (RFC 9110 section 6.6.1), and a clock that is wrong is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import frozen

__all__ = ["TOLERANCE", "ClockSight"]

#: The difference that is not worth a word: requests take their time, and a Date has whole seconds.
TOLERANCE: Final = timedelta(minutes=5)
_UNITS: Final = MappingProxyType({"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1})


@frozen(kw_only=True)
class ClockSight:
    """What both clocks showed at one moment."""

    ours: datetime
    theirs: datetime

    @property
    def difference(self) -> timedelta:
        """How far our clock is ahead of the CA's; negative when it is behind."""
        return self.ours - self.theirs

    @property
    def differs(self) -> bool:
        """Whether one of the clocks is wrong."""
        return abs(self.difference) > TOLERANCE

    def told(self) -> dict[str, str]:
        """Both times, and which clock is ahead by how much, for people."""
        direction = "ahead" if self.difference > timedelta(0) else "behind"
        seconds = abs(self.difference).total_seconds()
        unit = next((unit for unit, length in _UNITS.items() if seconds >= length), "seconds")
        return {
            "ours": f"{self.ours:%Y-%m-%d %H:%M} UTC",
            "theirs": f"{self.theirs:%Y-%m-%d %H:%M} UTC",
            "difference": f"{seconds / _UNITS[unit]:.0f} {unit} {direction}",
        }
