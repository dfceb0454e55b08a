"""Check values that plugins return against their declared types, recursively, and copy them.

The copy consists only of certcore's own classes. So it contains no subclass with computed fields, no datetime with a
time zone of the plugin, and no list that the plugin could change later.
"""

from __future__ import annotations

import itertools
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache, partial
from typing import Any, Final

import attrs

from certcore.model.form import FormField
from certcore.model.hints import Message
from certcore.model.secret import Secret

__all__ = ["MOST_ITEMS", "SHORT_NAME", "UnexpectedResultError", "conform", "plain_json", "with_article"]

#: The largest number of items in a list that a plugin returns.
MOST_ITEMS: Final = 1000
#: The names of what plugins provide: CA modules, their actions and budgets, export formats and writers of TXT values.
SHORT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: The deepest nesting of messages in the parameters of messages.
_MOST_MESSAGES: Final = 8
#: The deepest nesting of plain JSON. It is checked because other code may raise the interpreter's recursion limit.
_MOST_LEVELS: Final = 100
#: The types of message parameters that are copied unchanged. Others are converted to text.
_AS_THEY_ARE: Final = (str, int, float, bool, datetime)
_NO_ITEMS: Final = (str, bytes, bytearray, Mapping)


class UnexpectedResultError(TypeError):
    """A value does not have the declared type. The text is the object of "it returned"."""


def conform(value: object, declared: Any) -> Any:
    """A copy of a value in its declared type.

    Args:
        value: The value that a plugin returned.
        declared: The type as an annotation: ``Waiting | Issued``, ``tuple[Hint, ...]``, ``datetime | None``.
            ``Mapping`` means plain JSON, and ``Any`` means any value.

    Raises:
        UnexpectedResultError: The value has another type.
    """
    return _copier(declared)(value)


@lru_cache(maxsize=256)
def _copier(declared: Any) -> Callable[[object], Any]:
    """The function that checks and copies values of a declared type. Cached: each step returns the same types."""
    if declared is Any or declared is object:
        return _unchanged
    if declared is None or declared is type(None):
        return _nothing
    origin = typing.get_origin(declared) or declared
    if origin in (typing.Union, types.UnionType):
        return partial(_one_of, members=tuple(map(_member, typing.get_args(declared))))
    if origin in (tuple, Sequence):
        return partial(_items, declared=typing.get_args(declared))
    if origin in (Mapping, dict):
        return plain_json
    if origin in (Callable, type):
        return _function if origin is Callable else _class
    return partial(_scalar_or_object, kind=origin)


def plain_json(value: object) -> dict[str, Any]:
    """A deep copy of a mapping of plain JSON.

    Raises:
        UnexpectedResultError: The value is not plain JSON, contains surrogates, or is nested too deeply.
    """
    try:
        text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)  # type: ignore[call-overload]
        text.encode()
        copy: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError):  # a UnicodeEncodeError is a ValueError
        raise UnexpectedResultError(f"{with_article(value)} that is not plain JSON") from None
    if _has_more_levels(copy, _MOST_LEVELS):
        raise UnexpectedResultError(f"{with_article(value)} that is not plain JSON of at most {_MOST_LEVELS} levels")
    return copy


def _has_more_levels(value: dict[str, Any], most: int) -> bool:
    level: list[Any] = [value]
    for _ in range(most):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def with_article(value: object) -> str:
    """The type of a value with its article, for a message."""
    if value is None:
        return "a None"
    name = type.__dict__["__name__"].__get__(type(value))  # a metaclass may override `__name__` or raise
    return f"{'an' if name[:1] in 'AEIOUaeio' else 'a'} {name[:60]}"


def _nothing(value: object) -> None:
    if value is not None:
        raise UnexpectedResultError(f"{with_article(value)}, where nothing belongs")


def _unchanged(value: object) -> object:
    return value


def _function(value: object) -> object:
    if not callable(value):
        raise UnexpectedResultError(f"{with_article(value)}, where a function belongs")
    return value


def _class(value: object) -> object:
    if not isinstance(value, type):
        raise UnexpectedResultError(f"{with_article(value)}, where a class belongs")
    return value


def _member(declared: Any) -> tuple[Any, Any]:
    """A member of a union, with the class that its values have."""
    kind = typing.get_origin(declared) or declared
    return declared, type(None) if kind is None else kind


def _one_of(value: object, members: Sequence[tuple[Any, Any]]) -> Any:
    for member, kind in members:
        if (kind in (Mapping, Sequence, Callable) and isinstance(value, kind)) or _is_a(value, kind):
            return conform(value, member)
    names = [getattr(member, "__name__", str(member)).replace("NoneType", "None") for member, _ in members]
    raise UnexpectedResultError(f"{with_article(value)}, where {' or '.join(names)} belongs")


def _items(value: object, declared: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(value, _NO_ITEMS) or not isinstance(value, Iterable):
        raise UnexpectedResultError(f"{with_article(value)}, where a list belongs")
    copied = tuple(itertools.islice(value, MOST_ITEMS + 1))
    if len(copied) > MOST_ITEMS:
        raise UnexpectedResultError(f"more than {MOST_ITEMS} items")
    kinds = [declared[0]] * len(copied) if len(declared) < 2 or declared[1] is ... else declared  # noqa: PLR2004
    if len(kinds) != len(copied):
        raise UnexpectedResultError(f"{len(copied)} items, where {len(kinds)} belong")
    converted = []
    for number, (item, kind) in enumerate(zip(copied, kinds, strict=True), 1):
        try:
            converted.append(conform(item, kind))
        except UnexpectedResultError as error:
            raise UnexpectedResultError(f"a list whose item {number} is {error}") from None
    return tuple(converted)


def _scalar_or_object(value: object, kind: Any) -> Any:
    if not _is_a(value, kind):
        raise UnexpectedResultError(f"{with_article(value)}, where {_called(kind)} belongs")
    if issubclass(kind, (Enum, bool, Secret)):
        return value
    if issubclass(kind, datetime):
        return _moment(value)
    if issubclass(kind, str):
        return _text(value)
    if attrs.has(kind):
        return _object(value, kind)
    if kind in (int, float, bytes):
        return kind(value)
    return value


def _is_a(value: object, kind: Any) -> bool:
    """As isinstance, but ignores an overridden ``__class__``, and does not count a bool as an int."""
    if not isinstance(kind, type):
        return False
    real = type(value)
    if kind is float:
        return issubclass(real, (int, float)) and real is not bool
    return issubclass(real, kind) and not (kind is int and real is bool)


def _called(kind: type) -> str:
    return {str: "text", datetime: "a moment", bool: "True or False", bytes: "bytes"}.get(kind, kind.__name__)


def _moment(value: Any) -> datetime:
    """The same moment in UTC, because a plugin's own time zone class could give a different offset each time."""
    if datetime.utcoffset(value) is None:
        raise UnexpectedResultError("a moment without a time zone")
    try:
        utc = datetime.astimezone(value, UTC)
    except OverflowError:
        raise UnexpectedResultError("a moment outside of the calendar") from None
    date, time = datetime.date(utc), datetime.time(utc)
    return datetime.combine(date, time, UTC)


def _text(value: Any) -> str:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnexpectedResultError("text with half of a character (a surrogate)") from None
    return text


def _object(value: object, kind: Any) -> Any:
    if kind is Message:
        return _message(value)
    members = {}
    for name, argument, copied in _attributes(kind):
        try:
            members[argument] = copied(getattr(value, name))
        except UnexpectedResultError as error:
            raise UnexpectedResultError(f"{with_article(value)} whose {name} is {error}") from None
    if kind is FormField:
        plain_json({"default": members["default"]})
    return kind(**members)


def _message(value: Any, inside: int = 0) -> Message:
    if inside > _MOST_MESSAGES:
        raise UnexpectedResultError(f"a Message inside more than {_MOST_MESSAGES} others")
    params = {str(name): _param(param, inside) for name, param in value.params.items()}
    key, text, singular = (_scalar_or_object(part, str) for part in (value.key, value.text, value.singular))
    message = Message(key, text, params, singular=singular)  # text: the plugin's
    try:
        for template in (text, singular):
            _text(message.filled(template, str))
    except (LookupError, ValueError, AttributeError, TypeError):
        raise UnexpectedResultError(
            f"a Message whose text {message.text[:60]!r} cannot be filled in with its params"
        ) from None
    return message


def _param(value: object, inside: int) -> object:
    """A copy of a message parameter. Values of other types than `_AS_THEY_ARE` are converted to text."""
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, Message):
        return _message(value, inside + 1)
    if isinstance(value, tuple):
        return tuple(_message(item, inside + 1) if isinstance(item, Message) else str(item) for item in value)
    return str(value)


@lru_cache(maxsize=128)
def _attributes(kind: Any) -> Sequence[tuple[str, str, Callable[[object], Any]]]:
    """The attributes of a class that its constructor takes: name, argument, and the function that copies the value."""
    declared = typing.get_type_hints(kind)
    attributes = [attribute for attribute in attrs.fields(kind) if attribute.init]
    return tuple((each.name, each.alias or each.name, _copier(declared[each.name])) for each in attributes)
