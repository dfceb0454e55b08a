"""Why a certificate is revoked."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certcore.errors import InvalidInput

__all__ = ["RevocationReason"]

#: No spelling of a reason is longer, in characters.
_LONGEST: Final = 100


class RevocationReason(StrEnum):
    """The reasons that a subscriber may give (RFC 5280 section 5.3.1; the other codes belong to CAs)."""

    #: No reason is given.
    UNSPECIFIED = "unspecified"
    #: Somebody else has, or may have, the private key. CAs then refuse this key for good.
    KEY_COMPROMISE = "key_compromise"
    #: The organisation's name or other data of the subject have changed.
    AFFILIATION_CHANGED = "affiliation_changed"
    #: Another certificate has taken its place.
    SUPERSEDED = "superseded"
    #: The domain is not ours any more, or the site has ended.
    CESSATION_OF_OPERATION = "cessation_of_operation"

    @classmethod
    def parse(cls, text: str) -> RevocationReason:
        """The reason of this name, ``key_compromise``, ``key-compromise`` or ``keyCompromise``.

        Raises:
            InvalidInput: There is no such reason.
        """
        wanted = "".join(char for char in str(text)[: _LONGEST + 1].lower() if char.isalnum())
        for one in cls:
            if len(str(text)) <= _LONGEST and one.replace("_", "") == wanted:
                return one
        raise InvalidInput("reason", f"{str(text)[:40]!r} is not one of: {', '.join(cls)}.")

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
