"""The in-memory repositories of events and of the ends of the timelines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, evolve, field

from certcore.errors import NotFoundError
from certcore.model.deliveries import DeliveryCursor, KnownObserver
from certcore.model.events import Event
from certcore.model.timeline import Timeline, chain, seal_of

__all__ = ["MemoryEvents", "MemoryRecord", "MemoryTimelines"]


@define(eq=False)
class MemoryRecord:
    """The rows of events, timelines, cursors and observers."""

    events: list[Event] = field(factory=list)
    timelines: dict[str, Timeline] = field(factory=dict)
    #: By certificate and observer.
    cursors: dict[tuple[str, str], DeliveryCursor] = field(factory=dict)
    observers: dict[str, KnownObserver] = field(factory=dict)

    def copy(self) -> MemoryRecord:
        """A copy for a transaction."""
        return MemoryRecord(
            events=list(self.events),
            timelines=dict(self.timelines),
            cursors=dict(self.cursors),
            observers=dict(self.observers),
        )


@define(eq=False)
class MemoryEvents:
    """Implements `certcore.ports.timelines.EventRepository`."""

    record: MemoryRecord
    #: Seals the ends of the timelines.
    key: bytes = field(default=b"", repr=False)

    def append(self, events: Iterable[Event]) -> None:
        """Store events; each gets the next numbers."""
        for event in events:
            timeline = self.record.timelines.get(event.certificate_id, Timeline(certificate_id=event.certificate_id))
            (chained,), extended = chain([event], timeline, self.key)
            self.record.timelines[event.certificate_id] = extended
            number = len(self.record.events) + 1
            self.record.events.append(evolve(chained, sequence=number, position=number))

    def of_certificate(self, certificate_id: str, *, limit: int = 200) -> Sequence[Event]:
        """The newest events of a certificate, oldest first."""
        return [event for event in self.record.events if event.certificate_id == certificate_id][-limit:]

    def following(self, certificate_id: str, number: int, *, limit: int = 200) -> Sequence[Event]:
        """The events of a certificate with higher numbers than this one."""
        following = [
            event for event in self.record.events if event.certificate_id == certificate_id and event.number > number
        ]
        return following[:limit]

    def after(self, sequence: int, *, limit: int = 100) -> Sequence[Event]:
        """The events of all certificates with higher sequence numbers than this one."""
        return self.record.events[max(sequence, 0) :][:limit]

    def feed(
        self, *, after: int | None = None, owner: str | None = None, descending: bool = False, limit: int = 100
    ) -> Sequence[Event]:
        """The events around a position."""
        events = [event for event in self.record.events if owner is None or event.owner == owner]
        if descending:
            return [event for event in reversed(events) if after is None or event.position < after][:limit]
        return [event for event in events if event.position > (after or 0)][:limit]

    def number(self, *, limit: int) -> int:
        """Does nothing: every event gets its position when it is stored."""
        return 0

    def has_unnumbered(self) -> bool:
        """Always False: every event has a position."""
        return False


@define(eq=False)
class MemoryTimelines:
    """Implements `certcore.ports.timelines.TimelineRepository`."""

    record: MemoryRecord

    def get(self, certificate_id: str) -> Timeline:
        """The timeline of a certificate."""
        try:
            return self.record.timelines[certificate_id]
        except KeyError:
            raise NotFoundError("certificate", certificate_id) from None

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal."""
        unsealed = [timeline for timeline in self.record.timelines.values() if not timeline.seal]
        for timeline in unsealed:
            self.record.timelines[timeline.certificate_id] = evolve(timeline, seal=seal_of(timeline, key))
        return len(unsealed)
