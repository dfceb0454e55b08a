"""Read the details of a certificate (RFC 5280 section 4.1)."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from certcore.errors import UnreadablePemError
from certcore.messages import Message
from certcore.model.leaf import Leaf
from certcore.x509.csr import alternative_names
from certcore.x509.keys import spki_sha256

__all__ = ["leaf_details"]

_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def leaf_details(certificate: x509.Certificate) -> Leaf:
    """The details of a certificate (RFC 5280 section 4.1).

    Raises:
        UnreadablePemError: Its serial number is not positive, or its contents cannot be read.
    """
    if certificate.serial_number <= 0:
        text = "The certificate's serial number is not a positive number (RFC 5280 section 4.1.2.2)."
        raise UnreadablePemError(Message("x509.serial_number.not_positive", text))
    try:
        der = certificate.public_bytes(serialization.Encoding.DER)
        key = certificate.public_key()
        algorithm, size = _public_key(key)
        return Leaf(
            names=alternative_names(certificate.extensions),
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            serial_hex=f"{certificate.serial_number:x}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            signature_algorithm=_signature_algorithm(certificate),
            public_key_algorithm=algorithm,
            key_size=size,
            fingerprint_sha256=hashlib.sha256(der).hexdigest(),
            fingerprint_sha1=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
            spki_sha256=spki_sha256(key),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        reason = Message("x509.unreadable_leaf", "The certificate has contents that cannot be read.")
        raise UnreadablePemError(reason) from None


def _public_key(key: PublicKeyTypes) -> tuple[str, int]:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}", key.key_size
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 256
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 448
    return type(key).__name__, int(getattr(key, "key_size", 0))


def _signature_algorithm(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid
    name: str = getattr(oid, "_name", "")  # cryptography has no public attribute for the name
    return name if name and name != "Unknown OID" else oid.dotted_string
