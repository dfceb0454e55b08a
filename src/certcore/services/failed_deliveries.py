"""Deliveries that failed, for the conditions of certificates."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from certcore.model.conditions import FailedDelivery
from certcore.ports.storage import Transaction

__all__ = ["failed_deliveries"]


def failed_deliveries(
    transaction: Transaction, certificate_ids: Collection[str]
) -> Mapping[str, tuple[FailedDelivery, ...]]:
    """The observers that failed on an event of these certificates and have not accepted it since, by certificate."""
    failed: dict[str, tuple[FailedDelivery, ...]] = {}
    for cursor in transaction.deliveries.failed_of(certificate_ids):
        delivery = FailedDelivery(observer=cursor.observer, since=cursor.failing_since)
        failed[cursor.certificate_id] = (*failed.get(cursor.certificate_id, ()), delivery)
    return failed
