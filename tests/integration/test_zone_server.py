"""The name server against real peers: dig, kdig, unbound in front of it, and named with a customer's zone."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import resource
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from attrs import define, field

from certcore.errors import CertCoreError, InvalidInputError, StorageUnavailableError
from certcore.ports.dns import DnsServer, Zone
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.module_store import MemoryDocuments
from certcore.testing.ports import free_port
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords
from certcore_puq_acme.techzone.server import ListenError, ServerOptions, ZoneServer
from certcore_puq_acme.techzone.sockets import listen_on, receive

pytestmark = pytest.mark.integration

ZONE = Zone(apex="acme.example.net", nameservers=("ns1.example.net",), ttl=30, negative_ttl=1)
LABEL = "k7.acme.example.net"
MANY = "many.acme.example.net"
HOST = "127.0.0.1"
#: Far above what anything here takes; only a failure waits so long.
PATIENCE = 20.0


class SystemTime:
    """An environment with the real clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_id(self) -> str:
        return "1"

    def roll(self) -> float:
        return 0.5


@define
class World:
    """A running server, and what it serves."""

    server: ZoneServer
    records: TechZoneRecords
    documents: MemoryDocuments = field(repr=False)

    @property
    def port(self) -> int:
        return self.server.address[1]


def tool(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/bin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


def dig(port: int, *arguments: str, host: str = HOST) -> str:
    return run(tool("dig"), f"@{host}", "-p", str(port), "+time=5", "+tries=1", *arguments)


def framed(name: str = LABEL, rdtype: str = "TXT", number: int = 1) -> bytes:
    wire = dns.message.make_query(name, rdtype, id=number).to_wire()
    return len(wire).to_bytes(2, "big") + wire


def read_message(stream: socket.socket) -> dns.message.Message:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = stream.recv(count - len(data))
            assert chunk, "the server closed the connection early"
            data += chunk
        return data

    return dns.message.from_wire(exactly(int.from_bytes(exactly(2), "big")))


def connect(port: int, host: str = HOST) -> socket.socket:
    return socket.create_connection((host, port), timeout=PATIENCE)


def udp(port: int, name: str = LABEL, rdtype: str = "TXT", timeout: float = PATIENCE) -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, rdtype), HOST, port=port, timeout=timeout)


def tcp(port: int, name: str = LABEL) -> dns.message.Message:
    return dns.query.tcp(dns.message.make_query(name, "TXT"), HOST, port=port, timeout=PATIENCE)


def values(message: dns.message.Message) -> list[str]:
    return sorted(
        b"".join(record.strings).decode()
        for rrset in message.answer
        if rrset.rdtype == dns.rdatatype.TXT
        for record in rrset
    )


def closed_by_server(stream: socket.socket) -> bool:
    """Read until the server ends the connection, however it does."""
    try:
        while stream.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    now = datetime.now(UTC)
    records.add(LABEL, "one", "i1", now)
    records.add(LABEL, "two", "i2", now)
    for number in range(60):
        records.add(MANY, f"{number:043d}", "i1", now)
    source = DocumentsZoneSource(documents, lambda: [ZONE], SystemTime())
    unlimited = ServerOptions(answer_limits=None)  # the tests ask the same question often
    with ZoneServer((HOST, 0), [source], SystemTime(), options=unlimited) as server:
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


def serve(*sources: object, **options: object) -> ZoneServer:
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", "one")
    zone.set(MANY, "TXT", *(f"{number:043d}" for number in range(600)))
    options.setdefault("answer_limits", None)  # most tests ask the same question often
    return ZoneServer((HOST, 0), sources or [zone], SystemTime(), options=ServerOptions(**options))  # type: ignore[arg-type]


def test_silent_clients_do_not_keep_others_out() -> None:
    """With every place taken by half-open queries, a newcomer is served, and the longest silent one has to go."""
    with serve(max_connections=4, idle_timeout=60) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(server.address[1])) for _ in range(4)]
        for each in silent:
            each.sendall(b"\x00\x50half")
        for _ in range(3):
            assert values(tcp(server.address[1])) == ["one"]
        assert closed_by_server(silent[0])


@pytest.mark.skipif(sys.platform != "linux", reason="all of 127/8 is this machine there only")
def test_a_network_that_takes_all_places_takes_them_from_itself() -> None:
    """A resolver that has been silent for longest keeps its place while another network opens many."""
    with serve(max_connections=4, idle_timeout=60) as server, contextlib.ExitStack() as stack:
        here = (HOST, server.address[1])
        resolver = stack.enter_context(socket.create_connection(here, PATIENCE, ("127.53.0.1", 0)))
        for _ in range(12):
            stack.enter_context(connect(server.address[1]))
            assert values(tcp(server.address[1])) == ["one"]
        query = dns.message.make_query(LABEL, "TXT").to_wire()
        resolver.sendall(len(query).to_bytes(2, "big") + query)
        assert int.from_bytes(resolver.recv(2), "big") > len(query)


def test_idle_and_trickling_clients_are_cut_off() -> None:
    """Neither silence nor an octet now and then holds a connection beyond its time."""
    with serve(idle_timeout=1.0) as server, connect(server.address[1]) as silent, connect(server.address[1]) as slow:
        slow.settimeout(0.05)
        deadline = time.monotonic() + PATIENCE
        alive = True
        while alive:
            assert time.monotonic() < deadline
            try:
                slow.sendall(b"\x01")
                alive = slow.recv(1) != b""
            except TimeoutError:
                continue
            except OSError:
                alive = False
        assert closed_by_server(silent)
        assert values(tcp(server.address[1])) == ["one"]


def test_a_busy_client_may_stay() -> None:
    """Each complete query starts the time anew."""
    clock = [0.0]
    zone = MemoryZone("acme.example.net")
    with (
        ZoneServer((HOST, 0), [zone], SystemTime(), monotonic=lambda: clock[0]) as server,
        connect(server.address[1]) as stream,
    ):
        for number in range(1, 20):
            stream.sendall(framed(number=number))
            assert read_message(stream).id == number
            clock[0] += 4.0


def test_a_client_that_does_not_read_is_cut_off() -> None:
    """Answers that nobody takes are not piled up, and others are served meanwhile."""
    with serve(idle_timeout=1.0) as server, connect(server.address[1]) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.2)
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    deaf.sendall(framed(MANY) * 50)
                assert values(udp(server.address[1])) == ["one"]
                assert values(tcp(server.address[1])) == ["one"]
        assert time.monotonic() < deadline


def hears_nothing(asker: socket.socket, taken: list[int]) -> bool:
    """Whether no answer comes within a second in which no descriptor is free.

    What other servers give back, for connections that were idle for long, is taken again.
    """
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            taken.append(os.dup(0))
        if select.select([asker], [], [], 0.01)[0]:
            return False
    return True


def test_it_recovers_when_the_process_runs_out_of_file_descriptors() -> None:
    """A connection waits until there are some again; meanwhile UDP is served and no processor time is burnt."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serve() as server, socket.socket() as waiting, socket.socket(type=socket.SOCK_DGRAM) as asking:
        for each in (waiting, asking):
            each.settimeout(PATIENCE)
        assert values(udp(server.address[1])) == ["one"]  # what is loaded at its first use is there
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        taken: list[int] = []
        try:
            burnt = time.process_time()
            waiting.connect(server.address)
            waiting.sendall(framed())
            asking.sendto(framed()[2:], server.address)
            assert values(dns.message.from_wire(asking.recv(4096))) == ["one"]
            assert hears_nothing(waiting, taken)
            assert time.process_time() - burnt < 0.5
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in taken:
                os.close(each)
        assert values(read_message(waiting)) == ["one"]


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


class Flaky:
    """A source that fails for one name and blocks for another."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.waiting = threading.Event()
        self.restarted = False

    def zones(self) -> Sequence[Zone]:
        return (ZONE,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        if name.startswith("bad."):
            raise OSError(f"postgresql://user:hunter2@{zone.apex}")
        if name.startswith("restarted.") and not self.restarted:
            self.restarted = True
            raise StorageUnavailableError("The database failed.")
        if name.startswith("refused."):
            raise CertCoreError("The store is closed.")
        if name.startswith("slow."):
            self.waiting.set()
            assert self.gate.wait(PATIENCE)
        return {"TXT": ["ok"]}

    def has_names_below(self, zone: Zone, name: str) -> bool:
        return bool(zone and name)


def test_a_failing_source_is_servfail_and_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Each query gets SERVFAIL; the log is not flooded, and carries no secret of the store."""
    with caplog.at_level(logging.ERROR), serve(Flaky()) as server:
        for _ in range(25):
            assert udp(server.address[1], "bad.acme.example.net").rcode() == dns.rcode.SERVFAIL
        assert tcp(server.address[1], "bad.acme.example.net").rcode() == dns.rcode.SERVFAIL
        assert values(udp(server.address[1], "good.acme.example.net")) == ["ok"]
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("techzone.complaints")]
    assert len(lines) == 1
    assert "OSError" in lines[0]
    assert "hunter2" not in caplog.text


def test_a_database_that_was_restarted_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The connections of the pool are dead after a restart: the CA's one query for a challenge is answered anyway."""
    with caplog.at_level(logging.ERROR), serve(Flaky()) as server:
        assert values(udp(server.address[1], "restarted.acme.example.net")) == ["ok"]
    assert caplog.text == ""


def test_the_log_speaks_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The next line says how many failures were not logged; our own errors are logged with their words."""
    clock = [0.0]
    with (
        caplog.at_level(logging.ERROR),
        ZoneServer((HOST, 0), [Flaky()], SystemTime(), monotonic=lambda: clock[0]) as server,
    ):
        for moment in (0.0, 1.0, 2.0, 61.0):
            clock[0] = moment
            udp(server.address[1], "refused.acme.example.net")
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("techzone.complaints")]
    assert len(lines) == 2
    assert "The store is closed." in lines[0]
    assert "2 more" in lines[1]


def test_a_burst_of_questions_waits_to_be_answered() -> None:
    """What a CA asks about an order of a hundred names, while the server's thread has no turn, is not lost."""
    udp, tcp = listen_on(HOST, 0)
    question = dns.message.make_query(LABEL, "TXT").to_wire()
    with udp, tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _ in range(400):
            asking.sendto(question, udp.getsockname())
        assert [receive(udp).data for _ in range(400)] == [question] * 400


def test_a_slow_lookup_does_not_hold_up_the_others() -> None:
    """While one query waits for its source, other UDP queries are answered."""
    source = Flaky()
    with serve(source, udp_threads=3, lookup_timeout=PATIENCE) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(udp, server.address[1], "slow.acme.example.net")
        try:
            assert source.waiting.wait(PATIENCE)
            for _ in range(20):
                assert values(udp(server.address[1], "fast.acme.example.net")) == ["ok"]
            assert not slow.done()
        finally:
            source.gate.set()
        assert values(slow.result(PATIENCE)) == ["ok"]


def test_close_ends_everything_and_may_be_called_twice() -> None:
    """Threads are joined, open connections ended, and the port is free again at once."""
    before = set(threading.enumerate())
    server = ZoneServer((HOST, free_port()), [], SystemTime())
    started = set(threading.enumerate()) - before
    assert len(started) == 5
    with connect(server.address[1]) as stream:
        stream.sendall(framed())
        read_message(stream)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: server.close(), range(2)))
        server.close()
        assert not any(thread.is_alive() for thread in started)
        assert closed_by_server(stream)
        assert "closed" in repr(server)
        with ZoneServer(server.address, [MemoryZone("acme.example.net")], SystemTime()) as again:
            assert again.address == server.address
            assert tcp(again.address[1], "acme.example.net").rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_taken_port_is_said_so(kind: socket.SocketKind) -> None:
    """UDP or TCP: the message names address, port and cause, and nothing stays bound."""
    with socket.socket(type=kind) as other:
        other.bind((HOST, free_port()))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1 port {port}: the port is in use") as caught:
            ZoneServer((HOST, port), [], SystemTime())
        assert isinstance(caught.value, CertCoreError)
        assert caught.value.advice
    with ZoneServer((HOST, port), [], SystemTime()) as server:
        assert server.address == (HOST, port)


def test_other_reasons_not_to_listen_are_said_so() -> None:
    """A foreign address, a name that is none, a port that is none, and a port that needs a privilege."""
    with pytest.raises(ListenError, match=r"192\.0\.2\.1 .* not one of this machine's"):
        ZoneServer(("192.0.2.1", 0), [], SystemTime())
    with pytest.raises(ListenError, match="it is not an address"):
        ZoneServer(("no such host", 0), [], SystemTime())
    with pytest.raises(InvalidInputError, match="port"):
        ZoneServer((HOST, 65536), [], SystemTime())
    refused = ListenError("0.0.0.0", 53, PermissionError(errno.EACCES, "Permission denied"))
    assert "0.0.0.0 port 53: permission denied" in str(refused)
    assert "CAP_NET_BIND_SERVICE" in refused.advice


def have_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not have_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux has all of 127/8 on its loopback")
@pytest.mark.parametrize("listen", ["0.0.0.0", "", pytest.param("::", marks=needs_ipv6)])
def test_answers_come_from_the_address_that_was_asked(listen: str) -> None:
    """On a machine with several addresses a resolver hears from the one that it asked."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", "one")
    with ZoneServer((listen, 0), [zone], SystemTime()) as server:
        for host in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
            for transport in ("+notcp", "+tcp"):
                assert '"one"' in dig(server.address[1], LABEL, "TXT", transport, host=host)


@needs_ipv6
@pytest.mark.parametrize("listen", ["::1", "::"])
def test_ipv6(listen: str) -> None:
    """IPv6 addresses can be listened on, over both transports."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", "one")
    with ZoneServer((listen, 0), [zone], SystemTime()) as server:
        for transport in ("+notcp", "+tcp"):
            assert '"one"' in dig(server.address[1], LABEL, "TXT", transport, host="::1")
