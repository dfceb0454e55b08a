"""Clients that ask a zone server of the tests: dnspython, bare sockets, and dig."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

import dns.message
import dns.query
import dns.rdatatype
import pytest

LABEL = "k7.acme.example.net"
MANY = "many.acme.example.net"
HOST = "127.0.0.1"
#: Far above what anything here takes; only a failure waits so long.
PATIENCE = 20.0


def tool(name: str) -> str:
    """The path of a program; the test is skipped where it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/bin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*arguments: str) -> str:
    """What a program prints."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


def dig(port: int, *arguments: str, host: str = HOST) -> str:
    """What dig prints."""
    return run(tool("dig"), f"@{host}", "-p", str(port), "+time=5", "+tries=1", *arguments)


def framed(name: str = LABEL, rdtype: str = "TXT", number: int = 1) -> bytes:
    """A query as it goes over TCP."""
    wire = dns.message.make_query(name, rdtype, id=number).to_wire()
    return len(wire).to_bytes(2, "big") + wire


def read_message(stream: socket.socket) -> dns.message.Message:
    """Read one answer from a TCP connection."""

    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = stream.recv(count - len(data))
            assert chunk, "the server closed the connection early"
            data += chunk
        return data

    return dns.message.from_wire(exactly(int.from_bytes(exactly(2), "big")))


def connect(port: int, host: str = HOST) -> socket.socket:
    """A TCP connection to the server."""
    return socket.create_connection((host, port), timeout=PATIENCE)


def udp(port: int, name: str = LABEL, rdtype: str = "TXT", timeout: float = PATIENCE) -> dns.message.Message:
    """The answer over UDP."""
    return dns.query.udp(dns.message.make_query(name, rdtype), HOST, port=port, timeout=timeout)


def tcp(port: int, name: str = LABEL) -> dns.message.Message:
    """The answer over TCP."""
    return dns.query.tcp(dns.message.make_query(name, "TXT"), HOST, port=port, timeout=PATIENCE)


def values(message: dns.message.Message) -> list[str]:
    """The TXT values in an answer."""
    return sorted(
        b"".join(record.strings).decode()
        for rrset in message.answer
        if rrset.rdtype == dns.rdatatype.TXT
        for record in rrset
    )


def closed_by_server(stream: socket.socket) -> bool:
    """Read until the server ends the connection, however it does."""
    try:
        while stream.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
