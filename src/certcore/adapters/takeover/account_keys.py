"""Account keys of other clients, PEM or JWK (RFC 7517), converted to PKCS#8 PEM."""

from __future__ import annotations

from typing import Final

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.adapters.takeover.source_directory import Tree, shown
from certcore.errors import TakeoverError, UnreadablePemError
from certcore.messages import Message
from certcore.model.secret import Secret
from certcore.x509.jwk import private_key_of_jwk
from certcore.x509.keys import PrivateKey, key_type_of, load_private_key, private_key_pem, spki_sha256

__all__ = ["AccountKey", "jwk_key", "pem_key"]

#: The largest key file, in bytes. An RSA private key of 4096 bits takes less than 4 KiB.
_LARGEST: Final = 8 * 1024


@frozen(kw_only=True)
class AccountKey:
    """An account's private key."""

    #: Unencrypted PKCS#8 PEM.
    pem: Secret
    #: SHA-256 of the public key, which identifies the key.
    spki_sha256: str


def pem_key(tree: Tree, *parts: str) -> AccountKey:
    """Read a PEM key of any format.

    Raises:
        CertCoreError: It is missing, damaged or encrypted, or of a type that certcore does not use for ACME accounts.
    """
    data = tree.read(*parts)
    if len(data) > _LARGEST:
        text = "{path} is too large for a private key."
        raise TakeoverError(Message("takeover.key_too_large", text, {"path": shown(*parts)}))
    try:
        key = load_private_key(data)
    except UnreadablePemError as error:
        raise TakeoverError(_of_file(parts, error)) from None
    return _checked(key, parts)


def jwk_key(tree: Tree, *parts: str) -> AccountKey:
    """Read a JWK key.

    Raises:
        CertCoreError: As for `pem_key`. The error does not contain the file's content.
    """
    members = tree.document(*parts)
    try:
        key = private_key_of_jwk(members)
    except UnreadablePemError as error:
        raise TakeoverError(_of_file(parts, error)) from None
    return _checked(key, parts)


def _of_file(parts: tuple[str, ...], error: UnreadablePemError) -> Message:
    return Message("takeover.of_file", "{path}: {reason}", {"path": shown(*parts), "reason": error.text})


def _checked(key: PrivateKey, parts: tuple[str, ...]) -> AccountKey:
    if key_type_of(key) is None and isinstance(key, ec.EllipticCurvePrivateKey):
        text = "The key in {path} is of a type that certcore does not use for ACME accounts."
        advice = "Change it to ECDSA P-256 with that client, or open a new account."
        raise TakeoverError(
            Message("takeover.key_type", text, {"path": shown(*parts)}),
            advice=Message("takeover.key_type.advice", advice),
        )
    return AccountKey(pem=Secret(private_key_pem(key)), spki_sha256=spki_sha256(key.public_key()))
