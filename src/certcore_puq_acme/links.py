"""URLs of a CA's web pages that a panel may show as links."""

from __future__ import annotations

import re
from typing import Any, Final

from certcore.model.web_pages import is_web_page

__all__ = ["asks_for_a_visit", "page_url", "pages_in"]

_MAX_URLS: Final = 3
_URL_IN_TEXT: Final = re.compile(r"https://[^\s<>\"'`\\^{}|]+", re.IGNORECASE)
_TRAILING_PUNCTUATION: Final = ".,;:!?)]"
_VISIT_WORDS: Final = re.compile(r"\bvisit\b|\bunpause\b", re.IGNORECASE)


def page_url(value: Any) -> str:
    """The value if it is an https URL that a panel may show as a link; empty for anything else.

    Args:
        value: A member of a CA's document.
    """
    return value if is_web_page(value) else ""


def pages_in(text: str) -> tuple[str, ...]:
    """The https URLs in a CA's text, without repetitions; at most three.

    Only for texts that the CA alone writes: its text about a validation may quote a stranger's server.
    """
    urls = (page_url(url.rstrip(_TRAILING_PUNCTUATION)) for url in _URL_IN_TEXT.findall(text))
    return tuple(dict.fromkeys(url for url in urls if url))[:_MAX_URLS]


def asks_for_a_visit(text: str) -> bool:
    """Whether a CA's text asks a person to visit a page before the CA goes on."""
    return bool(pages_in(text)) and _VISIT_WORDS.search(text) is not None
