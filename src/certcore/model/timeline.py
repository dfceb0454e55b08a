"""The record of a certificate: its events, each bound to the one before it by a hash, and who has been told of them.

A chain of hashes shows that nothing in the middle was changed, left out or put in, and the stored length and head that
nothing is missing at the end. Somebody who may write to the database could make a whole new chain, or cut the end off;
the seal, an HMAC over length and head with a key that is sealed, tells of that. As the head is bound to every event
before it, the seal is about those, too, that were written before there were seals. What is left is to put a whole row
and its events back to what they were once: a head that is kept elsewhere (every event that ``certcore_on_event`` gets
carries its hash) tells of that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.model.events import Event
from certcore.model.frozen import read_only

__all__ = ["Behind", "Timeline", "TimelineCheck", "chain", "event_hash", "first_fault", "seal_of"]

#: What the first event of every timeline is bound to.
NO_EVENT: Final = ""


@frozen(kw_only=True)
class Behind:
    """An observer that failed, and when it is tried again."""

    #: The number of the last event that it took.
    delivered: int
    #: How many times in a row it has failed.
    attempts: int
    #: When it is tried again, UTC.
    due_at: datetime
    #: What happened, without secrets.
    reason: str


@frozen(kw_only=True)
class Timeline:
    """How long a certificate's record is, and how far its events have been delivered."""

    certificate_id: str
    #: How many events there are; the number of the newest.
    length: int = 0
    #: The hash of the newest event.
    head: str = NO_EVENT
    #: HMAC of both, see `seal_of`; empty where the store has no key.
    seal: str = ""
    #: Up to this number, every observer was given every event, but for those that are behind.
    delivered: int = 0
    #: When there is something to deliver, UTC; None when there is nothing.
    due_at: datetime | None = None
    #: The observers that failed, by name.
    behind: Mapping[str, Behind] = field(factory=dict, converter=read_only)
    lease_owner: str = ""
    lease_until: datetime | None = None
    #: Grows with every lease.
    token: int = 0


@frozen(kw_only=True)
class TimelineCheck:
    """What the check of a timeline found."""

    certificate_id: str
    #: How many events were read.
    events: int
    #: The hash of the last event that was read; keep it elsewhere, and hand it in at the next check.
    head: str
    #: What is wrong, in words; empty when nothing is.
    fault: str = ""

    @property
    def intact(self) -> bool:
        """Whether the record is as it was written."""
        return not self.fault


def event_hash(event: Event, before: str) -> str:
    """SHA-256, in hex, over all that an event says, its number, and the hash of the event before it."""
    document = [
        before,
        event.number,
        event.certificate_id,
        event.kind.value,
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.actor,
        event.from_status,
        event.to_status,
        event.data,
        None if event.problem is None else event.problem.to_json(),
    ]
    canonical = json.dumps(
        document, separators=(",", ":"), sort_keys=True, ensure_ascii=True, allow_nan=False, default=_plain
    )
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def seal_of(timeline: Timeline, key: bytes) -> str:
    """HMAC-SHA256, in hex, over what a timeline's end is (RFC 2104)."""
    sealed = json.dumps(["certcore-timeline-1", timeline.certificate_id, timeline.length, timeline.head])
    return hmac.new(key, sealed.encode("ascii"), hashlib.sha256).hexdigest()


def chain(events: Iterable[Event], timeline: Timeline, key: bytes = b"") -> tuple[Sequence[Event], Timeline]:
    """Number new events of a certificate and bind them to its timeline.

    Args:
        events: The new ones.
        timeline: As it was.
        key: Seals the end of the timeline; it has no seal without one.

    Returns:
        The events with number and hash, and the timeline with them; it is due at once.
    """
    chained: list[Event] = []
    length, head = timeline.length, timeline.head
    for event in events:
        length += 1
        numbered = evolve(event, number=length)
        head = event_hash(numbered, head)
        chained.append(evolve(numbered, hash=head))
    due_at = chained[-1].at if chained else timeline.due_at
    extended = evolve(timeline, length=length, head=head, due_at=due_at)
    return chained, evolve(extended, seal=seal_of(extended, key) if key else "")


def first_fault(events: Iterable[Event], *, length: int, head: str) -> str:
    """What is wrong with the next events of a timeline, in words; empty when nothing is.

    Args:
        events: What follows, in order.
        length: How many events were before them.
        head: The hash of the last one of those.
    """
    for event in events:
        length += 1
        if event.number != length:
            return f"event {length} is missing: after it comes number {event.number}."
        computed = event_hash(event, head)
        if computed != event.hash:
            return f"event {length} ({event.kind}, {event.at:%Y-%m-%d %H:%M:%S} UTC) is not as it was written."
        head = computed
    return ""


def _plain(value: Any) -> dict[str, Any]:
    """Read-only mappings are objects, too."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"An event holds a {type(value).__name__}, which is not plain JSON.")
