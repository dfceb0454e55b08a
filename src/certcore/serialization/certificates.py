"""JSON documents of certificates: the form with its state, the row of a list, the page, and counts for a dashboard."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from certcore.model.certificate import Certificate
from certcore.model.certificate_fields import FieldView
from certcore.model.certificate_form import INPUTS
from certcore.model.conditions import Condition
from certcore.model.counts import CertificateCounts
from certcore.model.edit_rules import EditMethod
from certcore.model.form_fields import FieldGroup
from certcore.model.hints import Level
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.json_form import json_form, moment
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action, Status
from certcore.model.renewal import RenewalReason
from certcore.model.rows import CertificateRow, RowPage
from certcore.model.standing import ConditionType
from certcore.model.views import CertificateView
from certcore.serialization.checks import preflight_members
from certcore.serialization.identity import identified
from certcore.serialization.record import event_members
from certcore.serialization.shapes import (
    ANYTHING,
    BOOLEAN,
    INTEGER,
    MOMENT,
    TEXT,
    Schema,
    array,
    nullable,
    of_class,
    record,
    reference,
    table,
    words,
)

__all__ = [
    "CERTIFICATE_SHAPES",
    "certificate_document",
    "counts_document",
    "leaf_document",
    "row_document",
    "rows_document",
    "view_document",
]

_CERTIFICATE: Final[Schema] = {
    "id": TEXT,
    "owner": TEXT,
    "domain": TEXT,
    "wildcard": BOOLEAN,
    "aliases": array(TEXT),
    "subject": table(TEXT),
    "key_type": words(KeyType),
    "csr": nullable(TEXT),
    "renewal": record({"auto": BOOLEAN, "days_before": nullable(INTEGER), "rotate_key": BOOLEAN}),
    #: The name of the CA profile.
    "authority": TEXT,
    "fallbacks": array(TEXT),
    "module_data": table(ANYTHING),
    "names": array(TEXT),
    "status": words(Status),
    "not_after": nullable(MOMENT),
    "problem": nullable(reference("Problem")),
    "version": INTEGER,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
_ROW: Final[Schema] = {
    **_CERTIFICATE,
    "authority_id": nullable(TEXT),
    "days_remaining": nullable(INTEGER),
    "renews_at": nullable(MOMENT),
    "level": words(Level),
    "conditions": array(reference("Condition")),
}
_VIEW: Final[Schema] = {
    **_ROW,
    "renews_because": nullable(words(RenewalReason)),
    "renewal_text": nullable(reference("Message")),
    "looks_again_at": nullable(MOMENT),
    "fields": table(reference("FieldView")),
    "actions": array(words(Action)),
    "preflight": nullable(reference("Preflight")),
    "leaf": nullable(reference("Leaf")),
    "leaf_pem": nullable(TEXT),
    "chain_pem": nullable(TEXT),
    "public_key_pem": nullable(TEXT),
    "issuance": nullable(reference("Issuance")),
    "timeline": array(reference("Event")),
}
#: The schemas of these documents, by name.
CERTIFICATE_SHAPES: Final = MappingProxyType(
    {
        "Certificate": record(_CERTIFICATE),
        "Row": record(_ROW),
        "View": record(_VIEW),
        "RowPage": record({"certificates": array(reference("Row")), "next_cursor": nullable(TEXT)}),
        "Condition": of_class(Condition),
        "FieldView": record(
            {
                "title": reference("Message"),
                "group": words(FieldGroup),
                "value": ANYTHING,
                "change": nullable(words(EditMethod)),
            }
        ),
        "Leaf": record(
            {
                "names": array(TEXT),
                "subject": TEXT,
                "issuer": TEXT,
                "serial_hex": TEXT,
                "serial_decimal": TEXT,
                "not_before": MOMENT,
                "not_after": MOMENT,
                "signature_algorithm": TEXT,
                "public_key_algorithm": TEXT,
                "key_size": INTEGER,
                "fingerprint_sha256": TEXT,
                "fingerprint_sha1": TEXT,
                "spki_sha256": TEXT,
            }
        ),
        "Issuance": record(
            {
                "number": INTEGER,
                "purpose": words(Purpose),
                "outcome": nullable(words(Outcome)),
                "key_type": words(KeyType),
                "csr_pem": TEXT,
                "problem": nullable(reference("Problem")),
                "created_at": MOMENT,
                "finished_at": nullable(MOMENT),
            }
        ),
        "Counts": record(
            {
                "at": MOMENT,
                "total": INTEGER,
                "overdue": INTEGER,
                "by_status": record({str(status): INTEGER for status in Status}),
                "by_condition": record({str(condition): INTEGER for condition in ConditionType}),
                "ending_within": record({"7": INTEGER, "30": INTEGER, "90": INTEGER}),
                "ending_by_day": array(INTEGER),
                "ending_by_week": array(INTEGER),
            }
        ),
    }
)


def certificate_document(certificate: Certificate, authority: str) -> dict[str, Any]:
    """A certificate with its input fields and its state.

    Args:
        certificate: The certificate.
        authority: The name of its CA profile.
    """
    return identified("certificate", _certificate(certificate, authority))


def row_document(row: CertificateRow) -> dict[str, Any]:
    """A row of a certificate list."""
    return identified("row", _row(row, row.authority_name))


def rows_document(page: RowPage) -> dict[str, Any]:
    """A page of a certificate list: the member ``certificates``, and the cursor of the next page."""
    rows = [_row(row, row.authority_name) for row in page.items]
    return identified("rows", {"certificates": rows, "next_cursor": page.next_cursor})


def view_document(view: CertificateView) -> dict[str, Any]:
    """A certificate as its page shows it, with its leaf, the issuance under way and the timeline."""
    active = view.active
    members = {
        **_row(view, view.authority.name if view.authority else ""),
        "renews_because": None if view.renews_because is None else str(view.renews_because),
        "renewal_text": json_form(view.renewal_text),
        "looks_again_at": None if view.schedule is None else moment(view.schedule.due_at),
        "fields": {each.field.name: _field(each) for each in view.fields},
        "actions": sorted(str(action) for action in view.actions),
        "preflight": None if view.preflight is None else preflight_members(view.preflight),
        "leaf": None if view.leaf is None else _leaf(view.leaf),
        "leaf_pem": None if active is None else active.leaf_pem,
        "chain_pem": None if active is None else active.chain_pem,
        "public_key_pem": view.public_key_pem or None,
        "issuance": None if view.issuance is None else _issuance(view.issuance),
        "timeline": [event_members(event) for event in view.events],
    }
    return identified("view", members)


def leaf_document(leaf: Leaf) -> dict[str, Any]:
    """The details of a leaf."""
    return identified("leaf", _leaf(leaf))


def counts_document(counts: CertificateCounts) -> dict[str, Any]:
    """Counts of certificates for a dashboard."""
    members = {
        "at": moment(counts.at),
        "total": counts.total,
        "overdue": counts.overdue,
        "by_status": json_form(counts.by_status),
        "by_condition": json_form(counts.by_condition),
        "ending_within": json_form(counts.ending_within),
        "ending_by_day": list(counts.ending_by_day),
        "ending_by_week": list(counts.ending_by_week),
    }
    return identified("counts", members)


def _certificate(certificate: Certificate, authority: str) -> dict[str, Any]:
    return {
        "id": certificate.id,
        **{name: json_form(field.to_json(getattr(certificate, field.attribute))) for name, field in INPUTS.items()},
        "authority": authority,
        "names": [name.ascii for name in certificate.names],
        "status": str(certificate.status),
        "not_after": moment(certificate.not_after),
        "problem": json_form(certificate.problem),
        "version": certificate.version,
        "created_at": moment(certificate.created_at),
        "updated_at": moment(certificate.updated_at),
    }


def _row(row: CertificateRow | CertificateView, authority: str) -> dict[str, Any]:
    return {
        **_certificate(row.certificate, authority),
        "authority_id": row.certificate.authority_id,
        "days_remaining": row.days_remaining,
        "renews_at": moment(row.renews_at),
        "level": str(row.level),
        "conditions": [json_form(condition) for condition in row.conditions],
    }


def _field(field: FieldView) -> dict[str, Any]:
    """A field of the left column."""
    return {
        "title": json_form(field.field.title),
        "group": str(field.field.group),
        "value": json_form(field.value),
        "change": None if field.edit_method is None else str(field.edit_method),
    }


def _leaf(leaf: Leaf) -> dict[str, Any]:
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


def _issuance(issuance: Issuance) -> dict[str, Any]:
    return {
        "number": issuance.number,
        "purpose": str(issuance.purpose),
        "outcome": None if issuance.outcome is None else str(issuance.outcome),
        "key_type": str(issuance.key_type),
        "csr_pem": issuance.csr_pem,
        "problem": json_form(issuance.problem),
        "created_at": moment(issuance.created_at),
        "finished_at": moment(issuance.finished_at),
    }
