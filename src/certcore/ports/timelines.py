"""The part of the store that keeps the record: events, and the end of each timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from certcore.model.events import Event
from certcore.model.timeline import Timeline

__all__ = ["EventRepository", "TimelineRepository"]


class EventRepository(Protocol):
    """The events; append-only."""

    def append(self, events: Iterable[Event]) -> None:
        """Store events, each bound to its certificate's timeline (`certcore.model.timeline.chain`).

        The timelines become pending, so that the observers learn of the events after the commit
        (`certcore.ports.deliveries.DeliveryRepository.offer`). Two callers at once MUST NOT give one number twice, and
        MUST leave no gap.
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

        One that commits late may come in before others that were read already; the deliveries miss none.
        """
        ...

    def feed(
        self, *, after: int | None = None, owner: str | None = None, descending: bool = False, limit: int = 100
    ) -> Sequence[Event]:
        """The numbered events that follow a position, or that come before it in descending order.

        A store MUST number so that no new event ever gets a position before one that was already read, in whatever
        order transactions commit. The events of one certificate come in the order of its timeline.
        """
        ...

    def number(self, *, limit: int) -> int:
        """Give the next positions to up to ``limit`` committed events without one; returns to how many.

        A store whose transactions commit in the order in which they write numbers events when it stores them.
        """
        ...

    def has_unnumbered(self) -> bool:
        """Whether there are committed events without a position. MUST be cheap."""
        ...


class TimelineRepository(Protocol):
    """The end of each certificate's timeline. Deleting a certificate leaves it: the observers learn of that, too."""

    def get(self, certificate_id: str) -> Timeline:
        """The timeline of a certificate.

        Raises:
            NotFoundError: No event was ever stored for it.
        """
        ...

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal; returns how many there were."""
        ...
