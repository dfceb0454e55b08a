"""Generate, read, write and classify private keys."""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from certcore.errors import UnreadablePemError
from certcore.messages import Message
from certcore.model.keys import KeyType
from certcore.x509.rsa_keys import rsa_key_fault

__all__ = [
    "USE_ANOTHER_KEY",
    "PrivateKey",
    "certificate_public_key_pem",
    "certificate_spki_sha256",
    "generate_key",
    "is_usual",
    "key_type_of",
    "load_private_key",
    "private_key_der",
    "private_key_pem",
    "public_key_pem",
    "spki_sha256",
    "unusable_key",
]

#: The types of private keys that managed certificates have.
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_RSA_BITS: Final = MappingProxyType({KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096})
#: The usual public exponent, 2^16 + 1. CAs accept no smaller one (Baseline Requirements, section 6.1.6).
_EXPONENT: Final = 65537
#: In bytes. A private key of 8192 bits is shorter; longer texts are not parsed.
_LONGEST_PEM: Final = 16 * 1024
#: The advice for a key of the wrong type or size.
USE_ANOTHER_KEY: Final = Message("private_key.use", "Use an EC key, or an RSA key of 2048 to 4096 bits.")


def generate_key(key_type: KeyType) -> PrivateKey:
    """Generate a key. EC takes microseconds, RSA up to seconds; so do not call it within a transaction."""
    match key_type:
        case KeyType.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyType.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return rsa.generate_private_key(_EXPONENT, _RSA_BITS[key_type])


def private_key_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM (RFC 5958). The result is a secret."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def private_key_der(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 in DER. The result is a secret."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private_key(pem: bytes, *, trusted: bool = False) -> PrivateKey:
    """Read a private key.

    Args:
        pem: The key in PEM, unencrypted.
        trusted: Skip the check of RSA keys (see `certcore.x509.rsa_keys`). Only for keys that were generated or checked
            here and have been sealed since.

    Raises:
        UnreadablePemError: The text is not an EC or RSA private key, or is encrypted or longer than 16 KiB, or the key
            must not be used. The message contains nothing of the text.
    """
    if len(pem) > _LONGEST_PEM:
        reason = Message("private_key.longer_than_any", "The private key is longer than CAs accept.")
        raise UnreadablePemError(reason, advice=USE_ANOTHER_KEY)
    try:
        key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        raise UnreadablePemError(
            Message("private_key.encrypted", "The private key is encrypted."),
            advice=Message("private_key.encrypted.advice", "Decrypt it first, or give its password."),
        ) from None
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise UnreadablePemError(
            Message("private_key.not_pem", "The text is not a private key in PEM."),
            advice=Message("private_key.not_pem.advice", "Paste the whole block, with its BEGIN and END lines."),
        ) from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        reason = Message("private_key.kind", "The private key has a type that CAs do not accept.")
        raise UnreadablePemError(reason, advice=USE_ANOTHER_KEY)
    if not trusted and isinstance(key, rsa.RSAPrivateKey) and (fault := rsa_key_fault(key)):
        raise unusable_key(fault, advice=USE_ANOTHER_KEY)
    return key


def unusable_key(fault: Message, *, advice: str | Message = "") -> UnreadablePemError:
    """The error for a private key that can be read but must not be used."""
    return UnreadablePemError(
        Message("private_key.unusable", "The private key cannot be used: {fault}", {"fault": fault}), advice=advice
    )


def key_type_of(key: PublicKeyTypes | PrivateKey) -> KeyType | None:
    """The key type; None for types and sizes that `generate_key` does not make."""
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        return {"secp256r1": KeyType.EC_P256, "secp384r1": KeyType.EC_P384}.get(key.curve.name)
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return next((kind for kind, bits in _RSA_BITS.items() if bits == key.key_size), None)
    return None


def is_usual(key: PrivateKey) -> bool:
    """Whether a key is not RSA, or is RSA with the public exponent 65537. CAs refuse other exponents."""
    return not isinstance(key, rsa.RSAPrivateKey) or key.public_key().public_numbers().e == _EXPONENT


def public_key_pem(key: PublicKeyTypes) -> str:
    """The public key as SubjectPublicKeyInfo PEM (RFC 7468 section 13)."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def certificate_public_key_pem(certificate_pem: str) -> str:
    """The public key of a stored certificate as PEM; empty for an empty text and for keys other than EC and RSA."""
    if not certificate_pem:
        return ""
    key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    return public_key_pem(key) if isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)) else ""


def certificate_spki_sha256(certificate_pem: str) -> str:
    """SHA-256 over the public key of a stored certificate, computed by `spki_sha256`.

    Raises:
        UnreadablePemError: The text is not a certificate in PEM.
    """
    try:
        return spki_sha256(x509.load_pem_x509_certificate(certificate_pem.encode()).public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadablePemError(Message("x509.not_a_certificate", "The text is not a certificate in PEM.")) from None


def spki_sha256(key: PublicKeyTypes) -> str:
    """SHA-256 over the SubjectPublicKeyInfo, in lower-case hex. A key, its CSR and its leaf have the same value."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
