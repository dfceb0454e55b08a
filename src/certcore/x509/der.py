"""A small reader of DER and BER (X.690): the kind of a value, its end, and the cost of decrypting it.

The package ``cryptography`` parses the values. But it must be told what kind they are, and it does not limit the
number of key derivation rounds that a file may ask for.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from attrs import frozen

from certcore.messages import Message

__all__ = [
    "DATA",
    "Kind",
    "Value",
    "definite",
    "kind_of",
    "opening_cost",
    "pem_block",
    "read_value",
    "read_values",
    "signed_certificates",
    "written",
]

# The tags that are distinguished.
_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_CONTEXT_0: Final = 0xA0
_CONSTRUCTED: Final = 0x20
_TIMES: Final = (0x17, 0x18)
_LONG_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_END: Final = b"\0\0"
#: The deepest nesting that is read. The key of a PKCS#12 file, the deepest of all kinds, has nine levels.
_DEEPEST: Final = 12
#: How often values may be wrapped into octet strings. PKCS#12 does it twice: the safes in the file, and the bags in a
#: safe (RFC 7292 section 4).
_MOST_WRAPPED: Final = 3
#: The largest number of values that one call reads. Twenty certificates with many extensions have a few thousand.
_MOST_VALUES: Final = 20_000
#: The largest number of bytes in which a length is written; four bytes count up to 4 GiB.
_LONGEST_LENGTH: Final = 4

#: The type of a ContentInfo that is neither signed nor encrypted.
DATA: Final = bytes.fromhex("2a864886f70d010701")  # 1.2.840.113549.1.7.1 (RFC 5652 section 4)
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2 (RFC 5652 section 5.1)
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11 (RFC 7914 section 7)
#: One scrypt block takes about as long as this many rounds of HMAC.
_ROUNDS_PER_BLOCK: Final = 8


class Kind(StrEnum):
    """The kinds of values that people paste into a field for a certificate or a key."""

    CERTIFICATE = "certificate"
    PRIVATE_KEY = "private_key"
    ENCRYPTED_KEY = "encrypted_key"
    #: A key in PEM whose headers, not its DER, say how it is encrypted (RFC 1421 section 4.6.1.1).
    OLD_ENCRYPTED_KEY = "old_encrypted_key"
    PKCS7 = "pkcs7"
    PKCS12 = "pkcs12"
    REQUEST = "request"
    REVOCATION_LIST = "revocation_list"
    PUBLIC_KEY = "public_key"
    SSH = "ssh"
    PGP = "pgp"
    KEY_STORE = "key_store"
    ARCHIVE = "archive"
    WEB_PAGE = "web_page"
    UNKNOWN = "unknown"

    @property
    def label(self) -> Message:
        """The name of the kind in a sentence, for example ``a certificate``."""
        return _LABELS[self]


_LABELS: Final = MappingProxyType(
    {
        Kind.CERTIFICATE: Message("x509.kind.certificate", "a certificate"),
        Kind.PRIVATE_KEY: Message("x509.kind.private_key", "a private key"),
        Kind.ENCRYPTED_KEY: Message("x509.kind.encrypted_key", "an encrypted private key"),
        Kind.OLD_ENCRYPTED_KEY: Message(
            "x509.kind.old_encrypted_key", "a private key in OpenSSL's traditional encrypted form"
        ),
        Kind.PKCS7: Message("x509.kind.pkcs7", "a PKCS#7 bundle"),
        Kind.PKCS12: Message("x509.kind.pkcs12", "a PKCS#12 file"),
        Kind.REQUEST: Message("x509.kind.request", "a certificate signing request (CSR)"),
        Kind.REVOCATION_LIST: Message("x509.kind.revocation_list", "a certificate revocation list (CRL)"),
        Kind.PUBLIC_KEY: Message("x509.kind.public_key", "a public key"),
        Kind.SSH: Message("x509.kind.ssh", "an SSH key"),
        Kind.PGP: Message("x509.kind.pgp", "a PGP key or message"),
        Kind.KEY_STORE: Message("x509.kind.key_store", "a Java key store"),
        Kind.ARCHIVE: Message("x509.kind.archive", "an archive"),
        Kind.WEB_PAGE: Message("x509.kind.web_page", "a web page"),
        Kind.UNKNOWN: Message("x509.kind.unknown", "something else"),
    }
)


@frozen
class Value:
    """One value of DER or BER."""

    tag: int
    content: bytes
    #: The offset behind the value, where the next one begins.
    end: int


def read_value(data: bytes, at: int = 0) -> Value:
    """Read the value at an offset. Its length may be definite or indefinite.

    Raises:
        ValueError: There is no value, it is truncated, or it exceeds the limits.
    """
    return _read(data, at, _steps())


def read_values(data: bytes) -> list[Value]:
    """Read consecutive values up to the end of the data.

    Raises:
        ValueError: The data is not a sequence of values, or exceeds the limits.
    """
    return _read_all(data, _steps())


def kind_of(data: bytes) -> Kind:
    """Recognise the kind of a value by its two or three outer layers. The value may still be damaged inside."""
    try:
        outer = read_value(data)
        parts = read_values(outer.content)
        tags = [part.tag for part in parts]
        inner = read_values(parts[0].content) if tags[:1] == [_SEQUENCE] else []
    except ValueError:
        return Kind.UNKNOWN
    kind = Kind.UNKNOWN
    match [outer.tag, *tags]:
        case [0x30, 0x30, 0x30, 0x03]:
            kind = _kind_of_signed(inner)
        case [0x30, 0x30, 0x03] | [0x30, 0x02, 0x02]:
            kind = Kind.PUBLIC_KEY
        case [0x30, 0x30, 0x04]:
            kind = Kind.ENCRYPTED_KEY
        case [0x30, 0x02, 0x30, *_] if parts[0].content == b"\x03":
            kind = Kind.PKCS12
        case [0x30, 0x02, 0x30, 0x04, *_] | [0x30, 0x02, 0x04, *_] | [0x30, 0x02, 0x02, 0x02, 0x02, *_]:
            kind = Kind.PRIVATE_KEY
        case [0x30, 0x06, *_] if parts[0].content == _SIGNED_DATA:
            kind = Kind.PKCS7
    return kind


def opening_cost(data: bytes) -> tuple[int, int]:
    """The cost of decrypting an encrypted key or a PKCS#12 file, as far as it is visible before decryption.

    BER is accepted wherever OpenSSL accepts it, so that no unusual encoding can hide a cost.

    Returns:
        The number of key derivation rounds of all parts together, and the length of the longest encrypted key in bytes.

    Raises:
        ValueError: A part cannot be read, so its cost is unknown.
    """
    return _cost_inside(data, 0, _steps())


def definite(data: bytes) -> bytes:
    """Convert BER to DER as far as needed: definite lengths, and every octet string in one piece.

    Raises:
        ValueError: The data is not a sequence of values, is nested too deeply, or exceeds the limits.
    """
    return _definite(data, 0, _steps())


def signed_certificates(data: bytes) -> list[bytes]:
    """The certificates of a PKCS#7 bundle (RFC 5652 section 5.1), each in DER.

    ``cryptography`` deprecates bundles whose certificates are not in DER's order of a SET OF. OpenSSL and other
    programs write them in the order in which they were given, so the bundle is read here.

    Raises:
        ValueError: The data is not a PKCS#7 bundle.
    """
    (bundle,) = read_values(data)
    _, wrapped = read_values(bundle.content)
    (signed,) = read_values(wrapped.content)
    for part in read_values(signed.content):
        if part.tag == _CONTEXT_0:
            return [written(value.tag, value.content) for value in read_values(part.content) if value.tag == _SEQUENCE]
    return []


def _steps() -> Iterator[int]:
    """The budget of a call: an iterator with one item for each value that may be read."""
    return iter(range(_MOST_VALUES))


def _header(data: bytes, at: int, steps: Iterator[int]) -> tuple[int, int | None, int]:
    """The tag of a value, its length (None if it is indefinite), and the offset of its contents."""
    head = data[at : at + 2]
    if len(head) < len(_END) or head[0] & _LONG_TAG == _LONG_TAG:
        raise ValueError("not a value of DER or BER")
    if next(steps, None) is None:
        raise ValueError("too many values")
    tag, length = head
    start = at + 2
    if length == _INDEFINITE:
        if not tag & _CONSTRUCTED:
            raise ValueError("a primitive value has a definite length")
        return tag, None, start
    if length > _INDEFINITE:
        count = length & ~_INDEFINITE
        octets = data[start : start + count]
        if count > _LONGEST_LENGTH or len(octets) < count:
            raise ValueError("the length is cut off or too long")
        length = int.from_bytes(octets, "big")
        start += count
    if start + length > len(data):
        raise ValueError("the value is cut off")
    return tag, length, start


def _read(data: bytes, at: int, steps: Iterator[int]) -> Value:
    tag, length, start = _header(data, at, steps)
    if length is not None:
        return Value(tag, data[start : start + length], start + length)
    # Skip the inner values up to the end-of-contents octets (X.690 section 8.1.5).
    end, depth = start, 1
    while depth:
        if data[end : end + 2] == _END:
            depth -= 1
            end += 2
            continue
        _, inner, end = _header(data, end, steps)
        if inner is not None:
            end += inner
            continue
        depth += 1
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
    return Value(tag, data[start : end - 2], end)


def _read_all(data: bytes, steps: Iterator[int]) -> list[Value]:
    values, at = [], 0
    while at < len(data):
        value = _read(data, at, steps)
        values.append(value)
        at = value.end
    return values


def _definite(data: bytes, depth: int, steps: Iterator[int]) -> bytes:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    return b"".join(
        written(_OCTETS, _joined(value.content, depth + 1, steps))
        if value.tag == _OCTETS | _CONSTRUCTED
        else written(value.tag, _definite(value.content, depth + 1, steps))
        if value.tag & _CONSTRUCTED
        else written(value.tag, value.content)
        for value in _read_all(data, steps)
    )


def _joined(content: bytes, depth: int, steps: Iterator[int]) -> bytes:
    """The contents of an OCTET STRING. BER allows to divide it into pieces, and each piece again."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    pieces = _read_all(content, steps)
    if any(piece.tag & ~_CONSTRUCTED != _OCTETS for piece in pieces):
        raise ValueError("a piece of an octet string is something else")
    return b"".join(
        _joined(piece.content, depth + 1, steps) if piece.tag & _CONSTRUCTED else piece.content for piece in pieces
    )


def written(tag: int, content: bytes) -> bytes:
    """Encode a value in DER. The tag has one byte."""
    length = len(content)
    if length < _INDEFINITE:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _INDEFINITE | len(octets)]) + octets + content


def pem_block(label: str, der: bytes, *headers: str) -> bytes:
    """Encode a value in PEM (RFC 7468): the headers of RFC 1421, if any, and the base64 in lines of 64 characters."""
    body = textwrap.wrap(base64.b64encode(der).decode(), 64)
    lines = (f"-----BEGIN {label}-----", *headers, *body, f"-----END {label}-----")
    return "".join(f"{line}\n" for line in lines).encode()


def _kind_of_signed(inner: list[Value]) -> Kind:
    """Distinguish certificates, requests and revocation lists: all of them are (contents, algorithm, signature)."""
    tags = [part.tag for part in inner]
    if tags[:1] == [_CONTEXT_0]:
        return Kind.CERTIFICATE
    if any(tag in _TIMES for tag in tags):
        return Kind.REVOCATION_LIST
    # The second value of a version 1 certificate is its algorithm; that of a request is its subject, which is a
    # SEQUENCE of SETs or empty.
    if tags[:2] == [_INTEGER, _SEQUENCE]:
        return Kind.CERTIFICATE if inner[1].content[:1] == bytes([_OID]) else Kind.REQUEST
    return Kind.UNKNOWN


def _cost_inside(data: bytes, wrapped: int, steps: Iterator[int]) -> tuple[int, int]:
    if wrapped > _MOST_WRAPPED:
        raise ValueError("nested too deeply")
    return _cost(_read_all(_definite(data, 0, steps), steps), wrapped, steps)


def _cost(parts: Sequence[Value], wrapped: int, steps: Iterator[int]) -> tuple[int, int]:
    """Add up the costs of the values and of everything in them.

    The parameters of every key derivation, and of the MAC of PKCS#12 (RFC 7292), are (salt, rounds, …).
    """
    rounds, longest, below = 0, 0, []
    for part, following in pairwise(parts):
        if (part.tag, following.tag) == (_OCTETS, _INTEGER):
            rounds += int.from_bytes(following.content, "big")
        elif (part.tag, following.tag) == (_SEQUENCE, _OCTETS):
            longest = max(longest, len(following.content))
        elif (part.tag, part.content) == (_OID, _SCRYPT):
            rounds += _scrypt_rounds(following.content, steps)
        elif (part.tag, part.content, following.tag) == (_OID, DATA, _CONTEXT_0):
            # Octet strings elsewhere are encrypted, so nothing can be read in them.
            inner = (each.content for each in _read_all(following.content, steps) if each.tag == _OCTETS)
            below += [_cost_inside(each, wrapped + 1, steps) for each in inner]
    below += [_cost(_read_all(part.content, steps), wrapped, steps) for part in parts if part.tag & _CONSTRUCTED]
    return rounds + sum(each for each, _ in below), max([longest, *(each for _, each in below)])


def _scrypt_rounds(parameters: bytes, steps: Iterator[int]) -> int:
    cost = _ROUNDS_PER_BLOCK
    for number in [value for value in _read_all(parameters, steps) if value.tag == _INTEGER][:3]:
        cost *= int.from_bytes(number.content, "big")
    return cost
