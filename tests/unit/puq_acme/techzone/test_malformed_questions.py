"""Packets that are no questions, and sources that fail: no packet stops the name server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.ports.dns import Zone
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.answers import answer, server_failure
from support.examples import examples
from support.zone_questions import LABEL, NOW, QUERY, SOURCES, texts


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\x00" * 11,
        dns.message.make_response(dns.message.make_query(LABEL, "TXT", id=7)).to_wire(),
        b"\x12\x34\x80\x00" + b"\xff" * 8,
    ],
)
def test_answers_and_headless_packets_are_dropped(wire: bytes) -> None:
    """Whoever answers answers never stops; less than a header has no id to answer to."""
    assert answer(wire, SOURCES, now=NOW) is None
    assert server_failure(wire) is None


HEADER = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
END = b"\x00\x10\x00\x01"


@pytest.mark.parametrize(
    "wire",
    [
        QUERY[:12],
        QUERY[:20],
        QUERY[:-1],
        QUERY + b"\x00",
        HEADER + b"\xc0\x0c" + END,
        HEADER + b"\x40" + b"a" * 64 + b"\x00" + END,
        HEADER + b"\x3f" * 1 + b"a" * 63 + (b"\x3f" + b"a" * 63) * 3 + b"\x00" + END,
        QUERY[:4] + b"\x00\x00" + QUERY[6:12],
        QUERY[:4] + b"\x00\x02" + QUERY[6:12] + (QUERY[12:-11]) * 2 + QUERY[-11:],
        QUERY[:11] + b"\x02" + QUERY[12:] + QUERY[-11:],
        QUERY[:-2] + b"\x00\x05\x00\x01\x00\x09\x00",
    ],
    ids=[
        "header only", "cut in the name", "cut in OPT", "trailing", "pointer", "label type", "name too long",
        "no question", "two questions", "two OPT", "option too long",
    ],
)  # fmt: skip
def test_malformed_queries_get_formerr(wire: bytes) -> None:
    """A readable header is answered with FORMERR, the same id, and no more octets than a header and an OPT."""
    reply = answer(wire, SOURCES, now=NOW)
    assert reply is not None
    parsed = dns.message.from_wire(reply)
    assert parsed.id == 0x1234
    assert parsed.rcode() == dns.rcode.FORMERR
    assert len(reply) <= 23


def test_other_records_in_a_query_are_passed_over() -> None:
    """A query with a record in its additional section, compressed, is answered all the same."""
    query = dns.message.make_query(LABEL, "TXT", use_edns=0)
    extra = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01"
    wire = bytearray(query.to_wire() + extra)
    wire[11] = 2
    reply = answer(bytes(wire), SOURCES, now=NOW)
    assert reply is not None
    assert texts(dns.message.from_wire(reply)) == ["one", "two"]


class Broken:
    """A source whose store is down."""

    def zones(self) -> Sequence[Zone]:
        return (Zone(apex="acme.example.net", nameservers=()),)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        raise OSError(f"{zone.apex} {name}")

    def has_names_below(self, zone: Zone, name: str) -> bool:
        raise OSError(f"{zone.apex} {name}")


def test_a_failing_source_raises_and_servfail_can_be_made() -> None:
    """The caller hears of it; SERVFAIL has the question and the OPT record, and no authority."""
    query = dns.message.make_query(LABEL, "TXT", use_edns=0)
    with pytest.raises(OSError, match="k7"):
        answer(query.to_wire(), [Broken()], now=NOW)
    wire = server_failure(query.to_wire())
    assert wire is not None
    reply = dns.message.from_wire(wire)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert reply.question == query.question
    assert reply.edns == 0
    assert not reply.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("rdtype", "value"),
    [("A", "not an address"), ("AAAA", "192.0.2.1"), ("CNAME", "a..b"), ("CNAME", "x" * 64), ("CAA", "nonsense")],
)
def test_a_value_that_is_not_of_its_type_is_the_sources_failure(rdtype: str, value: str) -> None:
    """Nothing wrong goes out on the wire."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, rdtype, value)
    with pytest.raises(Exception, match=r".*"):
        answer(dns.message.make_query(LABEL, rdtype).to_wire(), [zone], now=NOW)


@st.composite
def mutated_queries(draw: st.DrawFn) -> bytes:
    name = draw(
        st.sampled_from([LABEL, "acme.example.net", "_acme-challenge.customer.example", "loop.customer.example"])
    )
    rdtype = draw(st.sampled_from(["TXT", "A", "ANY", "SOA", "NS", "CAA", "AXFR"]))
    query = dns.message.make_query(name, rdtype, use_edns=draw(st.sampled_from([-1, 0, 1])))
    wire = bytearray(query.to_wire())
    for _ in range(draw(st.integers(0, 4))):
        wire[draw(st.integers(0, len(wire) - 1))] = draw(st.integers(0, 255))
    return bytes(wire[: draw(st.integers(0, len(wire)))] if draw(st.booleans()) else wire)


@examples(1500, deadline=None)
@given(
    st.one_of(mutated_queries(), st.binary(max_size=80), st.binary(max_size=60).map(lambda tail: HEADER + tail)),
    st.booleans(),
)
def test_no_packet_raises_and_every_answer_is_one(wire: bytes, tcp: bool) -> None:
    """Whatever comes in: no exception, no answer to an answer, and what goes out parses and fits the query."""
    reply = answer(wire, SOURCES, now=NOW, tcp=tcp)
    failure = server_failure(wire)
    if len(wire) < 12 or wire[2] & 0x80:
        assert reply is None
        assert failure is None
        return
    for each in (reply, failure):
        assert each is not None
        assert each[:2] == wire[:2]
        assert each[2] & 0x80
        assert (each[2] >> 3) & 0xF == (wire[2] >> 3) & 0xF
        assert not each[3] & 0x80
        assert tcp or len(each) <= 1232
        if (each[2] >> 3) & 0xF == 0:
            parsed = dns.message.from_wire(each)
            if parsed.question:
                original = dns.message.from_wire(wire, question_only=True)
                assert parsed.question == original.question
