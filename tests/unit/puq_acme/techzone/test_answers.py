"""What the tech zone's name server answers, checked with dnspython's own message parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.ports.dns import Zone
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.answer_limits import AnswerLimiter, AnswerLimits
from certcore_puq_acme.techzone.answers import MAX_CNAMES, answer, server_failure
from certcore_puq_acme.techzone.edns_options import EdnsOptions, ServerCookies
from support.examples import examples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LABEL = "k7.acme.example.net"


def tech_zone() -> MemoryZone:
    zone = MemoryZone("acme.example.net", ("ns1.example.net", "ns2.example.net"), ttl=30, negative_ttl=5)
    zone.set(LABEL, "TXT", "one", "two")
    zone.set("deep.below.acme.example.net", "TXT", "x")
    zone.set("web.acme.example.net", "A", "192.0.2.7")
    zone.set("web.acme.example.net", "AAAA", "2001:db8::7")
    zone.set("caa.acme.example.net", "CAA", '0 issue "letsencrypt.org"')
    return zone


def customer_zone() -> MemoryZone:
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
    wire = answer(query.to_wire(), sources, now=now, tcp=tcp)  # type: ignore[arg-type]
    assert wire is not None
    reply = dns.message.from_wire(wire)
    assert reply.id == query.id
    assert reply.flags & dns.flags.QR
    assert not reply.flags & dns.flags.RA
    return reply


def texts(message: dns.message.Message, rdtype: str = "TXT") -> list[str]:
    code = dns.rdatatype.from_text(rdtype)
    return sorted(
        b"".join(record.strings).decode() if rdtype == "TXT" else record.to_text()
        for rrset in message.answer
        if rrset.rdtype == code
        for record in rrset
    )


def test_all_values_of_a_name_come_in_one_rrset() -> None:
    """A TXT query gets every value, once, with authority and the zone's TTL."""
    reply = ask(dns.message.make_query(LABEL, "TXT"))
    assert texts(reply) == ["one", "two"]
    assert len(reply.answer) == 1
    assert reply.answer[0].ttl == 30
    assert reply.flags & dns.flags.AA
    assert not reply.authority
    assert reply.rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("rdtype", ["A", "AAAA", "CNAME", "CAA", "NS", "SOA", "MX", "DNSKEY", "TYPE65280"])
def test_another_type_at_a_name_with_a_txt_is_nodata(rdtype: str) -> None:
    """No query may make a resolver believe that a name with a TXT record does not exist (RFC 8020)."""
    reply = ask(dns.message.make_query(LABEL, rdtype))
    assert reply.rcode() == dns.rcode.NOERROR
    assert not reply.answer
    (soa,) = reply.authority
    assert soa.name.to_text() == "acme.example.net."
    assert soa.ttl == 5  # this bounds how long "no" may be kept (RFC 2308 section 5)
    assert soa[0].minimum == 300


def test_a_name_with_only_names_below_it_is_nodata() -> None:
    """An empty non-terminal exists."""
    reply = ask(dns.message.make_query("below.acme.example.net", "TXT"))
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.authority[0].rdtype == dns.rdatatype.SOA


def test_a_name_that_is_not_there_is_nxdomain_with_the_soa() -> None:
    """A missing name gets NXDOMAIN, kept no longer than the smaller of both TTLs (RFC 2308)."""
    reply = ask(dns.message.make_query("no.acme.example.net", "TXT"))
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert reply.flags & dns.flags.AA
    assert reply.authority[0].ttl == 5
    short = MemoryZone("short.example", ttl=2, negative_ttl=60)
    assert ask(dns.message.make_query("no.short.example", "TXT"), sources=[short]).authority[0].ttl == 2


def test_the_apex_has_soa_and_ns() -> None:
    """SOA and NS come from the zone; the serial is the time."""
    soa = ask(dns.message.make_query("acme.example.net", "SOA")).answer[0][0]
    assert soa.mname.to_text() == "ns1.example.net."
    assert soa.rname.to_text() == "hostmaster.acme.example.net."
    assert soa.serial == int(NOW.timestamp())
    servers = ask(dns.message.make_query("acme.example.net", "NS"))
    assert texts(servers, "NS") == ["ns1.example.net.", "ns2.example.net."]
    empty = ask(dns.message.make_query("acme.example.net", "TXT"))
    assert empty.rcode() == dns.rcode.NOERROR
    assert not empty.answer


def test_an_apex_with_a_cname_still_answers_soa_and_ns() -> None:
    """A CNAME where none may be does not take the zone's own records away."""
    zone = MemoryZone("odd.example")
    zone.set("odd.example", "CNAME", "elsewhere.example")
    assert ask(dns.message.make_query("odd.example", "SOA"), sources=[zone]).answer[0].rdtype == dns.rdatatype.SOA
    assert ask(dns.message.make_query("odd.example", "NS"), sources=[zone]).answer[0].rdtype == dns.rdatatype.NS


def test_the_serial_wraps_instead_of_failing() -> None:
    """After 2106 the serial goes on as RFC 1982 says."""
    reply = ask(dns.message.make_query("acme.example.net", "SOA"), now=datetime(2110, 1, 1, tzinfo=UTC))
    assert reply.answer[0][0].serial == int(datetime(2110, 1, 1, tzinfo=UTC).timestamp()) - 2**32


def test_other_types_are_served_as_the_source_says() -> None:
    """A, AAAA and CAA come out as they were put in."""
    assert texts(ask(dns.message.make_query("web.acme.example.net", "A")), "A") == ["192.0.2.7"]
    assert texts(ask(dns.message.make_query("web.acme.example.net", "AAAA")), "AAAA") == ["2001:db8::7"]
    assert texts(ask(dns.message.make_query("caa.acme.example.net", "CAA")), "CAA") == ['0 issue "letsencrypt.org"']


def test_a_cname_is_followed_into_another_served_zone() -> None:
    """The CNAME and the TXT behind it come in one answer, across sources and regardless of case."""
    reply = ask(dns.message.make_query("_acme-challenge.customer.example", "TXT"))
    assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.CNAME, dns.rdatatype.TXT]
    assert texts(reply) == ["one", "two"]
    assert reply.answer[1].name.to_text() == f"{LABEL}."


def test_a_cname_itself_can_be_asked_for() -> None:
    """A CNAME query gets the CNAME and nothing behind it."""
    reply = ask(dns.message.make_query("_acme-challenge.customer.example", "CNAME"))
    assert texts(reply, "CNAME") == [f"{LABEL}."]
    assert len(reply.answer) == 1


def test_a_cname_to_a_missing_name_is_nxdomain_of_the_targets_zone() -> None:
    """The response code speaks of the last name of the chain (RFC 6604), and so does the SOA."""
    reply = ask(dns.message.make_query("gone.customer.example", "TXT"))
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert len(reply.answer) == 1
    assert reply.authority[0].name.to_text() == "acme.example.net."


def test_a_cname_that_leaves_our_zones_is_the_whole_answer() -> None:
    """The resolver goes on from there; we do not ask anybody."""
    reply = ask(dns.message.make_query("away.customer.example", "TXT"))
    assert reply.rcode() == dns.rcode.NOERROR
    assert texts(reply, "CNAME") == ["target.elsewhere.example."]
    assert not reply.authority


def test_cname_loops_end() -> None:
    """A loop gives each CNAME once; a long chain is cut."""
    assert len(ask(dns.message.make_query("loop.customer.example", "TXT")).answer) == 2
    assert len(ask(dns.message.make_query("c0.customer.example", "TXT")).answer) == MAX_CNAMES + 1


@pytest.mark.parametrize(
    ("name", "rdtype", "rdclass", "rcode"),
    [
        ("example.net", "SOA", "IN", dns.rcode.REFUSED),
        ("notacme.example.net", "TXT", "IN", dns.rcode.REFUSED),
        ("xacme.example.net", "TXT", "IN", dns.rcode.REFUSED),
        (".", "NS", "IN", dns.rcode.REFUSED),
        (LABEL, "TXT", "CH", dns.rcode.REFUSED),
        ("version.bind", "TXT", "CH", dns.rcode.REFUSED),
        (LABEL, "TXT", "ANY", dns.rcode.REFUSED),
        ("acme.example.net", "AXFR", "IN", dns.rcode.REFUSED),
        ("acme.example.net", "IXFR", "IN", dns.rcode.REFUSED),
        (LABEL, "MAILB", "IN", dns.rcode.NOTIMP),
    ],
)
def test_what_is_not_ours_is_refused(name: str, rdtype: str, rdclass: str, rcode: int) -> None:
    """Other zones, other classes and zone transfers get a refusal without authority or records."""
    reply = ask(dns.message.make_query(name, rdtype, rdclass))
    assert reply.rcode() == rcode
    assert not reply.flags & dns.flags.AA
    assert not reply.answer
    assert not reply.authority


@pytest.mark.parametrize("opcode", [dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE, 6, 9])
def test_other_opcodes_are_not_implemented(opcode: int) -> None:
    """NOTIFY, UPDATE and the rest get NOTIMP with their own opcode."""
    query = dns.message.make_query("acme.example.net", "SOA")
    wire = bytearray(query.to_wire())
    wire[2] = opcode << 3
    reply = answer(bytes(wire), SOURCES, now=NOW)
    assert reply is not None
    assert reply[:2] == wire[:2]
    assert (reply[2] >> 3) & 0xF == opcode
    assert reply[3] & 0xF == dns.rcode.NOTIMP


def test_any_gets_one_small_made_up_record() -> None:
    """ANY is answered with HINFO (RFC 8482), or the CNAME where there is one: no amplifier."""
    reply = ask(dns.message.make_query(LABEL, "ANY"))
    assert texts(reply, "HINFO") == ['"RFC8482" ""']
    assert len(reply.answer) == 1
    alias = ask(dns.message.make_query("_acme-challenge.customer.example", "ANY"))
    assert [rrset.rdtype for rrset in alias.answer] == [dns.rdatatype.CNAME]
    assert ask(dns.message.make_query("no.acme.example.net", "ANY")).rcode() == dns.rcode.NXDOMAIN
    assert ask(dns.message.make_query("below.acme.example.net", "ANY")).rcode() == dns.rcode.NOERROR
    assert ask(dns.message.make_query("acme.example.net", "ANY")).answer[0].rdtype == dns.rdatatype.HINFO


def test_the_questions_case_is_kept() -> None:
    """0x20: question and owner come back as they were spelt."""
    query = dns.message.make_query("K7.aCmE.ExAmPlE.nEt", "TXT")
    wire = answer(query.to_wire(), SOURCES, now=NOW)
    assert wire is not None
    assert b"\x02K7\x04aCmE\x07ExAmPlE\x03nEt\x00" in wire
    assert dns.message.from_wire(wire).answer[0].name.to_text() == "K7.aCmE.ExAmPlE.nEt."


def test_a_long_value_is_cut_into_strings() -> None:
    """More than 255 octets become several strings of one record (RFC 1035 section 3.3.14), none an empty one."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", "a" * 300, "", "ü" * 200)
    reply = ask(dns.message.make_query(LABEL, "TXT"), sources=[zone], tcp=True)
    assert texts(reply) == sorted(["", "a" * 300, "ü" * 200])
    assert max(len(part) for record in reply.answer[0] for part in record.strings) == 255


def test_recursion_desired_is_copied_and_checking_disabled_is_not() -> None:
    """RD is repeated, RA, AD and CD stay clear."""
    query = dns.message.make_query(LABEL, "TXT", flags=dns.flags.RD | dns.flags.CD | dns.flags.AD)
    assert ask(query).flags == dns.flags.QR | dns.flags.AA | dns.flags.RD
    assert ask(dns.message.make_query(LABEL, "TXT", flags=0)).flags == dns.flags.QR | dns.flags.AA


def test_edns_is_answered_only_when_spoken() -> None:
    """OPT is echoed with our size and the DO bit; unknown options are ignored; without OPT there is none."""
    plain = ask(dns.message.make_query(LABEL, "TXT"))
    assert plain.edns == -1
    option = dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"hello")
    reply = ask(dns.message.make_query(LABEL, "TXT", use_edns=0, payload=4096, want_dnssec=True, options=[option]))
    assert reply.edns == 0
    assert reply.payload == 1232
    assert reply.ednsflags == dns.flags.DO
    assert not reply.options
    assert texts(reply) == ["one", "two"]


def test_an_unknown_edns_version_is_refused_politely() -> None:
    """BADVERS in the OPT record, our version in it, and no data (RFC 6891 section 6.1.3)."""
    reply = ask(dns.message.make_query(LABEL, "TXT", use_edns=1))
    assert reply.rcode() == dns.rcode.BADVERS
    assert reply.edns == 0
    assert not reply.answer


@pytest.mark.parametrize(("payload", "limit"), [(None, 512), (100, 512), (512, 512), (900, 900), (65535, 1232)])
def test_a_large_answer_is_truncated_over_udp_and_whole_over_tcp(payload: int | None, limit: int) -> None:
    """Over UDP: at most what the client takes and 1232, else TC and no records; over TCP: everything."""
    for count in range(1, 40):
        zone = MemoryZone("acme.example.net")
        zone.set(LABEL, "TXT", *(f"{number:043d}" for number in range(count)))
        query = (
            dns.message.make_query(LABEL, "TXT")
            if payload is None
            else dns.message.make_query(LABEL, "TXT", use_edns=0, payload=payload)
        )
        whole = answer(query.to_wire(), [zone], now=NOW, tcp=True)
        short = answer(query.to_wire(), [zone], now=NOW)
        assert whole is not None
        assert short is not None
        assert len(texts(dns.message.from_wire(whole))) == count
        reply = dns.message.from_wire(short)
        if len(whole) <= limit:
            assert short == whole
        else:
            assert reply.flags & dns.flags.TC
            assert not reply.answer
            assert len(short) <= 512
            assert (reply.edns == 0) == (payload is not None)


def test_an_answer_over_64_kib_is_truncated_even_over_tcp() -> None:
    """Two octets of length are all that TCP has."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", *(f"{number:0250d}" for number in range(300)))
    reply = ask(dns.message.make_query(LABEL, "TXT"), sources=[zone], tcp=True)
    assert reply.flags & dns.flags.TC


def test_the_longest_apex_wins() -> None:
    """A zone inside another one, in whatever order, answers for its own names."""
    parent = MemoryZone("example.net")
    parent.set("k7.acme.example.net", "TXT", "parent")
    for sources in ([parent, tech_zone()], [tech_zone(), parent]):
        assert texts(ask(dns.message.make_query(LABEL, "TXT"), sources=sources)) == ["one", "two"]


def with_servers() -> MemoryZone:
    zone = MemoryZone("acme.example.net", ("ns1.hosts.acme.example.net", "ns2.example.org"))
    zone.set("ns1.hosts.acme.example.net", "A", "192.0.2.1")
    zone.set("ns1.hosts.acme.example.net", "AAAA", "2001:db8::1")
    return zone


def test_ns_answers_bring_the_addresses_of_servers_inside_the_zone() -> None:
    """A resolver need not ask for them; hosts elsewhere are left to the resolver."""
    reply = ask(dns.message.make_query("acme.example.net", "NS", use_edns=0), sources=[with_servers()])
    assert {rrset.to_text() for rrset in reply.additional} == {
        "ns1.hosts.acme.example.net. 30 IN A 192.0.2.1",
        "ns1.hosts.acme.example.net. 30 IN AAAA 2001:db8::1",
    }


def test_additional_records_that_have_no_room_are_left_out() -> None:
    """They are only of use to spare a question: without them the answer is whole, and TC stays clear."""
    servers = [f"ns{number}.acme.example.net" for number in range(8)]
    zone = MemoryZone("acme.example.net", servers)
    for host in servers:
        zone.set(host, "AAAA", *(f"2001:db8::{number}" for number in range(3)))
    reply = ask(dns.message.make_query("acme.example.net", "NS"), sources=[zone])
    assert not reply.flags & dns.flags.TC
    assert len(reply.answer[0]) == 8
    assert 0 < len(reply.additional) < 8
    assert all(len(rrset) == 3 for rrset in reply.additional)
    whole = ask(dns.message.make_query("acme.example.net", "NS"), sources=[zone], tcp=True)
    assert len(whole.additional) == 8


def test_the_ds_of_a_zone_is_looked_for_in_its_parent() -> None:
    """Where both are served, the parent says that there is none (RFC 4035 section 3.1.4.1); else the zone itself."""
    parent = MemoryZone("example.net")
    for sources in ([parent, tech_zone()], [tech_zone(), parent]):
        reply = ask(dns.message.make_query("acme.example.net", "DS"), sources=sources)
        assert reply.rcode() == dns.rcode.NOERROR
        assert reply.authority[0].name.to_text() == "example.net."
    alone = ask(dns.message.make_query("acme.example.net", "DS"), sources=[tech_zone()])
    assert alone.authority[0].name.to_text() == "acme.example.net."


def test_the_names_between_a_zone_and_its_parent_exist() -> None:
    """A resolver that asks for them must not conclude that the lower zone is not there (RFC 8020)."""
    sources = [MemoryZone("net"), tech_zone()]
    reply = ask(dns.message.make_query("example.net", "A"), sources=sources)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.authority[0].name.to_text() == "net."
    assert ask(dns.message.make_query("xample.net", "A"), sources=sources).rcode() == dns.rcode.NXDOMAIN


def test_a_zones_own_records_have_ttl_and_mailbox_of_their_own() -> None:
    """NS records and server addresses may be kept for longer than TXT values; the mailbox has its dots escaped."""

    class Source(MemoryZone):
        def __init__(self) -> None:
            super().__init__("acme.example.net")
            host = "ns1.acme.example.net"
            self.zone = Zone(
                apex="acme.example.net",
                nameservers=(host,),
                addresses={host: ("192.0.2.1",)},
                ttl=30,
                apex_ttl=3600,
                mailbox=r"Jo\.doe.example.org",
            )
            self.set(host, "A", "192.0.2.1")
            self.set(LABEL, "TXT", "one")

    def reply_to(name: str, rdtype: str) -> dns.message.Message:
        return ask(dns.message.make_query(name, rdtype), sources=[Source()])

    assert reply_to(LABEL, "TXT").answer[0].ttl == 30
    assert reply_to("acme.example.net", "NS").answer[0].ttl == 3600
    assert reply_to("acme.example.net", "NS").additional[0].ttl == 3600
    assert reply_to("ns1.acme.example.net", "A").answer[0].ttl == 3600
    soa = reply_to("acme.example.net", "SOA").answer[0]
    assert soa[0].rname.to_text() == r"jo\.doe.example.org."
    assert soa.ttl == 5


def test_the_numbers_of_the_soa_please_checking_tools() -> None:
    """Zonemaster's bounds: refresh 4 hours and more than retry, retry an hour, expire a week, minimum 5 minutes."""
    soa = ask(dns.message.make_query("acme.example.net", "SOA")).answer[0][0]
    assert soa.refresh >= 14400
    assert 3600 <= soa.retry < soa.refresh
    assert soa.expire >= max(604800, soa.refresh)
    assert 300 <= soa.minimum <= 86400


def test_a_server_says_which_one_it_is_when_asked() -> None:
    """NSID (RFC 5001): in answers to those who ask, also in refusals; a server may keep it to itself."""
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    for name in (LABEL, "example.org"):
        query = dns.message.make_query(name, "TXT", use_edns=0, options=[nsid])
        wire = answer(query.to_wire(), SOURCES, now=NOW, edns=EdnsOptions(b"dns-7"))
        assert wire is not None
        (option,) = dns.message.from_wire(wire).options
        assert option.otype == dns.edns.OptionType.NSID
        assert option.to_wire() == b"dns-7"
        assert not ask(query).options
    unasked = answer(
        dns.message.make_query(LABEL, "TXT", use_edns=0).to_wire(), SOURCES, now=NOW, edns=EdnsOptions(b"dns-7")
    )
    assert unasked is not None
    assert not dns.message.from_wire(unasked).options


COOKIES = EdnsOptions(cookies=ServerCookies(b"s" * 16))
CLIENT = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def with_cookie(cookie: bytes) -> dns.message.Message:
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)
    return dns.message.make_query(LABEL, "TXT", use_edns=0, options=[option])


def cookie_of(wire: bytes | None) -> bytes:
    assert wire is not None
    (option,) = dns.message.from_wire(wire).options
    data = option.to_wire()
    assert data is not None
    return data


def test_a_client_that_shows_our_cookie_is_not_limited() -> None:
    """Its address is not forged (RFC 7873 section 5.2.5); a cookie of another address, or an old one, is nothing."""
    limiter = AnswerLimiter(AnswerLimits(equal=1), lambda: 0.0)

    def asked(query: dns.message.Message, address: str, at: datetime = NOW) -> bytes | None:
        return answer(query.to_wire(), SOURCES, now=at, limiter=limiter, address=address, edns=COOKIES)

    cookie = cookie_of(asked(with_cookie(CLIENT), "192.0.2.7"))
    assert cookie[:8] == CLIENT
    assert len(cookie) == 24
    for _ in range(5):
        assert cookie_of(asked(with_cookie(cookie), "192.0.2.7")) == cookie
    for query, address, at in (
        (with_cookie(cookie), "192.0.2.8", NOW),
        (with_cookie(cookie), "192.0.2.7", NOW + timedelta(hours=2)),
        (with_cookie(b"x" * 8 + cookie[8:]), "192.0.2.7", NOW),
        (with_cookie(CLIENT), "192.0.2.7", NOW),
    ):
        cut = asked(query, address, at)
        assert cut is not None
        assert dns.message.from_wire(cut).flags & dns.flags.TC
        assert len(cut) <= len(query.to_wire())


@pytest.mark.parametrize("length", [1, 7, 9, 15, 41])
def test_a_cookie_of_a_wrong_length_is_malformed(length: int) -> None:
    """RFC 7873 section 5.2.2."""
    wire = answer(with_cookie(b"c" * length).to_wire(), SOURCES, now=NOW, edns=COOKIES)
    assert wire is not None
    assert wire[3] & 0xF == dns.rcode.FORMERR


def test_a_client_may_ask_for_a_cookie_alone() -> None:
    """RFC 7873 section 5.4: a query without a question."""
    query = with_cookie(CLIENT)
    query.question = []
    wire = answer(query.to_wire(), SOURCES, now=NOW, edns=COOKIES)
    assert cookie_of(wire)[:8] == CLIENT
    assert wire is not None
    assert wire[3] & 0xF == dns.rcode.NOERROR


@pytest.mark.parametrize("section", [3, 4])
def test_an_opt_record_outside_of_the_additional_section_is_malformed(section: int) -> None:
    """RFC 6891 section 6.1.1."""
    wire = bytearray(QUERY)
    wire[2 * section + 1], wire[11] = 1, 0
    reply = answer(bytes(wire), SOURCES, now=NOW)
    assert reply is not None
    assert reply[3] & 0xF == dns.rcode.FORMERR


def test_a_dot_inside_a_label_is_not_a_boundary() -> None:
    """A label that holds a dot, a slash or a zero byte is another name and never raises."""
    for label in (b"x.acme", b"k7.acme.example.net", b"a/b", b"\x00", b"\xff\\"):
        wire = (
            b"\x00\x01\x00\x00\x00\x01"
            + b"\0" * 6
            + bytes([len(label)])
            + label
            + b"\x07example\x03net\x00\x00\x10\x00\x01"
        )
        reply = answer(wire, SOURCES, now=NOW)
        assert reply is not None
        assert reply[3] & 0xF == dns.rcode.REFUSED


def test_escaped_names_of_a_source_come_out_right() -> None:
    """A CNAME target with an escaped dot and an upper-case label is written and followed as one name."""
    zone = MemoryZone("acme.example.net")
    zone.set("a.acme.example.net", "CNAME", r"B\.c.acme.example.net.")
    reply = ask(dns.message.make_query("a.acme.example.net", "TXT"), sources=[zone])
    assert texts(reply, "CNAME") == [r"b\.c.acme.example.net."]
    assert reply.rcode() == dns.rcode.NXDOMAIN


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


QUERY = dns.message.make_query(LABEL, "TXT", use_edns=0, id=0x1234).to_wire()
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
