"""Limits of input: check the size of texts, lists and mappings before they are used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from certcore.errors import InvalidInputError
from certcore.messages import Message

__all__ = [
    "LONGEST_ID",
    "LONGEST_VALUE",
    "MOST_ENTRIES",
    "MOST_MEMBERS",
    "MOST_ROWS",
    "at_most",
    "counted",
    "is_storable",
    "members",
    "not_a_choice",
    "not_text",
    "not_whole_number",
    "refuse_unstorable",
    "text_within",
    "too_long",
    "true_or_false",
    "whole_number",
]

#: The longest ID, name of a CA profile or name of a CA module that is looked up, in characters.
LONGEST_ID: Final = 300
#: The largest number of members of a field, for example of settings of a CA module.
MOST_MEMBERS: Final = 200
#: The largest number of a row, an event or a version, which every database can store.
MOST_ROWS: Final = 2**63 - 1
_LONGEST_NAME: Final = 100
#: The longest value of any setting, in characters: a PEM file with the roots of a CA.
LONGEST_VALUE: Final = 512 * 1024
#: The largest number of entries of a list, including empty ones.
MOST_ENTRIES: Final = 1000
#: Characters that not every database can store: surrogates and NUL.
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")


def text_within(field: str, value: object, longest: int) -> str:
    """Check that a value is a text of at most ``longest`` characters, and return it.

    Raises:
        InvalidInputError: The value is longer or not a text. The message does not repeat it.
    """
    if not isinstance(value, str):
        raise not_text(field)
    if len(value) > longest:
        raise too_long(field, longest)
    return value


def too_long(field: str, longest: int) -> InvalidInputError:
    """The error for a text of more than ``longest`` characters."""
    return InvalidInputError(field, Message("input.too_long", "is longer than {count} characters.", {"count": longest}))


def not_text(field: str) -> InvalidInputError:
    """The error for a value that is not a text."""
    return InvalidInputError(field, Message("input.not_text", "must be text."))


def whole_number(field: str, value: object, lowest: int, highest: int) -> int:
    """Check that a value is an integer from ``lowest`` to ``highest``, both included, and return it.

    Raises:
        InvalidInputError: The value is not an integer, or is out of range. The message does not repeat it.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise not_whole_number(field, lowest, highest)
    return value


def not_whole_number(field: str, lowest: int, highest: int) -> InvalidInputError:
    """The error for a value that is not an integer from ``lowest`` to ``highest``."""
    text = "must be a whole number from {lowest} to {highest}."
    return InvalidInputError(field, Message("input.not_whole_number", text, {"lowest": lowest, "highest": highest}))


def counted(field: str, values: object, most: int) -> list[Any]:
    """The items of an iterable, at most ``most``. No more items are read than are needed to see that.

    Raises:
        InvalidInputError: There are more items, or the value is not a list.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidInputError(field, Message("input.not_list", "must be a list."))
    items = list(islice(values, most + 1))
    if len(items) > most:
        reason = Message("input.too_many_entries", "has more than {count} entries.", {"count": most})
        raise InvalidInputError(field, reason)
    return items


def members(field: str, value: object, most: int = MOST_MEMBERS) -> Mapping[str, Any]:
    """The given members of a field, by name.

    Raises:
        InvalidInputError: The value is not a mapping, has too many members, or the name of a member is too long or not
            a text.
    """
    if not isinstance(value, Mapping):
        reason = Message("input.not_members", "must be a mapping of member names to values.")
        raise InvalidInputError(field, reason)
    if len(value) > most:
        reason = Message("input.too_many_members", "has more than {count} members.", {"count": most})
        raise InvalidInputError(field, reason)
    for name in value:
        if not isinstance(name, str) or len(name) > _LONGEST_NAME:
            text = "the name of a member must be text of at most {count} characters."
            raise InvalidInputError(field, Message("input.name_of_member", text, {"count": _LONGEST_NAME}))
    return value


def true_or_false(field: str, value: object) -> bool:
    """Check that a value is True or False, and return it.

    Raises:
        InvalidInputError: It is neither.
    """
    if not isinstance(value, bool):
        raise InvalidInputError(field, Message("input.not_true_or_false", "must be true or false."))
    return value


def not_a_choice(field: str, value: str, choices: Iterable[str]) -> InvalidInputError:
    """The error for a text that is not one of the choices. The message repeats the text."""
    params = {"value": repr(value), "choices": ", ".join(choices)}
    return InvalidInputError(field, Message("input.not_a_choice", "{value} is not one of: {choices}.", params))


def is_storable(text: object) -> bool:
    """Whether a value is a text that every database can store: without surrogates and NUL."""
    return isinstance(text, str) and _UNSTORABLE.search(text) is None


def refuse_unstorable(values: Mapping[str, Any]) -> None:
    """Refuse fields with texts that not every database can store. The types are checked elsewhere.

    Raises:
        InvalidInputError: A name, a value or an entry of a list contains surrogates or NUL, or is longer than any field
            allows; the error names the field.
    """
    for name, value in members("settings", values).items():
        items = counted(name, value, MOST_ENTRIES) if isinstance(value, (list, tuple)) else (value,)
        for item in (name, *items):
            if isinstance(item, str) and not is_storable(text_within(name, item, LONGEST_VALUE)):
                reason = Message("input.unstorable", "contains surrogates or NUL characters.")
                raise InvalidInputError(name[:60], reason)


def at_most(text: str, longest: int) -> str:
    """The first ``longest`` characters of a text, for an error."""
    return text if len(text) <= longest else text[:longest] + "…"
