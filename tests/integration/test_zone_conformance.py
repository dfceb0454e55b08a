"""The name server beside Knot and NSD: the same zone, the same raw queries, the same answers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.ports.dns import Zone
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.ports import free_port
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer
from support.servers.name_servers import HOST, knot, nsd

pytestmark = pytest.mark.integration

PARENT, APEX, HOSTS = "panel.test", "acme.panel.test", "hosts.acme.panel.test"
PATIENCE = 10.0


class TechZone(MemoryZone):
    """The tech zone, with a name server whose name has an empty non-terminal above it."""

    def __init__(self) -> None:
        super().__init__(APEX, (f"a.{HOSTS}", "ns2.elsewhere.test"))
        addresses = {f"a.{HOSTS}": ("192.0.2.1", "2001:db8::1")}
        self.zone = Zone(apex=APEX, nameservers=self.zone.nameservers, addresses=addresses, ttl=30, apex_ttl=3600)
        self.set(f"a.{HOSTS}", "A", "192.0.2.1")
        self.set(f"a.{HOSTS}", "AAAA", "2001:db8::1")
        self.set(f"k7.{APEX}", "TXT", "one", "two")
        self.set(f"x.deep.{APEX}", "TXT", "three")
        self.set(f"many.{APEX}", "TXT", *(f"{number:043d}" for number in range(60)))


def zone_file(apex: str, lines: str) -> str:
    return f"$TTL 30\n{apex}. 5 IN SOA {{}} hostmaster.{apex}. 1 14400 3600 1209600 300\n{lines}"


PARENT_FILE = zone_file(PARENT, f"@ 30 NS ns1.{PARENT}.\nns1 30 A 192.0.2.9\n").format(f"ns1.{PARENT}.")
PARENT_FILE += f"{APEX}. 3600 NS a.{HOSTS}.\n{APEX}. 3600 NS ns2.elsewhere.test.\na.{HOSTS}. 3600 A 192.0.2.1\n"
CHILD_FILE = zone_file(
    APEX,
    f"@ 3600 NS a.{HOSTS}.\n@ 3600 NS ns2.elsewhere.test.\na.{HOSTS}. 3600 A 192.0.2.1\n"
    f"a.{HOSTS}. 3600 AAAA 2001:db8::1\nk7 TXT one\nk7 TXT two\nx.deep TXT three\n"
    + "".join(f"many TXT {number:043d}\n" for number in range(60)),
).format(f"a.{HOSTS}.")


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Our server, Knot and NSD with the tech zone and its parent."""
    parent = MemoryZone(PARENT)
    parent.set(f"ns1.{PARENT}", "A", "192.0.2.9")
    with contextlib.ExitStack() as stack:

        def folder(name: str) -> Path:
            made = tmp_path_factory.mktemp(name)
            (made / "parent.zone").write_text(f"$ORIGIN {PARENT}.\n{PARENT_FILE}")
            (made / "child.zone").write_text(f"$ORIGIN {APEX}.\n{CHILD_FILE}")
            return made

        options = ServerOptions(answer_limits=None, identity="certcore")
        ours = stack.enter_context(ZoneServer((HOST, 0), [parent, TechZone()], SystemEnvironment(), options=options))
        found = {"certcore": ours.address[1], "Knot": free_port(), "NSD": free_port()}
        zones = f"  - domain: {PARENT}\n    file: parent.zone\n  - domain: {APEX}\n    file: child.zone\n"
        stack.enter_context(knot(folder("knot"), found["Knot"], zones, first=APEX))
        clauses = f"zone:\n  name: {PARENT}\n  zonefile: parent.zone\nzone:\n  name: {APEX}\n  zonefile: child.zone\n"
        stack.enter_context(nsd(folder("nsd"), found["NSD"], clauses, first=APEX))
        yield found


def ask(port: int, wire: bytes) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE)
        asking.sendto(wire, (HOST, port))
        return asking.recv(65535)


def records(section: list[dns.rrset.RRset]) -> set[tuple[str, str, int, frozenset[str]]]:
    """The RRsets without what two servers of one zone may differ in: the SOA's data."""
    return {
        (
            rrset.name.to_text().lower(),
            dns.rdatatype.to_text(rrset.rdtype),
            rrset.ttl,
            frozenset() if rrset.rdtype == dns.rdatatype.SOA else frozenset(each.to_text() for each in rrset),
        )
        for rrset in section
    }


def seen(wire: bytes | None) -> dict[str, object]:
    assert wire is not None
    reply = dns.message.from_wire(wire)
    return {
        "rcode": dns.rcode.to_text(reply.rcode()),
        "flags": dns.flags.to_text(reply.flags),
        "edns": (reply.edns, dns.flags.edns_to_text(reply.ednsflags)),
        "question": [each.to_text() for each in reply.question],
        "answer": records(reply.answer),
        "authority": records(reply.authority),
        "additional": records(reply.additional),
    }


QUESTIONS = [
    (name, rdtype)
    for name, rdtypes in {
        APEX: ("SOA", "NS", "A", "TXT", "DS", "MX", "DNSKEY", "CNAME", "TYPE65280"),
        f"k7.{APEX}": ("TXT", "A", "AAAA", "CAA", "NS", "SOA", "CNAME", "DS"),
        "K7.AcMe.pAnEl.TeSt": ("TXT", "A"),
        HOSTS: ("A", "TXT", "NS"),
        f"a.{HOSTS}": ("A", "AAAA", "TXT"),
        f"b.{HOSTS}": ("A",),
        f"x.a.{HOSTS}": ("A",),
        f"deep.{APEX}": ("TXT", "A"),
        f"x.deep.{APEX}": ("TXT",),
        f"y.x.deep.{APEX}": ("TXT",),
        f"none.{APEX}": ("TXT", "A", "SOA", "NS"),
        f"\\000.{APEX}": ("TXT",),
        f"{'x' * 63}.{APEX}": ("TXT",),
        PARENT: ("DS", "NS", "TXT"),
        f"none.{PARENT}": ("A",),
        "elsewhere.test": ("A", "NS"),
        "panel.testx": ("A",),
        ".": ("NS",),
    }.items()
    for rdtype in rdtypes
]


@pytest.mark.parametrize(("name", "rdtype"), QUESTIONS)
@pytest.mark.parametrize("edns", [False, True], ids=["plain", "edns"])
def test_answers_are_those_of_knot_and_nsd(ports: dict[str, int], name: str, rdtype: str, edns: bool) -> None:
    """Response code, flags and every section are what both others give; where they differ, what one of them gives."""
    query = dns.message.make_query(name, rdtype, use_edns=0 if edns else -1, payload=1232, flags=dns.flags.RD)
    answers = {server: seen(ask(port, query.to_wire())) for server, port in ports.items()}
    ours = answers.pop("certcore")
    for part, value in ours.items():
        assert value in [answer[part] for answer in answers.values()], (part, ours, answers)


QUERY = dns.message.make_query(f"k7.{APEX}", "TXT", use_edns=0, id=0x1234).to_wire()
OPT = QUERY[-11:]


def changed(at: int, *octets: int, wire: bytes = QUERY) -> bytes:
    return wire[:at] + bytes(octets) + wire[at + len(octets) :]


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (changed(7, 1, wire=changed(11, 0)), dns.rcode.FORMERR),  # OPT in the answer section
        (changed(9, 1, wire=changed(11, 0)), dns.rcode.FORMERR),  # OPT in the authority section
        (changed(11, 2) + OPT, dns.rcode.FORMERR),
        (QUERY[:-2] + b"\x00\x05\x00\x0a\x00\x01x", dns.rcode.FORMERR),  # a COOKIE of one octet
        (QUERY[:-1], dns.rcode.FORMERR),
        (changed(len(QUERY) - 6 + 1, 1), None),  # EDNS version 1: BADVERS
    ],
    ids=["answer", "authority", "two OPT", "cookie", "cut", "version"],
)
def test_malformed_queries_are_refused_as_by_others(ports: dict[str, int], wire: bytes, rcode: int | None) -> None:
    """The response code is the one of Knot or NSD."""
    found = {}
    for server, port in ports.items():
        reply = ask(port, wire)
        assert reply is not None
        assert reply[:2] == b"\x12\x34"
        found[server] = reply[3] & 0xF
    ours = found.pop("certcore")
    assert rcode is None or ours == rcode
    assert ours in found.values(), found


def test_nsid_is_told_as_by_knot(ports: dict[str, int]) -> None:
    """The option holds the name of each server."""
    option = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    query = dns.message.make_query(f"k7.{APEX}", "TXT", use_edns=0, options=[option])
    for server, name in (("certcore", b"certcore"), ("Knot", b"knot")):
        wire = ask(ports[server], query.to_wire())
        assert wire is not None
        (told,) = dns.message.from_wire(wire).options
        assert told.to_wire() == name
