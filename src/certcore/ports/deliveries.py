"""The part of the store that keeps which events of each certificate were delivered to each observer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from certcore.model.deliveries import DeliveryCursor, KnownObserver

__all__ = ["DeliveryRepository"]


class DeliveryRepository(Protocol):
    """A cursor per observer and certificate, the leases on them, and the observers of all processes.

    `EventRepository.append` only marks a timeline as pending. `offer` brings the cursors of all observers up to its
    end, and each process claims those of its own observers.
    """

    def of_certificate(self, certificate_id: str) -> Sequence[DeliveryCursor]:
        """The cursors of a certificate, by the observer's name."""
        ...

    def is_due(self, *, observers: Collection[str], now: datetime) -> bool:
        """Whether a timeline is pending, or a cursor of these observers is due, leased or not."""
        ...

    def offer(self, *, observers: Collection[str], now: datetime, limit: int) -> int:
        """Bring the cursors of up to ``limit`` pending timelines up to their end, pending for longest first.

        A cursor that is not there begins where the timeline was offered to: what was offered before is not for an
        observer that came later. One that was told of all becomes due when the oldest new event happened, or now if
        that is later; one that waits for a retry goes on waiting.

        Timelines that another transaction has locked, or a cursor of which another one has locked, MUST be left pending
        rather than waited for. Two callers at once MUST NOT both offer one timeline.

        Args:
            observers: All that events are kept for, also those of other processes.
            now: The present moment.
            limit: How many timelines.

        Returns:
            How many were offered.
        """
        ...

    def claim_due(
        self, *, observers: Collection[str], now: datetime, owner: str, lease_until: datetime, limit: int
    ) -> Sequence[DeliveryCursor]:
        """Lease up to ``limit`` cursors of these observers that are due and not leased, longest overdue first.

        Each claim MUST raise the token. Two callers at once MUST never get the same one.
        """
        ...

    def renew_lease(self, cursor: DeliveryCursor, *, lease_until: datetime) -> None:
        """Extend a lease.

        Raises:
            LeaseLostError: Owner and token of the cursor are not the current ones any more.
        """
        ...

    def settle(self, cursor: DeliveryCursor) -> None:
        """Store ``delivered``, ``attempts``, ``failing_since``, ``reason`` and ``due_at``, and end the lease.

        ``due_at`` counts if there are events after ``delivered``, also such as were offered since the claim; else the
        cursor is not due.

        Raises:
            LeaseLostError: Owner and token are not the current ones any more; nothing of the cursor is written. The
                transaction goes on.
        """
        ...

    def failing(self, *, observers: Collection[str], limit: int) -> Sequence[DeliveryCursor]:
        """Up to ``limit`` cursors of these observers whose last delivery failed, by certificate and observer."""
        ...

    def failed_of(self, certificate_ids: Collection[str]) -> Sequence[DeliveryCursor]:
        """The cursors of these certificates, of whatever observer, whose last delivery failed; by certificate."""
        ...

    def retry_now(self, certificate_id: str, *, observer: str | None, now: datetime) -> int:
        """Make due what has failed and waits for its next try; a delivery under a lease goes on.

        Args:
            certificate_id: The certificate.
            observer: Only the delivery to this observer; None for all of them.
            now: The present moment.

        Returns:
            How many deliveries that have failed are due now.
        """
        ...

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make due what is further ahead than `certcore.model.stored_moments.LONGEST_RETRY`, and end leases likewise.

        Returns:
            How many were found, up to ``limit`` of each kind.
        """
        ...

    def known_observers(self, *, lock: bool = False) -> Sequence[KnownObserver]:
        """All observers that are known, by name.

        Args:
            lock: Keep other transactions from changing them until this one ends.
        """
        ...

    def save_observer(self, observer: KnownObserver) -> None:
        """Store a new observer, or what has changed of one."""
        ...

    def forget_observer(self, name: str, *, limit: int) -> bool:
        """Delete an observer with its cursors, up to ``limit`` of these at a time.

        Returns:
            Whether that was all. If not, the observer is still known: call it again.
        """
        ...
