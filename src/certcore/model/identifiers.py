"""Identifiers: owners, actors and IDs. They are compared byte by byte, so invisible characters are refused."""

from __future__ import annotations

import re
from typing import Final

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.input_limits import text_within

__all__ = ["MOST_ACTOR", "MOST_ID", "MOST_OWNER", "check_actor", "check_id", "check_identifier", "check_owner"]

#: The longest ID, in characters. IDs that certcore generates have 32.
MOST_ID: Final = 100
MOST_OWNER: Final = 100
MOST_ACTOR: Final = 255
#: Invisible characters that `str.isprintable` accepts: those with the property Default_Ignorable_Code_Point
#: of Unicode that are printable, and the blank of Braille.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def check_identifier(field: str, value: object, *, most: int) -> str:
    """Refuse a malformed identifier, so that no two identifiers of different tenants look the same.

    Nothing is normalised: composed and decomposed accents are different, and so are upper and lower case.

    Args:
        field: The name of the argument.
        value: The value.
        most: The maximum length, in characters.

    Returns:
        The value.

    Raises:
        InvalidInputError: The value is not a text, is too long, begins or ends with a space, or contains an invisible
            character (a control character, a surrogate, or a character without width or that changes the direction
            of writing).
    """
    text = text_within(field, value, most)
    if text.strip() != text:
        raise InvalidInputError(field, Message("input.blank_at_end", "begins or ends with white space."))
    if not text.isprintable() or _UNSEEN.search(text):
        text = "must be printable text, without control or invisible characters."
        raise InvalidInputError(field, Message("input.unprintable", text))
    return text


def check_id(field: str, value: object) -> str:
    """Refuse a malformed ID before it is looked up.

    Raises:
        InvalidInputError: As in `check_identifier`, or the ID is empty.
    """
    if value == "":
        raise InvalidInputError(field, Message("input.empty", "is empty."))
    return check_identifier(field, value, most=MOST_ID)


def check_owner(value: object) -> str:
    """Refuse a malformed owner. An empty text means that there is no owner.

    Raises:
        InvalidInputError: As in `check_identifier`.
    """
    return check_identifier("owner", value, most=MOST_OWNER)


def check_actor(value: object) -> str:
    """Refuse a malformed actor.

    Raises:
        InvalidInputError: As in `check_identifier`.
    """
    return check_identifier("actor", value, most=MOST_ACTOR)
