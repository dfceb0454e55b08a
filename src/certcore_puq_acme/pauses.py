"""A pause that a CA has asked for (RFC 8555 section 6.6), as it is kept for everybody who uses the account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

from certcore_puq_acme.foreign_text import printable
from certcore_puq_acme.patience import CLOCKS_APART, LONGEST_PAUSE

__all__ = ["Pause"]

_LONGEST_DETAIL = 500


@frozen(kw_only=True)
class Pause:
    """Nobody asks the CA anything with an account between two moments."""

    since: datetime
    #: Its end: never later than `LONGEST_PAUSE` after its beginning, whatever the CA wished.
    until: datetime
    #: The end that the CA wished.
    wished: datetime
    #: The CA's own words.
    detail: str

    @classmethod
    def asked_for(cls, wished: datetime, detail: str, now: datetime) -> Pause:
        """The pause that begins now."""
        until = min(wished, now + LONGEST_PAUSE)
        return cls(since=now, until=until, wished=wished, detail=printable(detail, _LONGEST_DETAIL))

    @classmethod
    def of(cls, stored: Mapping[str, Any], now: datetime) -> Pause | None:
        """A stored pause that lasts; None for one that is over, or that a clock which was wrong has written.

        Args:
            stored: As `to_json` gives it; before there was a ``since``, a pause had an end only.
            now: The present moment.
        """
        try:
            until = datetime.fromisoformat(str(stored["until"]))
            since = datetime.fromisoformat(str(stored.get("since") or until - LONGEST_PAUSE))
            wished = datetime.fromisoformat(str(stored.get("wished") or until))
        except (KeyError, ValueError, OverflowError):
            return None
        if until.tzinfo is None or since.tzinfo is None or wished.tzinfo is None:
            return None
        is_believed = since <= now + CLOCKS_APART and until <= now + LONGEST_PAUSE + CLOCKS_APART
        if not is_believed or until <= now:
            return None
        return cls(since=since, until=until, wished=wished, detail=str(stored.get("detail", "")))

    def end_for(self, patience: timedelta | None) -> datetime:
        """When somebody goes on who waits no longer than this from its beginning; None waits to its end."""
        return self.until if patience is None else min(self.until, self.since + patience)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        moments = {"since": self.since, "until": self.until, "wished": self.wished}
        return {**{name: moment.isoformat() for name, moment in moments.items()}, "detail": self.detail}
