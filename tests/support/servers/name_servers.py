"""Name servers of others that serve a zone: Knot, NSD and BIND, as primaries or as secondaries of ours."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from certcore.testing.server import Child, ProgramMissingError, find_program
from support.servers.configurations import bind_arguments, knot_arguments, nsd_arguments

HOST = "127.0.0.1"


def program(name: str, package: str = "") -> str:
    """The path of a server's program; the test is skipped when it is not installed."""
    try:
        return find_program(name, package or name)
    except ProgramMissingError as error:
        pytest.skip(f"{error.message} {error.advice}")


@contextlib.contextmanager
def running(binary: str, arguments: list[str], port: int, zone: str, *, host: str = HOST) -> Iterator[int]:
    """Run a DNS server until the block ends; the block begins when it answers a question about a zone.

    Gives the id of the process.
    """

    def answers() -> bool:
        with contextlib.suppress(dns.exception.DNSException, OSError):
            query = dns.message.make_query(zone, "SOA")
            return dns.query.udp(query, host, port=port, timeout=0.3).rcode() == dns.rcode.NOERROR
        return False

    child = Child(binary, arguments, folder=Path(tempfile.mkdtemp(prefix="certcore-dns-running-")), env={})
    try:
        assert child.wait_until(answers), f"{binary} does not answer: {child.log_tail()}"
        yield child.pid
    finally:
        child.stop()


@contextlib.contextmanager
def knot(folder: Path, port: int, zones: str, *, first: str, more: str = "", host: str = HOST) -> Iterator[int]:
    """Knot with the lines of its ``zone`` section, and ``more`` sections before it."""
    template = f"template:\n  - id: default\n    storage: {folder}\n    global-module: mod-cookies\n"
    arguments = knot_arguments(folder, [(host, port)], f"{more}{template}zone:\n{zones}", "    nsid: knot\n")
    with running(program("knotd", "knot"), arguments, port, first, host=host) as process:
        yield process


@contextlib.contextmanager
def nsd(folder: Path, port: int, zones: str, *, first: str, more: str = "", host: str = HOST) -> Iterator[int]:
    """NSD with ``zone:`` clauses."""
    arguments = nsd_arguments(folder, [(host, port)], f"{more}{zones}", "  answer-cookie: yes\n")
    with running(program("nsd", "nsd"), arguments, port, first, host=host) as process:
        yield process


@contextlib.contextmanager
def bind(folder: Path, port: int, zones: str, *, first: str, more: str = "", host: str = HOST) -> Iterator[int]:
    """BIND with ``zone`` statements, without recursion."""
    arguments = bind_arguments(folder, [(host, port)], f"{more}\n{zones}", "masterfile-format text;")
    with running(program("named", "bind9"), arguments, port, first, host=host) as process:
        yield process
