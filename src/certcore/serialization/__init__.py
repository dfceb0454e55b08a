"""JSON documents for REST interfaces: certificates, lists, events, hints and errors, and their schemas.

The option ``--json`` of the command and the webhook use the same documents. Moments are RFC 3339 texts in UTC with
seconds. A member without a value is null or empty, but not missing. Documents contain no secrets; private keys are only
available through `Certificates.export` and `Certificates.private_key`.

The member ``schema`` of a document identifies its kind and version. `json_schema` returns the JSON Schema (2020-12) of
a kind. Readers must ignore unknown members::

    from certcore import CertCore
    from certcore.serialization import json_schema, rows_document, view_document
    from certcore.testing import FrozenEnvironment, ScriptedCA

    ca = ScriptedCA(now=FrozenEnvironment().now())
    with CertCore.in_memory(plugins=[ca.plugin()]) as core:
        profile = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        document = view_document(core.certificates.view(certificate.id))
        rows = rows_document(core.certificates.rows(limit=50))
    assert document["schema"] == json_schema("view")["$id"] == "urn:certcore:schema:view:1"
    assert document["status"] == "draft"
    assert document["timeline"][0]["kind"] == "created"
    assert rows["certificates"][0]["conditions"][0]["reason"] == "draft"

Texts are messages with a key, the English text and parameters. `certcore.translations.Translator.document` translates a
document.
"""

from __future__ import annotations

from certcore.model.json_form import moment
from certcore.serialization.certificates import (
    certificate_document,
    counts_document,
    leaf_document,
    row_document,
    rows_document,
    view_document,
)
from certcore.serialization.checks import (
    check_document,
    finding_document,
    findings_document,
    hint_document,
    hints_document,
    preflight_document,
)
from certcore.serialization.profiles import (
    authorities_document,
    authority_document,
    error_document,
    fields_document,
    form_document,
)
from certcore.serialization.record import event_document, events_document, timeline_document, webhook_document
from certcore.serialization.schemas import component_schemas, json_schema, schema_names

__all__ = [
    "authorities_document",
    "authority_document",
    "certificate_document",
    "check_document",
    "component_schemas",
    "counts_document",
    "error_document",
    "event_document",
    "events_document",
    "fields_document",
    "finding_document",
    "findings_document",
    "form_document",
    "hint_document",
    "hints_document",
    "json_schema",
    "leaf_document",
    "moment",
    "preflight_document",
    "row_document",
    "rows_document",
    "schema_names",
    "timeline_document",
    "view_document",
    "webhook_document",
]
