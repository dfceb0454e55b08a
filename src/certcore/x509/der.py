"""Just enough of DER and BER (X.690) to say what a value is, where it ends, and what it would cost to open it.

The package ``cryptography`` reads the values themselves; it has to be told what they are, and it does not bound the
work that a file may ask for.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Final

from attrs import frozen

__all__ = ["Kind", "Value", "definite", "kind_of", "opening_cost", "read_value", "read_values", "signed_certificates"]

# The tags that are told apart.
_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_CONTEXT_0: Final = 0xA0
_CONSTRUCTED: Final = 0x20
_TIMES: Final = (0x17, 0x18)
_LONG_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_END: Final = b"\0\0"
#: No certificate, key or bundle is nested deeper.
_DEEPEST: Final = 32
#: The longest length of a length; four bytes count up to 4 GiB.
_LONGEST_LENGTH: Final = 4

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2 (RFC 5652 section 5.1)
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11 (RFC 7914 section 7)
#: A scrypt block takes about as long as this many rounds of HMAC, and memory.
_ROUNDS_PER_BLOCK: Final = 8


class Kind(StrEnum):
    """What people paste where a certificate or a key is asked for, as it is called in a sentence."""

    CERTIFICATE = "a certificate"
    PRIVATE_KEY = "a private key"
    ENCRYPTED_KEY = "an encrypted private key"
    #: A key in PEM whose headers say how it is encrypted (RFC 1421 section 4.6.1.1), and not its contents.
    OLD_ENCRYPTED_KEY = "a private key that is encrypted in the old way of OpenSSL"
    PKCS7 = "a PKCS#7 bundle"
    PKCS12 = "a PKCS#12 file"
    REQUEST = "a certificate signing request (CSR)"
    REVOCATION_LIST = "a certificate revocation list (CRL)"
    PUBLIC_KEY = "a public key"
    SSH = "an SSH key"
    PGP = "a PGP key or message"
    KEY_STORE = "a Java key store"
    ARCHIVE = "an archive"
    WEB_PAGE = "a web page"
    UNKNOWN = "something else"


@frozen
class Value:
    """A tag with its contents."""

    tag: int
    content: bytes
    #: Where the next value begins.
    end: int


def read_value(data: bytes, at: int = 0, *, depth: int = 0) -> Value:
    """The value that begins at a place, of definite or indefinite length.

    Raises:
        ValueError: There is none, or it is cut off.
    """
    head = data[at : at + 2]
    if len(head) < len(_END) or head[0] & _LONG_TAG == _LONG_TAG or depth > _DEEPEST:
        raise ValueError("not a value of DER or BER")
    tag, length = head
    start = at + 2
    if length == _INDEFINITE:
        if not tag & _CONSTRUCTED:
            raise ValueError("a primitive value has a definite length")
        end = start
        while data[end : end + 2] != _END:
            end = read_value(data, end, depth=depth + 1).end
        return Value(tag, data[start:end], end + 2)
    if length > _INDEFINITE:
        count = length & ~_INDEFINITE
        octets = data[start : start + count]
        if count > _LONGEST_LENGTH or len(octets) < count:
            raise ValueError("the length is cut off or too long")
        length = int.from_bytes(octets, "big")
        start += count
    if start + length > len(data):
        raise ValueError("the value is cut off")
    return Value(tag, data[start : start + length], start + length)


def read_values(data: bytes) -> list[Value]:
    """The values that fill the data, one after the other.

    Raises:
        ValueError: The data is something else.
    """
    found, at = [], 0
    while at < len(data):
        value = read_value(data, at)
        found.append(value)
        at = value.end
    return found


def kind_of(data: bytes) -> Kind:
    """What a value is, told from its first two or three layers; it may still be damaged inside."""
    try:
        outer = read_value(data)
        parts = read_values(outer.content)
        tags = [one.tag for one in parts]
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
    """What an encrypted key or a PKCS#12 file asks for, as far as can be seen before it is opened.

    Returns:
        The rounds of key derivation of all its parts together, and the length of its longest key in bytes.
    """
    return _cost(data, 0)


def definite(data: bytes, *, depth: int = 0) -> bytes:
    """The same values with definite lengths and with octet strings in one piece: of BER as much as is needed to be DER.

    Raises:
        ValueError: The data is something else, or nested too deeply.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    return b"".join(
        _written(_OCTETS, _joined(value.content))
        if value.tag == _OCTETS | _CONSTRUCTED
        else _written(value.tag, definite(value.content, depth=depth + 1))
        if value.tag & _CONSTRUCTED
        else _written(value.tag, value.content)
        for value in read_values(data)
    )


def signed_certificates(data: bytes) -> list[bytes]:
    """The certificates of a PKCS#7 bundle (RFC 5652 section 5.1), each in DER.

    OpenSSL and others write them in the order in which they were given. DER has another one, on which the package
    ``cryptography`` is going to insist.

    Raises:
        ValueError: The data is something else.
    """
    (bundle,) = read_values(data)
    _, wrapped = read_values(bundle.content)
    (signed,) = read_values(wrapped.content)
    for part in read_values(signed.content):
        if part.tag == _CONTEXT_0:
            return [_written(one.tag, one.content) for one in read_values(part.content) if one.tag == _SEQUENCE]
    return []


def _written(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < _INDEFINITE:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _INDEFINITE | len(octets)]) + octets + content


def _kind_of_signed(inner: list[Value]) -> Kind:
    """Certificates, requests and revocation lists are all (contents, algorithm, signature)."""
    tags = [one.tag for one in inner]
    if tags[:1] == [_CONTEXT_0]:
        return Kind.CERTIFICATE
    if any(tag in _TIMES for tag in tags):
        return Kind.REVOCATION_LIST
    # A certificate of version 1 has its algorithm where a request has its subject: a SEQUENCE of SETs, or an empty one.
    if tags[:2] == [_INTEGER, _SEQUENCE]:
        return Kind.CERTIFICATE if inner[1].content[:1] == bytes([_OID]) else Kind.REQUEST
    return Kind.UNKNOWN


def _cost(data: bytes, depth: int) -> tuple[int, int]:
    """The parameters of every way to derive a key are (salt, rounds, …), and so is the MAC of PKCS#12 (RFC 7292)."""
    try:
        parts = read_values(data)
    except ValueError:
        return 0, 0
    if depth > _DEEPEST:
        return 0, 0
    rounds, longest = 0, 0
    for one, following in pairwise(parts):
        if (one.tag, following.tag) == (_OCTETS, _INTEGER):
            rounds += int.from_bytes(following.content, "big")
        elif (one.tag, following.tag) == (_SEQUENCE, _OCTETS):
            longest = max(longest, len(following.content))
        elif (one.tag, one.content) == (_OID, _SCRYPT):
            rounds += _scrypt_rounds(following.content)
    for one in parts:
        if one.tag & _CONSTRUCTED or (one.tag == _OCTETS and one.content[:1] == bytes([_SEQUENCE])):
            content = _joined(one.content) if one.tag == _OCTETS | _CONSTRUCTED else one.content
            below = _cost(content, depth + 1)
            rounds, longest = rounds + below[0], max(longest, below[1])
    return rounds, longest


def _scrypt_rounds(parameters: bytes) -> int:
    try:
        numbers = [int.from_bytes(one.content, "big") for one in read_values(parameters) if one.tag == _INTEGER]
    except ValueError:
        return 0
    cost = _ROUNDS_PER_BLOCK
    for number in numbers[:3]:
        cost *= number
    return cost


def _joined(content: bytes) -> bytes:
    """The contents of an OCTET STRING that BER allows to come in pieces."""
    try:
        return b"".join(one.content for one in read_values(content))
    except ValueError:
        return b""
