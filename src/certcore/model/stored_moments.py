"""Limits of how far in the future stored moments may be.

A later moment was written under a wrong clock, and is repaired instead of waited for. Clocks of processes may differ by
up to `CLOCK_TOLERANCE`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["CLOCK_TOLERANCE", "LONGEST_LEASE", "LONGEST_RETRY", "LONGEST_SLEEP", "is_ahead", "not_ahead"]

#: How much the clocks of processes that share a store may differ.
CLOCK_TOLERANCE: Final = timedelta(minutes=15)
#: A later due time is checked once if it is unknown under which clock it was written.
LONGEST_SLEEP: Final = timedelta(days=30)
#: The longest lease. Leases last a minute and are renewed while a step runs.
LONGEST_LEASE: Final = timedelta(minutes=10)
#: The longest wait of a delivery. Failed deliveries are repeated within an hour.
LONGEST_RETRY: Final = timedelta(hours=1)


def is_ahead(moment: datetime | None, now: datetime, longest: timedelta = timedelta(0)) -> bool:
    """Whether a stored moment is so far in the future that it was written under a wrong clock.

    Args:
        moment: The stored moment; None is never ahead.
        now: The present moment.
        longest: How far in the future this kind of moment may be; zero for past events.
    """
    return moment is not None and moment - now > longest + CLOCK_TOLERANCE


def not_ahead(moment: datetime | None, now: datetime) -> datetime | None:
    """The stored moment of a past event; now, if the stored moment is later than clocks can differ."""
    return now if is_ahead(moment, now) else moment
