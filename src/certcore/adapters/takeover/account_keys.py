"""Account keys as other clients keep them, PEM or JWK (RFC 7517), written out in one way."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certcore.adapters.takeover.tree import Tree, shown
from certcore.errors import CertCoreError, UnreadablePem
from certcore.model.secret import Secret
from certcore.x509.keys import PrivateKey, load_private_key, private_key_pem, spki_sha256

__all__ = ["AccountKey", "jwk_key", "pem_key"]

#: A private key of RSA with 8192 bits takes less than 7 KiB, and a longer one takes minutes to check.
_LARGEST: Final = 8 * 1024
_MOST_BITS: Final = 8192
_FEWEST_BITS: Final = 2048
_CURVES: Final = MappingProxyType({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()})


@frozen(kw_only=True)
class AccountKey:
    """An account's private key."""

    #: Unencrypted PKCS#8 PEM.
    pem: Secret
    #: SHA-256 over the public key: the same for the same key.
    spki_sha256: str


def pem_key(tree: Tree, *parts: str) -> AccountKey:
    """A key in PEM, of any form.

    Raises:
        CertCoreError: It is missing, damaged, encrypted, or of a kind that ACME accounts of ours do not have.
    """
    data = tree.read(*parts)
    if len(data) > _LARGEST:
        raise CertCoreError(f"{shown(*parts)} is too large for a private key.")
    try:
        key = load_private_key(data)
    except UnreadablePem as error:
        raise CertCoreError(f"{shown(*parts)}: {error.message}") from None
    return _checked(key, parts)


def jwk_key(tree: Tree, *parts: str) -> AccountKey:
    """A key as a JWK.

    Raises:
        CertCoreError: As for `pem_key`; nothing of what the file holds is repeated.
    """
    members = tree.document(*parts)
    try:
        key = _from_jwk(members)
    except (ValueError, KeyError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError):
        key = None
    if key is None:
        raise CertCoreError(f"{shown(*parts)} is not the JWK of a private key (RFC 7517).")
    return _checked(key, parts)


def _from_jwk(members: Mapping[str, Any]) -> PrivateKey | None:
    def number(name: str) -> int:
        text = members[name]
        if not isinstance(text, str) or len(text) > _MOST_BITS // 6 + 2:
            raise ValueError(name)
        return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    if members.get("kty") == "EC" and members.get("crv") in _CURVES:
        public = ec.EllipticCurvePublicNumbers(number("x"), number("y"), _CURVES[members["crv"]])
        return ec.EllipticCurvePrivateNumbers(number("d"), public).private_key()
    if members.get("kty") == "RSA":
        numbers = rsa.RSAPrivateNumbers(
            p=number("p"),
            q=number("q"),
            d=number("d"),
            dmp1=number("dp"),
            dmq1=number("dq"),
            iqmp=number("qi"),
            public_numbers=rsa.RSAPublicNumbers(number("e"), number("n")),
        )
        return numbers.private_key()
    return None


def _checked(key: PrivateKey, parts: tuple[str, ...]) -> AccountKey:
    if isinstance(key, rsa.RSAPrivateKey):
        good = _FEWEST_BITS <= key.key_size <= _MOST_BITS
    else:
        good = key.curve.name in {curve.name for curve in _CURVES.values()}
    if not good:
        raise CertCoreError(
            f"The key in {shown(*parts)} is of a kind that is not used for ACME accounts here.",
            advice="Let that client change it to ECDSA P-256, or open a new account.",
        )
    return AccountKey(pem=Secret(private_key_pem(key)), spki_sha256=spki_sha256(key.public_key()))
