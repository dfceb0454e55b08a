"""Make text and JSON of foreign servers safe to store, log and show.

Text is made printable and limited in length, and JSON is limited in depth, as soon as it is received. So a server
cannot forge log lines, control a terminal or flood a page.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["LONGEST_TEXT", "LONGEST_URL", "LONGEST_WORD", "decode_json", "printable"]

#: The longest text of a CA that is kept, in characters.
LONGEST_TEXT: Final = 2000
#: The longest URL, in characters.
LONGEST_URL: Final = 4000
#: The longest status or type, in characters.
LONGEST_WORD: Final = 100
#: The deepest nesting of arrays and objects in a CA's JSON. The objects of RFC 8555 need six levels.
_MAX_DEPTH: Final = 32
_LINE_BREAKS: Final = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def printable(text: object, longest: int = LONGEST_TEXT) -> str:
    """A foreign text as one printable line. Line breaks become spaces; unprintable characters become U+FFFD.

    Unprintable characters are those of C0 and C1, bidirectional and zero-width characters, and surrogates.

    Args:
        text: The foreign value; anything but a string becomes an empty string.
        longest: The largest number of characters; a longer text is cut and ends in an ellipsis.
    """
    if not isinstance(text, str):
        return ""
    cut = text[: longest + 1]
    if not cut.isprintable():
        cut = "".join(each if each.isprintable() else _REPLACED for each in _LINE_BREAKS.sub(" ", cut))
    return cut if len(cut) <= longest else f"{cut[: longest - 1]}…"


def decode_json(body: bytes) -> Any:
    """Decode JSON of a foreign server; None if the text is not JSON or is nested too deeply.

    Surrogates and NUL, which databases cannot store, become U+FFFD.

    Args:
        body: The text in UTF-8, with or without a byte order mark.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        return _checked(json.loads(text), _MAX_DEPTH)
    except (ValueError, RecursionError):
        return None


def _checked(value: Any, depth: int) -> Any:
    match value:
        case str():
            return _UNSTORABLE.sub(_REPLACED, value)
        case dict() | list() if not depth:
            raise ValueError("nested too deeply")
        case dict():
            return {_checked(name, depth): _checked(member, depth - 1) for name, member in value.items()}
        case list():
            return [_checked(member, depth - 1) for member in value]
    return value
