"""One question to one recursive DNS server.

A check asks two questions per certificate, and dnspython takes half a millisecond for each. So the ordinary answer
(over UDP, whole, CNAME and TXT records) is read here, on bytes; whatever is not is asked again through dnspython.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

import dns.entropy
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from attrs import frozen

from certcore_puq_acme.settings import NameServer

__all__ = ["NO_ANSWER", "Lookup", "SocketDns", "ask"]

#: How a server failed that did not answer in time.
NO_ANSWER: Final = "no answer in time"

#: What passes any path unfragmented (RFC 9715).
_PAYLOAD: Final = 1232
_RECURSION_DESIRED: Final = 0x0100
_IS_RESPONSE, _IS_TRUNCATED, _RCODE = 0x8000, 0x0200, 0x000F
_POINTER: Final = 0xC0
#: More labels and pointers than a name can have: a loop.
_MOST_PARTS: Final = 200
_header: Final = struct.Struct("!6H")
_record: Final = struct.Struct("!HHIH")


class _Unusual(Exception):
    """An answer that dnspython has to look at."""


@frozen(kw_only=True)
class Lookup:
    """One DNS server's answer to one question."""

    values: tuple[str, ...] = ()
    #: The target of the CNAME at the name itself, where there is one.
    cname: str = ""
    #: Why there is no answer to rely on; empty when there is one.
    failure: str = ""


@frozen
class SocketDns:
    """The DNS over sockets: `certcore_puq_acme.network.DnsPort`."""

    def ask(self, server: NameServer, name: str, kind: dns.rdatatype.RdataType, timeout: float) -> Lookup:
        """See `ask`."""
        return ask(server, name, kind, timeout)

    def system_servers(self) -> Sequence[NameServer]:
        """The system's resolvers, none when it has none."""
        try:
            system = dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            return ()
        return tuple(NameServer(str(address), system.port) for address in system.nameservers)


def ask(server: NameServer, name: str, kind: dns.rdatatype.RdataType, timeout: float) -> Lookup:
    """Ask a server, following no CNAME but what it follows itself.

    Args:
        server: A recursive DNS server.
        name: A-labels without the final dot.
        kind: CNAME, TXT or SOA.
        timeout: Seconds.
    """
    try:
        answer = _ordinary(server, name, kind, timeout)
        return answer if answer is not None else _thorough(server, name, kind, timeout)
    except (dns.exception.Timeout, TimeoutError):
        return Lookup(failure=NO_ANSWER)
    except (dns.exception.DNSException, OSError) as error:
        return Lookup(failure=f"no usable answer ({type(error).__name__})")


def _thorough(server: NameServer, name: str, kind: dns.rdatatype.RdataType, timeout: float) -> Lookup:
    question = dns.name.from_text(name)
    query = dns.message.make_query(question, kind, use_edns=0, payload=_PAYLOAD)
    answer, _ = dns.query.udp_with_fallback(
        query, server.address, timeout=timeout, port=server.port, ignore_unexpected=True
    )
    if (failure := _refusal(answer.rcode())) is not None:
        return failure
    values: list[str] = []
    cname = ""
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.CNAME and rrset.name == question:
            cname = rrset[0].target.canonicalize().to_text(omit_final_dot=True)
        if rrset.rdtype == kind == dns.rdatatype.TXT:
            values.extend(b"".join(one.strings).decode("ascii", "replace") for one in rrset)
        elif rrset.rdtype == kind:
            values.extend(one.to_text() for one in rrset)
    return Lookup(values=tuple(values), cname=cname)


def _refusal(rcode: int) -> Lookup | None:
    if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    return Lookup(failure=f"answered {dns.rcode.to_text(dns.rcode.Rcode(rcode))}")


def _ordinary(server: NameServer, name: str, kind: dns.rdatatype.RdataType, timeout: float) -> Lookup | None:
    """The answer, when it is an ordinary one; None when dnspython has to look at it."""
    if kind not in (dns.rdatatype.CNAME, dns.rdatatype.TXT):
        return None
    labels = [label.encode("ascii", "replace") for label in name.split(".")]
    if any(not 0 < len(label) < 64 for label in labels):  # noqa: PLR2004 - RFC 1035 section 2.3.4
        return None
    question = b"".join(bytes([len(label)]) + label for label in labels) + struct.pack("!xHH", kind, 1)
    identity = dns.entropy.random_16()
    opt = struct.pack("!xHHIH", dns.rdatatype.OPT, _PAYLOAD, 0, 0)
    query = _header.pack(identity, _RECURSION_DESIRED, 1, 0, 0, 1) + question + opt
    deadline = time.monotonic() + timeout
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((server.address, server.port))  # what others send is dropped by the kernel
        asking.settimeout(timeout)
        asking.send(query)
        while True:
            data = asking.recv(65535)
            if _answers(data, identity, question):
                try:
                    return _read(data, _header.size + len(question), name.lower(), kind)
                except (struct.error, IndexError, UnicodeDecodeError, _Unusual):
                    return None
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            asking.settimeout(left)


def _answers(data: bytes, identity: int, question: bytes) -> bool:
    """Whether this is the answer to our question (RFC 5452 section 9.1)."""
    if len(data) < _header.size:
        return False
    found, flags, questions, *_ = _header.unpack_from(data)
    asked = data[_header.size : _header.size + len(question)]
    return found == identity and bool(flags & _IS_RESPONSE) and questions == 1 and asked.lower() == question.lower()


def _read(data: bytes, at: int, name: str, kind: int) -> Lookup:
    _, flags, _, answers, _, _ = _header.unpack_from(data)
    if flags & _IS_TRUNCATED:
        raise _Unusual
    if (failure := _refusal(flags & _RCODE)) is not None:
        return failure
    values: list[str] = []
    cname = ""
    for _ in range(answers):
        owner, at = _name(data, at)
        found, _, _, length = _record.unpack_from(data, at)
        at += _record.size
        if at + length > len(data):
            raise _Unusual
        if found == dns.rdatatype.CNAME:
            target, _ = _name(data, at)
            if owner == name:
                cname = target
            if kind == found:
                values.append(target)
        elif found == dns.rdatatype.TXT == kind:
            values.append(_text(data[at : at + length]))
        at += length
    return Lookup(values=tuple(values), cname=cname)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name in plain ASCII and lower case, and where it ends; pointers are followed (RFC 1035 section 4.1.4)."""
    labels: list[str] = []
    end = 0
    for _ in range(_MOST_PARTS):
        length = data[at]
        if length >= _POINTER:
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            continue
        if not length:
            return ".".join(labels), end or at + 1
        label = data[at + 1 : at + 1 + length].decode("ascii")
        if len(label) != length or not label.replace("-", "").replace("_", "").isalnum():
            raise _Unusual
        labels.append(label.lower())
        at += 1 + length
    raise _Unusual


def _text(data: bytes) -> str:
    """The character-strings of a TXT record, joined (RFC 1035 section 3.3.14)."""
    parts: list[bytes] = []
    while data:
        parts.append(data[1 : 1 + data[0]])
        if len(parts[-1]) != data[0]:
            raise _Unusual
        data = data[1 + data[0] :]
    return b"".join(parts).decode("ascii", "replace")
