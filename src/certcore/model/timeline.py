"""The timeline of a certificate: its events, each bound to the previous one by a hash.

- The chain of hashes reveals events that were changed, removed or inserted in the middle.
- The stored length and head, which is the hash of the last event, reveal events that were removed at the end.
- The seal, an HMAC over length and head with a sealed key, reveals a whole chain that was rewritten in the database.
  The head depends on all events, so the seal also covers events that are older than seals.
- Resetting a timeline to an earlier state, with its row and seal, is only revealed by a head that is kept elsewhere.
  ``certcore_on_event`` gets the hash of every event.
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

#: The hash to which the first event of every timeline is bound.
NO_EVENT: Final = ""


@frozen(kw_only=True)
class Timeline:
    """The end of a certificate's timeline, and which of its events were offered to observers.

    `certcore.model.deliveries.DeliveryCursor` has the deliveries to each observer.
    """

    certificate_id: str
    #: The number of events, which is the number of the newest event.
    length: int = 0
    #: The hash of the newest event.
    head: str = NO_EVENT
    #: The HMAC of length and head, see `seal_of`; empty if the store has no key for it.
    seal: str = ""
    #: The events up to this number were offered to all observers.
    offered: int = 0
    #: When the oldest event that was not offered happened, UTC; None if there is none.
    pending_since: datetime | None = None


@frozen(kw_only=True)
class TimelineCheck:
    """The result of verifying a timeline."""

    certificate_id: str
    #: The number of events read.
    events: int
    #: The hash of the last event. Keep it elsewhere, and pass it to the next verification.
    head: str
    #: The fault in a sentence; None if the timeline is intact. `fault` is the English text.
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
    """SHA-256, in hex, over the content of an event, its number, and the hash of the previous event."""
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
    """HMAC-SHA256 (RFC 2104), in hex, over the ID, length and head of a timeline."""
    return _seal(timeline.certificate_id, timeline.length, timeline.head, key)


def _seal(certificate_id: str, length: int, head: str, key: bytes) -> str:
    sealed = json.dumps(["certcore-timeline-1", certificate_id, length, head])
    return hmac.new(key, sealed.encode("ascii"), hashlib.sha256).hexdigest()


def chain(events: Iterable[Event], timeline: Timeline, key: bytes = b"") -> tuple[Sequence[Event], Timeline]:
    """Number new events of a certificate and bind them to its timeline.

    Args:
        events: The new events.
        timeline: The timeline before them.
        key: The key for the seal; empty for no seal.

    Returns:
        The events with number and hash, and the timeline with these events pending.
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
    """The first fault in consecutive events of a timeline, as a sentence; None if they are intact.

    Args:
        events: The events, in order.
        length: How many events precede them.
        head: The hash of the event before them.
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
    """Convert a read-only mapping for ``json.dumps``."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"An event holds a {type(value).__name__}, which is not plain JSON.")
