"""The key types of certificates."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.input_limits import at_most

__all__ = ["KeyType"]

#: The longest spelling of a key type, in characters.
_LONGEST: Final = 100


class KeyType(StrEnum):
    """The key types that public CAs accept and certcore generates."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"

    @classmethod
    def parse(cls, text: str, *, field: str = "key_type") -> KeyType:
        """Read a key type as a person writes it (``EC-P256``, ``ec_p256``, ``RSA 2048``).

        Raises:
            InvalidInputError: There is no such key type.
        """
        normalized = at_most(str(text), _LONGEST).strip().lower().replace("_", "-").replace(" ", "-")
        try:
            return cls(normalized)
        except ValueError:
            params = {"key_type": repr(str(text)[:40]), "choices": ", ".join(cls)}
            reason = Message("input.not_key_type", "{key_type} is not a key type; choose one of {choices}.", params)
            raise InvalidInputError(field, reason) from None
