"""Questions to a DNS server, and what is made of the answers: CNAMEs of owners, TXT values, and servers that fail."""

import socket
import threading
from datetime import UTC, datetime
from functools import partial

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.model.hints import RecordState
from certcore.testing.ports import free_port
from certcore_puq_acme.dns.asking import waits_within
from certcore_puq_acme.dns.checks import DnsAccess, DnsChecks
from certcore_puq_acme.dns.delegation import Delegation
from certcore_puq_acme.dns.port import NO_ANSWER, Answer, Question
from certcore_puq_acme.dns.query import SocketDns, query
from certcore_puq_acme.profile.settings import NameServer, ServersAsked
from support.examples import examples

OWNER = "_acme-challenge.shop.example"
TARGET = "label.acme.panel.example"
DELEGATION = Delegation(base="shop.example", name=OWNER, target=TARGET)
CNAME, TXT, SOA = dns.rdatatype.CNAME, dns.rdatatype.TXT, dns.rdatatype.SOA
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def ask(server, name, kind, *waits):
    """One question to a resolver."""
    return query(server, Question(name=name, kind=dns.rdatatype.to_text(kind)), waits)


def resolving(*servers, timeout=5, **options):
    """The checks of a profile that asks resolvers alone."""
    return DnsChecks(resolvers=servers, timeout=timeout, policy=ServersAsked.NONE, **options)


class Answering:
    """A UDP socket that answers each question with what a function makes of it; None is silence."""

    def __init__(self, make, port=0):
        self._make = make
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.server = NameServer(*self._socket.getsockname())
        self.asked = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            wire, sender = self._socket.recvfrom(4096)
            if not wire:
                return
            self.asked += 1
            for answer in self._make(wire):
                self._socket.sendto(answer, sender)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", (self.server.address, self.server.port))
        self._thread.join(5)
        self._socket.close()


def answered(wire, *rrsets, rcode=dns.rcode.NOERROR, flags=0):
    """The answer of a recursive server with these records."""
    answer = dns.message.make_response(dns.message.from_wire(wire), recursion_available=True)
    answer.set_rcode(rcode)
    answer.flags |= flags
    answer.answer.extend(rrsets)
    return answer.to_wire()


def rr(name, kind, *values):
    return dns.rrset.from_text(f"{name}.", 30, "IN", kind, *values)


def saying(*rrsets, **options):
    return Answering(lambda wire: [answered(wire, *rrsets, **options)])


@given(
    st.lists(
        st.binary(min_size=1, max_size=300).map(lambda raw: bytes(32 + byte % 94 for byte in raw)),
        unique=True,
        max_size=4,
    )
)
@examples(30, deadline=None)
def test_txt_values_come_back_whole(values):
    """Of any length, cut into character-strings on the wire, behind a CNAME or not."""
    cut = [" ".join(_quoted(value[at : at + 255]) for at in range(0, len(value), 255)) for value in values]
    records = [rr(TARGET, "TXT", *cut)] if cut else []
    with saying(rr(OWNER, "CNAME", f"{TARGET}."), *records) as dns_server:
        answer = ask(dns_server.server, OWNER, TXT, 5)
    assert not answer.failure
    assert set(answer.values("TXT")) == {value.decode() for value in values}
    assert answer.at(OWNER, "CNAME") == (TARGET,)


def _quoted(raw):
    return '"' + raw.decode().replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize("change", ["id", "question", "query", "short", "empty"])
def test_only_the_answer_to_our_question_counts(change):
    """Another id, another question, a query instead of an answer: passed over until the right one comes."""

    def make(wire):
        right = answered(wire, rr(OWNER, "CNAME", f"{TARGET}."))
        wrong = bytearray(answered(wire, rr(OWNER, "CNAME", "evil.example.")))
        match change:
            case "id":
                wrong[0] ^= 1
            case "question":
                wrong[14] ^= 2
            case "query":
                wrong[2] &= 0x7F
            case "short":
                del wrong[8:]
            case "empty":
                wrong = b"\0"
        return [bytes(wrong), right]

    with Answering(make) as dns_server:
        assert ask(dns_server.server, OWNER, CNAME, 5).at(OWNER, "CNAME") == (TARGET,)


# The header's flags and counts, and everything behind the question.
@given(st.integers(2, 11) | st.integers(50, 200), st.integers(0, 255))
@examples(40, deadline=None)
def test_a_damaged_answer_is_read_as_dnspython_reads_it(place, value):
    """A changed byte leads to the values that dnspython finds in the packet, or to a failure; never to an exception."""
    sent = []

    def make(wire):
        packet = bytearray(answered(wire, rr(OWNER, "CNAME", f"{TARGET}."), rr(TARGET, "TXT", '"value"')))
        packet[min(place, len(packet) - 1)] = value
        sent.append(bytes(packet))
        return sent[-1:]

    with Answering(make) as dns_server:
        answer = ask(dns_server.server, OWNER, TXT, 0.05)
    try:
        read = dns.message.from_wire(sent[-1])
    except (dns.exception.DNSException, ValueError):
        return  # what lies behind the answer section is not looked at
    texts = [one for rrset in read.answer if rrset.rdtype == TXT for one in rrset]
    expected = {b"".join(text.strings).decode("ascii", "replace") for text in texts}
    assert answer.failure or set(answer.values("TXT")) == expected


@pytest.mark.parametrize(
    ("kind", "packet_of"),
    [
        (TXT, partial(answered, rcode=dns.rcode.SERVFAIL)),
        (CNAME, partial(answered, rcode=dns.rcode.REFUSED)),
        (SOA, partial(answered, rcode=dns.rcode.SERVFAIL)),
    ],
)
def test_a_server_that_fails_is_told_from_a_name_that_is_not_there(kind, packet_of):
    """SERVFAIL is no answer; NXDOMAIN and an empty answer are."""
    with Answering(lambda wire: [packet_of(wire)]) as dns_server:
        assert str(ask(dns_server.server, OWNER, kind, 5).in_words).startswith("it answered ")
    for rcode in (dns.rcode.NXDOMAIN, dns.rcode.NOERROR):
        with saying(rcode=rcode) as dns_server:
            answer = ask(dns_server.server, OWNER, kind, 5)
            assert answer.is_positive
            assert not answer.answer


def test_nobody_answers():
    """A silent server, and a port where nobody listens, are failures in words, within the time."""
    with Answering(lambda _wire: []) as dns_server:
        assert ask(dns_server.server, OWNER, TXT, 0.05) == Answer(failure=NO_ANSWER)
        assert ask(dns_server.server, "shop.example", SOA, 0.05) == Answer(failure=NO_ANSWER)
    assert str(ask(dns_server.server, OWNER, TXT, 5).failure) == "no DNS server listens there"


@pytest.mark.parametrize("sent", [b"", b"\x00", b"\x00\x40cut", b"\x00\x0cno DNS at all"])
def test_what_comes_over_tcp_may_be_anything(sent):
    """A connection that ends at once, or in the middle of an answer, is a failure in words; no exception."""
    with (
        socket.create_server(("127.0.0.1", free_port())) as tcp,
        Answering(lambda wire: [answered(wire, flags=dns.flags.TC)], tcp.getsockname()[1]) as dns_server,
    ):

        def serve():
            stream, _ = tcp.accept()
            with stream:
                stream.recv(4096)
                stream.sendall(sent)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        failure = str(ask(dns_server.server, OWNER, TXT, 5).failure)
        thread.join(5)
    assert failure.startswith("no usable answer")
    assert "Error" not in failure


def test_an_answer_that_was_cut_is_asked_for_again_over_tcp():
    """With the TC bit set, what counts is the answer over TCP (RFC 7766)."""
    # A port that is free for both: one that UDP was given may be in use by some TCP connection.
    with (
        socket.create_server(("127.0.0.1", free_port())) as tcp,
        Answering(lambda wire: [answered(wire, flags=dns.flags.TC)], tcp.getsockname()[1]) as dns_server,
    ):

        def serve():
            stream, _ = tcp.accept()
            with stream:
                length = int.from_bytes(stream.recv(2))
                whole = answered(stream.recv(length), rr(OWNER, "TXT", '"whole"'))
                stream.sendall(len(whole).to_bytes(2) + whole)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert ask(dns_server.server, OWNER, TXT, 5).values("TXT") == ("whole",)
        thread.join(5)


def test_unusual_names_are_left_to_dnspython():
    """A CNAME with escaped characters in it is read, not refused."""
    with saying(rr(OWNER, "CNAME", r"we\.ird.example.")) as dns_server:
        assert ask(dns_server.server, OWNER, CNAME, 5).at(OWNER, "CNAME") == (r"we\.ird.example",)


def check(*servers):
    return resolving(*servers).cname(DELEGATION, NOW)


@pytest.mark.parametrize(
    ("records", "state", "seen"),
    [
        ([(OWNER, f"{TARGET}.")], RecordState.CORRECT, TARGET),
        ([(OWNER.upper(), f"{TARGET.upper()}.")], RecordState.CORRECT, TARGET),
        ([(OWNER, "a.example."), ("a.example", f"{TARGET}.")], RecordState.CORRECT, TARGET),
        ([], RecordState.MISSING, ""),
        ([(OWNER, "other.example.")], RecordState.WRONG, "other.example"),
        ([(OWNER, "a.example."), ("a.example", "b.example.")], RecordState.WRONG, "a.example → b.example"),
        ([(OWNER, "a.example."), ("a.example", "a.example.")], RecordState.WRONG, "a.example (a CNAME loop)"),
    ],
)
def test_what_is_seen_of_a_cname(records, state, seen):
    """Right, missing, wrong with what is there instead, or a loop."""
    answers = {name.lower(): value for name, value in records}

    def make(wire):
        name = dns.message.from_wire(wire).question[0].name.to_text(omit_final_dot=True).lower()
        return [answered(wire, *([rr(name, "CNAME", answers[name])] if name in answers else []))]

    with Answering(make) as dns_server:
        found = check(dns_server.server)
    assert (found.state, str(found.seen)) == (state, seen)


def test_every_server_has_to_see_it():
    """One that does not see the CNAME yet, or fails, decides."""
    with saying(rr(OWNER, "CNAME", f"{TARGET}.")) as good, saying() as old, saying(rcode=dns.rcode.SERVFAIL) as bad:
        assert check(good.server, good.server).state is RecordState.CORRECT
        assert check(good.server, old.server).state is RecordState.MISSING
        assert check(bad.server, good.server).state is RecordState.UNREACHABLE
        assert "SERVFAIL" in str(check(good.server, bad.server).seen)
    assert check().state is RecordState.UNREACHABLE


def test_txt_values_have_to_be_seen_by_every_server():
    """All of them at each; the finding says who lacks what."""
    two, none = {DELEGATION: ["one", "two"]}, {DELEGATION: []}
    with saying(rr(TARGET, "TXT", '"one"', '"two"')) as both, saying(rr(TARGET, "TXT", '"one"')) as one:
        see = resolving(both.server)
        assert see.unseen_values(two) == ()
        assert see.unseen_values(none) == ()
        late = resolving(both.server, one.server)
        (missing,) = late.unseen_values(two)
        assert (missing.server, str(missing.seen)) == (str(one.server), "1 of 2 values")
        assert all("SOA" not in str(found) for found in late.tech_zone("acme.panel.example"))
    with saying(rr("acme.panel.example", "SOA", "ns. host. 1 2 3 4 5")) as zone, saying() as empty:
        assert resolving(zone.server).tech_zone("acme.panel.example") == ()
        (missing,) = resolving(empty.server).tech_zone("acme.panel.example")
        assert str(missing.seen) == f"{empty.server}: there is no such zone"
    assert "no DNS server" in str(resolving().unseen_values(two)[0])
    assert "no DNS server" in str(resolving().tech_zone("x.example")[0])


def test_a_silent_server_is_not_asked_a_hundred_times():
    """A server that never answers is left alone after a few questions; one that answers is asked for each name.

    It was one question: but one silence does not tell a dead server from a lost packet.
    """
    many = [Delegation(base=f"{n}.example", name=f"_acme-challenge.{n}.example", target=TARGET) for n in range(100)]
    with Answering(lambda _wire: []) as silent:
        found = resolving(silent.server, timeout=0.05).cnames(many, NOW)
        assert {one.state for one in found} == {RecordState.UNREACHABLE}
        assert [one.name for one in found] == [one.name for one in many]
    assert silent.asked <= 20  # as many as are asked at once, and few more
    with saying() as answering:
        found = resolving(answering.server).cnames(many, NOW)
        assert {one.state for one in found} == {RecordState.MISSING}
        assert answering.asked == 100


def test_a_lost_packet_is_sent_again():
    """The same question goes out again after each wait; a name whose packets are lost for good condemns no other."""
    lost = set()

    def make(wire):
        question = bytes(wire[12:])
        if b"dead" in question or question not in lost:
            lost.add(question)
            return []
        return [answered(wire)]

    with Answering(make) as dns_server:
        assert ask(dns_server.server, OWNER, TXT, 0.05, 5).is_positive
        assert ask(dns_server.server, "dead.example", TXT, 0.05, 0.05) == Answer(failure=NO_ANSWER)
    assert waits_within(9) == (1, 2, 2, 2, 2)
    assert waits_within(0.5) == (0.5,)


def test_a_slow_server_holds_a_thread_for_a_minute_at_most():
    """A tenant's servers that take four seconds for each of a hundred names: the rest is looked at another time.

    Names are looked at side by side, so that a few more than 15 may be asked about within the minute.
    """
    many = [Delegation(base=f"{n}.example", name=f"_acme-challenge.{n}.example", target=TARGET) for n in range(100)]
    moments = [0.0]

    class Slow(SocketDns):
        def query(self, server, question, waits):
            moments[0] += 4.0
            return Answer(rcode="NOERROR")

    checks = resolving(NameServer("192.0.2.1"), access=DnsAccess(Slow()), monotonic=lambda: moments[0])
    found = checks.cnames(many, NOW)
    assert [one.name for one in found] == [one.name for one in many]
    assert 15 <= [one.state for one in found].count(RecordState.MISSING) <= 32
    assert {str(one.seen) for one in found if one.state is RecordState.UNREACHABLE} == {"the DNS is too slow"}
    checks.caa_records([one.base for one in many])
    assert moments[0] <= 2 * (64 + 16 * 4) + 4


def test_what_a_resolver_keeps_is_said():
    """The Extended DNS Error of a failure is read; a negative answer tells how long it is kept."""

    def failing(wire):
        answer = dns.message.make_response(dns.message.from_wire(wire))
        answer.set_rcode(dns.rcode.SERVFAIL)
        answer.use_edns(0, options=[dns.edns.EDEOption(6, "bad\x1b keys")])
        return [answer.to_wire()]

    with Answering(failing) as dns_server:
        found = ask(dns_server.server, OWNER, CNAME, 5)
    assert (found.rcode, found.extended_error) == ("SERVFAIL", "Dnssec bogus: bad\N{REPLACEMENT CHARACTER} keys")
