"""What the tech zone's name server answers, checked with dnspython's own message parser."""

from __future__ import annotations

from datetime import UTC, datetime

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from certcore.ports.dns import Zone
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.answers import MAX_CNAMES, answer
from support.zone_questions import LABEL, NOW, SOURCES, ask, tech_zone, texts


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
