"""attrs classes as JSON and back. Each field says how it is read; a stored value is never trusted.

A value that is missing or cannot be read takes the field's default, so that reading never raises: databases live longer
than the code that wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar

from attrs import NOTHING, AttrsInstance, field, fields, has

from certcore.messages import Message
from certcore.model.stored_messages import message_document, plain_message, read_message
from certcore.net.foreign_text import LONGEST_TEXT, printable

__all__ = [
    "Reader",
    "choice",
    "count",
    "flag",
    "from_json",
    "items",
    "members",
    "message",
    "moment",
    "nested",
    "shown_message",
    "stored",
    "text",
    "to_json",
    "words",
]

_T = TypeVar("_T")
_K = TypeVar("_K")
_A = TypeVar("_A", bound=AttrsInstance)

#: Makes a value from JSON; None when the JSON cannot be read as one.
Reader = Callable[[object], _T | None]

_READER: Final = "reader"
_KEY: Final = "key"
_LARGEST: Final = 10**9
#: The types whose values JSON has as they are: most values.
_PLAIN: Final = (str, int, bool, type(None))


def stored(reader: Reader[Any], default: Any = NOTHING, *, key: str = "") -> Any:
    """An attrs field that `from_json` and `to_json` know.

    Args:
        reader: Makes the value from JSON.
        default: The value of a field that is missing or cannot be read; without one the field is required.
        key: The member's name in JSON where it is not that of the field.
    """
    return field(default=default, metadata={_READER: reader, _KEY: key})


def from_json(cls: type[_A], document: object) -> _A | None:
    """An instance from what was stored, whatever that is; None when a required field cannot be read."""
    mapping = document if isinstance(document, Mapping) else {}
    values: dict[str, Any] = {}
    for name, key, reader, default in _stored_fields(cls):
        member = mapping.get(key)
        value = None if member is None else reader(member)
        if value is not None:
            values[name] = value
        elif default is NOTHING:
            return None
    return cls(**values)


def to_json(instance: AttrsInstance) -> dict[str, Any]:
    """Plain JSON of an instance; fields that have their default are left out."""
    return {
        key: _plain(value)
        for name, key, _, default in _stored_fields(type(instance))
        if (value := getattr(instance, name)) != default
    }


@lru_cache(maxsize=64)
def _stored_fields(cls: type[AttrsInstance]) -> Sequence[tuple[str, str, Reader[Any], Any]]:
    """The fields of a class: name, name of the member in JSON, reader and default."""
    return tuple(
        (each.name, each.metadata[_KEY] or each.name, each.metadata[_READER], each.default) for each in fields(cls)
    )


def text(longest: int = LONGEST_TEXT) -> Reader[str]:
    """Reads a printable text of so many characters at most; empty ones count as missing."""
    return lambda value: printable(value, longest) or None


def message(longest: int = LONGEST_TEXT) -> Reader[Message]:
    """Reads a message, or a text that earlier versions have stored in its place; empty ones count as missing."""

    def read(value: object) -> Message | None:
        stored_message = value if isinstance(value, Message) else read_message(value)
        return shown_message(value if stored_message is None else stored_message, longest)

    return read


def shown_message(text: object, longest: int = LONGEST_TEXT) -> Message | None:
    """A message or a text as it is kept: printable and not too long, otherwise as a text; None for an empty one."""
    shown = printable(str(text) if isinstance(text, Message) else text, longest)
    if isinstance(text, Message) and shown == str(text):
        return plain_message(text) if shown else None
    return Message("", shown) if shown else None  # text: not translated


def words(longest: int = LONGEST_TEXT) -> Reader[Message | str]:
    """Reads a printable text, or a message; empty ones count as missing."""
    read_words = message(longest)

    def read(value: object) -> Message | str | None:
        words = read_words(value)
        return words if words is None or words.key else str(words)

    return read


def count(value: object) -> int | None:
    """Reads a number from 0 on."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def flag(value: object) -> bool | None:
    """Reads true or false."""
    return value if isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """Reads an ISO 8601 moment with a time zone, as UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def choice(kind: type[_T]) -> Reader[_T]:
    """Reads a member of an enum, by its value."""

    def read(value: object) -> _T | None:
        try:
            return kind(value)  # type: ignore[call-arg]
        except (ValueError, TypeError):
            return None

    return read


def nested(cls: type[_A]) -> Reader[_A]:
    """Reads an attrs class of stored fields."""
    return lambda value: from_json(cls, value) if isinstance(value, Mapping) else None


def items(reader: Reader[_T]) -> Reader[tuple[_T, ...]]:
    """Reads an array; elements that cannot be read are left out."""

    def read(value: object) -> tuple[_T, ...] | None:
        if not isinstance(value, list | tuple):
            return None
        return tuple(element for element in map(reader, value) if element is not None)

    return read


def members(key: Reader[_K], reader: Reader[_T]) -> Reader[Mapping[_K, _T]]:
    """Reads an object; members whose name or value cannot be read are left out."""

    def read(value: object) -> Mapping[_K, _T] | None:
        if not isinstance(value, Mapping):
            return None
        pairs = ((key(name), reader(member)) for name, member in value.items())
        return {name: member for name, member in pairs if name is not None and member is not None}

    return read


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    match value:
        case Enum():
            return value.value
        case Message():
            return message_document(value) if value.key or value.params else value.text
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(name): _plain(member) for name, member in value.items()}
        case list() | tuple():
            return [_plain(element) for element in value]
        case _ if has(type(value)):
            return to_json(value)
    return value
