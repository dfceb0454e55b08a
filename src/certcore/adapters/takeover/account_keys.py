"""Account keys as other clients keep them, PEM or JWK (RFC 7517), written out in one way."""

from __future__ import annotations

from typing import Final

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.adapters.takeover.tree import Tree, shown
from certcore.errors import CertCoreError, UnreadablePem
from certcore.model.secret import Secret
from certcore.x509.jwk import private_key_of_jwk
from certcore.x509.keys import PrivateKey, key_type_of, load_private_key, private_key_pem, spki_sha256

__all__ = ["AccountKey", "jwk_key", "pem_key"]

#: A private key of RSA with 4096 bits takes less than 4 KiB.
_LARGEST: Final = 8 * 1024


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
        key = private_key_of_jwk(members)
    except UnreadablePem as error:
        raise CertCoreError(f"{shown(*parts)}: {error.message}") from None
    return _checked(key, parts)


def _checked(key: PrivateKey, parts: tuple[str, ...]) -> AccountKey:
    if key_type_of(key) is None and isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertCoreError(
            f"The key in {shown(*parts)} is of a kind that is not used for ACME accounts here.",
            advice="Let that client change it to ECDSA P-256, or open a new account.",
        )
    return AccountKey(pem=Secret(private_key_pem(key)), spki_sha256=spki_sha256(key.public_key()))
