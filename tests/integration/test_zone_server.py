"""The zone server against real peers: dig, kdig, and unbound, with a customer's zone at named."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from attrs import define, field

from certcore.adapters.environment import SystemEnvironment
from certcore.ports.dns import DnsServer
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer
from support.served_zone import ZONE
from support.zone_clients import (
    HOST,
    LABEL,
    MANY,
    PATIENCE,
    connect,
    dig,
    framed,
    read_message,
    run,
    tcp,
    tool,
    udp,
    values,
)

pytestmark = pytest.mark.integration


@define
class World:
    """A running server, and what it serves."""

    server: ZoneServer
    records: TechZoneRecords
    documents: MemoryDocuments = field(repr=False)

    @property
    def port(self) -> int:
        return self.server.address[1]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    now = datetime.now(UTC)
    records.add(LABEL, "one", "i1", now)
    records.add(LABEL, "two", "i2", now)
    for number in range(60):
        records.add(MANY, f"{number:043d}", "i1", now)
    source = DocumentsZoneSource(documents, lambda: [ZONE], SystemEnvironment())
    unlimited = ServerOptions(answer_limits=None)  # the tests ask the same question often
    with ZoneServer((HOST, 0), [source], SystemEnvironment(), options=unlimited) as server:
        yield World(server, records, documents)


@pytest.fixture(scope="module")
def customer(start_named: Callable[..., int]) -> int:
    """BIND with the customer's zone, whose CNAME points into the tech zone."""
    records = (
        f"_acme-challenge IN CNAME {LABEL}.\n"
        "_acme-challenge.late IN CNAME late.acme.example.net.\n"
        f"_acme-challenge.many IN CNAME {MANY}.\n"
    )
    return start_named("customer.example", records)


@pytest.fixture(scope="module")
def resolver(world: World, customer: int, start_unbound: Callable[..., int]) -> int:
    """A resolver that finds the customer's zone at BIND and ours at our server; with 0x20 and QNAME minimisation."""
    return start_unbound({"customer.example": customer, "acme.example.net": world.port})


def test_the_server_is_a_dns_server(world: World) -> None:
    """It keeps the port's promise: an address with the port that was taken."""
    server: DnsServer = world.server
    assert server.address[0] == HOST
    assert server.address[1] > 0
    assert str(world.port) in repr(server)


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_dig_reads_all_values(world: World, transport: str) -> None:
    """The TXT values come over both transports, with authority and without a complaint."""
    out = dig(world.port, LABEL, "TXT", transport, "+norecurse")
    assert "status: NOERROR" in out
    assert "flags: qr aa;" in out
    assert '"one"' in out
    assert '"two"' in out
    assert "WARNING" not in out
    assert ";; Got bad packet" not in out


@pytest.mark.parametrize(
    "option", ["+cookie", "+nocookie", "+noedns", "+nsid", "+dnssec", "+subnet=192.0.2.0/24", "+bufsize=512"]
)
def test_dig_may_use_any_edns_option(world: World, option: str) -> None:
    """Options that we do not know change nothing."""
    out = dig(world.port, LABEL, "TXT", option)
    assert "status: NOERROR" in out
    assert '"two"' in out
    assert ("OPT PSEUDOSECTION" in out) == (option != "+noedns")


def test_dig_gets_cookies_and_the_name_of_the_server(world: World) -> None:
    """Two servers behind one address can be told apart, and dig finds that our cookie has its own in it."""
    out = dig(world.port, LABEL, "TXT", "+nsid", "+cookie")
    assert f'("{socket.gethostname()}")' in out
    assert "(good)" in out


def test_dig_negotiates_the_edns_version(world: World) -> None:
    """A future EDNS version is told ours, and dig then gets its answer."""
    assert "status: BADVERS" in dig(world.port, LABEL, "TXT", "+edns=5", "+noednsnegotiation")
    assert '"one"' in dig(world.port, LABEL, "TXT", "+edns=5", "+ednsnegotiation")


def test_a_large_answer_falls_back_to_tcp(world: World) -> None:
    """UDP says TC with no records; dig and kdig come again over TCP and get all of them."""
    cut = dig(world.port, MANY, "TXT", "+bufsize=4096", "+ignore")
    assert "flags: qr aa tc" in cut
    assert "ANSWER: 0" in cut
    whole = dig(world.port, MANY, "TXT", "+bufsize=1232")
    assert "Truncated, retrying in TCP mode" in whole
    assert "ANSWER: 60" in whole
    assert "ANSWER: 60" in run(tool("kdig"), f"@{HOST}", "-p", str(world.port), MANY, "TXT")


def test_kdig_agrees(world: World) -> None:
    """Knot's client reads the same, over UDP and TCP."""
    for transport in ("+notcp", "+tcp"):
        out = run(tool("kdig"), f"@{HOST}", "-p", str(world.port), transport, "+edns", LABEL, "TXT")
        assert "status: NOERROR" in out
        assert '"one"' in out
        assert '"two"' in out


def test_0x20_survives(world: World) -> None:
    """The question comes back in the case that it was asked in."""
    assert "K7.aCmE.eXaMpLe.NeT." in dig(world.port, "K7.aCmE.eXaMpLe.NeT", "TXT", "+noall", "+answer")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("acme.example.net", "SOA"), ("status: NOERROR", "ns1.example.net. hostmaster.acme.example.net.")),
        (("acme.example.net", "NS"), ("status: NOERROR", "ns1.example.net.")),
        ((LABEL, "A"), ("status: NOERROR", "ANSWER: 0, AUTHORITY: 1")),
        (("none.acme.example.net", "TXT"), ("status: NXDOMAIN", "AUTHORITY: 1")),
        ((LABEL, "ANY", "+notcp"), ("status: NOERROR", "RFC8482")),
        (("acme.example.net", "AXFR"), ("Transfer failed",)),
        (("acme.example.net", "IXFR=1"), ("Transfer failed",)),
        (("version.bind", "CH", "TXT"), ("status: REFUSED",)),
        (("example.org", "A"), ("status: REFUSED",)),
        (("acme.example.net", "SOA", "+opcode=notify"), ("status: NOTIMP", "opcode: NOTIFY")),
        (("acme.example.net", "SOA", "+opcode=status"), ("status: NOTIMP",)),
        ((LABEL, "TXT", "+header-only", "+nocookie"), ("status: FORMERR",)),
        ((LABEL, "TXT", "+header-only", "+cookie"), ("status: NOERROR", "(good)")),  # RFC 7873 section 5.4
    ],
)
def test_dig_is_told_what_we_do_not_do(world: World, arguments: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Apex, negative answers and refusals, as dig reads them."""
    out = dig(world.port, *arguments)
    for each in expected:
        assert each in out


def test_the_full_path_through_a_resolver(resolver: int) -> None:
    """Customer's zone at BIND → CNAME → tech zone at our server, resolved by unbound."""
    reply = udp(resolver, "_acme-challenge.customer.example")
    assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.CNAME, dns.rdatatype.TXT]
    assert values(reply) == ["one", "two"]


def test_a_resolver_gets_a_large_answer(resolver: int) -> None:
    """A resolver comes over TCP by itself when the answer does not fit."""
    reply = dns.query.tcp(
        dns.message.make_query("_acme-challenge.many.customer.example", "TXT"), HOST, port=resolver, timeout=PATIENCE
    )
    assert len(values(reply)) == 60


def test_a_value_is_not_hidden_by_earlier_questions(resolver: int, world: World) -> None:
    """A resolver that asked for other types, or too early, sees the value once its short "no" is over."""
    alias = "_acme-challenge.late.customer.example"
    assert udp(resolver, alias).rcode() == dns.rcode.NXDOMAIN
    world.records.add("late.acme.example.net", "late", "i9", datetime.now(UTC))
    for rdtype in ("A", "CAA", "NS"):
        udp(resolver, alias, rdtype)
    deadline = time.monotonic() + PATIENCE
    while values(udp(resolver, alias)) != ["late"]:
        assert time.monotonic() < deadline
    # Now that the TXT is there, no other type makes the name go away.
    for rdtype in ("A", "CAA", "MX"):
        reply = udp(resolver, alias, rdtype)
        assert reply.rcode() == dns.rcode.NOERROR
    assert values(udp(resolver, alias)) == ["late"]


def test_a_new_value_is_served_at_once(world: World) -> None:
    """Nothing between the ledger and the wire keeps old answers."""
    for number in range(20):
        world.records.add("fresh.acme.example.net", f"v{number}", "i1", datetime.now(UTC))
        assert f"v{number}" in values(udp(world.port, "fresh.acme.example.net"))
        world.records.remove("fresh.acme.example.net", f"v{number}", "i1")
        assert udp(world.port, "fresh.acme.example.net").rcode() == dns.rcode.NXDOMAIN


def test_many_parallel_queries(world: World) -> None:
    """16 clients at once, UDP and TCP mixed, all get their answers."""

    def client(number: int) -> int:
        done = 0
        for turn in range(40):
            reply = tcp(world.port) if (number + turn) % 4 == 0 else udp(world.port)
            done += values(reply) == ["one", "two"]
        return done

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(client, range(16))) == 16 * 40


def test_pipelined_queries_are_answered_in_order(world: World) -> None:
    """Hundreds of queries in one write get as many answers (RFC 7766 section 6.2.1.1)."""
    with connect(world.port) as stream:
        stream.sendall(b"".join(framed(number=number) for number in range(1, 301)))
        assert [read_message(stream).id for _ in range(300)] == list(range(1, 301))


def test_a_query_in_pieces_is_put_together(world: World) -> None:
    """Length and message may come octet by octet."""
    with connect(world.port) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed():
            stream.sendall(bytes([octet]))
        assert values(read_message(stream)) == ["one", "two"]


def test_a_half_closed_connection_gets_its_answers(world: World) -> None:
    """A client that has said its last still hears ours."""
    with connect(world.port) as stream:
        stream.sendall(framed(MANY) * 20)
        stream.shutdown(socket.SHUT_WR)
        assert all(len(values(read_message(stream))) == 60 for _ in range(20))
        assert stream.recv(1) == b""


def test_garbage_does_not_kill_it(world: World) -> None:
    """Random packets and streams leave the server as it was."""
    dice = random.Random(8555)
    with socket.socket(type=socket.SOCK_DGRAM) as noise:
        for _ in range(2000):
            noise.sendto(dice.randbytes(dice.randrange(0, 120)), (HOST, world.port))
        noise.sendto(b"\0" * 60000, (HOST, world.port))
    for _ in range(30):
        with connect(world.port) as stream, contextlib.suppress(OSError):
            stream.sendall(dice.randbytes(3000))
    assert values(tcp(world.port)) == ["one", "two"]
    deadline = time.monotonic() + PATIENCE
    while True:
        # The noise may have filled the socket's buffer, so that a packet is lost: UDP clients ask again.
        with contextlib.suppress(dns.exception.Timeout):
            assert values(udp(world.port, timeout=1)) == ["one", "two"]
            break
        assert time.monotonic() < deadline
