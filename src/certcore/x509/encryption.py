"""Encrypt private keys with a password: PKCS#8 and PKCS#12, with many rounds of key derivation.

The package ``cryptography`` writes both formats, but with only 2048 rounds for PKCS#8 and for the MAC of PKCS#12, and
an attacker can guess the password from the MAC as well as from the ciphertext. So this module writes the ASN.1 of both
itself, and takes the cryptographic primitives from the package.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import pkcs12

from certcore.model.secret import Secret
from certcore.x509.der import read_value, read_values, written
from certcore.x509.keys import PrivateKey, private_key_der

__all__ = ["encrypted_private_key", "key_store"]

#: Each attempt to decrypt takes 0.1 to 0.5 seconds, with the right password or a wrong one.
_KEY_ROUNDS: Final = 600_000
#: A file needs three derivations, and some readers refuse more than 600,000 rounds in total.
_STORE_ROUNDS: Final = 200_000
#: A number of rounds that old programs read quickly.
_LEGACY_ROUNDS: Final = 50_000
_SALT_BITS: Final = 128
_AES_BITS: Final = 256

# ASN.1 (X.690): the tags, and the object identifiers as they are encoded.
_INTEGER, _OCTETS, _NULL, _OID, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_PBES2: Final = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_PBKDF2: Final = bytes.fromhex("2a864886f70d01050c")  # 1.2.840.113549.1.5.12
_HMAC_SHA256: Final = bytes.fromhex("2a864886f70d0209")  # 1.2.840.113549.2.9
_AES_256_CBC: Final = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42
_SHA256: Final = bytes.fromhex("608648016503040201")  # 2.16.840.1.101.3.4.2.1


def encrypted_private_key(key: PrivateKey, password: Secret) -> bytes:
    """The key as encrypted PKCS#8 in DER (RFC 5958 section 3).

    The encryption is PBES2 (RFC 8018 section 6.2) with PBKDF2, HMAC-SHA-256 and AES-256-CBC: of the schemes that are
    not outdated, the one that most programs read.
    """
    plain = private_key_der(key)
    salt, start = _random(), _random()
    derived = PBKDF2HMAC(hashes.SHA256(), _AES_BITS // 8, salt, _KEY_ROUNDS).derive(password.reveal())
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(derived), modes.CBC(start)).encryptor()
    ciphertext = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _algorithm(
        _PBKDF2, _der(_SEQUENCE, _der(_OCTETS, salt), _integer(_KEY_ROUNDS), _algorithm(_HMAC_SHA256, _der(_NULL)))
    )
    scheme = _algorithm(_PBES2, _der(_SEQUENCE, derivation, _algorithm(_AES_256_CBC, _der(_OCTETS, start))))
    return _der(_SEQUENCE, scheme, _der(_OCTETS, ciphertext))


def key_store(
    key: PrivateKey, certificates: Sequence[x509.Certificate], *, password: Secret, name: str, legacy: bool = False
) -> bytes:
    """The key with its certificates as PKCS#12 (RFC 7292).

    Args:
        key: The private key of the leaf.
        certificates: The leaf first.
        password: The password for the encryption and for the MAC.
        name: The leaf's friendly name.
        legacy: Use Triple DES and SHA-1 instead of AES-256 and SHA-256. Windows before Server 2019 and Java before
            8u301 read nothing else.

    Returns:
        The file, in DER.
    """
    builder = serialization.PrivateFormat.PKCS12.encryption_builder()
    if legacy:
        builder = builder.kdf_rounds(_LEGACY_ROUNDS).hmac_hash(hashes.SHA1())  # noqa: S303 - the caller chose legacy
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    else:
        builder = builder.kdf_rounds(_STORE_ROUNDS).hmac_hash(hashes.SHA256())
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    store = pkcs12.serialize_key_and_certificates(
        name.encode(), key, certificates[0], certificates[1:], builder.build(password.reveal())
    )
    return store if legacy else _with_slow_mac(store, password)


def _with_slow_mac(store: bytes, password: Secret) -> bytes:
    """Replace the MacData of a PKCS#12 file (RFC 7292 section 4) by one that is as slow to guess as the encryption."""
    content = read_value(store).content
    _version, auth_safe, *_ = read_values(content)
    _content_type, explicit = read_values(auth_safe.content)
    secured = read_value(explicit.content).content
    salt = _random()
    digest = hmac.digest(_mac_key(password, salt), secured, "sha256")
    digest_info = _der(_SEQUENCE, _algorithm(_SHA256, _der(_NULL)), _der(_OCTETS, digest))
    mac = _der(_SEQUENCE, digest_info, _der(_OCTETS, salt), _integer(_STORE_ROUNDS))
    return _der(_SEQUENCE, content[: auth_safe.end], mac)


def _mac_key(password: Secret, salt: bytes) -> bytes:
    """Derive the MAC key (RFC 7292 appendix B.2). It is as long as the digest, so the outer loop runs once."""
    text = password.reveal_text().encode("utf-16-be") + b"\0\0"  # a BMPString with its terminator
    digest = hashlib.sha256(b"\3" * 64 + _repeated(salt) + _repeated(text)).digest()
    for _ in range(_STORE_ROUNDS - 1):
        digest = hashlib.sha256(digest).digest()
    return digest


def _repeated(data: bytes) -> bytes:
    """The data repeated and cut so that it fills whole blocks of SHA-256."""
    size = -(-len(data) // 64) * 64
    return (data * (size // len(data) + 1))[:size]


def _random() -> bytes:
    """Random bytes from the random source of ``cryptography``, which private keys come from, too."""
    return AESGCM.generate_key(_SALT_BITS)


def _algorithm(identifier: bytes, *parameters: bytes) -> bytes:
    return _der(_SEQUENCE, _der(_OID, identifier), *parameters)


def _integer(number: int) -> bytes:
    return _der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _der(tag: int, *parts: bytes) -> bytes:
    return written(tag, b"".join(parts))
