"""The lease under which one process at a time writes a name at a DNS server; it stands in the name's document."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["is_leased", "stored_moment"]

#: The longest lease; the clocks of two processes may differ by the rest of it.
_LONGEST_LEASE: Final = timedelta(minutes=10)


def is_leased(until: datetime | None, now: datetime) -> bool:
    """Whether a process writes; a lease that ends impossibly late was taken under a wrong clock."""
    return until is not None and now < until <= now + _LONGEST_LEASE


def stored_moment(value: object) -> datetime | None:
    """A moment as a document has it; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
