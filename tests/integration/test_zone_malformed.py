"""100,000 malformed packets: none is answered wrongly, raises, or keeps the name server from answering others."""

import contextlib
import random
import socket
from datetime import UTC, datetime

import dns.edns
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.model.transfer_keys import parse_transfer_keys
from certcore.ports.dns import SecondaryServer, Zone
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer

HOST, ZONE = "127.0.0.1", "acme.example.net"
LABEL = f"k7.{ZONE}"
SECRET = "MDEyMzQ1Njc4OWFiY2RlZg=="
PATIENCE = 20.0


def samples():
    """Queries of every kind that the server reads."""
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678" + b"x" * 16)
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    for rdtype in ("TXT", "A", "SOA", "NS", "DS", "ANY", "AXFR", "IXFR"):
        for name in (LABEL, ZONE, f"none.{ZONE}", "example.org"):
            yield dns.message.make_query(name, rdtype).to_wire()
            query = dns.message.make_query(name, rdtype, use_edns=0, options=[cookie, nsid])
            yield query.to_wire()
            query.use_tsig(dns.tsig.Key("xfr", SECRET, "hmac-sha256"))
            yield query.to_wire()


def mutated(chance, wire):
    """The packet with octets changed, put in, taken out, repeated or cut off."""
    packet = bytearray(wire)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(packet) + 1)
        match chance.randrange(5):
            case 0 if at < len(packet):
                packet[at] = chance.choice((0, 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF, chance.randrange(256)))
            case 1:
                packet[at:at] = chance.randbytes(chance.randrange(1, 9))
            case 2:
                del packet[at : at + chance.randrange(1, 9)]
            case 3:
                packet += packet[at : at + chance.randrange(1, 40)]
            case _:
                del packet[max(at, 1) :]
        packet = packet or bytearray(b"\0")
    return bytes(packet)


@contextlib.contextmanager
def serving():
    documents = MemoryDocuments()
    TechZoneRecords(documents).add(LABEL, "one", "i1", datetime.now(UTC))
    secondary = SecondaryServer(address=HOST, key="xfr")
    zone = Zone(apex=ZONE, nameservers=(f"ns.{ZONE}",), addresses={f"ns.{ZONE}": (HOST,)}, secondaries=(secondary,))
    source = DocumentsZoneSource(documents, lambda: [zone], SystemEnvironment())
    keys = parse_transfer_keys(f'key xfr {{ algorithm hmac-sha256; secret "{SECRET}"; }};')
    options = ServerOptions(answer_limits=None, transfer_keys=keys)
    with ZoneServer((HOST, 0), [source], SystemEnvironment(), options=options) as server:
        yield server.address


def send_all(address, count, seed):
    """Send packets in small groups, and look at every answer; returns how many there were."""
    chance, queries, answers = random.Random(seed), list(samples()), 0
    headers = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE)
        asking.connect(address)
        for _ in range(count // 50):
            sent = [mutated(chance, chance.choice(queries)) for _ in range(50)]
            for packet in sent:
                asking.send(packet)
            # What is sent last is answered last by one of four threads at most: it ends the group.
            last = dns.message.make_query(LABEL, "TXT", id=chance.randrange(65536)).to_wire()
            asking.send(last)
            headers |= {packet[:2] for packet in sent} | {last[:2]}
            while (reply := asking.recv(65535))[:2] != last[:2]:
                answers += 1
                assert reply[:2] in headers
                assert reply[2] & 0x80
                assert not reply[3] & 0x80
                assert len(reply) <= 1232
    return answers


@pytest.mark.parametrize(
    "count", [pytest.param(5_000, id="some"), pytest.param(100_000, id="all", marks=pytest.mark.soak)]
)
@pytest.mark.integration
def test_malformed_packets_do_no_harm(count, caplog):
    """Each readable header gets one answer that is one, nothing is logged, and TXT values are served as before."""
    with serving() as address:
        assert send_all(address, count, 8555) > count // 3
        reply = dns.query.udp(dns.message.make_query(LABEL, "TXT"), HOST, port=address[1], timeout=PATIENCE)
        assert reply.answer[0][0].strings == (b"one",)
    assert not [record for record in caplog.records if record.name.startswith("certcore")]


@pytest.mark.integration
def test_malformed_streams_do_no_harm(caplog):
    """The same over TCP, where transfers are: no connection stays, and no thread of a transfer."""
    chance, queries = random.Random(7766), list(samples())
    with serving() as address:
        for _ in range(300):
            with socket.create_connection(address, PATIENCE) as stream, contextlib.suppress(OSError):
                packet = mutated(chance, chance.choice(queries))
                stream.sendall(len(packet).to_bytes(2, "big") + packet)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(65536):
                    pass
        reply = dns.query.tcp(dns.message.make_query(LABEL, "TXT"), HOST, port=address[1], timeout=PATIENCE)
        assert reply.answer[0][0].strings == (b"one",)
    assert not [record for record in caplog.records if record.name.startswith("certcore")]
