"""Record notices for certificates that need a person. Plugins deliver them."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from certcore.engine.apply_step import LeasedCertificate
from certcore.model.events import EventKind
from certcore.model.lifecycle import Status
from certcore.model.notice_policy import FAILING, NoticePolicy, is_failing, passed_days, told_of_days
from certcore.model.renewal_danger import danger_of, what_keeps_it

__all__ = ["tell"]


def tell(leased: LeasedCertificate, policy: NoticePolicy, now: datetime) -> LeasedCertificate | None:
    """The state after a notice, or None if no notice is due. Each notice is given once per leaf."""
    active = leased.active
    certificate = leased.certificate
    if active is None or active.leaf is None:
        return None
    if certificate.status is Status.ACTIVE and certificate.not_after is not None and now < certificate.not_after:
        days = passed_days(policy, certificate, active, now)
        if days:
            recorded = leased.with_issuance(evolve(active, told=told_of_days(active, days)))
            data = {"days": days[-1], "not_after": active.leaf.not_after.isoformat()}
            return recorded.moved(certificate, EventKind.EXPIRES_SOON, now, problem=certificate.problem, data=data)
    if is_failing(policy, certificate, leased.issuances, leased.schedule.attempts, now):
        recorded = leased.with_issuance(evolve(active, told=(*active.told, FAILING)))
        attempt = next((each for each in leased.issuances if each.id == certificate.issuance_id), None)
        data = {
            "attempts": leased.schedule.attempts,
            "not_after": active.leaf.not_after.isoformat(),
            "danger": str(danger_of(certificate, active, now)),
        }
        why = what_keeps_it(certificate, attempt)
        return recorded.moved(certificate, EventKind.RENEWAL_FAILING, now, problem=why, data=data)
    return None
