"""The JSON forms of what the command shows. Never a secret: a private key leaves through ``cert export`` alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.events import Event
from certcore.model.fields import FieldView
from certcore.model.issuance import Issuance
from certcore.model.leaf import Leaf
from certcore.model.problem import Problem
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CheckReport

__all__ = [
    "authority_document",
    "certificate_document",
    "check_document",
    "event_document",
    "leaf_document",
    "moment",
    "view_document",
]


def moment(at: datetime | None) -> str | None:
    """A moment as RFC 3339 in UTC, to the second; None stays None."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def authority_document(authority: CertificateAuthority) -> dict[str, Any]:
    """A CA profile; of its secrets only which are set."""
    return {
        "id": authority.id,
        "name": authority.name,
        "module": authority.module,
        "description": authority.description,
        "settings": {key: _json(value) for key, value in authority.settings.items()},
        "secrets_set": sorted(authority.secrets_set),
        "version": authority.version,
        "created_at": moment(authority.created_at),
        "updated_at": moment(authority.updated_at),
    }


def certificate_document(certificate: Certificate, authority: str) -> dict[str, Any]:
    """A certificate as a list shows it.

    Args:
        certificate: The certificate.
        authority: The name of its CA profile.
    """
    return {
        "id": certificate.id,
        "domain": certificate.domain.ascii,
        "aliases": [name.ascii for name in certificate.aliases],
        "wildcard": certificate.wildcard,
        "names": [name.ascii for name in certificate.names],
        "owner": certificate.owner,
        "authority": authority,
        "key_type": str(certificate.key_type),
        "status": str(certificate.status),
        "not_after": moment(certificate.not_after),
        "problem": None if certificate.problem is None else certificate.problem.to_json(),
        "renewal": {
            "auto": certificate.renewal.auto,
            "days_before": certificate.renewal.days_before,
            "rotate_key": certificate.renewal.rotate_key,
        },
        "version": certificate.version,
        "created_at": moment(certificate.created_at),
        "updated_at": moment(certificate.updated_at),
    }


def view_document(view: CertificateView) -> dict[str, Any]:
    """A certificate as its page shows it, with its leaf, the attempt under way and the timeline."""
    active = view.active
    return {
        **certificate_document(view.certificate, view.authority.name if view.authority else ""),
        "days_remaining": view.days_remaining,
        "renews_at": moment(view.renews_at),
        "looks_again_at": None if view.schedule is None else moment(view.schedule.due_at),
        "fields": {one.field.name: _field_document(one) for one in view.fields},
        "actions": sorted(str(action) for action in view.actions),
        "leaf": None if view.leaf is None else leaf_document(view.leaf),
        "leaf_pem": None if active is None else active.leaf_pem,
        "chain_pem": None if active is None else active.chain_pem,
        "public_key_pem": view.public_key_pem or None,
        "issuance": None if view.issuance is None else _issuance_document(view.issuance),
        "timeline": [event_document(event) for event in view.events],
    }


def _field_document(field: FieldView) -> dict[str, Any]:
    """A field of the left column."""
    value = field.value
    if isinstance(value, Problem):
        value = value.to_json()
    return {
        "title": field.field.title,
        "group": str(field.field.group),
        "value": moment(value) if isinstance(value, datetime) else _json(value),
        "change": None if field.way is None else str(field.way),
    }


def leaf_document(leaf: Leaf) -> dict[str, Any]:
    """The details of an issued certificate."""
    return {
        "names": list(leaf.names),
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "serial_hex": leaf.serial_hex,
        "serial_decimal": leaf.serial_decimal,
        "not_before": moment(leaf.not_before),
        "not_after": moment(leaf.not_after),
        "signature_algorithm": leaf.signature_algorithm,
        "public_key_algorithm": leaf.public_key_algorithm,
        "key_size": leaf.key_size,
        "fingerprint_sha256": leaf.fingerprint_sha256,
        "fingerprint_sha1": leaf.fingerprint_sha1,
        "spki_sha256": leaf.spki_sha256,
    }


def event_document(event: Event) -> dict[str, Any]:
    """One entry of a timeline."""
    return {
        "number": event.number,
        "at": moment(event.at),
        "kind": str(event.kind),
        "actor": event.actor,
        "from_status": None if event.from_status is None else str(event.from_status),
        "to_status": None if event.to_status is None else str(event.to_status),
        "data": {key: _json(value) for key, value in event.data.items()},
        "problem": None if event.problem is None else event.problem.to_json(),
        "hash": event.hash,
    }


def check_document(report: CheckReport) -> dict[str, Any]:
    """The result of testing a CA profile."""
    return {
        "ok": report.ok,
        "items": [
            {"title": str(item.title), "ok": item.ok, "detail": item.detail, "advice": item.advice}
            for item in report.items
        ],
    }


def _issuance_document(issuance: Issuance) -> dict[str, Any]:
    return {
        "number": issuance.number,
        "purpose": str(issuance.purpose),
        "outcome": None if issuance.outcome is None else str(issuance.outcome),
        "key_type": str(issuance.key_type),
        "csr_pem": issuance.csr_pem,
        "problem": None if issuance.problem is None else issuance.problem.to_json(),
        "created_at": moment(issuance.created_at),
        "finished_at": moment(issuance.finished_at),
    }


def _json(value: Any) -> Any:
    """What came out of a store read-only, as plain lists and dictionaries."""
    if hasattr(value, "items"):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(one) for one in value]
    return value
