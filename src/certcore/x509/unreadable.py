"""Explain why a certificate that OpenSSL accepts cannot be read by the package ``cryptography``.

Old CAs wrote a ``*`` or an ``&`` as PrintableString, Latin-1 as T61String or UTF8String, and negative or padded serial
numbers. Nothing is repaired here; the error names the certificate and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from certcore.messages import Message
from certcore.x509.der import Value, read_value, read_values
from certcore.x509.describe import clean

__all__ = ["RawNames", "raw_names", "what_is_wrong"]

_INTEGER, _OID, _SEQUENCE, _SET = 0x02, 0x06, 0x30, 0x31
_VERSION: Final = 0xA0
_UTF8, _PRINTABLE, _T61, _IA5 = 0x0C, 0x13, 0x14, 0x16
_PRINTABLE_CHARACTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
_LABELS: Final = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU", b"\x55\x04\x06": "C"}
#: The fields that are read: serial number, algorithm, issuer, validity and subject.
_FIELDS: Final = 5
_LONGEST_SERIAL: Final = 20


@frozen
class RawNames:
    """The issuer and the subject of a certificate as undecoded bytes."""

    issuer: bytes
    subject: bytes

    @property
    def text(self) -> str:
        """The readable part of the subject, for messages."""
        try:
            parts = [
                f"{_LABELS.get(oid, 'another part')}={_readable(value)}" for oid, value in _attributes(self.subject)
            ]
        except ValueError:
            parts = []
        return clean(",".join(reversed(parts))) or "(no subject)"


def raw_names(der: bytes) -> RawNames | None:
    """The undecoded names of a certificate in DER; None if the data does not have the structure of a certificate."""
    try:
        _, _, issuer, _, subject = _fields(der)
    except ValueError:
        return None
    return RawNames(issuer.content, subject.content)


def what_is_wrong(der: bytes) -> Message | None:
    """Why a certificate cannot be read, as the last clause of a sentence; None if the reason is unknown."""
    try:
        serial, _, issuer, _, subject = _fields(der)
        faults = (
            *_serial_faults(serial.content),
            *_name_faults(issuer, _part_of_issuer),
            *_name_faults(subject, _part_of_subject),
        )
    except ValueError:
        return None
    return next(iter(faults), None)


def _fields(der: bytes) -> list[Value]:
    body = read_values(read_value(der).content)[:1]
    if not body:
        raise ValueError("no certificate")
    values = [value for value in read_values(body[0].content) if value.tag != _VERSION][:_FIELDS]
    if [value.tag for value in values] != [_INTEGER, *[_SEQUENCE] * 4]:
        raise ValueError("no certificate")
    return values


def _attributes(name: bytes) -> Iterator[tuple[bytes, Value]]:
    for part in read_values(name):
        for pair in read_values(part.content) if part.tag == _SET else ():
            values = read_values(pair.content)
            if len(values) == 2 and values[0].tag == _OID:  # noqa: PLR2004 - the kind, and the value
                yield values[0].content, values[1]


def _readable(value: Value) -> str:
    return value.content.decode("utf-8" if value.tag == _UTF8 and not _is_latin(value) else "latin-1", "replace")


def _is_latin(value: Value) -> bool:
    try:
        value.content.decode()
    except UnicodeDecodeError:
        return True
    return False


def _serial_faults(serial: bytes) -> Iterator[Message]:
    if serial[:1] >= b"\x80":
        text = "its serial number is negative (RFC 5280 section 4.1.2.2)."
        yield Message("x509.serial_number.negative", text)
    if serial[:1] == b"\0" and serial[1:2] < b"\x80" and len(serial) > 1:
        text = "its serial number is padded with a zero byte, which DER does not allow."
        yield Message("x509.serial_number.padded", text)
    if not serial or len(serial) > _LONGEST_SERIAL + 1:
        yield Message("x509.serial_number.length", "its serial number is empty or too long.")


def _name_faults(name: Value, part_of: Callable[[bytes, str], Message]) -> Iterator[Message]:
    """The faults in the parts of a name.

    Args:
        name: The name.
        part_of: Makes the text for a part from its object identifier and its value.
    """
    for oid, value in _attributes(name.content):
        part = {"part": part_of(oid, repr(clean(_readable(value))))}
        strange = sorted({chr(code) for code in value.content if code not in _PRINTABLE_CHARACTERS})
        if value.tag == _PRINTABLE and strange:
            text = "{part} is written as PrintableString, which has no {characters} (RFC 5280 appendix B)."
            yield Message("x509.name.printable", text, {**part, "characters": clean(" ".join(strange))})
        elif value.tag == _T61:
            text = "{part} is written as T61String, which is outdated (RFC 5280 section 4.1.2.4)."
            yield Message("x509.name.t61", text, part)
        elif value.tag == _UTF8 and _is_latin(value):
            yield Message("x509.name.utf8", "{part} is written as UTF8String, but is not UTF-8.", part)
        elif value.tag == _IA5 and not value.content.isascii():
            yield Message("x509.name.ia5", "{part} is written as IA5String, but is not ASCII.", part)


def _part_of_issuer(oid: bytes, value: str) -> Message:
    if oid not in _LABELS:
        return Message("x509.name.part_of_issuer", "a part of its issuer, {value},", {"value": value})
    text = "{label} of its issuer, {value},"
    return Message("x509.name.label_of_issuer", text, {"label": _LABELS[oid], "value": value})


def _part_of_subject(oid: bytes, value: str) -> Message:
    if oid not in _LABELS:
        return Message("x509.name.part_of_subject", "a part of its subject, {value},", {"value": value})
    text = "{label} of its subject, {value},"
    return Message("x509.name.label_of_subject", text, {"label": _LABELS[oid], "value": value})
