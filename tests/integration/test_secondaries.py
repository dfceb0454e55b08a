"""Knot, NSD and BIND as secondaries of the tech zone: they get each change, with a key or by address alone."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.zone
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.model.transfer_keys import parse_transfer_keys
from certcore.ports.dns import SecondaryServer, Zone
from certcore.testing.module_store import MemoryDocuments
from certcore.testing.ports import free_port
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer
from support.servers.name_servers import HOST, bind, knot, nsd

pytestmark = pytest.mark.integration

APEX = "acme.panel.test"
HOSTNAME = f"ns1.{APEX}"
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
KEY_FILE = f'key "xfr" {{ algorithm hmac-sha256; secret "{SECRET}"; }};'
KEYS = parse_transfer_keys(KEY_FILE)
PATIENCE = 30.0


@contextlib.contextmanager
def primary(*secondaries: SecondaryServer, values: int = 3) -> Iterator[tuple[int, TechZoneRecords]]:
    """Our server, with some values, and these secondaries; gives its port and the records."""
    documents = MemoryDocuments()
    zone = Zone(
        apex=APEX,
        nameservers=(HOSTNAME, "ns2.elsewhere.test"),
        addresses={HOSTNAME: ("127.0.0.1", "2001:db8::1")},
        apex_ttl=3600,
        mailbox=r"jo\.doe.panel.test",
        secondaries=secondaries,
    )
    records = TechZoneRecords(documents)
    now = datetime.now(UTC)
    records.add_many(
        TxtRecord(fqdn=f"k{number}.{APEX}", value=f"value {number}", issuance_id="i1", added_at=now)
        for number in range(values)
    )
    records.add(f"k0.{APEX}", "ü" * 200, "i2", now)
    source = DocumentsZoneSource(documents, lambda: [zone], SystemEnvironment())
    options = ServerOptions(transfer_keys=KEYS, answer_limits=None)
    with ZoneServer((HOST, 0), [source], SystemEnvironment(), options=options) as server:
        yield server.address[1], records


def knot_secondary(folder: Path, port: int, of: int, *, signs: bool) -> contextlib.AbstractContextManager[int]:
    key = f"key:\n  - id: xfr\n    algorithm: hmac-sha256\n    secret: {SECRET}\n" if signs else ""
    with_key = "\n    key: xfr" if signs else ""
    more = (
        f"{key}remote:\n  - id: ours\n    address: {HOST}@{of}{with_key}\n"
        f"acl:\n  - id: told\n    address: {HOST}\n    action: notify{with_key}\n"
    )
    return knot(folder, port, f"  - domain: {APEX}\n    master: ours\n    acl: told\n", first=APEX, more=more)


def nsd_secondary(folder: Path, port: int, of: int, *, signs: bool) -> contextlib.AbstractContextManager[int]:
    key = f'key:\n  name: "xfr"\n  algorithm: hmac-sha256\n  secret: "{SECRET}"\n' if signs else ""
    name = "xfr" if signs else "NOKEY"
    zones = (
        f"zone:\n  name: {APEX}\n  zonefile: copy.zone\n  request-xfr: {HOST}@{of} {name}\n"
        f"  allow-notify: {HOST} {name}\n"
    )
    return nsd(folder, port, zones, first=APEX, more=key)


def bind_secondary(folder: Path, port: int, of: int, *, signs: bool) -> contextlib.AbstractContextManager[int]:
    key = " key xfr" if signs else ""
    zones = f'zone "{APEX}" {{ type secondary; file "copy.zone"; primaries {{ {HOST} port {of}{key}; }}; }};'
    return bind(folder, port, zones, first=APEX, more=KEY_FILE if signs else "")


def values_at(port: int, name: str) -> set[str]:
    reply = dns.query.udp(dns.message.make_query(name, "TXT"), HOST, port=port, timeout=PATIENCE)
    assert reply.flags & dns.flags.AA
    return {b"".join(each.strings).decode() for rrset in reply.answer for each in rrset}


def until(seen: Callable[[], object], expected: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while (last := seen()) != expected:
        assert time.monotonic() < deadline, last
        time.sleep(0.05)


@pytest.mark.parametrize("signs", [False, True], ids=["by address", "with a key"])
@pytest.mark.parametrize("server", [knot_secondary, nsd_secondary, bind_secondary])
def test_a_secondary_gets_the_zone_and_each_change(
    server: Callable[..., contextlib.AbstractContextManager[int]], signs: bool, tmp_path: Path
) -> None:
    """It transfers the zone when it starts, is told of each change, and then serves what we serve."""
    port = free_port()
    listed = SecondaryServer(address=HOST, port=port, key="xfr" if signs else "")
    with primary(listed) as (ours, records), server(tmp_path, port, ours, signs=signs):
        for name in (f"k0.{APEX}", f"k1.{APEX}", f"none.{APEX}", APEX):
            until(lambda name=name: values_at(port, name), values_at(ours, name))  # type: ignore[misc]
        for number in range(3):
            records.add(f"new.{APEX}", f"value {number}", "i3", datetime.now(UTC))
            until(lambda: values_at(port, f"new.{APEX}"), {f"value {number}"})
            records.remove(f"new.{APEX}", f"value {number}", "i3")
            until(lambda: values_at(port, f"new.{APEX}"), set())
        for rdtype in ("SOA", "NS"):
            query = dns.message.make_query(APEX, rdtype)
            theirs, mine = (dns.query.udp(query, HOST, port=at, timeout=PATIENCE) for at in (port, ours))
            assert theirs.answer == mine.answer


def transfer(port: int, **options: object) -> dns.zone.Zone:
    return dns.zone.from_xfr(dns.query.xfr(HOST, APEX, port=port, relativize=False, **options), relativize=False)  # type: ignore[arg-type]


def test_a_large_zone_is_transferred_whole_and_signed() -> None:
    """More documents than the store lists at once, in many messages, each with its signature."""
    keyring = {dns.name.from_text("xfr"): dns.tsig.Key("xfr", SECRET, "hmac-sha256")}
    with primary(SecondaryServer(address=HOST, key="xfr"), values=12_000) as (port, _):
        zone = transfer(port, keyring=keyring, keyname="xfr", keyalgorithm="hmac-sha256")
    assert len(zone.nodes) == 12_002
    assert zone.find_rdataset(f"k11999.{APEX}.", "TXT")[0].strings == (b"value 11999",)
    assert len(zone[dns.name.from_text(HOSTNAME)].rdatasets) == 2


def asked(port: int, query: dns.message.Message, *, tcp: bool = True) -> dns.message.Message:
    ask = dns.query.tcp if tcp else dns.query.udp
    return ask(query, HOST, port=port, timeout=PATIENCE)


@pytest.mark.parametrize("rdtype", ["AXFR", "IXFR"])
def test_nobody_else_gets_the_zone(rdtype: str) -> None:
    """No unlisted address, no query without the key, none with a wrong one, nothing over UDP, no other name."""
    wrong = {dns.name.from_text("xfr"): dns.tsig.Key("xfr", b"x" * 32, "hmac-sha256")}
    unknown = {dns.name.from_text("other"): dns.tsig.Key("other", b"x" * 32, "hmac-sha256")}
    with primary(SecondaryServer(address="192.0.2.1")) as (port, _):
        assert asked(port, dns.message.make_query(APEX, rdtype)).rcode() == dns.rcode.REFUSED
    with primary(SecondaryServer(address=HOST, key="xfr")) as (port, _):
        assert asked(port, dns.message.make_query(APEX, rdtype)).rcode() == dns.rcode.REFUSED
        for keyring in (wrong, unknown):
            query = dns.message.make_query(APEX, rdtype)
            query.use_tsig(keyring)
            with socket.create_connection((HOST, port), PATIENCE) as stream:
                stream.sendall(len(wire := query.to_wire()).to_bytes(2, "big") + wire)
                reply = stream.recv(4096)
            assert reply[5] & 0xF == dns.rcode.NOTAUTH
    with primary(SecondaryServer(address=HOST)) as (port, _):
        assert asked(port, dns.message.make_query(APEX, rdtype), tcp=False).rcode() == dns.rcode.REFUSED
        for name in (f"k0.{APEX}", "panel.test"):
            assert asked(port, dns.message.make_query(name, rdtype)).rcode() == dns.rcode.REFUSED
        assert len(transfer(port).nodes) == 5


def test_a_secondary_that_has_the_serial_gets_only_that() -> None:
    """IXFR (RFC 1995 section 2): an equal serial is answered with the SOA, an older one with the whole zone."""
    with primary(SecondaryServer(address=HOST)) as (port, _):
        soa = asked(port, dns.message.make_query(APEX, "SOA")).answer[0]
        for serial, records in ((soa[0].serial, 1), (soa[0].serial - 1, 10)):
            query = dns.message.make_query(APEX, "IXFR")
            query.authority.append(dns.rrset.from_rdata(soa.name, 0, soa[0].replace(serial=serial)))
            reply = asked(port, query)
            assert sum(len(rrset) for rrset in reply.answer) + (records > 1) == records


def test_signed_questions_get_signed_answers() -> None:
    """A secondary that signs looks at the serial with its key, over both transports."""
    keyring = {dns.name.from_text("xfr"): dns.tsig.Key("xfr", SECRET, "hmac-sha256")}
    with primary(SecondaryServer(address=HOST, key="xfr")) as (port, _):
        for tcp in (False, True):
            query = dns.message.make_query(APEX, "SOA", use_edns=0)
            query.use_tsig(keyring)
            reply = asked(port, query, tcp=tcp)  # dnspython checks the signature
            assert reply.had_tsig
            assert reply.answer[0].rdtype == dns.rdatatype.SOA


def test_transfers_at_once_are_bounded() -> None:
    """Who does not read holds one of four places; the next is told to come again, and queries go on."""
    with primary(SecondaryServer(address=HOST), values=12_000) as (port, _), contextlib.ExitStack() as stack:
        wire = dns.message.make_query(APEX, "AXFR").to_wire()
        for _ in range(4):
            deaf = stack.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((HOST, port))
            deaf.sendall(len(wire).to_bytes(2, "big") + wire)
            assert deaf.recv(2)
        assert asked(port, dns.message.make_query(APEX, "AXFR")).rcode() == dns.rcode.SERVFAIL
        assert values_at(port, f"k1.{APEX}") == {"value 1"}
