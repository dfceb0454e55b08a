"""Zone transfers to secondaries: AXFR (RFC 5936), and IXFR (RFC 1995), which also gets the whole zone.

Zones are transferred over TCP, only to addresses that the zone's profile lists. If a key is listed with an address, the
query must be signed with it.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import dns.exception
import dns.message
import dns.rdatatype

from certcore.ports.dns import Zone
from certcore.ports.environment import Environment
from certcore_puq_acme.techzone.answers import apex_ttl, serial_of, soa_data, soa_ttl
from certcore_puq_acme.techzone.bounded_source import BoundedSource
from certcore_puq_acme.techzone.signatures import KeyRing, SignedQuery
from certcore_puq_acme.techzone.wire import AnswerWriter, MalformedQueryError, Query, read_query

__all__ = ["Transfers", "may_be_transfer"]

_AXFR: Final = 252
_IXFR: Final = 251
_TRANSFERS: Final = tuple(kind.to_bytes(2, "big") + b"\x00\x01" for kind in (_AXFR, _IXFR))
_IN: Final = 1
_NOERROR: Final = 0
_SERVFAIL: Final = 2
_REFUSED: Final = 5
#: Octets after which a message ends: a compression pointer can only point to names in the first 16,384 octets.
_MESSAGE: Final = 16_000
_MAX_MESSAGE: Final = 65_535
#: Concurrent transfers; a further client gets SERVFAIL and tries again.
_AT_ONCE: Final = 4
#: Seconds that a secondary may take to read a message.
_PATIENCE: Final = 30.0
#: The size of a connection's send buffer, in octets.
_UNREAD: Final = 131_072


def may_be_transfer(wire: bytes) -> bool:
    """A cheap test whether a query may ask for a transfer. It is true for all that do, and for a few others."""
    return any(kind in wire for kind in _TRANSFERS)


class Transfers:
    """Answers queries for zone transfers, each in a thread of its own.

    Args:
        sources: The zones.
        keys: The keys that queries may be signed with.
        environment: Its clock gives the time of signatures.
        failed: Called with the errors of a source.
    """

    def __init__(
        self,
        sources: Sequence[BoundedSource],
        keys: KeyRing,
        environment: Environment,
        failed: Callable[[Exception], object],
    ) -> None:
        self._sources = sources
        self._keys = keys
        self._environment = environment
        self._failed = failed
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def begin(self, wire: bytes, connection: socket.socket, address: str) -> bytes | None:
        """Begin the transfer that a query asks for, if it is permitted.

        Args:
            wire: The query.
            connection: The connection to send the zone to. If None is returned, the transfer owns and closes it.
            address: The sender's IP address as text.

        Returns:
            The answer to a query that gets no transfer; None when the transfer has begun.
        """
        signed = self._keys.read(wire)
        if isinstance(signed, bytes):
            return signed
        plain = wire if signed is None else signed.wire
        try:
            query = read_query(plain)
        except MalformedQueryError:
            return AnswerWriter(_NO_QUESTION, limit=0).finish(_REFUSED, authoritative=False)
        source_and_zone = self._permitted(query, address, "" if signed is None else signed.key_name)
        if source_and_zone is None:
            return self._refuse(query, signed, _REFUSED)
        if not self._places.acquire(blocking=False):
            return self._refuse(query, signed, _SERVFAIL)
        messages = self._messages(query, plain, *source_and_zone)
        threading.Thread(
            target=self._send, args=(connection, self._signed(messages, signed)), name="certcore-dns-xfr", daemon=True
        ).start()
        return None

    def _permitted(self, query: Query, address: str, key: str) -> tuple[BoundedSource, Zone] | None:
        if query.opcode or query.questions != 1 or query.rdclass != _IN or query.type not in {_AXFR, _IXFR}:
            return None
        for source in self._sources:
            for zone in source.zones():
                if zone.apex == query.name:
                    listed = (each for each in zone.secondaries if _same(each.address, address))
                    return (source, zone) if any(each.key == key for each in listed) else None
        return None

    def _refuse(self, query: Query, signed: SignedQuery | None, rcode: int) -> bytes:
        refusal = AnswerWriter(query, limit=_MAX_MESSAGE).finish(rcode, authoritative=False)
        return next(self._signed([refusal], signed))

    def _signed(self, messages: Iterable[bytes], signed: SignedQuery | None) -> Iterator[bytes]:
        return iter(messages) if signed is None else signed.signed(messages, self._seconds)

    def _seconds(self) -> int:
        return int(self._environment.now().timestamp())

    def _messages(self, query: Query, wire: bytes, source: BoundedSource, zone: Zone) -> Iterator[bytes]:
        """The zone: its SOA, everything else, and its SOA again (RFC 5936 section 2.2)."""
        # The serial is read before the records: a change made while they are read has a later serial, so that the
        # secondary transfers the zone again.
        serial = serial_of(source, self._seconds())
        soa = soa_ttl(zone), soa_data(zone, serial)
        writer = AnswerWriter(query, limit=_MAX_MESSAGE)
        writer.add_soa(zone.apex, *soa, authority=False)
        if query.type == _IXFR and _serial_in(wire) == serial:
            yield writer.finish(_NOERROR, authoritative=True)  # RFC 1995 section 2: nothing is new
            return
        writer.add_answers(zone.apex, "NS", apex_ttl(zone), zone.nameservers)
        for name, records in source.all_records(zone):
            ttl = apex_ttl(zone) if name in zone.addresses else zone.ttl
            for kind, value in ((kind, value) for kind, values in records.items() for value in values):
                writer.add_answers(name, kind, ttl, [value])
                if writer.size > _MESSAGE:
                    yield writer.finish(_NOERROR, authoritative=True)
                    writer = AnswerWriter(query, limit=_MAX_MESSAGE)
        writer.add_soa(zone.apex, *soa, authority=False)
        yield writer.finish(_NOERROR, authoritative=True)

    def _send(self, connection: socket.socket, messages: Iterator[bytes]) -> None:
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
            connection.settimeout(_PATIENCE)
            for message in messages:
                connection.sendall(len(message).to_bytes(2, "big") + message)
        except OSError:
            pass  # the secondary went away; it tries again
        except Exception as error:  # isolation: a source may be foreign code; an interrupted transfer is repeated
            self._failed(error)
        finally:
            connection.close()
            self._places.release()


_NO_QUESTION: Final = Query(0, 0, 0, b"", "", (), 0, 0, None)


def _same(listed: str, address: str) -> bool:
    try:
        listed_address, other = ipaddress.ip_address(listed), ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = other.ipv4_mapped if isinstance(other, ipaddress.IPv6Address) else None
    return listed_address in {other, mapped}


def _serial_in(wire: bytes) -> int | None:
    """The serial that a secondary has: it stands in the authority section of its query (RFC 1995 section 3)."""
    try:
        message = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None
    soas = [rrset[0] for rrset in message.authority if rrset.rdtype == dns.rdatatype.SOA]
    return soas[0].serial if soas else None
