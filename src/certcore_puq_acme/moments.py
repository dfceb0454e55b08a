"""Read and show stored times, and detect times of a wrong clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from certcore.messages import Message, shown_moment

__all__ = ["CLOCKS_APART", "DOUBT", "is_ahead", "moment_before", "moment_text"]

#: The largest difference between two clocks; a stored time that is further ahead comes from a wrong clock.
CLOCKS_APART: Final = timedelta(minutes=5)
#: How long a URL that the CA has named itself is requested again before it counts as lost.
DOUBT: Final = timedelta(minutes=1)


def is_ahead(stored: object, now: datetime, apart: timedelta = CLOCKS_APART) -> bool:
    """Whether a stored moment of the past is unreadable, or further ahead than clocks may be apart."""
    try:
        moment = datetime.fromisoformat(str(stored))
        return moment.tzinfo is None or moment > now + apart
    except ValueError:
        return True


def moment_before(stored: object, now: datetime) -> datetime:
    """A stored moment of the past; now, where it is missing, unreadable, or further ahead than clocks are apart."""
    return now if is_ahead(stored, now) else datetime.fromisoformat(str(stored))


def moment_text(moment: datetime | None) -> str | Message:
    """A moment as it is shown, or the word that it is not known."""
    return shown_moment(moment) or Message("puq_acme.unknown", "unknown")
