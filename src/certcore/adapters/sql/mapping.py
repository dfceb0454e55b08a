"""Rows to frozen values and back; the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
import sqlalchemy as sa

from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.engine_state import EngineState
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.renewal import RenewalPolicy
from certcore.model.renewal_info import RenewalInfo
from certcore.model.search import reversed_labels
from certcore.model.secret import CERTIFICATE_KEY, SecretName
from certcore.model.subject import Subject
from certcore.model.timeline import Behind, Timeline

__all__ = [
    "authority_of",
    "authority_row",
    "behind_json",
    "certificate_of",
    "certificate_progress",
    "certificate_row",
    "event_of",
    "event_row",
    "issuance_of",
    "issuance_progress",
    "issuance_row",
    "name_rows",
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
        "updated_at": certificate.updated_at,
    }


def certificate_row(certificate: Certificate) -> dict[str, Any]:
    """All columns but the version."""
    return {
        **certificate_progress(certificate),
        "id": certificate.id,
        "owner": certificate.owner,
        "domain": certificate.domain.ascii,
        "aliases": [one.ascii for one in certificate.aliases],
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
        aliases=tuple(DnsName(one) for one in row.aliases),
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
        "renewal_info": _renewal_info_json(issuance.renewal_info),
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
        "names": [one.ascii for one in issuance.names],
        "key_type": issuance.key_type.value,
        "key_purpose": CERTIFICATE_KEY,
        "key_owner_id": issuance.key_name.owner_id,
        "csr_pem": issuance.csr_pem,
        "is_keyless": issuance.is_keyless,
    }


def issuance_of(row: _Row) -> Issuance:
    """The value of a row."""
    return Issuance(
        id=row.id,
        certificate_id=row.certificate_id,
        number=row.number,
        purpose=Purpose(row.purpose),
        authority_id=row.authority_id,
        names=tuple(DnsName(one) for one in row.names),
        key_type=KeyType(row.key_type),
        # Whatever the row says: an issuance has no other kind of secret.
        key_name=SecretName(CERTIFICATE_KEY, row.key_owner_id),
        csr_pem=row.csr_pem,
        is_keyless=row.is_keyless,
        module_state=row.module_state,
        findings=row.findings,
        outcome=row.outcome and Outcome(row.outcome),
        needs_clean_up=row.needs_clean_up,
        leaf_pem=row.leaf_pem,
        chain_pem=row.chain_pem,
        leaf=_leaf(row.leaf),
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
        "delivered": timeline.delivered,
        "due_at": timeline.due_at,
        "behind": behind_json(timeline.behind),
        "lease_owner": timeline.lease_owner,
        "lease_until": timeline.lease_until,
        "token": timeline.token,
    }


def timeline_of(row: _Row) -> Timeline:
    """The value of a row."""
    behind = {
        observer: Behind(**{**stored, "due_at": datetime.fromisoformat(stored["due_at"])})
        for observer, stored in row.behind.items()
    }
    return Timeline(
        certificate_id=row.certificate_id,
        length=row.length,
        head=row.head,
        seal=row.seal,
        delivered=row.delivered,
        due_at=row.due_at,
        behind=behind,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        token=row.token,
    )


def behind_json(behind: Mapping[str, Behind]) -> dict[str, Any]:
    """The observers that failed, as a column."""
    return {observer: {**attrs.asdict(one), "due_at": one.due_at.isoformat()} for observer, one in behind.items()}


def _problem_json(problem: Problem | None) -> dict[str, Any] | None:
    return None if problem is None else problem.to_json()


def _problem(document: Mapping[str, Any] | None) -> Problem | None:
    return None if document is None else Problem.from_json(document)


def _renewal_info_json(info: RenewalInfo | None) -> dict[str, Any] | None:
    if info is None:
        return None
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in attrs.asdict(info).items()
    }


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
    """Only what is not as at the beginning."""
    if state == EngineState():
        return None
    fresh = attrs.asdict(EngineState())
    document = {name: value for name, value in attrs.asdict(state).items() if value != fresh[name]}
    return {
        name: [one.isoformat() for one in value]
        if isinstance(value, tuple)
        else value.isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in document.items()
    }


def _engine_state(document: Mapping[str, Any] | None) -> EngineState:
    if document is None:
        return EngineState()
    moments = {
        name: datetime.fromisoformat(value)
        for name, value in document.items()
        if name in ("stepped_at", "waiting_since", "kept_since", "retry_at", "ahead_since")
    }
    orders = tuple(datetime.fromisoformat(one) for one in document.get("orders", ()))
    return EngineState(**{**document, **moments, "orders": orders})


def _leaf_json(leaf: Leaf | None) -> dict[str, Any] | None:
    if leaf is None:
        return None
    moments = {"not_before": leaf.not_before.isoformat(), "not_after": leaf.not_after.isoformat()}
    return {**attrs.asdict(leaf), "names": list(leaf.names), **moments}


def _leaf(document: Mapping[str, Any] | None) -> Leaf | None:
    if document is None:
        return None
    moments = {name: datetime.fromisoformat(document[name]) for name in ("not_before", "not_after")}
    return Leaf(**{**document, "names": tuple(document["names"]), **moments})
