"""The repository of deliveries: which events of each certificate were delivered to each observer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from certcore.model.deliveries import DeliveryCursor, KnownObserver

__all__ = ["DeliveryRepository"]


class DeliveryRepository(Protocol):
    """One cursor for each observer and certificate, the leases on the cursors, and the observers of all processes.

    `EventRepository.append` only marks a timeline as pending. `offer` then extends the cursors of all observers to the
    end of the timeline, and each process claims the cursors of its own observers.
    """

    def of_certificate(self, certificate_id: str) -> Sequence[DeliveryCursor]:
        """The cursors of a certificate, by the observer's name."""
        ...

    def is_due(self, *, observers: Collection[str], now: datetime) -> bool:
        """Whether a timeline is pending, or a cursor of these observers is due, whether leased or not."""
        ...

    def offer(self, *, observers: Collection[str], now: datetime, limit: int) -> int:
        """Extend the cursors of up to ``limit`` pending timelines to the ends of the timelines, oldest pending first.

        A new cursor begins at the end of the last offer, because an observer does not get events that were offered
        before it existed. A cursor without undelivered events becomes due at the time of the oldest new event, or
        ``now`` if that is later. A cursor that waits for a retry keeps its time.

        If another transaction has locked a timeline or one of its cursors, the timeline MUST be left pending; the call
        MUST NOT wait. Two concurrent callers MUST NOT both offer the same timeline.

        Args:
            observers: The observers that events are kept for, including those of other processes.
            now: The present moment.
            limit: The largest number of timelines.

        Returns:
            How many timelines were offered.
        """
        ...

    def claim_due(
        self, *, observers: Collection[str], now: datetime, owner: str, lease_until: datetime, limit: int
    ) -> Sequence[DeliveryCursor]:
        """Lease up to ``limit`` cursors of these observers that are due and not leased, longest overdue first.

        Each claim MUST increment the token. Two concurrent callers MUST NOT get the same cursor.
        """
        ...

    def renew_lease(self, cursor: DeliveryCursor, *, lease_until: datetime) -> None:
        """Extend a lease.

        Raises:
            LeaseLostError: Another owner or token holds the lease now.
        """
        ...

    def settle(self, cursor: DeliveryCursor) -> None:
        """Store ``delivered``, ``attempts``, ``failing_since``, ``reason`` and ``due_at``, and end the lease.

        ``due_at`` is stored only if there are events after ``delivered``, including events that were offered since the
        claim. Otherwise the cursor is not due.

        Raises:
            LeaseLostError: Another owner or token holds the lease now. Nothing of the cursor is written, and the
                transaction can continue.
        """
        ...

    def failing(self, *, observers: Collection[str], limit: int) -> Sequence[DeliveryCursor]:
        """Up to ``limit`` cursors of these observers whose last delivery failed, by certificate and observer."""
        ...

    def failed_of(self, certificate_ids: Collection[str]) -> Sequence[DeliveryCursor]:
        """The cursors of these certificates whose last delivery failed, for all observers, by certificate."""
        ...

    def retry_now(self, certificate_id: str, *, observer: str | None, now: datetime) -> int:
        """Make failed deliveries due that wait for their next retry. A delivery under a lease is not changed.

        Args:
            certificate_id: The certificate.
            observer: The observer; None for all observers.
            now: The present moment.

        Returns:
            How many failed deliveries are due now.
        """
        ...

    def repair(self, *, now: datetime, limit: int) -> int:
        """Repair moments that were stored under a wrong clock.

        A cursor that is due later than `certcore.model.stored_moments.LONGEST_RETRY` from now becomes due, and a lease
        that ends later than any lease can is ended.

        Returns:
            How many cursors and leases were repaired, up to ``limit`` of each.
        """
        ...

    def known_observers(self, *, lock: bool = False) -> Sequence[KnownObserver]:
        """All known observers, by name.

        Args:
            lock: Whether to prevent other transactions from changing them until this one ends.
        """
        ...

    def save_observer(self, observer: KnownObserver) -> None:
        """Store a new or changed observer."""
        ...

    def forget_observer(self, name: str, *, limit: int) -> bool:
        """Delete an observer with its cursors, up to ``limit`` of these at a time.

        Returns:
            Whether everything was deleted. If not, the observer is still known; call again.
        """
        ...
