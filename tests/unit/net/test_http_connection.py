"""HTTP/1.1 as servers really speak it (RFC 9112), over a real socket."""

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.net.http_connection import ConnectionBrokenError, HttpConnection, ReplyTooLargeError, WireReply
from support.examples import examples

HEAD = b"GET / HTTP/1.1\r\nHost: ca.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def talking(*pieces, close=True, timeout=2.0):
    """A connection to a server that sends these pieces as soon as it is asked, and then closes or waits."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            stream, _ = listening.accept()
            with stream, contextlib.suppress(OSError):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream.recv(65536)
                for piece in pieces:
                    stream.sendall(piece)
                if not close:
                    done.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listening.getsockname()
        connection = HttpConnection(
            host,
            port,
            tls=None,
            connect_timeout=timeout,
            timeout=timeout,
            monotonic=time.monotonic,
            permits=lambda _: True,
        )
        try:
            yield connection
        finally:
            done.set()
            connection.close()
            thread.join(5)


def exchange(connection, *, method="GET", limit=1000):
    return connection.exchange(HEAD, b"", method=method, limit=limit)


@pytest.mark.parametrize(
    ("wire", "reusable"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", True),
        (OK + b"content-length:5\r\nConnection: close\r\n\r\nhello", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nTrailer: x\r\n\r\n", True),
        (OK + b"\r\nhello", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", True),
        (OK + b"Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", False),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_reply_in_whatever_pieces(wire, reusable, size):
    """A length, chunks, neither, informational replies before it: the same five bytes; surplus is not trusted."""
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    with talking(*pieces) as connection:
        reply = exchange(connection)
        assert reply.status == 200
        assert reply.body == b"hello"
        assert not any(name == "link" for name, _ in reply.headers)
        # One byte at a time, the surplus has not been seen yet; but the connection is not idle then.
        assert (connection.reusable and connection.is_open() and reusable) <= reusable
        if size > len(wire):
            assert connection.reusable == reusable


@pytest.mark.parametrize("wire", [OK + b"Content-Length: 5\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_replies_without_a_body_end_at_once(wire):
    """The reply to HEAD announces a length and has no body; 204 has none at all."""
    with talking(wire, close=False) as connection:
        assert exchange(connection, method="HEAD").body == b""
        assert connection.reusable


def test_repeated_headers_stay_repeated():
    """In their order, names in lower case."""
    wire = OK + b"Link: <a>\r\nLINK: <b>\r\nContent-Length: 0\r\n\r\n"
    with talking(wire) as connection:
        assert exchange(connection).headers == (("link", "<a>"), ("link", "<b>"), ("content-length", "0"))


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\x16\x03\x01\x00",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 smtp.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30 + OK + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        OK + b"Content-Length: -5\r\n\r\nhello",
        OK + b"Content-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
        OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello",
    ],
)
def test_what_is_no_reply_is_broken_off(wire):
    """Other protocols, half replies and bad framing are one error; the connection is not used again."""
    with talking(wire) as connection:
        with pytest.raises(ConnectionBrokenError):
            exchange(connection)
        assert not connection.reusable


@pytest.mark.parametrize(
    "wire",
    [
        OK + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        OK + b"\r\n" + b"x" * 1001,
        OK + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
        OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        (OK + b"".join(b"X%d: y\r\n" % n for n in range(20_000)) + b"\r\n"),
    ],
)
def test_a_reply_is_bounded(wire):
    """Body and header section have a limit each, however they are framed."""
    with talking(wire) as connection, pytest.raises((ReplyTooLargeError, ConnectionBrokenError)):
        exchange(connection)


@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"])
def test_a_claimed_length_costs_no_memory(framing):
    """A server that announces a terabyte makes the client allocate nothing."""
    tracemalloc.start()
    try:
        wire, refusals = OK + framing % 10**12 + b"x", (ReplyTooLargeError, ConnectionBrokenError)
        with talking(wire) as connection, pytest.raises(refusals):
            exchange(connection)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_body_that_is_not_read():
    """Without a limit the reply ends behind its headers, and the connection with it."""
    with talking(OK + b"Content-Length: 5\r\n\r\nhello") as connection:
        assert exchange(connection, limit=None) == WireReply(200, (("content-length", "5"),), b"")
        assert not connection.reusable


def test_exactly_the_limit_is_allowed():
    """A thousand of a thousand bytes."""
    with talking(OK + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000) as connection:
        assert len(exchange(connection).body) == 1000


def test_a_server_that_is_silent_times_out():
    """Before the reply, and in the middle of it."""
    for pieces in ((), (OK,), (OK + b"Content-Length: 5\r\n\r\nhel",)):
        with talking(*pieces, close=False, timeout=0.1) as connection, pytest.raises(TimeoutError):
            exchange(connection)


def test_a_server_that_closes_an_idle_connection_is_noticed():
    """Before the next request is sent into it."""
    with talking(OK + b"Content-Length: 0\r\n\r\n") as connection:
        exchange(connection)
        deadline = time.monotonic() + 5
        while connection.is_open():
            assert time.monotonic() < deadline


def test_bodies_are_not_decoded():
    """We never ask for a content coding; what comes in one stays as it is."""
    packed = gzip.compress(b"hello")
    wire = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    with talking(wire) as connection:
        assert exchange(connection).body == packed


@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
@examples(60, deadline=None)
def test_no_bytes_break_the_reader(pieces, begins_well):
    """Whatever a server sends, there is a reply or one of the three errors."""
    with talking(*([OK] if begins_well else []), *pieces) as connection:
        try:
            reply = exchange(connection)
        except (ConnectionBrokenError, ReplyTooLargeError, OSError):
            return
        assert isinstance(reply, WireReply)
