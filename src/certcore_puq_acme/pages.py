"""Pages of a CA that people are sent to: only such URLs as a panel may show as a link."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["asks_for_a_visit", "page_url", "pages_in"]

_MAX_URL: Final = 2000
#: Those of RFC 3986, but for the apostrophe: none of them ends an attribute of a page, or begins a tag.
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%]*")
_BEGINNINGS: Final = ("https://", "http://")
_MOST: Final = 3
_IN_TEXT: Final = re.compile(r"https://[^\s<>\"'`\\^{}|]+", re.IGNORECASE)
_AFTER: Final = ".,;:!?)]"
_VISIT: Final = re.compile(r"\bvisit\b|\bunpause\b", re.IGNORECASE)


def page_url(value: Any) -> str:
    """The URL of a page, https or http, which a panel may show as a link; empty for anything else.

    Args:
        value: What a CA says is one.
    """
    if not isinstance(value, str) or len(value) > _MAX_URL or not _CHARACTERS.fullmatch(value):
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    # The text itself, too: what is parsed here has lost its leading blanks, and a browser may read it otherwise.
    return value if value.lower().startswith(_BEGINNINGS) and parts.hostname else ""


def pages_in(text: str) -> tuple[str, ...]:
    """The https URLs in a CA's text, each once; at most three.

    Only for texts in which nobody but the CA has a say: what it tells of a validation may quote a stranger's server.
    """
    found = (page_url(one.rstrip(_AFTER)) for one in _IN_TEXT.findall(text))
    return tuple(dict.fromkeys(one for one in found if one))[:_MOST]


def asks_for_a_visit(text: str) -> bool:
    """Whether a CA's text asks somebody to visit a page before anything goes on."""
    return bool(pages_in(text)) and _VISIT.search(text) is not None
