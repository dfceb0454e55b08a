"""What kinds of key a certificate may have."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from certcore.errors import InvalidInput
from certcore.model.bounds import at_most

__all__ = ["KeyType"]

#: No spelling of a key type is longer, in characters.
_LONGEST: Final = 100


class KeyType(StrEnum):
    """The key types that public CAs accept and that we make."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"

    @classmethod
    def parse(cls, text: str, *, field: str = "key_type") -> KeyType:
        """Read a key type as a person writes it (``EC-P256``, ``ec_p256``, ``RSA 2048``).

        Raises:
            InvalidInput: There is no such key type.
        """
        wanted = at_most(str(text), _LONGEST).strip().lower().replace("_", "-").replace(" ", "-")
        try:
            return cls(wanted)
        except ValueError:
            choices = ", ".join(cls)
            raise InvalidInput(field, f"{str(text)[:40]!r} is not a key type; choose one of {choices}.") from None
