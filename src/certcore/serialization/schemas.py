"""The JSON Schema of every kind of document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.serialization.certificates import CERTIFICATE_SHAPES
from certcore.serialization.checks import CHECK_SHAPES
from certcore.serialization.identity import VERSIONS, schema_id
from certcore.serialization.profiles import PROFILE_SHAPES
from certcore.serialization.record import RECORD_SHAPES
from certcore.serialization.shapes import Schema

__all__ = ["component_schemas", "json_schema", "schema_names"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SHAPES: Final[Mapping[str, Schema]] = MappingProxyType(
    {**CERTIFICATE_SHAPES, **CHECK_SHAPES, **PROFILE_SHAPES, **RECORD_SHAPES}
)
#: For each kind of document, the name of the schema of its members other than ``schema``, and its description.
_DOCUMENTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "authorities": ("Authorities", "CA profiles"),
        "authority": ("Authority", "A CA profile, without secrets"),
        "certificate": ("Certificate", "A certificate: the fields of its form, and its state"),
        "check": ("CheckReport", "The result of testing a CA profile"),
        "counts": ("Counts", "The numbers of a dashboard"),
        "error": ("ErrorDocument", "An error"),
        "event": ("Event", "An event of a certificate's timeline"),
        "events": ("EventPage", "A page of the feed of all events"),
        "finding": ("Finding", "What a check has found"),
        "findings": ("Findings", "What a check has found, all of it"),
        "fields": ("Fields", "Fields without values: those of a CA module's settings"),
        "form": ("InputForm", "A form with its fields and their values"),
        "hint": ("SingleHint", "An entry of the right column"),
        "hints": ("Hints", "The right column"),
        "leaf": ("Leaf", "The details of an issued certificate"),
        "preflight": ("Preflight", "A check of a certificate ahead of its renewal"),
        "row": ("Row", "A row of a list of certificates"),
        "rows": ("RowPage", "A page of a list of certificates"),
        "timeline": ("Timeline", "The timeline of a certificate"),
        "view": ("View", "A certificate with all that its page shows"),
        "webhook": ("WebhookEvent", "What the webhook posts"),
    }
)


def schema_names() -> tuple[str, ...]:
    """The names of all kinds of documents, sorted."""
    return tuple(sorted(VERSIONS))


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind of document. Readers must ignore members that it does not contain.

    Args:
        name: One of `schema_names`.

    Raises:
        InvalidInputError: There is no such kind of document.
    """
    if name not in _DOCUMENTS:
        params = {"value": repr(name[:40]), "choices": ", ".join(schema_names())}
        raise InvalidInputError("name", Message("input.not_one_of", "{value} is not one of: {choices}.", params))
    shape, title = _DOCUMENTS[name]
    members = _SHAPES[shape]
    schema: dict[str, Any] = {
        "$schema": _DIALECT,
        "$id": schema_id(name),
        "title": title,
        "type": "object",
        "properties": {"schema": {"const": schema_id(name)}, **members["properties"]},
        "required": ["schema", *members["required"]],
    }
    if names := _mentioned(schema, set()):
        schema["$defs"] = {mentioned: _SHAPES[mentioned] for mentioned in sorted(names)}
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    return copy


def component_schemas() -> dict[str, Any]:
    """All schemas for the member ``components.schemas`` of an OpenAPI 3.1 description, by name.

    References between them begin with ``#/components/schemas/``. The schema of a kind of document has the suffix
    ``Document``, for example ``ViewDocument``.
    """
    documents = {f"{name.capitalize()}Document": json_schema(name) for name in schema_names()}
    for document in documents.values():
        document.pop("$defs", None)
    text = json.dumps({**_SHAPES, **documents}).replace("#/$defs/", "#/components/schemas/")
    components: dict[str, Any] = json.loads(text)
    return components


def _mentioned(schema: Any, names: set[str]) -> set[str]:
    """Add the names of all definitions that a schema needs."""
    if isinstance(schema, Mapping):
        target = schema.get("$ref")
        if isinstance(target, str):
            name = target.removeprefix("#/$defs/")
            if name not in names:
                names.add(name)
                _mentioned(_SHAPES[name], names)
        for value in schema.values():
            _mentioned(value, names)
    elif isinstance(schema, list):
        for value in schema:
            _mentioned(value, names)
    return names
