"""The in-memory repository of the observers' cursors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from attrs import define, evolve

from certcore.adapters.memory_timelines import MemoryRecord
from certcore.errors import LeaseLostError
from certcore.model.deliveries import DeliveryCursor, KnownObserver
from certcore.model.stored_moments import LONGEST_LEASE, LONGEST_RETRY, is_ahead
from certcore.model.timeline import Timeline

__all__ = ["MemoryDeliveries"]


@define(eq=False)
class MemoryDeliveries:
    """Implements `certcore.ports.deliveries.DeliveryRepository`."""

    record: MemoryRecord

    def of_certificate(self, certificate_id: str) -> Sequence[DeliveryCursor]:
        """The cursors of a certificate."""
        return [cursor for cursor in self._sorted() if cursor.certificate_id == certificate_id]

    def is_due(self, *, observers: Collection[str], now: datetime) -> bool:
        """Whether there are new events, or due deliveries to these observers."""
        is_pending = any(timeline.pending_since is not None for timeline in self.record.timelines.values())
        return is_pending or any(
            cursor.observer in observers and cursor.due_at is not None and cursor.due_at <= now
            for cursor in self.record.cursors.values()
        )

    def offer(self, *, observers: Collection[str], now: datetime, limit: int) -> int:
        """Bring the cursors of pending timelines up to their end."""
        pending = sorted(
            (timeline.pending_since, timeline.certificate_id)
            for timeline in self.record.timelines.values()
            if timeline.pending_since is not None
        )[:limit]
        for since, certificate_id in pending:
            timeline = self.record.timelines[certificate_id]
            for observer in observers:
                self._extend(timeline, observer, due_at=min(since, now))
            self.record.timelines[certificate_id] = evolve(timeline, offered=timeline.length, pending_since=None)
        return len(pending)

    def _extend(self, timeline: Timeline, observer: str, *, due_at: datetime) -> None:
        key = (timeline.certificate_id, observer)
        cursor = self.record.cursors.get(key) or DeliveryCursor(
            certificate_id=timeline.certificate_id,
            observer=observer,
            delivered=timeline.offered,
            length=timeline.offered,
        )
        self.record.cursors[key] = evolve(cursor, length=timeline.length, due_at=cursor.due_at or due_at)

    def claim_due(
        self, *, observers: Collection[str], now: datetime, owner: str, lease_until: datetime, limit: int
    ) -> Sequence[DeliveryCursor]:
        """Lease the due deliveries, longest overdue first."""
        due = sorted(
            (cursor.due_at, cursor.certificate_id, cursor.observer)
            for cursor in self.record.cursors.values()
            if cursor.observer in observers
            and cursor.due_at is not None
            and cursor.due_at <= now
            and (cursor.lease_until is None or cursor.lease_until <= now)
        )
        claimed = []
        for _, certificate_id, observer in due[:limit]:
            stored = self.record.cursors[certificate_id, observer]
            leased = evolve(stored, lease_owner=owner, lease_until=lease_until, token=stored.token + 1)
            self.record.cursors[certificate_id, observer] = leased
            claimed.append(leased)
        return claimed

    def renew_lease(self, cursor: DeliveryCursor, *, lease_until: datetime) -> None:
        """Extend a lease."""
        self._put(evolve(self._held(cursor), lease_until=lease_until))

    def settle(self, cursor: DeliveryCursor) -> None:
        """Store up to which event the delivery has got, and end the lease."""
        stored = self._held(cursor)
        self._put(
            evolve(
                stored,
                delivered=cursor.delivered,
                attempts=cursor.attempts,
                failing_since=cursor.failing_since,
                reason=cursor.reason,
                due_at=cursor.due_at if stored.length > cursor.delivered else None,
                lease_owner="",
                lease_until=None,
            )
        )

    def failing(self, *, observers: Collection[str], limit: int) -> Sequence[DeliveryCursor]:
        """The cursors whose last delivery failed."""
        failing = [
            cursor
            for cursor in self._sorted()
            if cursor.observer in observers and cursor.due_at is not None and cursor.attempts
        ]
        return failing[:limit]

    def failed_of(self, certificate_ids: Collection[str]) -> Sequence[DeliveryCursor]:
        """The cursors of these certificates whose last delivery failed."""
        return [
            cursor
            for cursor in self._sorted()
            if cursor.failing_since is not None and cursor.certificate_id in certificate_ids
        ]

    def retry_now(self, certificate_id: str, *, observer: str | None, now: datetime) -> int:
        """Make failed deliveries due now, instead of at their next retry."""
        failed = [
            cursor
            for cursor in self.failed_of([certificate_id])
            if cursor.due_at is not None and observer in (None, cursor.observer)
        ]
        for cursor in failed:
            self._put(evolve(cursor, due_at=now))
        return len(failed)

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make deliveries due whose time is impossibly far in the future, and end leases of that kind."""
        late = [cursor for cursor in self._sorted() if is_ahead(cursor.due_at, now, LONGEST_RETRY)]
        leased_too_long = [cursor for cursor in self._sorted() if is_ahead(cursor.lease_until, now, LONGEST_LEASE)]
        for cursor in late[:limit]:
            self._put(evolve(cursor, due_at=now))
        for cursor in leased_too_long[:limit]:
            self._put(evolve(self.record.cursors[cursor.certificate_id, cursor.observer], lease_until=None))
        return min(max(len(late), len(leased_too_long)), limit)

    def known_observers(self, *, lock: bool = False) -> Sequence[KnownObserver]:
        """All known observers."""
        return [observer for _, observer in sorted(self.record.observers.items())]

    def save_observer(self, observer: KnownObserver) -> None:
        """Store an observer."""
        self.record.observers[observer.name] = observer

    def forget_observer(self, name: str, *, limit: int) -> bool:
        """Delete an observer with its cursors."""
        keys = [key for key in self.record.cursors if key[1] == name]
        for key in keys[:limit]:
            del self.record.cursors[key]
        if len(keys) > limit:
            return False
        self.record.observers.pop(name, None)
        return True

    def _sorted(self) -> list[DeliveryCursor]:
        return [cursor for _, cursor in sorted(self.record.cursors.items())]

    def _held(self, cursor: DeliveryCursor) -> DeliveryCursor:
        stored = self.record.cursors.get((cursor.certificate_id, cursor.observer))
        if stored is None or (stored.token, stored.lease_owner) != (cursor.token, cursor.lease_owner):
            raise LeaseLostError(cursor.certificate_id)
        return stored

    def _put(self, cursor: DeliveryCursor) -> None:
        self.record.cursors[cursor.certificate_id, cursor.observer] = cursor
