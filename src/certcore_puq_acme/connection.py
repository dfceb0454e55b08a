"""One kept-alive HTTP/1.1 connection (RFC 9112): a request out, a bounded reply in.

Half of what a certificate costs is HTTP. Parsing is done by `httptools` (llhttp); sockets and TLS are the standard
library's. There is a deadline on every reply as a whole, so that a server which trickles is a server that times out.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen
from httptools import HttpParserError, HttpResponseParser

from certcore.net import connect

__all__ = ["BrokenOff", "Connection", "ReplyTooLarge", "WireReply"]

#: The largest header section that is read, in bytes.
_MAX_HEADERS: Final = 65536
_CHUNK: Final = 65536
_INFORMATIONAL: Final = range(100, 200)
_NEVER_A_BODY: Final = (204, 304)


class BrokenOff(Exception):
    """The server closed the connection, or sent something that is not HTTP."""


class ReplyTooLarge(Exception):
    """The server sent more than it may."""


@frozen(kw_only=True)
class WireReply:
    """What came over the wire."""

    status: int
    #: Names in lower case, in their order; repeated ones stay repeated.
    headers: tuple[tuple[str, str], ...]
    body: bytes


@define(eq=False, slots=False)
class _Reading:
    """Collects what the parser finds; the parser calls the ``on_`` methods."""

    without_body: bool
    #: Set from outside, and taken away again: the two must not keep each other alive.
    parser: HttpResponseParser | None = None
    headers: list[tuple[str, str]] = field(factory=list)
    body: list[bytes] = field(factory=list)
    status: int = 0
    complete: bool = False
    keep_alive: bool = False
    #: Something came after the end of the reply: the connection is not to be trusted any more.
    surplus: bool = False

    def on_message_begin(self) -> None:
        """A reply begins; a second one was not asked for."""
        self.surplus = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        if not self.complete:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """The header section has ended."""
        if self.complete:
            return
        self.status = self.parser.get_status_code() if self.parser else 0
        if self.status not in _INFORMATIONAL and (self.without_body or self.status in _NEVER_A_BODY):
            self._end()

    def on_body(self, data: bytes) -> None:
        """Some of the body."""
        if not self.complete:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """The reply has ended; after an informational one (RFC 9110 section 15.2) the real one follows."""
        if self.status in _INFORMATIONAL:
            self.headers.clear()
            self.status = 0
        elif not self.complete:
            self._end()

    def _end(self) -> None:
        self.complete = True
        self.keep_alive = self.parser is not None and self.parser.should_keep_alive()  # it forgets afterwards

    @property
    def ends_with_the_connection(self) -> bool:
        """Whether the body has neither a length nor chunks (RFC 9112 section 6.3)."""
        framed = ("content-length", "transfer-encoding")
        return self.status != 0 and not any(name in framed for name, _ in self.headers)


class Connection:
    """A connection to one origin, used by one thread at a time.

    Args:
        host: Name or address, an IPv6 address without brackets.
        port: The TCP port.
        tls: The TLS settings; None speaks plain HTTP.
        timeout: Seconds to connect, and for each reply.
        monotonic: Seconds from any start, never backwards.
        permits: Whether an address may be connected to.

    Raises:
        OSError: There is no connection: the name, the address, the handshake or the time.
        AddressRefused: The host has no address that is permitted.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        timeout: float,
        monotonic: Callable[[], float],
        permits: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._timeout = timeout
        self._monotonic = monotonic
        connected = connect(host, port, timeout=timeout, permits=permits)
        try:
            #: The address that it leads to.
            self.address = str(connected.getpeername()[0])
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = connected if tls is None else tls.wrap_socket(connected, server_hostname=host)
        except BaseException:  # boundary: no socket is left behind
            connected.close()
            raise
        #: Whether another request may follow.
        self.reusable = True

    def is_open(self) -> bool:
        """Whether an idle connection can be used: one that has something to say was closed by the server."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def exchange(self, head: bytes, body: bytes, *, without_body: bool, most: int) -> WireReply:
        """Send a request and read the whole reply.

        Args:
            head: The request line and the header section with its empty line.
            body: The body.
            without_body: The reply to a HEAD request has none, whatever it announces.
            most: The largest body that is read, in bytes.

        Raises:
            BrokenOff: The server closed the connection or sent something that is not HTTP.
            ReplyTooLarge: The reply is larger than it may be.
            TimeoutError: It did not come in time.
            OSError: The connection failed.
        """
        self.reusable = False
        deadline = self._monotonic() + self._timeout
        self._socket.settimeout(self._timeout)
        self._socket.sendall(head + body)
        reading = _Reading(without_body=without_body)
        reading.parser = parser = HttpResponseParser(reading)
        try:
            self._read(reading, parser, deadline, most)
        finally:
            reading.parser = None
        reply = WireReply(status=reading.status, headers=tuple(reading.headers), body=b"".join(reading.body))
        if len(reply.body) > most:
            raise ReplyTooLarge
        self.reusable = reading.keep_alive and not reading.surplus
        return reply

    def _read(self, reading: _Reading, parser: HttpResponseParser, deadline: float, most: int) -> None:
        received = 0
        while not reading.complete:
            left = deadline - self._monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            data = self._socket.recv(_CHUNK)
            if not data:
                if reading.ends_with_the_connection:
                    return
                raise BrokenOff
            received += len(data)
            if received > most + _MAX_HEADERS:
                raise ReplyTooLarge
            try:
                parser.feed_data(data)
            except HttpParserError:
                raise BrokenOff from None

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
