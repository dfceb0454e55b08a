"""Extract the private keys from PKCS#12 files (RFC 7292), so that they can be loaded like any other key.

The package ``cryptography`` loads a file as a whole, and checks an RSA key in it by testing its primes. That takes
seconds in which no other thread runs. So the keys are extracted and loaded separately, see `certcore.x509.rsa_keys`.
A small placeholder key becomes the first key of the remaining file, because the package reads only the first one.

The MAC is removed, because it does not fit the remaining file. A wrong password is still detected by decrypting. The
MAC would also detect changes; but the signatures, and whether key and leaf belong together, are checked anyway.
"""

from __future__ import annotations

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.x509.der import DATA, read_value, read_values, written
from certcore.x509.keys import private_key_der

__all__ = ["StoredKey", "parted_store", "store_of_key"]

_INTEGER, _OCTETS, _OID, _SEQUENCE, _CONTEXT_0 = 0x02, 0x04, 0x06, 0x30, 0xA0
_VERSION = b"\x03"
_KEY_BAG = bytes.fromhex("2a864886f70d010c0a0101")  # 1.2.840.113549.1.12.10.1.1
_SHROUDED_KEY_BAG = bytes.fromhex("2a864886f70d010c0a0102")  # 1.2.840.113549.1.12.10.1.2


@frozen
class StoredKey:
    """A private key of a PKCS#12 file."""

    #: PKCS#8 in DER.
    der: bytes = field(repr=False)
    #: Whether `der` is an EncryptedPrivateKeyInfo.
    encrypted: bool


def parted_store(der: bytes) -> tuple[bytes, list[StoredKey]]:
    """Separate the private keys from a PKCS#12 file.

    Args:
        der: The file, in DER.

    Returns:
        The file without its keys and its MAC, and the keys.

    Raises:
        ValueError: It is not a PKCS#12 file that is protected by a password.
    """
    version, content, *_ = read_values(read_value(der).content)
    keys: list[StoredKey] = []
    safes = [_placeholder_safe()]
    for safe in read_values(_sequence(_data(content.content))):
        kind, *wrapped = read_values(safe.content)
        if kind.content != DATA:  # an encrypted safe, usually with the certificates
            safes.append(written(safe.tag, safe.content))
            continue
        bags = read_values(_sequence(read_value(wrapped[0].content).content))
        kept = [written(bag.tag, bag.content) for bag in bags if not _takes_key(bag.content, keys)]
        safes.append(_data_content(written(_SEQUENCE, b"".join(kept))))
    inside = _data_content(written(_SEQUENCE, b"".join(safes)))
    return written(_SEQUENCE, written(version.tag, version.content) + inside), keys


def store_of_key(key: StoredKey) -> bytes:
    """A PKCS#12 file with one key and no MAC."""
    kind = _SHROUDED_KEY_BAG if key.encrypted else _KEY_BAG
    bag = written(_SEQUENCE, written(_OID, kind) + written(_CONTEXT_0, key.der))
    inside = _data_content(written(_SEQUENCE, _data_content(written(_SEQUENCE, bag))))
    return written(_SEQUENCE, written(_INTEGER, _VERSION) + inside)


def _takes_key(bag: bytes, keys: list[StoredKey]) -> bool:
    kind, value, *_ = read_values(bag)
    if kind.content not in (_KEY_BAG, _SHROUDED_KEY_BAG):
        return False
    keys.append(StoredKey(value.content, encrypted=kind.content == _SHROUDED_KEY_BAG))
    return True


def _data(content: bytes) -> bytes:
    """The content of a ContentInfo of type data (RFC 5652 section 4)."""
    kind, wrapped = read_values(content)
    if kind.content != DATA:
        raise ValueError("signed, not protected by a password")
    return read_value(wrapped.content).content


def _sequence(data: bytes) -> bytes:
    value = read_value(data)
    if value.tag != _SEQUENCE:
        raise ValueError("something else")
    return value.content


def _data_content(octets: bytes) -> bytes:
    return written(_SEQUENCE, written(_OID, DATA) + written(_CONTEXT_0, written(_OCTETS, octets)))


def _placeholder_safe() -> bytes:
    key = private_key_der(ec.generate_private_key(ec.SECP256R1()))
    bag = written(_SEQUENCE, written(_OID, _KEY_BAG) + written(_CONTEXT_0, key))
    return _data_content(written(_SEQUENCE, bag))
