"""Prefix searches as ranges, which an index can serve."""

from __future__ import annotations

from typing import Final

__all__ = ["after_prefix"]

#: The last code point, and the surrogates, which text cannot contain.
_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def after_prefix(prefix: str) -> str | None:
    """The first text that sorts after everything that begins with ``prefix``: a range, so that an index serves it."""
    while prefix:
        following = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST:
            return prefix + chr(following)
    return None
