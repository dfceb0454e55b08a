"""The lease that lets one process at a time write a name at a DNS server; the name's document stores it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["is_leased", "stored_moment"]

#: The longest valid lease. It is longer than any lease that is taken, because the clocks of processes may differ.
_LONGEST_LEASE: Final = timedelta(minutes=10)


def is_leased(until: datetime | None, now: datetime) -> bool:
    """Whether a lease is held. A lease that ends too late was taken under a wrong clock, and is ignored."""
    return until is not None and now < until <= now + _LONGEST_LEASE


def stored_moment(value: object) -> datetime | None:
    """Read a moment (ISO 8601 with a time zone) from a document; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
