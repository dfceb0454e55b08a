"""The repositories of events and timelines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from certcore.model.events import Event
from certcore.model.timeline import Timeline

__all__ = ["EventRepository", "TimelineRepository"]


class EventRepository(Protocol):
    """The events; append-only."""

    def append(self, events: Iterable[Event]) -> None:
        """Append events to the timelines of their certificates (`certcore.model.timeline.chain`).

        The timelines become pending, so that the events are delivered to the observers after the commit
        (`certcore.ports.deliveries.DeliveryRepository.offer`). The numbers in a timeline MUST be unique and without
        gaps, even with concurrent callers.
        """
        ...

    def of_certificate(self, certificate_id: str, *, limit: int = 200) -> Sequence[Event]:
        """The newest ``limit`` events of a certificate, oldest first."""
        ...

    def following(self, certificate_id: str, number: int, *, limit: int = 200) -> Sequence[Event]:
        """The events of a certificate after a number, in order."""
        ...

    def after(self, sequence: int, *, limit: int = 100) -> Sequence[Event]:
        """The events of all certificates after a sequence number, in order.

        An event of a transaction that commits late may appear before events that were already read. Deliveries do not
        depend on this order.
        """
        ...

    def feed(
        self, *, after: int | None = None, owner: str | None = None, descending: bool = False, limit: int = 100
    ) -> Sequence[Event]:
        """The numbered events after a position, or before it in descending order.

        A new event MUST NOT get a position before an event that was already read, whatever the order of commits. The
        events of one certificate come in the order of its timeline.
        """
        ...

    def number(self, *, limit: int) -> int:
        """Assign the next positions to up to ``limit`` committed events without a position; returns their number.

        A store whose transactions commit in the order of their writes can number events when it stores them.
        """
        ...

    def has_unnumbered(self) -> bool:
        """Whether there are committed events without a position. MUST be cheap."""
        ...


class TimelineRepository(Protocol):
    """The end of each certificate's timeline. It is kept when the certificate is deleted, which is an event, too."""

    def get(self, certificate_id: str) -> Timeline:
        """The timeline of a certificate.

        Raises:
            NotFoundError: No event was ever stored for the certificate.
        """
        ...

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal; returns their number."""
        ...
