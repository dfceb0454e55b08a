"""Our clock compared with the CA's: each reply has a Date header (RFC 9110 section 6.6.1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import frozen

from certcore.messages import Message, shown_moment

__all__ = ["TOLERANCE", "ClockSight"]

#: A smaller difference is not reported: requests take time, and a Date has whole seconds.
TOLERANCE: Final = timedelta(minutes=5)
_UNITS: Final = MappingProxyType({"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1})


@frozen(kw_only=True)
class ClockSight:
    """The times of both clocks at one moment."""

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

    def told(self) -> dict[str, str | Message]:
        """Both times, and which clock is ahead by how much, as texts for users."""
        return {
            "ours": shown_moment(self.ours),
            "theirs": shown_moment(self.theirs),
            "difference": _in_words(self.difference),
        }


def _in_words(difference: timedelta) -> Message:
    seconds = abs(difference).total_seconds()
    unit = next((unit for unit, length in _UNITS.items() if seconds >= length), "seconds")
    params = {"count": round(seconds / _UNITS[unit])}
    match unit, difference > timedelta(0):
        case "days", True:
            return Message("puq_acme.clock.days_ahead", "{count} days ahead", params)
        case "days", False:
            return Message("puq_acme.clock.days_behind", "{count} days behind", params)
        case "hours", True:
            return Message("puq_acme.clock.hours_ahead", "{count} hours ahead", params)
        case "hours", False:
            return Message("puq_acme.clock.hours_behind", "{count} hours behind", params)
        case "minutes", True:
            return Message("puq_acme.clock.minutes_ahead", "{count} minutes ahead", params)
        case "minutes", False:
            return Message("puq_acme.clock.minutes_behind", "{count} minutes behind", params)
        case _, True:
            return Message("puq_acme.clock.seconds_ahead", "{count} seconds ahead", params)
        case _:
            return Message("puq_acme.clock.seconds_behind", "{count} seconds behind", params)
