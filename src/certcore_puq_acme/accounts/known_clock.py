"""The last known difference between our clock and the CA's, stored for pages, which do not query the CA."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from certcore.errors import StaleWriteError
from certcore_puq_acme.moments import is_ahead
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.protocol.server_clock import TOLERANCE, ClockSight

__all__ = ["known_difference", "note_clock"]

#: A difference that was not confirmed for this long is ignored.
_LIFE: Final = timedelta(days=7)


def note_clock(context: AcmeContext, sight: ClockSight) -> None:
    """Store a difference for the pages, or delete it when there is none."""
    key = _key(context)
    stored = context.documents.get(key)
    if not sight.differs:
        if stored is not None:
            context.documents.delete(key)
        return
    known = None if stored is None else _read(stored.value, sight.ours)
    if known is not None and abs(known.difference - sight.difference) < TOLERANCE and _is_fresh(known, sight.ours):
        return
    value = {"ours": sight.ours.isoformat(), "theirs": sight.theirs.isoformat()}
    try:
        context.documents.put(key, value, version=stored.version if stored else 0)
    except StaleWriteError:
        return  # another process has seen it, too


def known_difference(context: AcmeContext) -> ClockSight | None:
    """The last known difference; None if there is none of the last 7 days, or if our clock was set since."""
    stored = context.documents.get(_key(context))
    return None if stored is None else _read(stored.value, context.environment.now())


def _read(stored: Mapping[str, Any], now: datetime) -> ClockSight | None:
    ours, theirs = stored.get("ours"), stored.get("theirs")
    if is_ahead(ours, now) or is_ahead(theirs, datetime.max.replace(tzinfo=now.tzinfo), timedelta(0)):
        return None
    sight = ClockSight(ours=datetime.fromisoformat(str(ours)), theirs=datetime.fromisoformat(str(theirs)))
    return sight if now - sight.ours < _LIFE else None


def _is_fresh(sight: ClockSight, now: datetime) -> bool:
    return now - sight.ours < _LIFE / 7


def _key(context: AcmeContext) -> str:
    return f"clock/{context.authority_id}"
