"""The part of the store that keeps the record: events, and how far they have been delivered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from certcore.model.events import Event
from certcore.model.timeline import Behind, Timeline

__all__ = ["EventRepository", "TimelineRepository"]


class EventRepository(Protocol):
    """The events; append-only."""

    def append(self, events: Iterable[Event]) -> None:
        """Store events, each bound to its certificate's timeline (`certcore.model.timeline.chain`).

        The timelines become due, so that the observers learn of the events after the commit. Two callers at once
        MUST NOT give one number twice, and MUST leave no gap.
        """
        ...

    def of_certificate(self, certificate_id: str, *, limit: int = 200) -> Sequence[Event]:
        """The newest ``limit`` events of a certificate, oldest first."""
        ...

    def following(self, certificate_id: str, number: int, *, limit: int = 200) -> Sequence[Event]:
        """The events of a certificate that follow one of its numbers, in order."""
        ...

    def after(self, sequence: int, *, limit: int = 100) -> Sequence[Event]:
        """The events of all certificates that follow a sequence number, in order.

        One that commits late may come in before others that were read already; `TimelineRepository` misses none.
        """
        ...


class TimelineRepository(Protocol):
    """How far the events of each certificate have been delivered, and the leases on doing so.

    Deleting a certificate leaves its timeline: the observers learn of that, too.
    """

    def get(self, certificate_id: str) -> Timeline:
        """The timeline of a certificate.

        Raises:
            NotFound: No event was ever stored for it.
        """
        ...

    def claim_due(
        self, *, now: datetime, owner: str, lease_until: datetime, limit: int, without: Collection[str] = ()
    ) -> Sequence[Timeline]:
        """Lease up to ``limit`` timelines that are due and not leased, longest overdue first, ``without`` some.

        Each claim MUST raise the token. Two callers at once MUST never get the same one.
        """
        ...

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease.

        Raises:
            LeaseLost: The token is no longer the current one.
        """
        ...

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal; returns how many there were."""
        ...

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
        """Store how far the delivery came, and end the lease.

        Args:
            certificate_id: Whose timeline.
            token: Of the lease.
            delivered: The number up to which every event was given to the observers.
            behind: Those that failed.
            now: When there are events after ``delivered`` already, the timeline is due at this moment,
            due_at: else at this one.

        Raises:
            LeaseLost: The token is no longer the current one; nothing is written.
        """
        ...

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make due what is further ahead than `certcore.model.clocks.LONGEST_RETRY`, and end leases likewise.

        Returns:
            How many were found, up to ``limit`` of each kind.
        """
        ...

    def is_due(self, *, now: datetime, without: Collection[str] = ()) -> bool:
        """Whether there is anything to deliver now, leased or not, ``without`` some certificates."""
        ...
