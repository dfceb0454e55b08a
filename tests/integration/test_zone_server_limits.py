"""What the zone server owes to others: no amplified answers to forged senders, and an answer in time."""

import contextlib
import socket
import threading
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.errors import CertCoreError, StorageUnavailableError
from certcore.ports.dns import Zone
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter, AnswerLimits
from certcore_puq_acme.techzone.answers import answer
from certcore_puq_acme.techzone.bounded_source import BoundedSource, SourceTimeoutError
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer

HOST = "127.0.0.1"
ZONE = "acme.example.net"
PATIENCE = 20.0


def zone_with(names):
    zone = MemoryZone(ZONE)
    for name in names:
        zone.set(name, "TXT", *(f"{number:043d}" for number in range(20)))
    return zone


def question(name, edns=True):
    return dns.message.make_query(name, "TXT", use_edns=0 if edns else -1, payload=1232)


def ask(port, name):
    return dns.query.udp(question(name), HOST, port=port, timeout=PATIENCE)


def test_an_equal_question_is_cut_short_and_answered_over_tcp():
    """Whoever repeats a question gets no more than it sends; a real resolver asks over TCP, which is not limited."""
    name = f"many.{ZONE}"
    with ZoneServer((HOST, 0), [zone_with([name])], SystemEnvironment(), monotonic=lambda: 7.0) as server:
        port = server.address[1]
        replies = [ask(port, name) for _ in range(30)]
        full = [reply for reply in replies if reply.answer]
        cut = [reply for reply in replies if reply.flags & dns.flags.TC]
        assert len(full) == AnswerLimits().equal
        assert len(cut) == 30 - len(full)
        assert all(len(reply.to_wire()) <= len(question(name).to_wire()) for reply in cut)
        for _ in range(30):
            assert len(dns.query.tcp(question(name), HOST, port=port, timeout=PATIENCE).answer[0]) == 20


def test_a_thousand_different_questions_in_a_second_are_answered():
    """A CA that validates an order of many names asks from one place, and gets its answers over UDP."""
    names = [f"n{number}.{ZONE}" for number in range(1000)]
    with ZoneServer((HOST, 0), [zone_with(names)], SystemEnvironment(), monotonic=lambda: 7.0) as server:
        assert all(ask(server.address[1], name).answer for name in names)


def test_the_next_second_is_counted_anew():
    """A limit passes with its second."""
    seconds = [1.2]
    limiter = AnswerLimiter(AnswerLimits(equal=2, total=3), lambda: seconds[0])
    wires = [answered(limiter, "192.0.2.1") for _ in range(3)]
    seconds[0] = 2.1
    wires.append(answered(limiter, "192.0.2.1"))
    assert [bool(dns.message.from_wire(wire).answer) for wire in wires] == [True, True, False, True]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.200", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("2001:db8:0:100::1", "2001:db8:0:1ff::2", True),
        ("2001:db8:0:100::1", "2001:db8:0:200::1", False),
        ("fe80::1%lo", "fe80::2", True),
    ],
)
def test_addresses_of_one_network_share_a_limit(first, second, same):
    """A forger can use every address of the network that is to be hit."""
    limiter = AnswerLimiter(AnswerLimits(equal=1), lambda: 7.0)
    assert dns.message.from_wire(answered(limiter, first)).answer
    assert bool(dns.message.from_wire(answered(limiter, second)).answer) is not same


def test_all_answers_of_a_network_are_limited_together():
    """Different questions do not get round the limit of the network; others are not concerned."""
    limiter = AnswerLimiter(AnswerLimits(equal=20, total=50), lambda: 7.0)
    names = [f"n{number}.{ZONE}" for number in range(80)]
    wires = [answered(limiter, "192.0.2.1", name) for name in names]
    assert sum(bool(dns.message.from_wire(wire).answer) for wire in wires) == 50
    assert dns.message.from_wire(answered(limiter, "198.51.100.1", names[0])).answer


def test_a_flood_does_not_fill_the_memory():
    """Beyond a number of counters, whatever is not counted yet is sent to TCP."""
    limiter = AnswerLimiter(AnswerLimits(counters=100), lambda: 7.0)
    permitted = 0
    for number in range(1000):
        address = f"10.{number // 250}.{number % 250}.1"
        if limiter.permits(address, "16 x"):
            limiter.count(address, "16 x")
            permitted += 1
    assert permitted <= 100


def test_answers_that_are_no_longer_than_the_question_are_not_limited():
    """They are of no use to a forger: a refusal stays a refusal."""
    limiter = AnswerLimiter(AnswerLimits(equal=1, total=1), lambda: 7.0)
    wire = question("elsewhere.example").to_wire()
    for _ in range(5):
        reply = answer(wire, [], now=SystemEnvironment().now(), limiter=limiter, address="192.0.2.1")
        assert dns.message.from_wire(reply).rcode() == dns.rcode.REFUSED


def answered(limiter, address, name=f"many.{ZONE}"):
    sources = [zone_with([name])]
    now = SystemEnvironment().now()
    return answer(question(name).to_wire(), sources, now=now, limiter=limiter, address=address)


class Frozen:
    """A source whose database hangs until it is released."""

    def __init__(self):
        self.released = threading.Event()
        self.released.set()

    def zones(self):
        self.released.wait(PATIENCE)
        return (Zone(apex="frozen.example", nameservers=()),)

    def records(self, zone, name):
        self.released.wait(PATIENCE)
        return {"TXT": [f"{name} in {zone.apex}"]}

    def has_names_below(self, zone, name):
        self.released.wait(PATIENCE)
        return bool(zone and name)


def test_a_frozen_database_costs_its_own_zones_a_servfail_and_others_nothing():
    """The answer comes within two seconds; once that is known, other zones are served at once; and it recovers."""
    source = Frozen()
    other = zone_with([f"many.{ZONE}"])
    options = ServerOptions(lookup_timeout=1.0, answer_limits=None)
    with ZoneServer((HOST, 0), [source, other], SystemEnvironment(), options=options) as server:
        port = server.address[1]
        assert ask(port, "x.frozen.example").answer
        source.released.clear()
        began = time.monotonic()
        assert ask(port, "x.frozen.example").rcode() == dns.rcode.SERVFAIL
        assert time.monotonic() - began < 2 * PATIENCE / 3  # far from the twenty seconds for which it hangs
        # While it hangs, the other zone's answers do not wait for it.
        for _ in range(50):
            assert ask(port, f"many.{ZONE}").answer
        assert ask(port, "y.frozen.example").rcode() == dns.rcode.SERVFAIL
        source.released.set()
        deadline = time.monotonic() + PATIENCE
        while not ask(port, "x.frozen.example").answer:
            assert time.monotonic() < deadline


def test_stuck_lookups_are_bounded():
    """While a lookup is stuck, no further ones pile up, and the last list of zones stands."""
    source = Frozen()
    bounded = BoundedSource(source, 0.05, time.monotonic, threads=3)
    zones = bounded.zones()
    before = threading.active_count()
    source.released.clear()
    for _ in range(200):
        with contextlib.suppress(SourceTimeoutError):
            bounded.records(zones[0], "x.frozen.example")
    assert threading.active_count() - before <= 3
    assert list(bounded.zones()) == list(zones)
    source.released.set()
    bounded.close()


def test_one_stuck_lookup_does_not_stop_the_others_for_long():
    """A connection that the network has swallowed is not the database: after a second, another one is tried."""
    moments = [0.0]

    class Swallowed(Frozen):
        def records(self, zone, name):
            if name == "first":
                self.released.wait(PATIENCE)
            return {"TXT": [f"{name} in {zone.apex}"]}

    source = Swallowed()
    bounded = BoundedSource(source, 0.5, lambda: moments[0])
    zone = bounded.zones()[0]
    source.released.clear()
    with pytest.raises(SourceTimeoutError):
        bounded.records(zone, "first")
    with pytest.raises(SourceTimeoutError):
        bounded.records(zone, "second")
    moments[0] += 1.5
    assert all(bounded.records(zone, name)["TXT"] for name in ("third", "fourth"))
    source.released.set()
    bounded.close()


def test_the_lookups_of_a_query_share_one_deadline():
    """A source that is slow, and never stuck, keeps no resolver waiting for one time limit after the other."""
    moments = [0.0]

    class Slow(Frozen):
        def records(self, zone, name):
            moments[0] += 0.4
            return super().records(zone, name)

    bounded = BoundedSource(Slow(), 1.0, lambda: moments[0])
    query = bounded.for_a_query()
    zone = query.zones()[0]
    assert [query.records(zone, name)["TXT"] for name in "abc"] == [[f"{name} in frozen.example"] for name in "abc"]
    for lookup in (query.records, query.has_names_below):
        with pytest.raises(SourceTimeoutError):
            lookup(zone, "d")
    assert moments[0] == pytest.approx(1.2)
    assert bounded.for_a_query().records(zone, "e")["TXT"]
    bounded.close()


def test_a_stopped_database_costs_other_zones_nothing():
    """Its refusals come at once: its own zones get SERVFAIL, and zones from files are answered as before."""

    class Stopped(Frozen):
        is_stopped = False

        def zones(self):
            if self.is_stopped:
                raise StorageUnavailableError("The database cannot be reached.")
            return super().zones()

        def records(self, zone, name):
            self.zones()
            return super().records(zone, name)

    moments, source, other = [0.0], Stopped(), zone_with([f"many.{ZONE}"])
    with ZoneServer((HOST, 0), [source, other], SystemEnvironment(), monotonic=lambda: moments[0]) as server:
        port = server.address[1]
        assert ask(port, "x.frozen.example").answer
        source.is_stopped = True
        moments[0] += 10
        assert ask(port, f"many.{ZONE}").answer
        assert ask(port, "x.frozen.example").rcode() == dns.rcode.SERVFAIL
        source.is_stopped = False
        assert ask(port, "x.frozen.example").answer


def test_what_a_source_raises_is_raised():
    """A lookup in another thread fails as it would fail here."""

    class Broken(Frozen):
        def records(self, zone, name):
            raise CertCoreError(f"no {name} in {zone.apex}")

    bounded = BoundedSource(Broken(), PATIENCE, time.monotonic)
    with pytest.raises(CertCoreError, match="no x in frozen"):
        bounded.records(bounded.zones()[0], "x")
    bounded.close()


def test_what_has_to_be_done_before_serving_is_done_before_the_first_answer():
    """It runs once, and no thread that answers queries is there yet."""
    seen = []
    threads = threading.active_count()
    sources = [zone_with([f"many.{ZONE}"])]
    with ZoneServer(
        (HOST, 0), sources, SystemEnvironment(), before_serving=lambda: seen.append(threading.active_count())
    ) as server:
        assert seen == [threads]
        assert ask(server.address[1], f"many.{ZONE}").answer


def test_what_fails_before_serving_leaves_nothing_behind():
    """The error comes through, and the port is free again."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]

    def before():
        raise CertCoreError("There is no user of this name.")

    with pytest.raises(CertCoreError, match="no user"):
        ZoneServer((HOST, port), [], SystemEnvironment(), before_serving=before)
    with ZoneServer((HOST, port), [], SystemEnvironment()) as server:
        assert server.address[1] == port
