"""How much a user may give: texts are measured, lists and members counted, before anything is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from certcore.errors import InvalidInput

__all__ = ["LONGEST_ID", "MOST_MEMBERS", "MOST_ROWS", "at_most", "counted", "members", "text_within", "whole_number"]

#: The longest id, name of a profile or name of a module that is looked up, in characters.
LONGEST_ID: Final = 300
#: The most members of a field, for example settings of a CA module.
MOST_MEMBERS: Final = 200
#: The largest number of a row, an event or a version: what every database holds.
MOST_ROWS: Final = 2**63 - 1
_LONGEST_NAME: Final = 100


def text_within(field: str, value: object, longest: int) -> str:
    """A text of at most so many characters.

    Raises:
        InvalidInput: It is longer, or no text; the text is not repeated.
    """
    if not isinstance(value, str):
        raise InvalidInput(field, "must be text.")
    if len(value) > longest:
        raise InvalidInput(field, f"is longer than {longest} characters.")
    return value


def whole_number(field: str, value: object, lowest: int, highest: int) -> int:
    """A whole number between two bounds, both allowed.

    Raises:
        InvalidInput: It is none, or out of bounds; it is not repeated, for it may have a million digits.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidInput(field, f"must be a whole number from {lowest} to {highest}.")
    return value


def counted(field: str, values: object, most: int) -> list[Any]:
    """The items of a list, at most so many; of an iterator no more are taken than are needed to see that.

    Raises:
        InvalidInput: There are more, or it is no list.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidInput(field, "must be a list.")
    items = list(islice(values, most + 1))
    if len(items) > most:
        raise InvalidInput(field, f"has more than {most} entries.")
    return items


def members(field: str, value: object, most: int = MOST_MEMBERS) -> Mapping[str, Any]:
    """What is given for some members of a field, by their names.

    Raises:
        InvalidInput: It is no mapping, or one of too many members, or the name of one is too long or no text.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(field, "must be given as its members by their names.")
    if len(value) > most:
        raise InvalidInput(field, f"has more than {most} members.")
    for name in value:
        if not isinstance(name, str) or len(name) > _LONGEST_NAME:
            raise InvalidInput(field, f"the name of a member is text of at most {_LONGEST_NAME} characters.")
    return value


def at_most(text: str, longest: int) -> str:
    """The beginning of a text, for a sentence."""
    return text if len(text) <= longest else text[:longest] + "…"
