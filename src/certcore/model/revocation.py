"""Reasons for a revocation."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certcore.model.input_limits import not_a_choice

__all__ = ["RevocationReason"]

#: The longest spelling of a reason, in characters.
_LONGEST: Final = 100


class RevocationReason(StrEnum):
    """The reasons that a subscriber may give (RFC 5280 section 5.3.1; the other codes belong to CAs)."""

    #: No reason is given.
    UNSPECIFIED = "unspecified"
    #: Another party has or may have the private key. CAs refuse the key afterwards.
    KEY_COMPROMISE = "key_compromise"
    #: The organisation's name or other data of the subject have changed.
    AFFILIATION_CHANGED = "affiliation_changed"
    #: Another certificate replaces it.
    SUPERSEDED = "superseded"
    #: The owner no longer controls the domain, or the site has ended.
    CESSATION_OF_OPERATION = "cessation_of_operation"

    @classmethod
    def parse(cls, text: str) -> RevocationReason:
        """The reason of this name, ``key_compromise``, ``key-compromise`` or ``keyCompromise``.

        Raises:
            InvalidInputError: There is no such reason.
        """
        normalized = "".join(char for char in str(text)[: _LONGEST + 1].lower() if char.isalnum())
        for reason in cls:
            if len(str(text)) <= _LONGEST and reason.replace("_", "") == normalized:
                return reason
        raise not_a_choice("reason", str(text)[:40], cls)

    @property
    def code(self) -> int:
        """The CRLReason code."""
        return _CODES[self]


_CODES: Final = MappingProxyType(
    {
        RevocationReason.UNSPECIFIED: 0,
        RevocationReason.KEY_COMPROMISE: 1,
        RevocationReason.AFFILIATION_CHANGED: 3,
        RevocationReason.SUPERSEDED: 4,
        RevocationReason.CESSATION_OF_OPERATION: 5,
    }
)
