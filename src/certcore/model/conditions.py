"""The conditions of a certificate, which supplement its status, each with a time and a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen

from certcore.messages import Message, shown_moment
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.renewal_danger import Danger, danger_at
from certcore.model.renewal_moment import planned_renewal
from certcore.model.standing import Attempt, ConditionStatus, ConditionType, Standing, StatusSince

__all__ = ["Condition", "FailedDelivery", "conditions_of", "with_standing"]

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
#: The statuses of a certificate whose leaf is in service or has expired.
_HAS_LEAF: Final = frozenset({Status.ACTIVE, Status.EXPIRED})
_FIRST_ISSUANCE: Final = frozenset({Status.PENDING, Status.PROCESSING})

#: The reason and the message for each state of an issuance under way.
_ATTEMPTS: Final[Mapping[Attempt, tuple[str, Message]]] = MappingProxyType(
    {
        Attempt.BEGUN: ("begun", Message("condition.attempt.begun", "The issuance has begun.")),
        Attempt.WORKING: ("working", Message("condition.attempt.working", "The issuance is under way.")),
        Attempt.FAILED: (
            "retried",
            Message("condition.attempt.retried", "The last step of the issuance failed; it is tried again."),
        ),
        Attempt.OWNER: (
            "waits_for_owner",
            Message("condition.attempt.waits_for_owner", "The issuance waits for the owner of the domain."),
        ),
        Attempt.ADMINISTRATOR: (
            "waits_for_administrator",
            Message("condition.attempt.waits_for_administrator", "The issuance waits for an administrator."),
        ),
        Attempt.AUTHORITY: (
            "waits_for_authority",
            Message("condition.attempt.waits_for_authority", "The issuance waits for the CA."),
        ),
        Attempt.TURN: (
            "waits_for_turn",
            Message("condition.attempt.waits_for_turn", "The issuance waits for its turn: the CA limits orders."),
        ),
    }
)


@frozen(kw_only=True)
class Condition:
    """One condition of a certificate."""

    type: ConditionType
    status: ConditionStatus
    #: The reason for the status as a stable identifier in snake_case.
    reason: str
    #: The reason in a sentence.
    message: Message
    #: Since when it has this status, UTC; None if unknown.
    since: datetime | None = None


@frozen(kw_only=True)
class FailedDelivery:
    """An observer that failed on an event and has not accepted it since."""

    observer: str
    #: Since when it has failed, UTC; None if unknown.
    since: datetime | None = None


@frozen(kw_only=True)
class _State:
    """The state of a condition. `since` is set if it can be derived without the stored time."""

    status: ConditionStatus
    reason: str
    message: Message
    since: datetime | None = field(default=None)


def with_standing(
    certificate: Certificate, issuances: Iterable[Issuance | None], now: datetime, *, changed_at: datetime | None
) -> Certificate:
    """A copy of a certificate with the `Certificate.standing` that follows from its issuances.

    Args:
        certificate: The certificate.
        issuances: At least the issuance in service and the issuance under way.
        now: The present moment.
        changed_at: The time for conditions that differ from the stored ones: now, in the transaction that changes the
            certificate; None if the certificate is only read.
    """
    by_id = {issuance.id: issuance for issuance in issuances if issuance is not None}
    active = by_id.get(certificate.active_issuance_id or "")
    before = certificate.standing.conditions
    standing = _of_attempt(by_id.get(certificate.issuance_id or ""))
    if active is not None and active.leaf is not None:
        begins_at = active.leaf.not_before
        if certificate.renews_itself and certificate.status in _HAS_LEAF:
            planned = planned_renewal(certificate, active, active.leaf)
            standing = evolve(
                standing,
                begins_at=begins_at,
                renews_at=planned.at,
                renews_because=planned.reason,
                late_at=danger_at(certificate, active, Danger.WARNING),
            )
        else:
            standing = evolve(standing, begins_at=begins_at)
    statuses = {}
    for kind, state in _states(certificate, standing, now):
        stored = before.get(kind)
        since = changed_at if stored is None or stored.status is not state.status else stored.since
        statuses[kind] = StatusSince(state.status, state.since or since)
    updated = evolve(standing, conditions=statuses)
    return certificate if updated == certificate.standing else evolve(certificate, standing=updated)


def conditions_of(
    certificate: Certificate, now: datetime, failed: Iterable[FailedDelivery] = ()
) -> tuple[Condition, ...]:
    """All conditions of a certificate, one of each type, in the order of `ConditionType`.

    Args:
        certificate: The certificate with its standing.
        now: The present moment.
        failed: Its deliveries that failed.
    """
    conditions = []
    of_the_row = _states(certificate, certificate.standing, now)
    for kind, state in [*of_the_row, (ConditionType.DEPLOYMENT_FAILED, _deployment(failed))]:
        stored = certificate.standing.conditions.get(kind)
        since = state.since
        if since is None and stored is not None and stored.status is state.status:
            since = stored.since
        conditions.append(
            Condition(type=kind, status=state.status, reason=state.reason, message=state.message, since=since)
        )
    return tuple(conditions)


def _of_attempt(attempt: Issuance | None) -> Standing:
    if attempt is None or attempt.outcome is not None:
        return Standing()
    state = attempt.engine_state
    if state.waiting_since is not None and state.waiting_for in set(Attempt):
        return Standing(attempt=Attempt(state.waiting_for), waits_since=state.waiting_since)
    if attempt.problem is not None:
        return Standing(attempt=Attempt.FAILED)
    return Standing(attempt=Attempt.BEGUN if attempt.module_state is None else Attempt.WORKING)


def _states(certificate: Certificate, standing: Standing, now: datetime) -> Iterator[tuple[ConditionType, _State]]:
    """The conditions of a certificate with this standing."""
    yield ConditionType.READY, _ready(certificate, standing, now)
    yield ConditionType.ISSUING, _issuing(certificate, standing)
    yield ConditionType.RENEWING, _renewing(certificate, standing, now)
    yield ConditionType.OWNER_ACTION_NEEDED, _owner(standing)
    yield ConditionType.RENEWAL_IN_DANGER, _danger(certificate, standing, now)


def _ready(certificate: Certificate, standing: Standing, now: datetime) -> _State:
    ends, begins = certificate.not_after, standing.begins_at
    facts = {"not_before": shown_moment(begins), "not_after": shown_moment(ends)}
    match certificate.status:
        case Status.ACTIVE | Status.EXPIRED if ends is not None and ends <= now:
            text = "The leaf in service expired on {not_after}."
            return _State(
                status=_FALSE, reason="expired", message=Message("condition.ready.expired", text, facts), since=ends
            )
        case Status.ACTIVE if begins is not None and begins > now:
            text = "The leaf in service is not valid before {not_before}."
            return _State(
                status=_FALSE, reason="not_yet_valid", message=Message("condition.ready.not_yet_valid", text, facts)
            )
        case Status.ACTIVE:
            text = "The leaf in service is valid until {not_after}."
            return _State(status=_TRUE, reason="in_service", message=Message("condition.ready.in_service", text, facts))
        case Status.EXPIRED:
            text = "It was marked as expired while a clock was ahead; its leaf is valid until {not_after}."
            message = Message("condition.ready.expired_by_clock", text, facts)
            return _State(status=_FALSE, reason="expired_by_clock", message=message)
        case Status.REVOKED:
            text = "The leaf was revoked."
            return _State(status=_FALSE, reason="revoked", message=Message("condition.ready.revoked", text))
        case Status.ERROR:
            text = "The issuance failed, and is not retried automatically."
            return _State(status=_FALSE, reason="failed", message=Message("condition.ready.failed", text))
        case Status.DRAFT:
            text = "It is a draft; nothing was requested yet."
            return _State(status=_FALSE, reason="draft", message=Message("condition.ready.draft", text))
        case _:
            text = "There is no leaf yet; the issuance is under way."
            return _State(status=_FALSE, reason="issuing", message=Message("condition.ready.issuing", text))


def _issuing(certificate: Certificate, standing: Standing) -> _State:
    attempt = standing.attempt
    if certificate.status in _FIRST_ISSUANCE and attempt is not Attempt.NONE:
        reason, message = _ATTEMPTS[attempt]
        return _State(status=_TRUE, reason=reason, message=message)
    if certificate.status in _HAS_LEAF:
        text = "A leaf was issued."
        return _State(status=_FALSE, reason="issued", message=Message("condition.issuing.issued", text))
    if certificate.status is Status.ERROR:
        text = "The issuance failed, and is not retried automatically."
        return _State(status=_FALSE, reason="failed", message=Message("condition.issuing.failed", text))
    text = "No issuance is under way."
    return _State(status=_FALSE, reason="not_begun", message=Message("condition.issuing.not_begun", text))


def _renewing(certificate: Certificate, standing: Standing, now: datetime) -> _State:
    if certificate.status not in _HAS_LEAF:
        text = "There is no leaf in service that could be renewed."
        return _State(status=_FALSE, reason="no_leaf", message=Message("condition.renewing.no_leaf", text))
    if standing.attempt is not Attempt.NONE:
        reason, message = _ATTEMPTS[standing.attempt]
        return _State(status=_TRUE, reason=reason, message=message)
    if certificate.authority_id is None:
        text = "No CA profile is chosen, so it is not renewed."
        return _State(status=_FALSE, reason="no_authority", message=Message("condition.renewing.no_authority", text))
    if not certificate.renewal.auto:
        text = "It does not renew automatically."
        return _State(status=_FALSE, reason="off", message=Message("condition.renewing.off", text))
    if certificate.problem is not None:
        text = "The last renewal failed; another one begins automatically."
        return _State(status=_FALSE, reason="failed", message=Message("condition.renewing.failed", text))
    if standing.renews_at is None:
        text = "It is not known yet when the renewal begins."
        return _State(status=_UNKNOWN, reason="not_looked_at", message=Message("condition.renewing.unknown", text))
    facts = {"renews_at": shown_moment(standing.renews_at)}
    if standing.renews_at <= now:
        text = "The renewal is due since {renews_at}."
        return _State(status=_FALSE, reason="due", message=Message("condition.renewing.due", text, facts))
    text = "The renewal begins at {renews_at}."
    return _State(status=_FALSE, reason="not_due", message=Message("condition.renewing.not_due", text, facts))


def _owner(standing: Standing) -> _State:
    match standing.attempt:
        case Attempt.OWNER:
            reason, message = _ATTEMPTS[Attempt.OWNER]
            return _State(status=_TRUE, reason=reason, message=message, since=standing.waits_since)
        case Attempt.BEGUN:
            text = "It was not checked yet whether the owner of the domain has to do something."
            return _State(
                status=_UNKNOWN, reason="not_looked_at", message=Message("condition.owner.not_looked_at", text)
            )
        case Attempt.FAILED:
            text = "The last step failed: see the problem. It may need the owner of the domain."
            return _State(status=_UNKNOWN, reason="retried", message=Message("condition.owner.retried", text))
        case _:
            text = "The owner of the domain has nothing to do."
            return _State(status=_FALSE, reason="nothing_to_do", message=Message("condition.owner.nothing_to_do", text))


def _danger(certificate: Certificate, standing: Standing, now: datetime) -> _State:
    late_at, ends = standing.late_at, certificate.not_after
    if certificate.status not in _HAS_LEAF or not certificate.renews_itself or ends is None:
        text = "Nothing is renewed automatically."
        return _State(status=_FALSE, reason="not_renewed", message=Message("condition.danger.not_renewed", text))
    if standing.renews_at is None:
        text = "It is not known yet when the renewal begins."
        return _State(status=_UNKNOWN, reason="not_looked_at", message=Message("condition.danger.unknown", text))
    if late_at is None or late_at > now:
        text = "The renewal is in time."
        return _State(status=_FALSE, reason="in_time", message=Message("condition.danger.in_time", text))
    facts = {"not_after": shown_moment(ends)}
    if ends <= now:
        text = "The renewal was not completed, and the leaf expired on {not_after}."
        return _State(
            status=_TRUE, reason="expired", message=Message("condition.danger.expired", text, facts), since=late_at
        )
    text = "The renewal is late, and the leaf ends on {not_after}."
    if now < late_at + (ends - late_at) / 2:
        return _State(status=_TRUE, reason="late", message=Message("condition.danger.late", text, facts), since=late_at)
    text = "The renewal is very late, and the leaf ends on {not_after}."
    return _State(
        status=_TRUE, reason="very_late", message=Message("condition.danger.very_late", text, facts), since=late_at
    )


def _deployment(failed: Iterable[FailedDelivery]) -> _State:
    failures = sorted(failed, key=lambda failure: failure.observer)
    if not failures:
        text = "No target has failed."
        return _State(status=_FALSE, reason="no_failure", message=Message("condition.deployment.no_failure", text))
    text = "Targets that failed: {targets}. They are tried again."
    facts = {"targets": ", ".join(failure.observer for failure in failures)}
    known = [failure.since for failure in failures if failure.since is not None]
    since = min(known) if len(known) == len(failures) else None
    return _State(
        status=_TRUE, reason="target_failed", message=Message("condition.deployment.failed", text, facts), since=since
    )
