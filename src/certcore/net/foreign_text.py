"""Text and JSON of foreign servers, made safe to store, log and show.

Text becomes printable and bounded in length, JSON bounded in depth, where it enters: a server cannot forge log lines,
control a terminal or flood a page.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["LONGEST_TEXT", "LONGEST_URL", "LONGEST_WORD", "decode_json", "printable"]

#: The longest text of a CA that is kept, in characters.
LONGEST_TEXT: Final = 2000
#: The longest URL.
LONGEST_URL: Final = 4000
#: The longest status or type.
LONGEST_WORD: Final = 100
#: How deeply arrays and objects may be nested in a CA's JSON; what RFC 8555 defines needs six levels.
_MAX_DEPTH: Final = 32
_LINE_BREAKS: Final = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def printable(text: object, longest: int = LONGEST_TEXT) -> str:
    """A foreign text as one printable line: line breaks become blanks, other control characters U+FFFD.

    Control characters are those of C0 and C1, bidirectional and zero-width ones, and halves of surrogate pairs.

    Args:
        text: What was sent; anything but a string becomes the empty string.
        longest: How many characters are kept; a longer text ends in an ellipsis.
    """
    if not isinstance(text, str):
        return ""
    cut = text[: longest + 1]
    if not cut.isprintable():
        cut = "".join(each if each.isprintable() else _REPLACED for each in _LINE_BREAKS.sub(" ", cut))
    return cut if len(cut) <= longest else f"{cut[: longest - 1]}…"


def decode_json(body: bytes) -> Any:
    """The JSON of a foreign server; None if the text is not JSON or is nested too deeply.

    Halves of surrogate pairs and NUL, which no database takes, become U+FFFD.

    Args:
        body: UTF-8, with or without a byte order mark.
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
