"""What an authoritative name server answers (RFC 1034 section 4.3.2), as a function from bytes to bytes.

Queries of class IN for names in the served zones are answered with authority; everything else is refused. There is no
recursion, no zone transfer, no delegation and no wildcard. What is deliberate:

- A name that exists, or has names below it, never gets NXDOMAIN, whatever type is asked for (RFC 8020): a resolver
  that looked for another type must not conclude that the TXT record is not there.
- ANY gets one made-up record (RFC 8482 section 4.2), a too large answer gets its header, question and TC, and answers
  longer than their question are limited per network and second: this server is of little use as an amplifier.
- The SOA's serial is the time in seconds since 1970. It never goes backwards unless the clock does, it is the same in
  all processes that serve the zone, and nobody transfers the zone, so that it need not change with each edit only.
- TXT values are taken as they are: UTF-8, cut into strings of 255 octets, no escapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from certcore.ports.dns import Zone, ZoneSource
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter
from certcore_puq_acme.techzone.wire import (
    HEADER_SIZE,
    MAX_UDP,
    MIN_UDP,
    AnswerWriter,
    Malformed,
    Query,
    canonical_name,
    header_only,
    read_query,
    type_name,
)

__all__ = ["MAX_CNAMES", "answer", "server_failure"]

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

#: Refresh, retry and expire of the SOA: for secondaries, which this server has none of (RFC 1912 section 2.2).
_SOA_TIMES: Final = (3600, 600, 604800)


def answer(
    wire: bytes,
    sources: Sequence[ZoneSource],
    *,
    now: datetime,
    tcp: bool = False,
    limiter: AnswerLimiter | None = None,
    address: str = "",
) -> bytes | None:
    """Answer one query.

    Args:
        wire: The query, without the two octets that TCP puts in front.
        sources: Where the zones are; of two with the same apex the first counts.
        now: The current moment, for the SOA's serial.
        tcp: Whether the answer may have 65535 octets.
        limiter: Counts answers that are longer than their query; beyond its limits an answer is cut to its question,
            with TC set, and the sources are not asked. None: no limit.
        address: The sender's IP address, for ``limiter``.

    Returns:
        The answer, or None when the bytes deserve none: less than a header, or themselves an answer.

    Raises:
        Exception: Whatever a source raises, and ``ValueError`` or ``dns.exception.DNSException`` for a value in it
            that is not one of its type; `server_failure` makes the answer then.
    """
    query = _read(wire)
    if not isinstance(query, Query):
        return query
    writer = AnswerWriter(query, limit=_limit(query, tcp=tcp))
    refusal = _refusal(query)
    if refusal is not None:
        return writer.finish(refusal, authoritative=False)
    question = f"{query.type} {query.name}"
    if limiter is not None and not limiter.permits(address, question):
        return AnswerWriter(query, limit=0).finish(_NOERROR, authoritative=True)
    rcode = _resolve(writer, query, sources, int(now.timestamp()))
    finished = writer.finish(rcode, authoritative=rcode != _REFUSED)
    if limiter is not None and len(finished) > len(wire):
        limiter.count(address, question)
    return finished


def server_failure(wire: bytes) -> bytes | None:
    """The answer to a query for which the source failed: SERVFAIL, so that the resolver tries again."""
    query = _read(wire)
    if not isinstance(query, Query):
        return query
    return AnswerWriter(query, limit=MIN_UDP).finish(_SERVFAIL, authoritative=False)


def _read(wire: bytes) -> Query | bytes | None:
    """The query, or the answer to a message that is none, or None for what is dropped."""
    if len(wire) < HEADER_SIZE or wire[2] & 0x80:
        # Answering an answer is how two servers begin to talk to each other without end.
        return None
    try:
        query = read_query(wire)
    except Malformed:
        return header_only(wire, _NOTIMP if wire[2] & 0x78 else _FORMERR)
    if query.questions > 1 and query.opcode == 0:
        # RFC 9619 section 4. Not even the first question is repeated: it was not the question.
        return AnswerWriter(_without_question(query), limit=MIN_UDP).finish(_FORMERR, authoritative=False)
    return query


def _without_question(query: Query) -> Query:
    return Query(query.id, query.flags, 0, b"", "", (), 0, 0, query.edns)


def _limit(query: Query, *, tcp: bool) -> int:
    if tcp:
        return _MAX_TCP
    # RFC 6891 section 6.2.3: a smaller size than 512 means 512.
    return MIN_UDP if query.edns is None else max(MIN_UDP, min(query.edns.udp_size, MAX_UDP))


def _refusal(query: Query) -> int | None:
    """The response code for what is not looked up at all; None for an ordinary question."""
    if query.edns is not None and query.edns.version != 0:
        return _BADVERS
    if query.opcode != 0:
        return _NOTIMP
    if query.questions == 0:
        return _FORMERR
    if query.rdclass != _IN or query.type in {_AXFR, _IXFR}:
        return _REFUSED
    if query.type == _OPT or _FIRST_META <= query.type < _ANY:
        return _NOTIMP
    return None


def _resolve(writer: AnswerWriter, query: Query, sources: Sequence[ZoneSource], serial: int) -> int:
    """Write the records for the question, following CNAMEs through the served zones; returns the response code."""
    name = query.name
    wanted = "" if query.type == _ANY else type_name(query.type)
    followed: set[str] = set()
    while True:
        found = _zone_of(name, sources)
        if found is None:
            # A CNAME that leads out of our zones is a complete answer; the resolver goes on from there.
            return _NOERROR if followed else _REFUSED
        source, zone = found
        records = source.records(zone, name)
        # An apex has SOA and NS, beside which no CNAME may stand (RFC 1034 section 3.6.2): they win.
        target = None if name == zone.apex and wanted in {"SOA", "NS"} else _alias(records, wanted)
        if target is None:
            return _write(writer, (source, zone, name), wanted, records, serial)
        writer.add_answers(name, "CNAME", zone.ttl, [target])
        followed.add(name)
        name = canonical_name(target)
        if name in followed or len(followed) > MAX_CNAMES:
            return _NOERROR


def _alias(records: Mapping[str, Sequence[str]], wanted: str) -> str | None:
    """The CNAME to follow: not when it is itself asked for, nor past records of the wanted type."""
    targets = records.get("CNAME")
    if not targets or wanted in {"", "CNAME"} or records.get(wanted):
        return None
    return targets[0]


def _write(
    writer: AnswerWriter,
    place: tuple[ZoneSource, Zone, str],
    wanted: str,
    records: Mapping[str, Sequence[str]],
    serial: int,
) -> int:
    """Write the records at the end of the chain, or why there are none."""
    source, zone, name = place
    at_apex = name == zone.apex
    if wanted == "SOA" and at_apex:
        writer.add_soa(name, zone.ttl, _soa(zone, serial), authority=False)
        return _NOERROR
    values = zone.nameservers if wanted == "NS" and at_apex else records.get(wanted, ())
    exists = at_apex or any(records.values())
    if not wanted and exists:
        # RFC 8482 section 4.2, save that nothing stands beside a CNAME (RFC 2181 section 10.1).
        wanted = "CNAME" if records.get("CNAME") else "HINFO"
        values = records.get("CNAME") or ('"RFC8482" ""',)
    if values:
        writer.add_answers(name, wanted, zone.ttl, values[:1] if wanted == "CNAME" else values)
        return _NOERROR
    # RFC 2308 section 5: how long a resolver keeps "no" is the smaller of the SOA's TTL and its minimum field.
    writer.add_soa(zone.apex, min(zone.ttl, zone.negative_ttl), _soa(zone, serial), authority=True)
    return _NOERROR if exists or source.has_names_below(zone, name) else _NXDOMAIN


def _zone_of(name: str, sources: Sequence[ZoneSource]) -> tuple[ZoneSource, Zone] | None:
    """The zone with the longest apex that the name is at or below (RFC 1034 section 4.3.2 step 2)."""
    best: tuple[ZoneSource, Zone] | None = None
    longest = 0
    for source in sources:
        for zone in source.zones():
            apex = zone.apex
            size = len(apex)
            if size > longest and name.endswith(apex) and (len(name) == size or name[-size - 1] == "."):
                best, longest = (source, zone), size
    return best


def _soa(zone: Zone, serial: int) -> tuple[str, str, Sequence[int]]:
    primary = zone.nameservers[0] if zone.nameservers else zone.apex
    # The serial is 32 bits and wraps (RFC 1982).
    return primary, f"hostmaster.{zone.apex}", (serial & 0xFFFFFFFF, *_SOA_TIMES, zone.negative_ttl)
