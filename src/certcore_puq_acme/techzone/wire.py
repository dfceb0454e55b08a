r"""DNS messages as bytes: reading a query, writing an answer (RFC 1035 section 4, RFC 6891).

Anyone can flood a name server's UDP port, so reading and writing messages must be cheap. One core parses and answers
180,000 queries per second with this module, and 5,500 with dnspython's message classes (`benchmarks/dns_messages.py`).
At the lower rate, a flood of a few Mbit/s would keep CAs from reading our TXT values. So this module reads and writes
headers, questions, OPT records, names and the common record types itself; dnspython writes the data of the other types.

Inside this package, names are text: lower case, without the final dot. Bytes that are not printable, and those with a
meaning in zone files, are escaped as ``\DDD`` (RFC 1035 section 5.1). This includes dots inside labels, so that a name
can always be split at its dots.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from attrs import frozen

__all__ = [
    "HEADER_SIZE",
    "MAX_UDP",
    "MIN_UDP",
    "OPTION_COOKIE",
    "OPTION_NSID",
    "AnswerWriter",
    "Edns",
    "MalformedQueryError",
    "Query",
    "canonical_name",
    "header_only",
    "last_record_at",
    "read_query",
    "type_name",
    "with_additional_records",
]

#: The octets of a message's header (RFC 1035 section 4.1.1).
HEADER_SIZE: Final = 12
#: Octets that every requestor accepts over UDP (RFC 1035 section 4.2.1).
MIN_UDP: Final = 512
#: Octets that pass every path without fragmentation: the minimum MTU of IPv6 (RFC 8200 section 5) less 48 octets of IP
#: and UDP headers. No larger answer is sent over UDP, even if the query allows it (RFC 9715).
MAX_UDP: Final = 1232

#: EDNS options: the server's identifier (RFC 5001), and cookies (RFC 7873).
OPTION_NSID: Final = 3
OPTION_COOKIE: Final = 10

_QR: Final = 0x8000
_AA: Final = 0x0400
_TC: Final = 0x0200
#: The flags that an answer copies from its query: the opcode and "recursion desired" (RFC 1035 section 4.1.1).
_COPIED_FLAGS: Final = 0x7900
_DO: Final = 0x8000
_OPT: Final = 41
#: Octets of a COOKIE option with the client's cookie only, and with both cookies (RFC 7873 section 4).
_CLIENT_COOKIE: Final = 8
_BOTH_COOKIES: Final = range(16, 41)
_IN: Final = 1
_MAX_NAME_WIRE: Final = 255
_MAX_LABEL: Final = 63
_POINTER: Final = 0xC000
#: The largest offset that a compression pointer can hold: 14 bits (RFC 1035 section 4.1.4).
_MAX_POINTER: Final = 0x3FFF
_MAX_STRING: Final = 255
_TYPE_NAMES: Final = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 16: "TXT", 28: "AAAA", 257: "CAA", 13: "HINFO"}
_TYPE_CODES: Final = {name: code for code, name in _TYPE_NAMES.items()}
#: The bytes of a label that are not escaped in text.
_PLAIN: Final = frozenset(range(0x21, 0x7F)) - frozenset(b'."\\()@$;')

_header = struct.Struct("!HHHHHH")
_two = struct.Struct("!HH")
_record_tail = struct.Struct("!HHIH")
_soa_numbers = struct.Struct("!IIIII")


class MalformedQueryError(ValueError):
    """The bytes are not a DNS message (RFC 1035 section 4)."""


@frozen
class Edns:
    """A query's OPT pseudo-record (RFC 6891 section 6.1.2); options other than the two below are ignored."""

    #: The largest UDP payload, in octets, that the requestor accepts.
    udp_size: int
    version: int
    #: "DNSSEC OK", which an answer repeats (RFC 3225 section 3).
    dnssec_ok: bool
    #: Whether the query asks for the server's identifier (RFC 5001 section 2.1).
    nsid: bool = False
    #: The COOKIE option (RFC 7873 section 4): the client's cookie, perhaps with the server's; empty if there is none.
    cookie: bytes = b""


@frozen
class Query:
    """The parts of a received message that a server without recursion needs."""

    id: int
    flags: int
    #: How many questions the message has; the fields below describe the first.
    questions: int
    #: The question section as received. An answer repeats it byte for byte, so that the case of the name is kept.
    question: bytes
    #: The name asked for, in this module's text form.
    name: str
    #: The labels of ``name`` as received.
    labels: Sequence[bytes]
    type: int
    rdclass: int
    edns: Edns | None

    @property
    def opcode(self) -> int:
        """The kind of query (RFC 6895 section 2.2)."""
        return (self.flags >> 11) & 0xF


def type_name(code: int) -> str:
    """The mnemonic of a record type, ``TYPE123`` for an unknown one (RFC 3597 section 5)."""
    return _TYPE_NAMES.get(code) or dns.rdatatype.to_text(dns.rdatatype.RdataType.make(code))


def canonical_name(text: str) -> str:
    """Convert a name as people and sources write it to this module's text form.

    Raises:
        dns.exception.DNSException: The text is not a domain name.
    """
    if "\\" in text or not text.isascii():
        return _text(dns.name.from_text(text).labels[:-1])
    return text.rstrip(".").lower()


def header_only(wire: bytes, rcode: int) -> bytes:
    """An answer without a question section, for a query of which only the header could be read."""
    identity, flags = _two.unpack_from(wire)
    return _header.pack(identity, _QR | (flags & _COPIED_FLAGS) | rcode, 0, 0, 0, 0)


def read_query(wire: bytes) -> Query:
    """Read a message. The sections after the question are only searched for an OPT record.

    Raises:
        MalformedQueryError: The message is too short or too long, or a name, a record or an EDNS option is malformed.
    """
    try:
        return _read_query(wire)
    except (struct.error, IndexError):
        raise MalformedQueryError("the message ends early") from None


def last_record_at(wire: bytes) -> int:
    """The offset at which the last record of a message begins.

    Raises:
        MalformedQueryError: The message ends early or has no record.
    """
    try:
        counts = _header.unpack_from(wire)[2:]
        at, last = HEADER_SIZE, -1
        for _ in range(counts[0]):
            at = _skip_name(wire, at) + 4
        for _ in range(sum(counts[1:])):
            last, at = at, _skip_name(wire, at)
            at += 10 + _record_tail.unpack_from(wire, at)[3]
    except (struct.error, IndexError):
        raise MalformedQueryError("the message ends early") from None
    if last < 0:
        raise MalformedQueryError("the message has no record")
    return last


def with_additional_records(wire: bytes, more: int) -> bytes:
    """The message with ``more`` added to the number of additional records in its header."""
    return wire[:10] + (int.from_bytes(wire[10:12], "big") + more).to_bytes(2, "big") + wire[12:]


def _read_query(wire: bytes) -> Query:
    identity, flags, questions, answers, authorities, additionals = _header.unpack_from(wire)
    at = HEADER_SIZE
    labels: list[bytes] = []
    rdtype = rdclass = 0
    question_end = at
    for index in range(questions):
        name_labels, at = _read_name(wire, at)
        found_type, found_class = _two.unpack_from(wire, at)
        at += 4
        if index == 0:
            labels, rdtype, rdclass, question_end = name_labels, found_type, found_class, at
    edns: Edns | None = None
    for _ in range(answers + authorities):
        at = _skip_name(wire, at)
        found_type, _, _, length = _record_tail.unpack_from(wire, at)
        if found_type == _OPT:
            # RFC 6891 section 6.1.1: it may only be in the additional section.
            raise MalformedQueryError("an OPT record in a section where none belongs")
        at += 10 + length
    for _ in range(additionals):
        start, at = at, _skip_name(wire, at)
        found_type, found_class, ttl, length = _record_tail.unpack_from(wire, at)
        at += 10
        if found_type == _OPT:
            # RFC 6891 sections 6.1.1 and 6.1.2: there may be at most one, and its owner name is the root.
            if edns is not None or wire[start] != 0:
                raise MalformedQueryError("an OPT record too many, or with a name")
            nsid, cookie = _read_options(wire, at, at + length) if length else (False, b"")
            edns = Edns(found_class, (ttl >> 16) & 0xFF, bool(ttl & _DO), nsid, cookie)
        at += length
    if at != len(wire):
        raise MalformedQueryError("the message's length is not the sum of its parts")
    question = wire[HEADER_SIZE:question_end]
    return Query(identity, flags, questions, question, _text(labels), labels, rdtype, rdclass, edns)


def _read_name(wire: bytes, at: int) -> tuple[list[bytes], int]:
    """Read a name in the question section, which has no pointers because no other name precedes it.

    Returns:
        Its labels, and the offset after it.
    """
    start = at
    labels: list[bytes] = []
    while length := wire[at]:
        if length > _MAX_LABEL:
            raise MalformedQueryError("a pointer or an unknown label type in the question")
        at += 1
        label = wire[at : at + length]
        if len(label) != length:
            raise MalformedQueryError("the message ends in a label")
        labels.append(label)
        at += length
    at += 1
    if at - start > _MAX_NAME_WIRE:
        raise MalformedQueryError("a name of more than 255 octets")
    return labels, at


def _skip_name(wire: bytes, at: int) -> int:
    while length := wire[at]:
        if length >= 0xC0:  # noqa: PLR2004 - the two high bits say: pointer (RFC 1035 section 4.1.4)
            return at + 2
        if length > _MAX_LABEL:
            raise MalformedQueryError("an unknown label type")
        at += 1 + length
    return at + 1


def _read_options(wire: bytes, at: int, end: int) -> tuple[bool, bytes]:
    """Whether NSID is asked for, and the first COOKIE option."""
    nsid, cookie = False, b""
    while at < end:
        code, length = _two.unpack_from(wire, at)
        at += 4
        if code == OPTION_NSID:
            nsid = True
        elif code == OPTION_COOKIE and not cookie:
            if length != _CLIENT_COOKIE and length not in _BOTH_COOKIES:
                raise MalformedQueryError("a COOKIE option of a wrong length")  # RFC 7873 section 5.2.2
            cookie = wire[at : at + length]
        at += length
    if at != end:
        raise MalformedQueryError("the OPT record's options do not fill it")
    return nsid, cookie


def _text(labels: Sequence[bytes]) -> str:
    joined = b"".join(labels).lower()
    if _PLAIN.issuperset(joined):
        return b".".join(labels).lower().decode("ascii")
    return ".".join(
        "".join(chr(octet) if octet in _PLAIN else f"\\{octet:03d}" for octet in label.lower()) for label in labels
    )


class AnswerWriter:
    """Builds one answer. Records must be added in the order of the sections.

    Args:
        query: The query to answer. The answer repeats its ID and question, and has an OPT record if the query has one.
        limit: The most octets that the answer may have.
        options: EDNS options of the answer by code; they are left out if the query has no OPT record.
    """

    def __init__(self, query: Query, *, limit: int, options: Sequence[tuple[int, bytes]] = ()) -> None:
        self._query = query
        self._limit = limit
        self._options = options
        self._buffer = bytearray(HEADER_SIZE)
        self._buffer += query.question
        self._records_at = len(self._buffer)
        self._answers = 0
        self._authorities = 0
        #: The number of additional records, and where each of their RRsets begins with its number of records.
        self._additionals = 0
        self._additional_sets: list[tuple[int, int]] = []
        #: The offsets of the names written so far, for compression; None until a name other than the question's.
        self._offsets: dict[str, int] | None = None

    @property
    def size(self) -> int:
        """The octets written so far."""
        return len(self._buffer)

    def add_answers(self, owner: str, rdtype: str, ttl: int, values: Sequence[str]) -> None:
        """Add an RRset to the answer section.

        Raises:
            ValueError: A value is not one of its type.
            dns.exception.DNSException: Likewise.
        """
        distinct = dict.fromkeys(values)
        for value in distinct:
            self._add(owner, rdtype, ttl, value)
        self._answers += len(distinct)

    def add_soa(self, owner: str, ttl: int, soa: tuple[str, str, Sequence[int]], *, authority: bool) -> None:
        """Add an SOA record (RFC 1035 section 3.3.13): its two names, and its five numbers."""
        at = self._start(owner, "SOA", ttl)
        primary, mailbox, numbers = soa
        self._name(primary)
        self._name(mailbox)
        self._buffer += _soa_numbers.pack(*numbers)
        self._finish(at)
        if authority:
            self._authorities += 1
        else:
            self._answers += 1

    def add_additional(self, owner: str, rdtype: str, ttl: int, values: Sequence[str]) -> None:
        """Add an RRset to the additional section. `finish` leaves it out if the answer would be too long with it.

        Raises:
            ValueError: A value is not one of its type.
        """
        distinct = dict.fromkeys(values)
        self._additional_sets.append((len(self._buffer), len(distinct)))
        for value in distinct:
            self._add(owner, rdtype, ttl, value)
        self._additionals += len(distinct)

    def finish(self, rcode: int, *, authoritative: bool) -> bytes:
        """The message. If it exceeds the limit, it has no records, and TC is set (RFC 2181 section 9).

        ``rcode`` may be an extended response code (RFC 6891 section 6.1.3) if the query has an OPT record.
        """
        flags = _QR | (self._query.flags & _COPIED_FLAGS) | (rcode & 0xF) | (_AA if authoritative else 0)
        opt = self._opt(rcode)
        buffer = self._buffer
        while self._additional_sets and len(buffer) + len(opt) > self._limit:
            # RFC 2181 section 9: TC is not set when only additional records are left out.
            begin, count = self._additional_sets.pop()
            del buffer[begin:]
            self._additionals -= count
        if len(buffer) + len(opt) > self._limit:
            # Part of an RRset is useless, and a short answer does not help amplification attacks.
            del buffer[self._records_at :]
            self._answers = self._authorities = 0
            flags |= _TC
        buffer += opt
        questions = 1 if self._query.question else 0
        additionals = self._additionals + bool(opt)
        _header.pack_into(buffer, 0, self._query.id, flags, questions, self._answers, self._authorities, additionals)
        return bytes(buffer)

    def _opt(self, rcode: int) -> bytes:
        edns = self._query.edns
        if edns is None:
            return b""
        ttl = ((rcode >> 4) << 24) | (_DO if edns.dnssec_ok else 0)
        options = b"".join(_two.pack(code, len(data)) + data for code, data in self._options)
        return b"\x00" + _record_tail.pack(_OPT, MAX_UDP, ttl, len(options)) + options

    def _add(self, owner: str, rdtype: str, ttl: int, value: str) -> None:
        at = self._start(owner, rdtype, ttl)
        match rdtype:
            case "TXT":
                self._strings(value)
            case "CNAME" | "NS":
                self._name(canonical_name(value))
            case "A":
                self._buffer += _address(socket.AF_INET, value)
            case "AAAA":
                self._buffer += _address(socket.AF_INET6, value)
            case _:
                rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, value, origin=dns.name.root)
                # Names inside other types must not be compressed (RFC 3597 section 4).
                self._buffer += rdata.to_wire() or b""
        self._finish(at)

    def _start(self, owner: str, rdtype: str, ttl: int) -> int:
        self._name(owner)
        code = _TYPE_CODES.get(rdtype) or int(dns.rdatatype.from_text(rdtype))
        self._buffer += _record_tail.pack(code, _IN, ttl, 0)
        return len(self._buffer)

    def _finish(self, at: int) -> None:
        length = len(self._buffer) - at
        if length > 0xFFFF:  # noqa: PLR2004 - RDLENGTH is 16 bits (RFC 1035 section 4.1.3)
            raise ValueError("a record of more than 65535 octets")
        struct.pack_into("!H", self._buffer, at - 2, length)

    def _strings(self, text: str) -> None:
        data = text.encode("utf-8")
        for at in range(0, len(data) or 1, _MAX_STRING):
            chunk = data[at : at + _MAX_STRING]
            self._buffer.append(len(chunk))
            self._buffer += chunk

    def _name(self, name: str) -> None:
        """Write a name, compressed (RFC 1035 section 4.1.4)."""
        if name == self._query.name:
            # Nearly every owner name is the name in the question. A pointer to it also keeps its case.
            self._buffer += b"\xc0\x0c"
            return
        offsets = self._offsets
        if offsets is None:
            offsets = self._offsets = self._question_offsets()
        while name:
            at = offsets.get(name)
            if at is not None:
                self._buffer += struct.pack("!H", _POINTER | at)
                return
            if len(self._buffer) <= _MAX_POINTER:
                offsets[name] = len(self._buffer)
            label, _, name = name.partition(".")
            self._label(label)
        self._buffer.append(0)

    def _label(self, label: str) -> None:
        data = dns.name.from_text(label, origin=None).labels[0] if "\\" in label else label.encode("ascii")
        if not 0 < len(data) <= _MAX_LABEL:
            raise ValueError("a label that is empty or longer than 63 octets")
        self._buffer.append(len(data))
        self._buffer += data

    def _question_offsets(self) -> dict[str, int]:
        offsets: dict[str, int] = {}
        at, rest = HEADER_SIZE, self._query.name
        for label in self._query.labels:
            offsets[rest] = at
            at += 1 + len(label)
            rest = rest.partition(".")[2]
        return offsets


def _address(family: int, value: str) -> bytes:
    try:
        return socket.inet_pton(family, value)
    except OSError:
        raise ValueError("not an address of its record type") from None
