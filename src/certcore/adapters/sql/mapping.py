"""Convert rows to model values and back; the only module that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
import sqlalchemy as sa

from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.deliveries import DeliveryCursor
from certcore.model.engine_state import EngineState
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.renewal import RenewalPolicy, RenewalReason
from certcore.model.renewal_info import RenewalInfo
from certcore.model.search import reversed_labels
from certcore.model.secret import CERTIFICATE_KEY, SecretName
from certcore.model.standing import Attempt, ConditionStatus, ConditionType, Standing, StatusSince
from certcore.model.subject import Subject
from certcore.model.timeline import Timeline

__all__ = [
    "authority_of",
    "authority_row",
    "certificate_of",
    "certificate_progress",
    "certificate_row",
    "cursor_of",
    "cursor_row",
    "event_of",
    "event_row",
    "issuance_of",
    "issuance_progress",
    "issuance_row",
    "leaf_of",
    "name_rows",
    "renewal_info_columns",
    "schedule_of",
    "schedule_row",
    "timeline_of",
    "timeline_row",
]

_Row = sa.Row[Any]


def certificate_progress(certificate: Certificate) -> dict[str, Any]:
    """The columns that the engine writes."""
    return {
        "status": certificate.status.value,
        "issuance_id": certificate.issuance_id,
        "active_issuance_id": certificate.active_issuance_id,
        "not_after": certificate.not_after,
        "problem": _problem_json(certificate.problem),
        "standing": _standing_json(certificate.standing),
        "attempt": None if certificate.standing.attempt is Attempt.NONE else certificate.standing.attempt.value,
        "late_at": certificate.standing.late_at,
        "updated_at": certificate.updated_at,
    }


def certificate_row(certificate: Certificate) -> dict[str, Any]:
    """All columns but the version."""
    return {
        **certificate_progress(certificate),
        "id": certificate.id,
        "owner": certificate.owner,
        "domain": certificate.domain.ascii,
        "aliases": [alias.ascii for alias in certificate.aliases],
        "wildcard": certificate.wildcard,
        "subject": {name: value for name, value in attrs.asdict(certificate.subject).items() if value},
        "key_type": certificate.key_type.value,
        "renewal_auto": certificate.renewal.auto,
        "renewal_days_before": certificate.renewal.days_before,
        "renewal_rotate_key": certificate.renewal.rotate_key,
        "authority_id": certificate.authority_id,
        "fallbacks": ",".join(certificate.fallbacks),
        "module_data": certificate.module_data,
        "csr_pem": certificate.csr_pem or None,
        "created_at": certificate.created_at,
    }


def certificate_of(row: _Row) -> Certificate:
    """The value of a row."""
    return Certificate(
        id=row.id,
        owner=row.owner,
        domain=DnsName(row.domain),
        aliases=tuple(DnsName(alias) for alias in row.aliases),
        wildcard=row.wildcard,
        subject=Subject(**row.subject),
        key_type=KeyType(row.key_type),
        renewal=RenewalPolicy(
            auto=row.renewal_auto, days_before=row.renewal_days_before, rotate_key=row.renewal_rotate_key
        ),
        authority_id=row.authority_id,
        fallbacks=tuple(row.fallbacks.split(",")) if row.fallbacks else (),
        module_data=row.module_data,
        csr_pem=row.csr_pem or "",
        status=Status(row.status),
        issuance_id=row.issuance_id,
        active_issuance_id=row.active_issuance_id,
        not_after=row.not_after,
        problem=_problem(row.problem),
        standing=_standing(row.standing),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def name_rows(certificate: Certificate) -> list[dict[str, Any]]:
    """A row for each name."""
    return [
        {
            "certificate_id": certificate.id,
            "name": name.ascii,
            "reversed": reversed_labels(name.ascii),
            "owner": certificate.owner,
        }
        for name in certificate.names
    ]


def issuance_progress(issuance: Issuance) -> dict[str, Any]:
    """The columns that change while an issuance runs."""
    leaf = issuance.leaf
    return {
        "serial": leaf and leaf.serial_hex.lstrip("0"),
        "fingerprint_sha256": leaf and leaf.fingerprint_sha256,
        "fingerprint_sha1": leaf and leaf.fingerprint_sha1,
        "module_state": issuance.module_state,
        "findings": issuance.findings,
        "outcome": issuance.outcome and issuance.outcome.value,
        "needs_clean_up": issuance.needs_clean_up,
        "leaf_pem": issuance.leaf_pem,
        "chain_pem": issuance.chain_pem,
        "leaf": _leaf_json(issuance.leaf),
        "problem": _problem_json(issuance.problem),
        "authority_failures": issuance.authority_failures,
        "told": ",".join(issuance.told),
        "engine_state": _engine_state_json(issuance.engine_state),
        "created_at": issuance.created_at,
        "finished_at": issuance.finished_at,
    }


def issuance_row(issuance: Issuance) -> dict[str, Any]:
    """All columns."""
    return {
        **issuance_progress(issuance),
        "id": issuance.id,
        "certificate_id": issuance.certificate_id,
        "number": issuance.number,
        "purpose": issuance.purpose.value,
        "authority_id": issuance.authority_id,
        "names": [name.ascii for name in issuance.names],
        "key_type": issuance.key_type.value,
        "key_purpose": CERTIFICATE_KEY,
        "key_owner_id": issuance.key_name.owner_id,
        "csr_pem": issuance.csr_pem,
        "is_keyless": issuance.is_keyless,
    }


def renewal_info_columns(issuance: Issuance) -> dict[str, Any]:
    """The columns of the schedule with the renewal information of a leaf."""
    return {
        "renewal_info": _renewal_info_json(issuance.renewal_info),
        "renewal_info_issuance": None if issuance.renewal_info is None else issuance.id,
    }


def issuance_of(row: _Row) -> Issuance:
    """The value of a row."""
    return Issuance(
        id=row.id,
        certificate_id=row.certificate_id,
        number=row.number,
        purpose=Purpose(row.purpose),
        authority_id=row.authority_id,
        names=tuple(DnsName(name) for name in row.names),
        key_type=KeyType(row.key_type),
        # The purpose is fixed and not read from the row.
        key_name=SecretName(CERTIFICATE_KEY, row.key_owner_id),
        csr_pem=row.csr_pem,
        is_keyless=row.is_keyless,
        module_state=row.module_state,
        findings=row.findings,
        outcome=row.outcome and Outcome(row.outcome),
        needs_clean_up=row.needs_clean_up,
        leaf_pem=row.leaf_pem,
        chain_pem=row.chain_pem,
        leaf=leaf_of(row.leaf),
        problem=_problem(row.problem),
        renewal_info=_renewal_info(row.renewal_info),
        authority_failures=row.authority_failures,
        told=tuple(row.told.split(",")) if row.told else (),
        engine_state=_engine_state(row.engine_state),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def schedule_row(schedule: Schedule) -> dict[str, Any]:
    """All columns."""
    return {
        "certificate_id": schedule.certificate_id,
        "due_at": schedule.due_at,
        "needed_by": schedule.needed_by,
        "attempts": schedule.attempts,
        "lease_owner": schedule.lease_owner,
        "lease_until": schedule.lease_until,
        "token": schedule.token,
        "written_at": schedule.written_at,
    }


def schedule_of(row: _Row) -> Schedule:
    """The value of a row."""
    return Schedule(
        certificate_id=row.certificate_id,
        due_at=row.due_at,
        needed_by=row.needed_by,
        attempts=row.attempts,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        token=row.token,
        written_at=row.written_at,
    )


def authority_row(authority: CertificateAuthority) -> dict[str, Any]:
    """All columns but the version."""
    return {
        "id": authority.id,
        "name": authority.name,
        "description": authority.description,
        "module": authority.module,
        "settings": authority.settings,
        "secrets_set": sorted(authority.secrets_set),
        "created_at": authority.created_at,
        "updated_at": authority.updated_at,
    }


def authority_of(row: _Row) -> CertificateAuthority:
    """The value of a row."""
    return CertificateAuthority(
        id=row.id,
        name=row.name,
        description=row.description,
        module=row.module,
        settings=row.settings,
        secrets_set=frozenset(row.secrets_set),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def event_row(event: Event) -> dict[str, Any]:
    """All columns but the sequence number, which the database gives."""
    return {
        "certificate_id": event.certificate_id,
        "kind": event.kind.value,
        "at": event.at,
        "owner": event.owner,
        "actor": event.actor,
        "from_status": event.from_status and event.from_status.value,
        "to_status": event.to_status and event.to_status.value,
        "data": event.data,
        "problem": _problem_json(event.problem),
        "number": event.number,
        "hash": event.hash,
    }


def event_of(row: _Row) -> Event:
    """The value of a row."""
    return Event(
        sequence=row.sequence,
        certificate_id=row.certificate_id,
        kind=EventKind(row.kind),
        at=row.at,
        owner=row.owner or "",
        position=row.position or 0,
        actor=row.actor,
        from_status=row.from_status and Status(row.from_status),
        to_status=row.to_status and Status(row.to_status),
        data=row.data,
        problem=_problem(row.problem),
        number=row.number,
        hash=row.hash,
    )


def timeline_row(timeline: Timeline) -> dict[str, Any]:
    """All columns."""
    return {
        "certificate_id": timeline.certificate_id,
        "length": timeline.length,
        "head": timeline.head,
        "seal": timeline.seal,
        "offered": timeline.offered,
        "pending_since": timeline.pending_since,
    }


def timeline_of(row: _Row) -> Timeline:
    """The value of a row."""
    return Timeline(
        certificate_id=row.certificate_id,
        length=row.length,
        head=row.head,
        seal=row.seal,
        offered=row.offered,
        pending_since=row.pending_since,
    )


def cursor_row(cursor: DeliveryCursor) -> dict[str, Any]:
    """All columns."""
    return attrs.asdict(cursor, recurse=False)


def cursor_of(row: _Row) -> DeliveryCursor:
    """The value of a row."""
    return DeliveryCursor(
        certificate_id=row.certificate_id,
        observer=row.observer,
        delivered=row.delivered,
        length=row.length,
        attempts=row.attempts,
        failing_since=row.failing_since,
        due_at=row.due_at,
        reason=row.reason,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        token=row.token,
    )


def _problem_json(problem: Problem | None) -> dict[str, Any] | None:
    return None if problem is None else problem.to_json()


def _problem(document: Mapping[str, Any] | None) -> Problem | None:
    return None if document is None else Problem.from_json(document)


def _standing_json(standing: Standing) -> dict[str, Any] | None:
    """Only the members that differ from the defaults."""
    if standing == Standing():
        return None
    moments = ("waits_since", "begins_at", "renews_at", "late_at")
    document: dict[str, Any] = {
        name: value.isoformat() for name in moments if (value := getattr(standing, name)) is not None
    }
    if standing.renews_because is not None:
        document["renews_because"] = standing.renews_because.value
    if standing.attempt is not Attempt.NONE:
        document["attempt"] = standing.attempt.value
    document["conditions"] = {
        kind.value: [state.status.value, state.since and state.since.isoformat()]
        for kind, state in standing.conditions.items()
    }
    return document


def _standing(document: Mapping[str, Any] | None) -> Standing:
    if document is None:
        return Standing()
    moments = ("waits_since", "begins_at", "renews_at", "late_at")
    reason = document.get("renews_because")
    return Standing(
        attempt=Attempt(document.get("attempt", Attempt.NONE)),
        renews_because=None if reason is None else RenewalReason(reason),
        conditions={
            ConditionType(kind): StatusSince(ConditionStatus(status), since and datetime.fromisoformat(since))
            for kind, (status, since) in document["conditions"].items()
        },
        **{name: datetime.fromisoformat(document[name]) for name in moments if name in document},
    )


def _renewal_info_json(info: RenewalInfo | None) -> dict[str, Any] | None:
    if info is None:
        return None
    return {name: _plain(value) for name, value in attrs.asdict(info, recurse=False).items()}


def _renewal_info(document: Mapping[str, Any] | None) -> RenewalInfo | None:
    if document is None:
        return None
    moments = {
        name: datetime.fromisoformat(document[name])
        for name in ("check_at", "start", "end", "renew_at", "checked_at")
        if document[name] is not None
    }
    return RenewalInfo(**{**document, **moments})


def _engine_state_json(state: EngineState) -> dict[str, Any] | None:
    """Only the members that differ from the defaults."""
    fresh = EngineState()
    if state == fresh:
        return None
    members = attrs.asdict(state, recurse=False)
    return {name: _plain(value) for name, value in members.items() if value != getattr(fresh, name)}


def _engine_state(document: Mapping[str, Any] | None) -> EngineState:
    if document is None:
        return EngineState()
    moments = {
        name: datetime.fromisoformat(value)
        for name, value in document.items()
        if name in ("stepped_at", "waiting_since", "kept_since", "retry_at", "ahead_since", "rests_until")
    }
    rows = {
        name: tuple(datetime.fromisoformat(moment) for moment in document.get(name, ()))
        for name in ("orders", "order_refusals")
    }
    noted = tuple(document.get("noted", ()))
    return EngineState(**{**document, **moments, **rows, "noted": noted})


def _plain(value: Any) -> Any:
    """A member of a document as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _leaf_json(leaf: Leaf | None) -> dict[str, Any] | None:
    if leaf is None:
        return None
    moments = {"not_before": leaf.not_before.isoformat(), "not_after": leaf.not_after.isoformat()}
    return {**attrs.asdict(leaf, recurse=False), "names": list(leaf.names), **moments}


def leaf_of(document: Mapping[str, Any] | None) -> Leaf | None:
    """The value of the column ``leaf``."""
    if document is None:
        return None
    moments = {name: datetime.fromisoformat(document[name]) for name in ("not_before", "not_after")}
    return Leaf(**{**document, "names": tuple(document["names"]), **moments})
