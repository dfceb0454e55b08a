"""A pause that a CA asked for (RFC 8555 section 6.6), stored for all users of the account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from certcore.net.foreign_text import printable
from certcore_puq_acme.moments import CLOCKS_APART

__all__ = ["LONGEST_PAUSE", "Pause"]

#: The longest pause that is respected, whatever the CA asks for.
LONGEST_PAUSE: Final = timedelta(hours=6)

_LONGEST_DETAIL: Final = 500


@frozen(kw_only=True)
class Pause:
    """A time in which no request is sent with an account."""

    since: datetime
    #: At most `LONGEST_PAUSE` after ``since``.
    until: datetime
    #: The end as the CA requested it.
    wished: datetime
    #: The CA's error text.
    detail: str

    @classmethod
    def asked_for(cls, wished: datetime, detail: str, now: datetime) -> Pause:
        """A pause that begins now."""
        until = min(wished, now + LONGEST_PAUSE)
        return cls(since=now, until=until, wished=wished, detail=printable(detail, _LONGEST_DETAIL))

    @classmethod
    def of(cls, stored: Mapping[str, Any], now: datetime) -> Pause | None:
        """Read a stored pause; None if it is over, unreadable, or was written by a wrong clock.

        Args:
            stored: From `to_json`; the oldest format has ``until`` alone.
            now: Current time.
        """
        try:
            until = datetime.fromisoformat(str(stored["until"]))
            since = datetime.fromisoformat(str(stored.get("since") or until - LONGEST_PAUSE))
            wished = datetime.fromisoformat(str(stored.get("wished") or until))
        except (KeyError, ValueError, OverflowError):
            return None
        if until.tzinfo is None or since.tzinfo is None or wished.tzinfo is None:
            return None
        is_plausible = since <= now + CLOCKS_APART and until <= now + LONGEST_PAUSE + CLOCKS_APART
        if not is_plausible or until <= now:
            return None
        return cls(since=since, until=until, wished=wished, detail=str(stored.get("detail", "")))

    def end_for(self, patience: timedelta | None) -> datetime:
        """When requests go on if the pause is respected for at most ``patience``; None for the whole pause."""
        return self.until if patience is None else min(self.until, self.since + patience)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        moments = {"since": self.since, "until": self.until, "wished": self.wished}
        return {**{name: moment.isoformat() for name, moment in moments.items()}, "detail": self.detail}
