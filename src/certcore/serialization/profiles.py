"""JSON documents of CA profiles, errors and forms, and shared schemas."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from certcore.errors import CertCoreError, InvalidInputError
from certcore.model.authority import CertificateAuthority
from certcore.model.edit_rules import EditMethod, EditRule
from certcore.model.form_fields import Choice, FieldKind, FormField
from certcore.model.input_form import FormSubject, InputForm
from certcore.model.json_form import json_form, moment
from certcore.serialization.identity import identified
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
    "PROFILE_SHAPES",
    "authorities_document",
    "authority_document",
    "error_document",
    "fields_document",
    "form_document",
]

_MESSAGES: Final[Schema] = {
    "anyOf": [TEXT, reference("Message"), array({"anyOf": [TEXT, reference("Message")]})],
}
_FIELD: Final[Schema] = {
    "name": TEXT,
    "label": reference("Message"),
    "kind": words(FieldKind),
    "required": BOOLEAN,
}
_FIELD_DETAILS: Final[Schema] = {
    "help": reference("Message"),
    "default": ANYTHING,
    "choices": array(of_class(Choice)),
    "minimum": INTEGER,
    "maximum": INTEGER,
    "longest": INTEGER,
    "most": INTEGER,
    "unit": reference("Message"),
    "placeholder": TEXT,
    "multiline": BOOLEAN,
    "consent_to": array(TEXT),
    "advanced": BOOLEAN,
}
#: The schemas of these documents, by name.
PROFILE_SHAPES: Final = MappingProxyType(
    {
        "Message": record({"key": TEXT, "text": TEXT, "params": table(_MESSAGES)}),
        "Problem": record(
            {"type": TEXT},
            {
                "title": TEXT,
                "detail": TEXT,
                "status": INTEGER,
                "instance": TEXT,
                "advice": TEXT,
                "identifier": record({"type": {"enum": ["dns", "ip"]}, "value": TEXT}),
                "texts": table(reference("ProblemText")),
                "subproblems": array(reference("Problem")),
            },
        ),
        "ProblemText": record(
            {"key": TEXT, "text": TEXT, "template": TEXT, "params": table(ANYTHING)}, {"singular": TEXT}
        ),
        "Authority": record(
            {
                "id": TEXT,
                "name": TEXT,
                "module": TEXT,
                "description": TEXT,
                "settings": table(ANYTHING),
                "secrets_set": array(TEXT),
                "version": INTEGER,
                "created_at": MOMENT,
                "updated_at": MOMENT,
            }
        ),
        "Authorities": record({"authorities": array(reference("Authority"))}),
        "FieldError": record(
            {"field": TEXT, "code": TEXT, "reason": TEXT, "advice": TEXT, "reason_text": reference("Message")}
        ),
        "Error": record(
            {
                "code": TEXT,
                "http_status": INTEGER,
                "message": TEXT,
                "advice": TEXT,
                "params": table(ANYTHING),
                "message_text": reference("Message"),
                "advice_text": reference("Message"),
            },
            {"errors": array(reference("FieldError"))},
        ),
        "ErrorDocument": record({"error": reference("Error")}),
        "FormField": record(_FIELD, _FIELD_DETAILS),
        "Fields": record({"fields": array(reference("FormField"))}),
        "InputField": record(
            {
                **_FIELD,
                "value": TEXT,
                "group": TEXT,
                "edit_rule": words(EditRule),
                "edit_method": nullable(words(EditMethod)),
                "locked": nullable(reference("Message")),
            },
            {**_FIELD_DETAILS, "is_set": BOOLEAN},
        ),
        "InputForm": record(
            {
                "subject": words(FormSubject),
                "target": nullable(TEXT),
                "version": nullable(INTEGER),
                "fields": array(reference("InputField")),
            }
        ),
    }
)


def authority_document(authority: CertificateAuthority) -> dict[str, Any]:
    """A CA profile. It contains the names of the secrets that are set, but not their values."""
    return identified("authority", _authority(authority))


def authorities_document(authorities: Iterable[CertificateAuthority]) -> dict[str, Any]:
    """Several CA profiles: the member ``authorities``."""
    return identified("authorities", {"authorities": [_authority(authority) for authority in authorities]})


def error_document(error: CertCoreError) -> dict[str, Any]:
    """An error: the member ``error`` with a stable ``code``, its ``params``, and its texts as messages.

    If values were refused, ``errors`` has one entry for each of them. A REST interface should answer with the HTTP
    status `CertCoreError.http_status`.
    """
    members: dict[str, Any] = {
        **error.as_dict(),
        "http_status": error.http_status,
        "message_text": json_form(error.text),
        "advice_text": json_form(error.advice_text),
    }
    if isinstance(error, InvalidInputError):
        members["errors"] = [
            {
                "field": single.field,
                "code": single.code,
                "reason": single.reason,
                "advice": single.advice,
                "reason_text": json_form(single.reason_text),
            }
            for single in error.errors
        ]
    return identified("error", {"error": members})


def fields_document(fields: Iterable[FormField]) -> dict[str, Any]:
    """Fields without values, for example the settings of a CA module: the member ``fields``."""
    return identified("fields", {"fields": [field.to_json() for field in fields]})


def form_document(form: InputForm) -> dict[str, Any]:
    """The form of a certificate or a CA profile with its values, except those of secrets."""
    members = {
        "subject": str(form.subject),
        "target": form.target,
        "version": form.version,
        "fields": [field.to_json() for field in form.fields],
    }
    return identified("form", members)


def _authority(authority: CertificateAuthority) -> dict[str, Any]:
    return {
        "id": authority.id,
        "name": authority.name,
        "module": authority.module,
        "description": authority.description,
        "settings": json_form(authority.settings),
        "secrets_set": sorted(authority.secrets_set),
        "version": authority.version,
        "created_at": moment(authority.created_at),
        "updated_at": moment(authority.updated_at),
    }
