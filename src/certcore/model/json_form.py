"""The JSON form of values: one rule for hints, findings, events and all other values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import attrs

__all__ = ["json_form", "moment"]


def moment(at: datetime | None) -> str | None:
    """A moment as RFC 3339 text in UTC, with seconds; None for None."""
    # strftime would write the year 999 with three digits.
    return None if at is None else f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def json_form(value: Any) -> Any:
    """Convert a value to plain JSON: by its method ``to_json`` if it has one, otherwise by its type.

    Moments become texts; attrs values and mappings become objects; tuples and lists become arrays; members of an
    enumeration become their texts. Other values are returned unchanged.
    """
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): json_form(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [json_form(item) for item in value]
    if attrs.has(type(value)):
        return {attribute.name: json_form(getattr(value, attribute.name)) for attribute in attrs.fields(type(value))}
    return value
