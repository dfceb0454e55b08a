"""The kinds and versions of documents, which are the values of their member ``schema``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["VERSIONS", "identified", "schema_id"]

#: The version of each kind of document. Increment it with each change of the schema; a test compares a fingerprint.
VERSIONS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "authorities": 1,
        "authority": 1,
        "certificate": 1,
        "check": 1,
        "counts": 1,
        "error": 1,
        "event": 1,
        "events": 1,
        "fields": 1,
        "finding": 1,
        "findings": 1,
        "form": 1,
        "hint": 1,
        "hints": 1,
        "leaf": 1,
        "preflight": 1,
        "row": 1,
        "rows": 1,
        "timeline": 1,
        "view": 1,
        "webhook": 1,
    }
)


def schema_id(name: str) -> str:
    """The ID of a kind of document with its version, for example ``urn:certcore:schema:view:1``."""
    return f"urn:certcore:schema:{name}:{VERSIONS[name]}"


def identified(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with the member ``schema``."""
    return {"schema": schema_id(name), **document}
