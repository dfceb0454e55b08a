"""Where the zone server listens: addresses and ports, IPv6, what is said when it cannot, and how it ends."""

from __future__ import annotations

import errno
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import dns.message
import dns.rcode
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.errors import CertCoreError, InvalidInputError
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.ports import free_port
from certcore_puq_acme.techzone.server import ListenError, ZoneServer
from certcore_puq_acme.techzone.sockets import listen_on, receive
from support.zone_clients import HOST, LABEL, closed_by_server, connect, dig, framed, read_message, tcp

pytestmark = pytest.mark.integration


def test_a_burst_of_questions_waits_to_be_answered() -> None:
    """What a CA asks about an order of a hundred names, while the server's thread has no turn, is not lost."""
    udp, tcp = listen_on(HOST, 0)
    question = dns.message.make_query(LABEL, "TXT").to_wire()
    with udp, tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _ in range(400):
            asking.sendto(question, udp.getsockname())
        assert [receive(udp).data for _ in range(400)] == [question] * 400


def test_close_ends_everything_and_may_be_called_twice() -> None:
    """Threads are joined, open connections ended, and the port is free again at once."""
    before = set(threading.enumerate())
    server = ZoneServer((HOST, free_port()), [], SystemEnvironment())
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
        with ZoneServer(server.address, [MemoryZone("acme.example.net")], SystemEnvironment()) as again:
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
            ZoneServer((HOST, port), [], SystemEnvironment())
        assert isinstance(caught.value, CertCoreError)
        assert caught.value.advice
    with ZoneServer((HOST, port), [], SystemEnvironment()) as server:
        assert server.address == (HOST, port)


def test_other_reasons_not_to_listen_are_said_so() -> None:
    """A foreign address, a name that is none, a port that is none, and a port that needs a privilege."""
    with pytest.raises(ListenError, match=r"192\.0\.2\.1 .* not one of this machine's"):
        ZoneServer(("192.0.2.1", 0), [], SystemEnvironment())
    with pytest.raises(ListenError, match="it is not an address"):
        ZoneServer(("no such host", 0), [], SystemEnvironment())
    with pytest.raises(InvalidInputError, match="port"):
        ZoneServer((HOST, 65536), [], SystemEnvironment())
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
    with ZoneServer((listen, 0), [zone], SystemEnvironment()) as server:
        for host in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
            for transport in ("+notcp", "+tcp"):
                assert '"one"' in dig(server.address[1], LABEL, "TXT", transport, host=host)


@needs_ipv6
@pytest.mark.parametrize("listen", ["::1", "::"])
def test_ipv6(listen: str) -> None:
    """IPv6 addresses can be listened on, over both transports."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", "one")
    with ZoneServer((listen, 0), [zone], SystemEnvironment()) as server:
        for transport in ("+notcp", "+tcp"):
            assert '"one"' in dig(server.address[1], LABEL, "TXT", transport, host="::1")
