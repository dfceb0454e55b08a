"""The in-memory twin of the record: events, and how far they have been delivered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from attrs import define, evolve, field

from certcore.errors import LeaseLost, NotFound
from certcore.model.clocks import LONGEST_LEASE, LONGEST_RETRY, is_ahead
from certcore.model.events import Event
from certcore.model.timeline import Behind, Timeline, chain, seal_of

__all__ = ["MemoryEvents", "MemoryRecord", "MemoryTimelines"]


@define(eq=False)
class MemoryRecord:
    """The rows of the record."""

    events: list[Event] = field(factory=list)
    timelines: dict[str, Timeline] = field(factory=dict)

    def copy(self) -> MemoryRecord:
        """What a transaction works on."""
        return MemoryRecord(events=list(self.events), timelines=dict(self.timelines))


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
            self.record.events.append(evolve(chained, sequence=len(self.record.events) + 1))

    def of_certificate(self, certificate_id: str, *, limit: int = 200) -> Sequence[Event]:
        """The newest events of a certificate, oldest first."""
        return [one for one in self.record.events if one.certificate_id == certificate_id][-limit:]

    def following(self, certificate_id: str, number: int, *, limit: int = 200) -> Sequence[Event]:
        """The events of a certificate that follow one of its numbers."""
        found = [one for one in self.record.events if one.certificate_id == certificate_id and one.number > number]
        return found[:limit]

    def after(self, sequence: int, *, limit: int = 100) -> Sequence[Event]:
        """The events of all certificates that follow a sequence number."""
        return self.record.events[max(sequence, 0) :][:limit]


@define(eq=False)
class MemoryTimelines:
    """Implements `certcore.ports.timelines.TimelineRepository`."""

    record: MemoryRecord

    def get(self, certificate_id: str) -> Timeline:
        """The timeline of a certificate."""
        try:
            return self.record.timelines[certificate_id]
        except KeyError:
            raise NotFound("certificate", certificate_id) from None

    def claim_due(
        self, *, now: datetime, owner: str, lease_until: datetime, limit: int, without: Collection[str] = ()
    ) -> Sequence[Timeline]:
        """Lease what is due, longest overdue first."""
        due = [
            (one.due_at, one.certificate_id)
            for one in self.record.timelines.values()
            if one.due_at is not None
            and one.due_at <= now
            and (one.lease_until is None or one.lease_until <= now)
            and one.certificate_id not in without
        ]
        claimed = []
        for _, certificate_id in sorted(due)[:limit]:
            stored = self.record.timelines[certificate_id]
            leased = evolve(stored, lease_owner=owner, lease_until=lease_until, token=stored.token + 1)
            self.record.timelines[certificate_id] = leased
            claimed.append(leased)
        return claimed

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal."""
        unsealed = [one for one in self.record.timelines.values() if not one.seal]
        for one in unsealed:
            self.record.timelines[one.certificate_id] = evolve(one, seal=seal_of(one, key))
        return len(unsealed)

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease."""
        self.record.timelines[certificate_id] = evolve(self._held(certificate_id, token), lease_until=lease_until)

    def settle(
        self,
        certificate_id: str,
        *,
        token: int,
        delivered: int,
        behind: Mapping[str, Behind],
        now: datetime,
        due_at: datetime | None,
    ) -> None:
        """Store how far the delivery came, and end the lease."""
        stored = self._held(certificate_id, token)
        self.record.timelines[certificate_id] = evolve(
            stored,
            delivered=delivered,
            behind=behind,
            due_at=now if stored.length > delivered else due_at,
            lease_owner="",
            lease_until=None,
        )

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make due what is further ahead than it can be."""
        found = [
            one
            for one in self.record.timelines.values()
            if is_ahead(one.due_at, now, LONGEST_RETRY) or is_ahead(one.lease_until, now, LONGEST_LEASE)
        ]
        for one in found[:limit]:
            due_at = now if is_ahead(one.due_at, now, LONGEST_RETRY) else one.due_at
            is_held = one.lease_until is not None and not is_ahead(one.lease_until, now, LONGEST_LEASE)
            owner, until = (one.lease_owner, one.lease_until) if is_held else ("", None)
            freed = evolve(one, due_at=due_at, lease_owner=owner, lease_until=until)
            self.record.timelines[one.certificate_id] = freed
        return min(len(found), limit)

    def is_due(self, *, now: datetime, without: Collection[str] = ()) -> bool:
        """Whether there is anything to deliver now."""
        return any(
            one.due_at is not None and one.due_at <= now and one.certificate_id not in without
            for one in self.record.timelines.values()
        )

    def _held(self, certificate_id: str, token: int) -> Timeline:
        stored = self.record.timelines.get(certificate_id)
        if stored is None or stored.token != token:
            raise LeaseLost(certificate_id)
        return stored
