"""The kinds of ACME account key. Forms need them without josepy, whose import takes 50 ms."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["AccountKeyType"]


class AccountKeyType(StrEnum):
    """The kinds of account key that can be generated (RFC 7518 section 3.1)."""

    EC_P256 = "ec_p256"
    EC_P384 = "ec_p384"
    RSA_2048 = "rsa_2048"
    RSA_3072 = "rsa_3072"
    RSA_4096 = "rsa_4096"

    @property
    def title(self) -> str:  # type: ignore[override]
        """For people."""
        return _TITLES[self]


_TITLES: Final = MappingProxyType(
    {
        AccountKeyType.EC_P256: "ECDSA P-256 (ES256)",
        AccountKeyType.EC_P384: "ECDSA P-384 (ES384)",
        AccountKeyType.RSA_2048: "RSA 2048 (RS256)",
        AccountKeyType.RSA_3072: "RSA 3072 (RS256)",
        AccountKeyType.RSA_4096: "RSA 4096 (RS256)",
    }
)
