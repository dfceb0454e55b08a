"""Rows of certificate lists for panels, and the level of a certificate's badge."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.model.certificate import Certificate
from certcore.model.conditions import Condition, FailedDelivery, conditions_of
from certcore.model.hints import Level
from certcore.model.lifecycle import Status
from certcore.model.standing import ConditionStatus, ConditionType

__all__ = ["CertificateNow", "CertificateRow", "RowPage", "badge_level", "days_left"]

#: A leaf that is not renewed automatically is shown as a warning this long before its end.
_ENDS_SOON: Final = timedelta(days=14)
_VERY_LATE: Final = frozenset({"very_late", "expired"})
_WARNINGS: Final = frozenset({ConditionType.RENEWAL_IN_DANGER, ConditionType.DEPLOYMENT_FAILED})


@frozen(kw_only=True)
class CertificateNow:
    """A certificate as lists and its page show it, at the moment when it was read."""

    certificate: Certificate
    #: When the certificate was read, UTC.
    now: datetime
    #: The observers that failed on an event and have not accepted it since.
    failed_deliveries: tuple[FailedDelivery, ...] = ()

    @property
    def days_remaining(self) -> int | None:
        """Whole days until the leaf in service expires; negative if it has expired; None without a leaf."""
        return days_left(self.certificate.not_after, self.now)

    @property
    def renews_at(self) -> datetime | None:
        """When the leaf in service is due for renewal, UTC.

        None without a leaf in service, without a CA profile, or if automatic renewal is off.
        """
        return self.certificate.standing.renews_at

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of the certificate, one of each type."""
        return conditions_of(self.certificate, self.now, self.failed_deliveries)

    @property
    def level(self) -> Level:
        """The level of its badge, see `badge_level`."""
        return badge_level(self.certificate, self.conditions, self.now)


@frozen(kw_only=True)
class CertificateRow(CertificateNow):
    """A certificate as lists show it."""

    #: The name of its CA profile; empty if it has none.
    authority_name: str


@frozen(kw_only=True)
class RowPage:
    """One page of rows."""

    items: tuple[CertificateRow, ...]
    #: Pass this to the next call; None on the last page.
    next_cursor: str | None


def days_left(not_after: datetime | None, now: datetime) -> int | None:
    """Whole days until a leaf expires, rounded down; negative if it has expired; None without a leaf."""
    return None if not_after is None else math.floor((not_after - now) / timedelta(days=1))


def badge_level(certificate: Certificate, conditions: Iterable[Condition], now: datetime) -> Level:
    """How urgently a certificate needs attention.

    - Error: there is no valid leaf and no issuance under way, or a renewal is very late.
    - Warning: a renewal is late, a deployment failed, the leaf expires within 14 days without automatic renewal, or the
      owner has to act before a leaf can be issued.
    - Success: a leaf is in service.
    - Info: everything else.

    Args:
        certificate: The certificate.
        conditions: Its conditions.
        now: The present moment.
    """
    holding = {each.type: each.reason for each in conditions if each.status is ConditionStatus.TRUE}
    if certificate.status in (Status.ERROR, Status.EXPIRED, Status.REVOKED):
        return Level.ERROR
    if holding.get(ConditionType.RENEWAL_IN_DANGER) in _VERY_LATE:
        return Level.ERROR
    if _WARNINGS & holding.keys():
        return Level.WARNING
    ends = certificate.not_after
    if certificate.status is Status.ACTIVE:
        if ConditionType.READY not in holding:
            return Level.ERROR
        ends_soon = ends is not None and ends - now < _ENDS_SOON and not certificate.renews_itself
        return Level.WARNING if ends_soon else Level.SUCCESS
    return Level.WARNING if ConditionType.OWNER_ACTION_NEEDED in holding else Level.INFO
