"""The answers of an authoritative name server (RFC 1034 section 4.3.2), as a function from bytes to bytes.

Queries of class IN for names in the served zones get authoritative answers; all others get an error, mostly REFUSED.
Recursion, delegations and wildcards are not supported. Zone transfers are in `techzone.transfers`. Deliberate choices:

- A query for a name that exists, or has names below it, never gets NXDOMAIN, even if it has no record of the type that
  is asked for (RFC 8020): a resolver must not conclude from it that the name has no TXT record either.
- To be of little use as an amplifier, the server answers ANY with one HINFO record (RFC 8482 section 4.2), sends only
  header and question, with TC set, instead of an answer that is too long, and limits how many answers longer than their
  question a network gets per second.
- The SOA's serial is the source's, which changes with each change of its records, or the time in seconds since 1970 if
  the source has none. Both are the same in all processes that serve the zone.
- The SOA's TTL alone says how long resolvers keep the answer that a name does not exist: the smaller of the TTL and the
  minimum field counts (RFC 2308 section 5). So the minimum field can be large enough for zone checking tools.
- If a zone and its parent are both served, the zone's DS records are read from the parent (RFC 4035 section 3.1.4.1).
- TXT values are used unchanged: UTF-8, cut into strings of 255 octets, without escapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from certcore.ports.dns import HasSerial, Zone, ZoneSource
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter
from certcore_puq_acme.techzone.edns_options import EdnsOptions
from certcore_puq_acme.techzone.remembered_answers import Basis, RememberedAnswers
from certcore_puq_acme.techzone.wire import (
    HEADER_SIZE,
    MAX_UDP,
    MIN_UDP,
    AnswerWriter,
    MalformedQueryError,
    Query,
    canonical_name,
    header_only,
    read_query,
    type_name,
)

__all__ = ["MAX_CNAMES", "answer", "apex_ttl", "serial_of", "server_failure", "soa_data", "soa_ttl"]

#: How many CNAME records are followed inside the served zones.
MAX_CNAMES: Final = 8

_NOERROR: Final = 0
_FORMERR: Final = 1
_SERVFAIL: Final = 2
_NXDOMAIN: Final = 3
_NOTIMP: Final = 4
_REFUSED: Final = 5
_BADVERS: Final = 16

_IN: Final = 1
_OPT: Final = 41
_AXFR: Final = 252
_IXFR: Final = 251
_ANY: Final = 255
#: QTYPEs and meta-types begin here (RFC 6895 section 3.1).
_FIRST_META: Final = 128
_MAX_TCP: Final = 65535
_NO_OPTIONS: Final = EdnsOptions()

#: Refresh, retry and expire of the SOA, for secondaries (RFC 1912 section 2.2).
_SOA_TIMES: Final = (14400, 3600, 1209600)
#: The smallest minimum field of the SOA that zone checking tools accept; the SOA's TTL bounds its effect.
_SOA_MINIMUM: Final = 300


def answer(  # noqa: PLR0913 - one argument per part of the server
    wire: bytes,
    sources: Sequence[ZoneSource],
    *,
    now: datetime,
    tcp: bool = False,
    limiter: AnswerLimiter | None = None,
    address: str = "",
    edns: EdnsOptions | None = None,
    remembered: RememberedAnswers | None = None,
) -> bytes | None:
    """Answer one query.

    Args:
        wire: The query, without the two octets of length that precede it over TCP.
        sources: The sources of the zones. If two zones have the same apex, the first is used.
        now: The current time, for the SOA's serial.
        tcp: Whether the query came over TCP, so that the answer may have 65,535 octets.
        limiter: Counts answers that are longer than their query. Beyond its limits, the answer is only the question,
            with TC set, and the sources are not read. None for no limit.
        address: The sender's IP address, for ``limiter`` and ``edns``.
        edns: Makes the EDNS options of the answer. Queries with a cookie of its own are not limited. None: no options.
        remembered: A cache of answers over UDP, for the same ``edns``. None for no cache.

    Returns:
        The answer; None for a message that gets no answer, because it is shorter than a header or is itself an answer.

    Raises:
        Exception: A source failed (any exception of its code), or has a value that its record type does not permit
            (``ValueError`` or ``dns.exception.DNSException``). The caller then sends `server_failure`.
    """
    if remembered is not None and (known := remembered.get(wire, sources)) is not None:
        message, question = known
        if limiter is None or limiter.take(address, question):
            return message
    query = _read(wire)
    if not isinstance(query, Query):
        return query
    seconds = int(now.timestamp())
    edns = edns or _NO_OPTIONS
    options = () if query.edns is None else edns.options(query.edns, address, seconds)
    writer = AnswerWriter(query, limit=_limit(query, tcp=tcp), options=options)
    refusal = _refusal(query)
    if refusal is not None:
        return writer.finish(refusal, authoritative=False)
    if limiter is not None and query.edns is not None and edns.proves(query.edns, address, seconds):
        limiter = None
    question = f"{query.type} {query.name}"
    if limiter is not None and not limiter.permits(address, question):
        return AnswerWriter(query, limit=0).finish(_NOERROR, authoritative=True)
    rcode, basis = _resolve(writer, query, sources, seconds)
    finished = writer.finish(rcode, authoritative=rcode != _REFUSED)
    is_longer = len(finished) > len(wire)
    if limiter is not None and is_longer:
        limiter.count(address, question)
    # Whether a cookie is valid depends on time and address.
    if remembered is not None and basis is not None and is_longer and not (query.edns and query.edns.cookie):
        remembered.put(wire, finished, question, basis, sources)
    return finished


def server_failure(wire: bytes) -> bytes | None:
    """The answer to a query whose source failed: SERVFAIL, so that the resolver tries again; None to send nothing."""
    query = _read(wire)
    if not isinstance(query, Query):
        return query
    return AnswerWriter(query, limit=MIN_UDP).finish(_SERVFAIL, authoritative=False)


def _read(wire: bytes) -> Query | bytes | None:
    """The query; or the answer to a malformed message; or None for a message that gets no answer."""
    if len(wire) < HEADER_SIZE or wire[2] & 0x80:
        # Answering an answer would let two servers send messages to each other forever.
        return None
    try:
        query = read_query(wire)
    except MalformedQueryError:
        return header_only(wire, _NOTIMP if wire[2] & 0x78 else _FORMERR)
    if query.questions > 1 and query.opcode == 0:
        # RFC 9619 section 4. The answer repeats none of the questions, as it answers none of them.
        return AnswerWriter(_without_question(query), limit=MIN_UDP).finish(_FORMERR, authoritative=False)
    return query


def _without_question(query: Query) -> Query:
    return Query(query.id, query.flags, 0, b"", "", (), 0, 0, query.edns)


def _limit(query: Query, *, tcp: bool) -> int:
    if tcp:
        return _MAX_TCP
    # RFC 6891 section 6.2.3: a size below 512 means 512.
    return MIN_UDP if query.edns is None else max(MIN_UDP, min(query.edns.udp_size, MAX_UDP))


def _refusal(query: Query) -> int | None:
    """The response code of a query that needs no lookup; None for an ordinary query."""
    if query.edns is not None and query.edns.version != 0:
        return _BADVERS
    if query.opcode != 0:
        return _NOTIMP
    if query.questions == 0:
        # RFC 7873 section 5.4: a client may ask for a cookie alone.
        return _NOERROR if query.edns is not None and query.edns.cookie else _FORMERR
    if query.rdclass != _IN or query.type in {_AXFR, _IXFR}:
        return _REFUSED
    if query.type == _OPT or _FIRST_META <= query.type < _ANY:
        return _NOTIMP
    return None


def _resolve(
    writer: AnswerWriter, query: Query, sources: Sequence[ZoneSource], serial: int
) -> tuple[int, Basis | None]:
    """Write the records for the question, following CNAMEs through the served zones.

    Returns:
        The response code, and the basis of the answer if it was made only from the records of one name.
    """
    name = query.name
    type_asked = "" if query.type == _ANY else type_name(query.type)
    followed: set[str] = set()
    while True:
        place = _zone_of(name, sources, above=type_asked == "DS")
        if place is None:
            # A CNAME that leads out of our zones is a complete answer; the resolver follows it itself.
            return _NOERROR if followed else _REFUSED, None
        source, zone = place
        records = source.records(zone, name)
        # An apex has SOA and NS records, so it may have no CNAME (RFC 1034 section 3.6.2). If it has one, it is ignored
        # when SOA or NS is asked for.
        target = None if name == zone.apex and type_asked in {"SOA", "NS"} else _alias(records, type_asked)
        if target is None:
            rcode = _write(writer, (source, zone, name), type_asked, records, serial)
            if rcode == _NXDOMAIN:
                # If a zone below is served too, its apex and the names between exist in this zone (RFC 8020).
                return _NOERROR if _has_zone_below(name, sources) else _NXDOMAIN, None
            is_simple = not followed and name != zone.apex and bool(records.get(type_asked))
            return rcode, Basis(source, zone, name, records) if is_simple else None
        writer.add_answers(name, "CNAME", zone.ttl, [target])
        followed.add(name)
        name = canonical_name(target)
        if name in followed or len(followed) > MAX_CNAMES:
            return _NOERROR, None


def _alias(records: Mapping[str, Sequence[str]], type_asked: str) -> str | None:
    """The CNAME's target to follow; None if the query asks for the CNAME itself, or the name has the type asked for."""
    targets = records.get("CNAME")
    if not targets or type_asked in {"", "CNAME"} or records.get(type_asked):
        return None
    return targets[0]


def _write(
    writer: AnswerWriter,
    place: tuple[ZoneSource, Zone, str],
    type_asked: str,
    records: Mapping[str, Sequence[str]],
    serial: int,
) -> int:
    """Write the records of the last name of a CNAME chain, or the SOA if there are none; returns the response code."""
    source, zone, name = place
    at_apex = name == zone.apex
    if type_asked == "SOA" and at_apex:
        writer.add_soa(name, soa_ttl(zone), soa_data(zone, serial_of(source, serial)), authority=False)
        return _NOERROR
    values = zone.nameservers if type_asked == "NS" and at_apex else records.get(type_asked, ())
    exists = at_apex or any(records.values())
    if not type_asked and exists:
        # RFC 8482 section 4.2; but a name with a CNAME has no other records (RFC 2181 section 10.1).
        type_asked = "CNAME" if records.get("CNAME") else "HINFO"
        values = records.get("CNAME") or ('"RFC8482" ""',)
    if values:
        of_the_apex = (type_asked == "NS" and at_apex) or name in zone.addresses
        ttl = apex_ttl(zone) if of_the_apex else zone.ttl
        writer.add_answers(name, type_asked, ttl, values[:1] if type_asked == "CNAME" else values)
        if type_asked == "NS" and at_apex:
            _add_addresses(writer, source, zone)
        return _NOERROR
    writer.add_soa(zone.apex, soa_ttl(zone), soa_data(zone, serial_of(source, serial)), authority=True)
    return _NOERROR if exists or source.has_names_below(zone, name) else _NXDOMAIN


def _add_addresses(writer: AnswerWriter, source: ZoneSource, zone: Zone) -> None:
    """Add the addresses of the name servers whose names are in the zone; resolvers would query them next."""
    for host in zone.nameservers:
        if host.endswith(f".{zone.apex}"):
            records = source.records(zone, host)
            for kind in ("A", "AAAA"):
                if addresses := records.get(kind):
                    writer.add_additional(host, kind, apex_ttl(zone), addresses)


def _has_zone_below(name: str, sources: Sequence[ZoneSource]) -> bool:
    """Whether the apex of a served zone is a name or below it."""
    return any(f".{zone.apex}".endswith(f".{name}") for source in sources for zone in source.zones())


def _zone_of(name: str, sources: Sequence[ZoneSource], *, above: bool = False) -> tuple[ZoneSource, Zone] | None:
    """The zone with the longest apex that the name is at or below (RFC 1034 section 4.3.2 step 2).

    With ``above``, a zone whose apex is the name itself is only used if no zone above it is served.
    """
    best: tuple[ZoneSource, Zone] | None = None
    longest = -1
    for source in sources:
        for zone in source.zones():
            apex = zone.apex
            size = len(apex)
            if name.endswith(apex) and (len(name) == size or name[-size - 1] == "."):
                rank = 0 if above and len(name) == size else size
                if rank > longest:
                    best, longest = (source, zone), rank
    return best


def apex_ttl(zone: Zone) -> int:
    """The TTL, in seconds, of the apex's NS records and of the addresses of name servers."""
    return zone.ttl if zone.apex_ttl is None else zone.apex_ttl


def soa_ttl(zone: Zone) -> int:
    """The TTL, in seconds, of the SOA record, and so of negative answers (RFC 2308 section 5)."""
    return min(zone.ttl, zone.negative_ttl)


def serial_of(source: ZoneSource, now: int) -> int:
    """The serial of a source's zones: the source's own, or ``now`` (seconds since 1970) if it has none."""
    serial = source.serial() if isinstance(source, HasSerial) else None
    return now if serial is None else serial


def soa_data(zone: Zone, serial: int) -> tuple[str, str, Sequence[int]]:
    """The SOA record's primary server, mailbox and numbers (RFC 1035 section 3.3.13)."""
    primary = zone.nameservers[0] if zone.nameservers else zone.apex
    mailbox = canonical_name(zone.mailbox) if zone.mailbox else f"hostmaster.{zone.apex}"
    # The serial is 32 bits and wraps (RFC 1982).
    return primary, mailbox, (serial & 0xFFFFFFFF, *_SOA_TIMES, max(_SOA_MINIMUM, zone.negative_ttl))
