"""Check URLs before they become links on a panel's page."""

from __future__ import annotations

import re
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

__all__ = ["is_web_page"]

_LONGEST: Final = 2000
#: The characters of RFC 3986 without the apostrophe. None of them ends an HTML attribute or begins a tag.
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%]*")


def is_web_page(value: Any) -> TypeGuard[str]:
    """Whether a value is an https URL with a host and without a user, of at most 2000 characters, safe in an attribute.

    Args:
        value: A value from a CA module or a CA.
    """
    if not isinstance(value, str) or len(value) > _LONGEST or not _CHARACTERS.fullmatch(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    # The text itself is checked, too, because parsing drops leading spaces and a browser may parse it differently.
    return value.lower().startswith("https://") and bool(parts.hostname) and parts.username is None
