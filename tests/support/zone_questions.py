"""Questions to the tech zone's name server without a network: its zones, and how it answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dns.flags
import dns.message
import dns.rdatatype

from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.answers import answer

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LABEL = "k7.acme.example.net"


def tech_zone() -> MemoryZone:
    """A zone of our own."""
    zone = MemoryZone("acme.example.net", ("ns1.example.net", "ns2.example.net"), ttl=30, negative_ttl=5)
    zone.set(LABEL, "TXT", "one", "two")
    zone.set("deep.below.acme.example.net", "TXT", "x")
    zone.set("web.acme.example.net", "A", "192.0.2.7")
    zone.set("web.acme.example.net", "AAAA", "2001:db8::7")
    zone.set("caa.acme.example.net", "CAA", '0 issue "letsencrypt.org"')
    return zone


def customer_zone() -> MemoryZone:
    """A zone whose names point into others."""
    zone = MemoryZone("customer.example", ttl=300, negative_ttl=60)
    zone.set("_acme-challenge.customer.example", "CNAME", "K7.acme.example.net.")
    zone.set("gone.customer.example", "CNAME", "nobody.acme.example.net")
    zone.set("away.customer.example", "CNAME", "target.elsewhere.example")
    zone.set("loop.customer.example", "CNAME", "pool.customer.example")
    zone.set("pool.customer.example", "CNAME", "loop.customer.example")
    for number in range(20):
        zone.set(f"c{number}.customer.example", "CNAME", f"c{number + 1}.customer.example")
    return zone


SOURCES = (tech_zone(), customer_zone())


def ask(
    query: dns.message.Message, *, sources: Sequence[object] = SOURCES, tcp: bool = False, now: datetime = NOW
) -> dns.message.Message:
    """The answer to a query."""
    wire = answer(query.to_wire(), sources, now=now, tcp=tcp)  # type: ignore[arg-type]
    assert wire is not None
    reply = dns.message.from_wire(wire)
    assert reply.id == query.id
    assert reply.flags & dns.flags.QR
    assert not reply.flags & dns.flags.RA
    return reply


def texts(message: dns.message.Message, rdtype: str = "TXT") -> list[str]:
    """The values in an answer."""
    code = dns.rdatatype.from_text(rdtype)
    return sorted(
        b"".join(record.strings).decode() if rdtype == "TXT" else record.to_text()
        for rrset in message.answer
        if rrset.rdtype == code
        for record in rrset
    )


QUERY = dns.message.make_query(LABEL, "TXT", use_edns=0, id=0x1234).to_wire()
