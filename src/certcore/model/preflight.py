"""Preflights: regular checks of certificates in service as if they were renewed now.

Each certificate has its own time in the week, derived from its ID, so that the checks of many certificates are spread
over the week. It is checked once more shortly before its renewal is due, and more often while there is an obstacle.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.readiness import Obstacle, Readiness, fingerprint
from certcore.model.renewal_moment import renewal_moment
from certcore.model.stored_moments import CLOCK_TOLERANCE

__all__ = [
    "CLAIM",
    "LONGEST_WAIT",
    "PREFLIGHT",
    "Preflight",
    "checked",
    "comes_too_late",
    "is_checked",
    "next_preflight",
]

#: The name of the button for an immediate preflight.
PREFLIGHT: Final = "preflight"

_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
_WEEK: Final = timedelta(days=7)
#: The shortest time between a check and the next weekly one.
_LEAST: Final = timedelta(days=1)
#: The longest time to the next check. A later stored time was written under a wrong clock.
LONGEST_WAIT: Final = _WEEK + _LEAST + CLOCK_TOLERANCE
#: How long a process may take for a check before another process repeats it.
CLAIM: Final = timedelta(minutes=15)
#: How long before the renewal the last check runs: this time, or a share of the leaf's lifetime if that is shorter.
_BEFORE_RENEWAL: Final = timedelta(days=3)
_SHARE_BEFORE_RENEWAL: Final = 10
#: Time to the next check while there is an obstacle, and after a finding that may resolve on its own.
_IN_TROUBLE: Final = timedelta(days=1)
_UNSURE: Final = timedelta(hours=1)


@frozen(kw_only=True)
class Preflight:
    """The preflight of one certificate: when it runs next, and its last result."""

    certificate_id: str
    #: When the next check is due, UTC.
    due_at: datetime
    #: When the last check ran, UTC; None before the first check.
    checked_at: datetime | None = None
    #: The result of the last check; None before the first check, or if the CA profile has checks switched off.
    readiness: Readiness | None = None
    #: A fingerprint of the obstacles that were reported last; empty if there were none.
    told: str = ""
    #: Incremented by every save; a save with an older version is refused.
    version: int = 0

    def is_due(self, now: datetime) -> bool:
        """Whether a check is due, also if ``due_at`` was written under a wrong clock (see `LONGEST_WAIT`)."""
        return self.due_at <= now or self.due_at > now + LONGEST_WAIT

    def without_details(self) -> Preflight:
        """A copy for actors who may not see details of the server."""
        readiness = self.readiness
        return self if readiness is None else evolve(self, readiness=readiness.without_details())


def is_checked(certificate: Certificate, active: Issuance | None, current: Issuance | None) -> bool:
    """Whether preflights apply to a certificate: it is in service and renews automatically, with no issuance under way.

    Args:
        certificate: The certificate.
        active: The issuance whose leaf is in service.
        current: The issuance under way, or the last one that failed.
    """
    is_under_way = current is not None and current.outcome is None
    has_leaf = active is not None and active.leaf is not None
    return certificate.status is Status.ACTIVE and certificate.renews_itself and has_leaf and not is_under_way


def checked(before: Preflight, readiness: Readiness | None, now: datetime) -> tuple[Preflight, tuple[Obstacle, ...]]:
    """Update a preflight after a check, except for ``due_at``.

    Obstacles are reported when `Preflight.told` changes: when they appear, when they change, and when they are gone. An
    obstacle that may resolve on its own is reported only when checks have seen it for ten minutes. No obstacle is
    reported as gone before that is certain.

    Args:
        before: The stored preflight.
        readiness: The result of the check; None if the CA profile has checks switched off.
        now: The present moment.

    Returns:
        The updated preflight, and the obstacles that are reported from now on.
    """
    if readiness is None:
        return evolve(before, checked_at=now, readiness=None, told=""), ()
    readiness = readiness.after(before.readiness, now)
    lasting = readiness.lasting(now)
    is_open = not lasting and not readiness.is_ready
    print_now = before.told if is_open else fingerprint(lasting)
    return evolve(before, checked_at=now, readiness=readiness, told=print_now), lasting


def comes_too_late(certificate: Certificate, active: Issuance, until: datetime, now: datetime) -> bool:
    """Whether an order that can only be placed later leaves less than half of the time for the renewal.

    Args:
        certificate: The certificate.
        active: The issuance whose leaf is in service.
        until: When the order can be placed.
        now: The present moment.
    """
    if active.leaf is None:
        return True
    begins, ends = max(now, renewal_moment(certificate, active, active.leaf)), active.leaf.not_after
    return until > begins + (ends - begins) / 2


def next_preflight(certificate: Certificate, active: Issuance | None, after: Preflight, now: datetime) -> datetime:
    """When a certificate is checked next, UTC.

    Args:
        certificate: The certificate.
        active: The issuance whose leaf is in service; None if there is none.
        after: The preflight, updated with the result of a check that has just run.
        now: The present moment.
    """
    due_at = _weekly(certificate.id, now if after.checked_at is None else now + _LEAST)
    if after.readiness is not None and not after.readiness.is_ready:
        blocking = [obstacle for obstacle in after.readiness.obstacles if obstacle.blocks]
        is_known = after.told == fingerprint(blocking)
        due_at = min(due_at, now + (_IN_TROUBLE if is_known else _UNSURE))
    if active is not None and active.leaf is not None and certificate.renews_itself:
        renews_at = renewal_moment(certificate, active, active.leaf)
        before = renews_at - min(_BEFORE_RENEWAL, active.leaf.lifetime / _SHARE_BEFORE_RENEWAL)
        if after.checked_at is None or after.checked_at < before:
            due_at = min(due_at, max(before, now + _UNSURE))
    return due_at


def _weekly(certificate_id: str, after: datetime) -> datetime:
    """The first weekly check of the certificate after a moment."""
    digest = hashlib.sha256(f"preflight {certificate_id}".encode()).digest()
    begins = _EPOCH + _WEEK * (int.from_bytes(digest[:4]) / 2**32)
    return begins + _WEEK * (1 + (after - begins) // _WEEK)
