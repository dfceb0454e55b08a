"""Private keys as JSON Web Keys (RFC 7517, RFC 7518 section 6)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certcore.errors import UnreadablePemError
from certcore.messages import Message
from certcore.x509.keys import PrivateKey, unusable_key
from certcore.x509.rsa_keys import MOST_BITS, rsa_key_fault

__all__ = ["private_key_of_jwk"]

_CURVES: Final = MappingProxyType({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()})
#: In characters. Base64 encodes six bits in each.
_LONGEST_NUMBER: Final = MOST_BITS // 6 + 2


def private_key_of_jwk(members: Mapping[str, Any]) -> PrivateKey:
    """Read a private key from a JWK: EC on P-256 or P-384, or RSA of 2048 to 4096 bits. The numbers are checked.

    Args:
        members: The members of the JSON object, for example ``kty`` and ``n``.

    Raises:
        UnreadablePemError: It is not such a key, or is damaged. The message contains nothing of the key.
    """
    try:
        key = _key(members)
    except (ValueError, KeyError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError):
        reason = Message("private_key.not_jwk", "This is not the JWK of a private key (RFC 7517).")
        raise UnreadablePemError(reason) from None
    if isinstance(key, rsa.RSAPrivateKey) and (fault := rsa_key_fault(key)):
        raise unusable_key(fault)
    return key


def _key(members: Mapping[str, Any]) -> PrivateKey:
    if members["kty"] == "EC":
        public = ec.EllipticCurvePublicNumbers(_number(members["x"]), _number(members["y"]), _CURVES[members["crv"]])
        return ec.EllipticCurvePrivateNumbers(_number(members["d"]), public).private_key()
    if members["kty"] != "RSA":
        raise ValueError("another kind of key")
    numbers = rsa.RSAPrivateNumbers(
        p=_number(members["p"]),
        q=_number(members["q"]),
        d=_number(members["d"]),
        dmp1=_number(members["dp"]),
        dmq1=_number(members["dq"]),
        iqmp=_number(members["qi"]),
        public_numbers=rsa.RSAPublicNumbers(_number(members["e"]), _number(members["n"])),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _number(text: Any) -> int:
    if not isinstance(text, str) or len(text) > _LONGEST_NUMBER:
        raise ValueError("no number, or too long")
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
