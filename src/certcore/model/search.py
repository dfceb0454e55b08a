"""Searches: read a text as a name, a serial number or a fingerprint."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from certcore.errors import InvalidNameError
from certcore.model.names import DnsName

__all__ = ["Search", "reversed_labels"]

_MAX: Final = 300
#: The separators between digits in copied numbers.
_SEPARATORS: Final = re.compile(r"[\s:-]+")
_HEX: Final = re.compile(r"(0x)?[0-9a-f]+")
_NAME: Final = re.compile(r"[a-z0-9*._-]+")
_SHA1, _SHA256 = 40, 64


@frozen(kw_only=True)
class Search:
    """A search. It finds the certificates that match any of its members. Empty members match nothing."""

    #: The beginning of one of the names, as A-labels.
    name_prefix: str = ""
    #: A domain that is one of the names, or a parent domain of one.
    domain: str = ""
    #: The serial number of one of the leaves, as lower-case hex without leading zeros; any of several readings.
    serials: frozenset[str] = frozenset()
    #: The SHA-256 or SHA-1 fingerprint of one of the leaves, as lower-case hex.
    fingerprint: str = ""

    @staticmethod
    def hexadecimal(text: str) -> str:
        """A copied hexadecimal number in lower case, without colons and spaces; empty if the text is not one."""
        digits = _SEPARATORS.sub("", text.strip()[:_MAX].lower())
        return digits.removeprefix("0x") if _HEX.fullmatch(digits) else ""

    @classmethod
    def parse(cls, text: str) -> Search:
        """Read a typed text. Colons, spaces and case in numbers do not matter. Never raises an exception."""
        typed = text.strip()[:_MAX].lower()
        hexadecimal = cls.hexadecimal(typed)
        number = _SEPARATORS.sub("", typed) if hexadecimal else ""
        serials = {hexadecimal.lstrip("0")} if hexadecimal else set()
        if number.isdecimal():
            serials.add(f"{int(number):x}")
        return cls(
            name_prefix=_prefix(typed),
            domain=_domain(typed),
            serials=frozenset(serials - {""}),
            fingerprint=hexadecimal if len(hexadecimal) in (_SHA1, _SHA256) else "",
        )


def reversed_labels(name: str) -> str:
    """``www.example.com`` as ``com.example.www.``, so that subdomains begin with the text of their parent domain."""
    return ".".join(reversed(name.split("."))) + "."


def _prefix(typed: str) -> str:
    try:
        return DnsName.parse(typed).ascii
    except InvalidNameError:
        return typed if _NAME.fullmatch(typed) else ""


def _domain(typed: str) -> str:
    try:
        return DnsName.parse(typed.removeprefix("*.").removeprefix(".")).ascii
    except InvalidNameError:
        return ""
