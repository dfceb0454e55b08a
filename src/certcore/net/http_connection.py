"""An HTTP/1.1 connection (RFC 9112). Each exchange has one deadline and a reply of limited size.

`http.client` parses the replies. `benchmarks/http_parsers.py` measures the CPU time of a request with its reply: 7 us
with httptools, 40 us with this module, 52 us with `http.client.HTTPConnection`, 59 us with h11. A certificate needs
eight requests, so a faster parser would save 0.25 ms of the 8 to 15 ms that a certificate costs. That is not worth a
dependency with compiled code.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from certcore.forks import delays_fork
from certcore.net.connecting import connect

__all__ = ["ConnectionBrokenError", "HttpConnection", "ReplyTooLargeError", "WireReply"]

#: The largest header section, including interim replies, in bytes.
_MAX_HEADERS: Final = 65536
_CHUNK: Final = 16384
#: The largest number of interim replies (RFC 9110 section 15.2) before the final reply.
_MAX_INTERIM: Final = 20


class ConnectionBrokenError(Exception):
    """The server closed the connection, or its reply is not HTTP."""


class ReplyTooLargeError(Exception):
    """The reply is larger than allowed."""


class WireReply(NamedTuple):
    """A parsed reply."""

    status: int
    #: The headers in order, repeated headers included, with names in lower case.
    headers: tuple[tuple[str, str], ...]
    #: The body; empty if it was not read.
    body: bytes


class _BoundedReader(io.RawIOBase):
    """Reads from a socket until a deadline or a number of bytes."""

    def __init__(self, connected: socket.socket, clock: Callable[[], float], deadline: float, limit: int) -> None:
        super().__init__()
        self._socket = connected
        self._clock = clock
        self._deadline = deadline
        self._left = limit
        #: Whether the server has ended the connection.
        self.is_at_end = False
        #: Whether receiving has been stopped.
        self.is_stopped = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.is_stopped:
            return 0
        seconds = self._deadline - self._clock()
        if seconds <= 0:
            raise TimeoutError
        self._socket.settimeout(seconds)
        size = self._socket.recv_into(buffer)
        self._left -= size
        if self._left < 0:
            raise ReplyTooLargeError
        self.is_at_end = self.is_at_end or not size
        return size

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Called by `http.client.HTTPResponse` as for a socket."""
        return _UnclosedReader(self, _CHUNK)


class _UnclosedReader(io.BufferedReader):
    """Stays open when `http.client.HTTPResponse` closes it after the body, to check for surplus bytes."""

    def close(self) -> None:
        pass


class HttpConnection:
    """A connection to one origin, used by one thread at a time.

    Args:
        host: A name or an address; IPv6 addresses without brackets.
        port: The TCP port.
        tls: The TLS context; None for plain HTTP.
        connect_timeout: The seconds to connect to each address, and the seconds for the TLS handshake.
        timeout: The seconds to send a request, and the seconds to receive its whole reply.
        monotonic: A monotonic clock in seconds.
        permits: Returns whether a connection to an address (as text) is permitted.

    Raises:
        AddressRefusedError: The host has no permitted address.
        OSError: The name cannot be resolved, or the connection or the handshake failed or timed out.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        connect_timeout: float,
        timeout: float,
        monotonic: Callable[[], float],
        permits: Callable[[str], bool],
    ) -> None:
        self._timeout = timeout
        self._monotonic = monotonic
        connected = connect(host, port, timeout=connect_timeout, permits=permits)
        try:
            #: The address of the server.
            self.address = str(connected.getpeername()[0])
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # In wrap_socket, the socket's timeout limits the whole handshake.
            self._socket = connected if tls is None else _handshaken(tls, connected, host)
        except BaseException:  # boundary: no socket is left behind
            connected.close()
            raise
        #: Whether another request may follow.
        self.reusable = True

    def is_open(self) -> bool:
        """Whether an idle connection can be used. If it has bytes to read, the server has closed it."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def exchange(self, head: bytes, body: bytes, *, method: str, limit: int | None) -> WireReply:
        """Send a request and read its reply.

        Args:
            head: The request line and the header section with its empty line.
            body: The body.
            method: The request's method. The reply to HEAD has no body, whatever its headers say.
            limit: The largest body, in bytes; None to read no body, after which the connection cannot be reused.

        Raises:
            ConnectionBrokenError: The server closed the connection, or its reply is not HTTP.
            ReplyTooLargeError: The reply is larger than allowed.
            TimeoutError: The reply did not arrive in time.
            OSError: The connection failed.
        """
        self.reusable = False
        deadline = self._monotonic() + self._timeout
        self._socket.settimeout(self._timeout)  # limits the whole sendall
        self._socket.sendall(head + body)
        reader = _BoundedReader(self._socket, self._monotonic, deadline, (limit or 0) + _MAX_HEADERS)
        try:
            reply, keeps_alive = _read(reader, method, limit)
        except http.client.HTTPException as error:
            raise ConnectionBrokenError(type(error).__name__) from None
        self.reusable = keeps_alive
        return reply

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _handshaken(tls: ssl.SSLContext, connected: socket.socket, host: str) -> socket.socket:
    with delays_fork():
        return tls.wrap_socket(connected, server_hostname=host)


def _read(reader: _BoundedReader, method: str, limit: int | None) -> tuple[WireReply, bool]:
    """Read a reply. Also returns whether the connection can be reused."""
    response = http.client.HTTPResponse(reader, method=method)  # type: ignore[arg-type]
    buffered = response.fp
    _read_final_head(response)
    if reader.is_at_end:  # the end is only reached if the empty line after the headers is missing
        raise ConnectionBrokenError("the header section was cut off")
    headers = tuple((name.lower(), value) for name, value in response.headers.raw_items())
    if limit is None:
        return WireReply(response.status, headers, b""), False
    body = _read_body(response, headers, limit)
    reader.is_stopped = True
    surplus = buffered.peek(1)
    return WireReply(response.status, headers, body), not (response.will_close or reader.is_at_end or surplus)


def _read_final_head(response: http.client.HTTPResponse) -> None:
    for _ in range(_MAX_INTERIM + 1):
        response.begin()
        if response.status >= HTTPStatus.OK or response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return
        response.headers = None  # type: ignore[assignment]  # otherwise `begin` reads nothing
    raise ConnectionBrokenError("too many interim replies")


def _read_body(response: http.client.HTTPResponse, headers: tuple[tuple[str, str], ...], limit: int) -> bytes:
    """The body, checked where `http.client` is lenient (RFC 9112 section 6.3)."""
    framing = {header for header in headers if header[0] in ("content-length", "transfer-encoding")}
    is_plain = response.length is not None or response.chunked
    if len(framing) > 1 or (framing and not is_plain):
        raise ConnectionBrokenError("the body's length is unclear")
    if response.length is not None and response.length > limit:
        raise ReplyTooLargeError
    try:
        # Without a size, `http.client` would allocate the length that the server claims.
        body = response.read(limit + 1)
    except ValueError:
        raise ConnectionBrokenError("the chunks cannot be parsed") from None
    if len(body) > limit:
        raise ReplyTooLargeError
    if response.length:
        raise ConnectionBrokenError("the body was cut off")
    return body
