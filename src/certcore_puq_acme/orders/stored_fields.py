"""Convert attrs classes to JSON and back. Each field has a reader, which checks the stored value.

For a value that is missing or cannot be read, the field's default is used. So reading never raises: a database lives
longer than the code that wrote it.
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

#: Converts a JSON value; returns None if the value is not valid.
Reader = Callable[[object], _T | None]

_READER: Final = "reader"
_KEY: Final = "key"
_LARGEST: Final = 10**9
#: The types whose values need no conversion for JSON.
_PLAIN: Final = (str, int, bool, type(None))


def stored(reader: Reader[Any], default: Any = NOTHING, *, key: str = "") -> Any:
    """An attrs field that `from_json` reads and `to_json` writes.

    Args:
        reader: Converts the JSON value.
        default: The value if the stored one is missing or not valid; without a default the field is required.
        key: The member's name in JSON, if it differs from the field's name.
    """
    return field(default=default, metadata={_READER: reader, _KEY: key})


def from_json(cls: type[_A], document: object) -> _A | None:
    """Read an instance from any stored value; None if a required field cannot be read."""
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
    """A reader of printable texts with a maximum length in characters; an empty text counts as missing."""
    return lambda value: printable(value, longest) or None


def message(longest: int = LONGEST_TEXT) -> Reader[Message]:
    """A reader of messages, and of the texts that older versions stored instead; an empty one counts as missing."""

    def read(value: object) -> Message | None:
        stored_message = value if isinstance(value, Message) else read_message(value)
        return shown_message(value if stored_message is None else stored_message, longest)

    return read


def shown_message(text: object, longest: int = LONGEST_TEXT) -> Message | None:
    """Convert a message or text to a message that may be stored; None if it is empty.

    A text, and a message with characters that are not printable or with too many, becomes a message without a key: its
    text is made printable and shortened.
    """
    shown = printable(str(text) if isinstance(text, Message) else text, longest)
    if isinstance(text, Message) and shown == str(text):
        return plain_message(text) if shown else None
    return Message("", shown) if shown else None  # text: not translated


def words(longest: int = LONGEST_TEXT) -> Reader[Message | str]:
    """A reader of printable texts and of messages; an empty one counts as missing."""
    read_words = message(longest)

    def read(value: object) -> Message | str | None:
        words = read_words(value)
        return words if words is None or words.key else str(words)

    return read


def count(value: object) -> int | None:
    """Read an integer that is not negative."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def flag(value: object) -> bool | None:
    """Read a boolean."""
    return value if isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """Read an ISO 8601 moment with a time zone; the result is in UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def choice(kind: type[_T]) -> Reader[_T]:
    """A reader of the members of an enum, by value."""

    def read(value: object) -> _T | None:
        try:
            return kind(value)  # type: ignore[call-arg]
        except (ValueError, TypeError):
            return None

    return read


def nested(cls: type[_A]) -> Reader[_A]:
    """A reader of an attrs class whose fields are made with `stored`."""
    return lambda value: from_json(cls, value) if isinstance(value, Mapping) else None


def items(reader: Reader[_T]) -> Reader[tuple[_T, ...]]:
    """A reader of arrays; elements that cannot be read are left out."""

    def read(value: object) -> tuple[_T, ...] | None:
        if not isinstance(value, list | tuple):
            return None
        return tuple(element for element in map(reader, value) if element is not None)

    return read


def members(key: Reader[_K], reader: Reader[_T]) -> Reader[Mapping[_K, _T]]:
    """A reader of objects; members whose name or value cannot be read are left out."""

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
