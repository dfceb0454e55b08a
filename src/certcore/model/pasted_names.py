"""Read domain names that were pasted from a mail, a table, a web page or a text file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from certcore.errors import InvalidNameError
from certcore.messages import Message
from certcore.model.field_errors import FieldErrors
from certcore.model.input_limits import MOST_ENTRIES, counted, text_within
from certcore.model.names import MAX_NAMES, DnsName

__all__ = ["parse_pasted_name", "parse_pasted_names"]

#: The longest text with a list of names, in characters: 100 names of the longest kind, with room for spaces.
_LONGEST_LIST: Final = 64 * 1024
#: White space, line ends, and commas and semicolons, including those of Chinese, Japanese and Arabic.
_SEPARATORS: Final = re.compile(r"[\s,;\u060c\u061b\u3001\uff0c\uff1b]+")
#: Invisible characters: without width, byte order marks, and marks for the direction of writing.
_INVISIBLE: Final = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"


def parse_pasted_name(text: object, *, field: str = "domain") -> DnsName:
    """Read one name. Spaces and invisible characters around it are removed.

    Raises:
        InvalidNameError: The text is not a name that a CA certifies; the reason says which rule it breaks.
    """
    return DnsName.parse(_trimmed(text), field=field)


def parse_pasted_names(value: object, *, field: str = "aliases") -> tuple[DnsName, ...]:
    """Read the names of a list, or of a text with spaces, commas or semicolons between them. Duplicates are removed.

    Args:
        value: The list or the text.
        field: The field that errors name.

    Raises:
        InvalidInputError: There are too many names, or some entries are not names; the error has all of these.
    """
    entries: list[Any]
    if isinstance(value, str):
        entries = _SEPARATORS.split(text_within(field, value, _LONGEST_LIST))
    elif isinstance(value, bytes) or not isinstance(value, Iterable):
        raise InvalidNameError(field, Message("name.not_a_list", "must be a list of names."))
    else:
        entries = counted(field, value, MOST_ENTRIES)
    names: dict[DnsName, None] = {}
    errors = FieldErrors()
    for entry in map(_trimmed, entries):
        if entry == "":
            continue
        with errors.collecting():
            names[DnsName.parse(entry, field=field)] = None
    errors.refuse()
    if len(names) > MAX_NAMES:
        text = "{count} names are too many: a certificate has at most {most}."
        reason = Message("name.too_many_pasted", text, {"count": len(names), "most": MAX_NAMES})
        raise InvalidNameError(field, reason)
    return tuple(names)


def _trimmed(text: Any) -> Any:
    """The text without spaces and invisible characters at its ends."""
    if not isinstance(text, str):
        return text
    before = None
    while text != before:
        before, text = text, text.strip().strip(_INVISIBLE)
    return text
