"""TCP connections to the zone server: who is cut off, who may stay, and what it does without file descriptors."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import sys
import time

import dns.message
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.server import ZoneServer
from support.served_zone import serve
from support.zone_clients import (
    HOST,
    LABEL,
    MANY,
    PATIENCE,
    closed_by_server,
    connect,
    framed,
    read_message,
    tcp,
    udp,
    values,
)

pytestmark = pytest.mark.integration


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
        ZoneServer((HOST, 0), [zone], SystemEnvironment(), monotonic=lambda: clock[0]) as server,
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
