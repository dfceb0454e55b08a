"""Ask DNS servers over UDP with dnspython, and over TCP if the answer was truncated."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
from attrs import frozen

from certcore.messages import Message
from certcore.net.foreign_text import printable
from certcore.net.telemetry import DNS_QUERY, measured
from certcore_puq_acme.dns.port import NO_ANSWER, NOT_LISTENING, UNREACHABLE, Answer, Question, Record, unusable
from certcore_puq_acme.profile.settings import NameServer

__all__ = ["SocketDns", "query"]

#: The UDP payload that passes any path unfragmented (RFC 9715).
_PAYLOAD: Final = 1232
#: How many records of one section are read.
_MOST_RECORDS: Final = 1000
_NOT_DNS: Final = Message("puq_acme.dns.not_dns", "no usable answer: it is not a DNS message")
#: How much of the text of an Extended DNS Error is kept.
_LONGEST_TEXT: Final = 200
#: Answers of servers without EDNS (RFC 6891 section 7).
_NO_EDNS: Final = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})
_NO_ROUTE: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETDOWN}
)
#: Types whose data are a name.
_NAMES: Final = frozenset({dns.rdatatype.CNAME, dns.rdatatype.NS, dns.rdatatype.DNAME})


@frozen
class SocketDns:
    """DNS over UDP and TCP: `certcore_puq_acme.dns.port.DnsPort`."""

    def query(self, server: NameServer, question: Question, waits: Sequence[float]) -> Answer:
        """See `query`."""
        about = {"dns.question.name": question.name, "certcore.record_type": question.kind}
        with measured(DNS_QUERY, {**about, "server.address": server.address}) as measurement:
            answer = query(server, question, waits)
            measurement.attributes["certcore.answer"] = answer.rcode or "none"
            return answer

    def system_servers(self) -> Sequence[NameServer]:
        """The system's resolvers; empty if none are configured."""
        try:
            system = dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            return ()
        return tuple(NameServer(str(address), system.port) for address in system.nameservers)


def query(server: NameServer, question: Question, waits: Sequence[float]) -> Answer:
    """Ask a server; the question is sent again after each wait without an answer.

    Args:
        server: A DNS server.
        question: The question. CNAMEs are followed only as far as the server itself follows them.
        waits: The seconds to wait after each sending.
    """
    try:
        message = dns.message.make_query(
            dns.name.from_text(question.name or "."),
            question.kind,
            use_edns=0,
            payload=_PAYLOAD,
            want_dnssec=question.dnssec,
        )
        message.flags = (dns.flags.RD if question.recursive else 0) | (
            dns.flags.CD if question.checking_disabled else 0
        )
        received = _exchange(server, message, waits)
        if received.rcode() in _NO_EDNS and not question.dnssec:
            message.use_edns(edns=False)
            received = _exchange(server, message, waits)
        return _read(received)
    except (dns.exception.Timeout, TimeoutError):
        return Answer(failure=NO_ANSWER)
    except ConnectionRefusedError:
        return Answer(failure=NOT_LISTENING)
    except OSError as error:
        return Answer(failure=UNREACHABLE if error.errno in _NO_ROUTE else unusable(error.strerror))
    except (dns.exception.DNSException, ValueError, EOFError):
        return Answer(failure=_NOT_DNS)


class _ConnectedSocket(socket.socket):
    """A connected UDP socket: it reports a closed port at once (ICMP), and accepts only packets from the server."""

    def sendto(self, data: bytes, _address: object) -> int:  # type: ignore[override]
        """Send to the server without an address: some systems refuse one for a connected socket."""
        return self.send(data)


def _exchange(server: NameServer, message: dns.message.Message, waits: Sequence[float]) -> dns.message.Message:
    """Send the message until an answer comes.

    Raises:
        dns.exception.Timeout: No answer came.
        OSError: The server cannot be reached.
    """
    with _ConnectedSocket(socket.AF_INET6 if ":" in server.address else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((server.address, server.port))
        for number, wait in enumerate(waits, 1):
            try:
                received = dns.query.udp(
                    message,
                    server.address,
                    timeout=wait,
                    port=server.port,
                    sock=asking,
                    ignore_errors=True,
                    raise_on_truncation=True,
                )
            except dns.message.Truncated:
                return dns.query.tcp(message, server.address, timeout=max(waits), port=server.port)
            except dns.exception.Timeout:
                if number == len(waits):
                    raise
            else:
                return received
    raise dns.exception.Timeout


def _read(message: dns.message.Message) -> Answer:
    return Answer(
        rcode=dns.rcode.to_text(message.rcode()),
        authoritative=bool(message.flags & dns.flags.AA),
        answer=_records(message.answer),
        authority=_records(message.authority),
        additional=_records(message.additional),
        extended_error=_extended_error(message),
    )


def _records(section: Iterable[dns.rrset.RRset]) -> tuple[Record, ...]:
    records: list[Record] = []
    for rrset in section:
        if rrset.rdtype == dns.rdatatype.OPT:
            continue
        name, kind = _text(rrset.name), dns.rdatatype.to_text(rrset.rdtype)
        room = _MOST_RECORDS - len(records)
        records.extend(Record(name=name, kind=kind, value=_value(rdata), ttl=rrset.ttl) for rdata in list(rrset)[:room])
    return tuple(records)


def _value(rdata: Any) -> str:
    if rdata.rdtype in _NAMES:
        return _text(rdata.target)
    if rdata.rdtype == dns.rdatatype.TXT:
        return b"".join(rdata.strings).decode("ascii", "replace")
    return str(rdata.to_text())


def _text(name: dns.name.Name) -> str:
    return name.canonicalize().to_text(omit_final_dot=True) if name != dns.name.root else ""


def _extended_error(message: dns.message.Message) -> str:
    errors = []
    for option in message.options:
        if isinstance(option, dns.edns.EDEOption):
            try:
                words = dns.edns.EDECode(option.code).name.replace("_", " ").capitalize()
            except ValueError:
                words = f"Extended error {option.code}"
            errors.append(f"{words}: {option.text}" if option.text else words)
    return printable("; ".join(errors), _LONGEST_TEXT)
