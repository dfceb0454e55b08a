"""The timeline of a certificate: its events, each bound to the previous one by a hash.

A chain of hashes shows that nothing in the middle was changed, left out or put in, and the stored length and head that
nothing is missing at the end. A writer of the database could make a new chain, or cut the end off; the seal, an HMAC
over length and head with a sealed key, reveals that. As the head is bound to every event
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

from attrs import evolve, frozen

from certcore.messages import Message, shown_moment
from certcore.model.events import Event

__all__ = ["Timeline", "TimelineCheck", "chain", "event_hash", "first_fault", "seal_of"]

#: The hash that the first event of every timeline is bound to.
NO_EVENT: Final = ""


@frozen(kw_only=True)
class Timeline:
    """The end of a certificate's timeline, and how far its events have been offered to the observers.

    What becomes of them then is in the cursors of the observers, see `certcore.model.deliveries.DeliveryCursor`.
    """

    certificate_id: str
    #: The number of events, which is that of the newest.
    length: int = 0
    #: The hash of the newest event.
    head: str = NO_EVENT
    #: The HMAC of both, see `seal_of`; empty if the store has no key for it.
    seal: str = ""
    #: The cursors of all observers are to deliver the events up to this number.
    offered: int = 0
    #: When the oldest event after those happened, UTC; None when there is none.
    pending_since: datetime | None = None


@frozen(kw_only=True)
class TimelineCheck:
    """The result of verifying a timeline."""

    certificate_id: str
    #: The number of events read.
    events: int
    #: The hash of the last event. Keep it elsewhere, and pass it to the next verification.
    head: str
    #: The fault, in words; None if the timeline is intact. `fault` is its English text.
    fault_text: Message | None = None

    @property
    def intact(self) -> bool:
        """Whether the timeline is intact."""
        return self.fault_text is None

    @property
    def fault(self) -> str:
        """The fault, in English; empty if the timeline is intact."""
        return "" if self.fault_text is None else str(self.fault_text)


def event_hash(event: Event, before: str) -> str:
    """SHA-256, in hex, over all that an event says, its number, and the hash of the event before it."""
    return _numbered_hash(event, event.number, before)


def _numbered_hash(event: Event, number: int, before: str) -> str:
    document = [
        before,
        number,
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
    return _seal(timeline.certificate_id, timeline.length, timeline.head, key)


def _seal(certificate_id: str, length: int, head: str, key: bytes) -> str:
    sealed = json.dumps(["certcore-timeline-1", certificate_id, length, head])
    return hmac.new(key, sealed.encode("ascii"), hashlib.sha256).hexdigest()


def chain(events: Iterable[Event], timeline: Timeline, key: bytes = b"") -> tuple[Sequence[Event], Timeline]:
    """Number new events of a certificate and bind them to its timeline.

    Args:
        events: The new ones.
        timeline: As it was.
        key: Seals the end of the timeline; it has no seal without one.

    Returns:
        The events with number and hash, and the timeline with them; they are pending.
    """
    chained: list[Event] = []
    length, head = timeline.length, timeline.head
    for event in events:
        length += 1
        head = _numbered_hash(event, length, head)
        chained.append(evolve(event, number=length, hash=head))
    pending_since = timeline.pending_since or (chained[0].at if chained else None)
    seal = _seal(timeline.certificate_id, length, head, key) if key else ""
    return chained, evolve(timeline, length=length, head=head, pending_since=pending_since, seal=seal)


def first_fault(events: Iterable[Event], *, length: int, head: str) -> Message | None:
    """The fault of the next events of a timeline, in words; None if they are intact.

    Args:
        events: What follows, in order.
        length: How many events were before them.
        head: The hash of the last one of those.
    """
    for event in events:
        length += 1
        if event.number != length:
            text = "event {number} is missing: the next one is number {next}."
            return Message("timeline.missing", text, {"number": length, "next": event.number})
        computed = event_hash(event, head)
        if computed != event.hash:
            text = "event {number} ({kind}, {at}) was changed after it was written."
            params = {"number": length, "kind": event.kind, "at": shown_moment(event.at, seconds=True)}
            return Message("timeline.changed", text, params)
        head = computed
    return None


def _plain(value: Any) -> dict[str, Any]:
    """Read-only mappings are objects, too."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"An event holds a {type(value).__name__}, which is not plain JSON.")
