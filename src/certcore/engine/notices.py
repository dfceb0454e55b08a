"""Telling, in the record, that a certificate needs a person: plugins carry it to somebody."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from certcore.engine.outcome import Held
from certcore.model.danger import danger_of, what_keeps_it
from certcore.model.events import EventKind
from certcore.model.lifecycle import Status
from certcore.model.notices import FAILING, NoticePolicy, is_failing, passed_days, told_of_days

__all__ = ["tell"]


def tell(held: Held, policy: NoticePolicy, now: datetime) -> Held | None:
    """The state after a notice; None when there is nothing to tell. Each is told once for a leaf."""
    active = held.active
    certificate = held.certificate
    if active is None or active.leaf is None:
        return None
    if certificate.status is Status.ACTIVE and certificate.not_after is not None and now < certificate.not_after:
        days = passed_days(policy, certificate, active, now)
        if days:
            told = held.with_issuance(evolve(active, told=told_of_days(active, days)))
            data = {"days": days[-1], "not_after": active.leaf.not_after.isoformat()}
            return told.moved(certificate, EventKind.EXPIRES_SOON, now, problem=certificate.problem, data=data)
    if is_failing(policy, certificate, held.issuances, held.schedule.attempts, now):
        told = held.with_issuance(evolve(active, told=(*active.told, FAILING)))
        attempt = next((one for one in held.issuances if one.id == certificate.issuance_id), None)
        data = {
            "attempts": held.schedule.attempts,
            "not_after": active.leaf.not_after.isoformat(),
            "danger": str(danger_of(certificate, active, now)),
        }
        why = what_keeps_it(certificate, attempt)
        return told.moved(certificate, EventKind.RENEWAL_FAILING, now, problem=why, data=data)
    return None
