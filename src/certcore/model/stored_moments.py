"""How far ahead a stored time may be.

A time further ahead was written under a wrong clock, and is not waited for. Processes whose clocks differ by less than
`CLOCK_TOLERANCE` do not notice each other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["CLOCK_TOLERANCE", "LONGEST_LEASE", "LONGEST_RETRY", "LONGEST_SLEEP", "is_ahead", "not_ahead"]

#: The clocks of the processes that share a store may differ by this much.
CLOCK_TOLERANCE: Final = timedelta(minutes=15)
#: A due time further ahead than this is checked once if it is not known under which clock it was written.
LONGEST_SLEEP: Final = timedelta(days=30)
#: The longest lease: leases last a minute, and are renewed while a step runs.
LONGEST_LEASE: Final = timedelta(minutes=10)
#: The longest wait of a delivery: failed deliveries are repeated within an hour.
LONGEST_RETRY: Final = timedelta(hours=1)


def is_ahead(moment: datetime | None, now: datetime, longest: timedelta = timedelta(0)) -> bool:
    """Whether a stored moment is further ahead than it can be: it was written while a clock was wrong.

    Args:
        moment: What is stored; None is never ahead.
        now: The present moment.
        longest: How far ahead this kind of moment may be; nothing for what has happened.
    """
    return moment is not None and moment - now > longest + CLOCK_TOLERANCE


def not_ahead(moment: datetime | None, now: datetime) -> datetime | None:
    """The moment of a past event; now, if it is dated further ahead than clocks differ."""
    return now if is_ahead(moment, now) else moment
