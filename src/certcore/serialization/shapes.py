"""Functions that make JSON Schemas (2020-12), and the schema of an attrs class."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import attrs

from certcore.messages import Message
from certcore.model.finding import Finding
from certcore.model.form_fields import FormField
from certcore.model.problem import Problem

__all__ = ["ANYTHING", "BOOLEAN", "INTEGER", "MOMENT", "TEXT", "array", "nullable", "of_class", "record"]
__all__ += ["reference", "table", "words"]

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
INTEGER: Final[Schema] = {"type": "integer"}
#: An RFC 3339 text in UTC with seconds.
MOMENT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
}
#: Any JSON value.
ANYTHING: Final[Schema] = {}
#: The names of classes whose schemas are separate definitions.
_NAMED: Final[Mapping[type, str]] = types.MappingProxyType(
    {Message: "Message", Problem: "Problem", Finding: "Finding", FormField: "FormField"}
)
_PLAIN: Final[Mapping[type, Schema]] = types.MappingProxyType(
    {str: TEXT, bool: BOOLEAN, int: INTEGER, float: {"type": "number"}, datetime: MOMENT}
)


def words(kind: type[StrEnum]) -> Schema:
    """The schema of a member of an enumeration."""
    return {"type": "string", "enum": [str(member) for member in kind]}


def array(items: Schema) -> Schema:
    """The schema of a list."""
    return {"type": "array", "items": items}


def table(values: Schema) -> Schema:
    """The schema of an object with any names, whose values all have the same schema."""
    return {"type": "object", "additionalProperties": values}


def nullable(schema: Schema) -> Schema:
    """The schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def reference(name: str) -> Schema:
    """A reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def record(members: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """The schema of an object with required and optional members."""
    return {"type": "object", "properties": {**members, **(optional or {})}, "required": list(members)}


def of_class(kind: type) -> Schema:
    """The schema of an attrs class in its `certcore.model.json_form.json_form`: every attribute is a member."""
    hints = get_type_hints(kind)
    return record({attribute.name: _of(hints[attribute.name]) for attribute in attrs.fields(kind)})


def _of(hint: Any) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [_of(each) for each in arguments if each is not type(None)]
        either = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        return nullable(either) if type(None) in arguments else either
    if origin is tuple:
        return array(_of(arguments[0]))
    if hint is Any or origin is not None:
        return ANYTHING
    if hint in _NAMED:
        return reference(_NAMED[hint])
    if hint in _PLAIN:
        return _PLAIN[hint]
    return words(hint) if issubclass(hint, StrEnum) else of_class(hint)
