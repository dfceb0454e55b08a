"""Searches: what a person types, read as a name, a serial number or a fingerprint."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from certcore.errors import InvalidNameError
from certcore.model.names import DnsName

__all__ = ["Search", "reversed_labels"]

_MAX: Final = 300
#: The separators between the digits in copied numbers.
_SEPARATORS: Final = re.compile(r"[\s:-]+")
_HEX: Final = re.compile(r"(0x)?[0-9a-f]+")
_NAME: Final = re.compile(r"[a-z0-9*._-]+")
_SHA1, _SHA256 = 40, 64


@frozen(kw_only=True)
class Search:
    """A search; a certificate that matches any member is found. Empty members match nothing."""

    #: The beginning of one of its names, as A-labels.
    name_prefix: str = ""
    #: A domain that one of its names is, or lies below.
    domain: str = ""
    #: Serial numbers of its leaves, as lower-case hex without leading zeros.
    serials: frozenset[str] = frozenset()
    #: The SHA-256 or SHA-1 fingerprint of one of its leaves, as lower-case hex.
    fingerprint: str = ""

    @staticmethod
    def hexadecimal(text: str) -> str:
        """A number as people copy it, as lower-case hex without colons and blanks; empty if it is not one."""
        digits = _SEPARATORS.sub("", text.strip()[:_MAX].lower())
        return digits.removeprefix("0x") if _HEX.fullmatch(digits) else ""

    @classmethod
    def parse(cls, text: str) -> Search:
        """Read what was typed; colons, blanks and case in numbers do not matter. Never raises."""
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
    """``www.example.com`` as ``com.example.www.``: what is below a domain begins with the domain's own."""
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
