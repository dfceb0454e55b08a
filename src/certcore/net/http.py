"""An HTTP client for servers that may be hostile: one request, and one reply of limited size or one failure.

There are no redirects, retries or sleeps. TLS is always verified. Plain ``http`` is only used on loopback, unless the
caller permits it. Connections are pooled and kept alive.

A server's answer can contain URLs that are requested next, as in an ACME directory. These may only lead to the public
Internet, or to the kind of network on which the configured server itself is. They may use plain ``http`` only if the
configured URL does. So a server cannot make certcore send requests to services of this host or network.
"""

from __future__ import annotations

import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidInputError
from certcore.forks import renew_after_fork
from certcore.messages import Message
from certcore.net.addresses import AddressKind, address_kind, is_loopback
from certcore.net.failures import UNREACHABLE, FailureKind, NetworkError, failure
from certcore.net.http_connection import ConnectionBrokenError, HttpConnection, ReplyTooLargeError
from certcore.net.tls import tls_context
from certcore.net.urls import BadUrlError, Origin, parse_url
from certcore.version import __version__

__all__ = ["MAX_BODY", "HttpClient", "HttpReply"]

#: The largest body that is read, in bytes.
MAX_BODY: Final = 1024 * 1024


@frozen(kw_only=True)
class HttpReply:
    """The reply of a server."""

    #: The HTTP status code.
    status: int
    #: The URL that was requested.
    url: str
    #: The body, at most `MAX_BODY` bytes; empty if it was not read.
    body: bytes = field(default=b"", repr=False)
    _headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def header(self, name: str) -> str:
        """The first value of a header, ignoring the case of its name; an empty string if it is missing."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> tuple[str, ...]:
        """All values of a header, ignoring the case of its name."""
        name_sought = name.lower()
        return tuple(value for known, value in self._headers if known == name_sought)


class HttpClient:
    """A client with a pool of connections. It is thread-safe, and has an empty pool in a forked child.

    Args:
        timeout: The seconds to send a request, and the seconds to receive its whole reply.
        connect_timeout: The seconds to connect to each address of a host, and the seconds for the TLS handshake; by
            default ``timeout``.
        tls: The TLS context; by default that of `certcore.net.tls.tls_context`.
        user_agent: The User-Agent header; by default ``certcore/<version>``.
        pool_size: How many idle connections to each origin are kept for reuse.
        allow_http: Whether plain ``http`` to other machines is permitted.
        monotonic: A monotonic clock in seconds.

    Raises:
        InvalidInputError: A timeout is not positive.
    """

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        connect_timeout: float | None = None,
        tls: ssl.SSLContext | None = None,
        user_agent: str = "",
        pool_size: int = 32,
        allow_http: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not timeout > 0 or (connect_timeout is not None and not connect_timeout > 0):
            raise InvalidInputError(
                "timeout", Message("input.not_positive_seconds", "must be a positive number of seconds.")
            )
        #: Seconds for each reply.
        self.timeout = timeout
        self._connect_timeout = connect_timeout or timeout
        self._headers = f"User-Agent: {user_agent or f'certcore/{__version__}'}\r\nAccept-Encoding: identity\r\n"
        self._tls = tls or tls_context()
        self._pool_size = pool_size
        self._allow_http = allow_http
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: Idle connections by origin, the most recently used last.
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        #: The kind of network of each configured server, from its verified connection.
        self._home_kinds: dict[Origin, AddressKind] = {}
        weakref.finalize(self, _close_all, self._idle)  # a client that is never closed leaves no sockets behind
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Drop the parent's connections without sending anything; see `certcore.forks`."""
        self._lock = threading.Lock()
        _close_all(self._idle)

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        home: str = "",
        read_body: bool = True,
    ) -> HttpReply:
        """Send one request and read the whole reply, whatever its status.

        Args:
            method: GET, HEAD or POST.
            url: An ``https`` URL, or an ``http`` URL that is permitted.
            body: The body of a POST.
            headers: Headers in addition to Host, User-Agent, Accept-Encoding and Content-Length.
            home: The configured URL of the server whose answer contained ``url``; empty if ``url`` is configured.
            read_body: Whether the reply's body is read. If not, the connection is closed after the headers.

        Raises:
            NetworkError: There is no usable reply.
        """
        origin, target = self._parse(url)
        start = self._parse(home)[0] if home else origin
        if origin.scheme == "http" and start.scheme != "http":
            clause = Message("network.not_encrypted", "does not use TLS, but its URL is https")
            raise NetworkError(FailureKind.BAD_URL, clause, host=origin.label)
        head = self._head(method, origin, target, body, headers or {})
        connection = self._connection(origin, start)
        try:
            reply = connection.exchange(head, body or b"", method=method, limit=MAX_BODY if read_body else None)
        except ReplyTooLargeError:
            clause = Message("network.too_large", "sent more than {most} KiB", {"most": MAX_BODY // 1024})
            raise NetworkError(FailureKind.TOO_LARGE, clause, host=origin.label) from None
        except TimeoutError as error:
            raise failure(error, seconds=self.timeout, host=origin.label) from error
        except (OSError, ConnectionBrokenError) as error:
            # The request may have arrived, so the kind must not mean that there was no connection.
            raise failure(ConnectionResetError(), seconds=self.timeout, host=origin.label) from error
        finally:
            self._give_back(origin, connection)
        return HttpReply(status=reply.status, url=url, body=reply.body, headers=reply.headers)

    def close(self) -> None:
        """Close the idle connections. The client remains usable and connects again."""
        with self._lock:
            _close_all(self._idle)

    def __repr__(self) -> str:
        return f"HttpClient(timeout={self.timeout:g})"

    def _parse(self, url: str) -> tuple[Origin, str]:
        try:
            return parse_url(url, allow_http=self._allow_http)
        except BadUrlError as error:
            text = "has a URL that cannot be requested: it {reason}"
            raise NetworkError(
                FailureKind.BAD_URL, Message("network.bad_url", text, {"reason": error.clause})
            ) from None

    def _connection(self, origin: Origin, start: Origin) -> HttpConnection:
        """An idle connection that is still open, or a new one."""
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                connection = idle.pop() if idle else None
            if connection is None:
                return self._connect(origin, start)
            if connection.is_open() and self._permits(connection.address, origin, start):
                return connection
            connection.close()

    def _connect(self, origin: Origin, start: Origin) -> HttpConnection:
        try:
            connection = HttpConnection(
                origin.host,
                origin.port,
                tls=self._tls if origin.scheme == "https" else None,
                connect_timeout=self._connect_timeout,
                timeout=self.timeout,
                monotonic=self._monotonic,
                permits=lambda address: self._permits(address, origin, start),
            )
        except (OSError, ValueError) as error:
            raise _not_connected(error, self._connect_timeout, origin.label) from error
        if origin == start:
            self._home_kinds[origin] = address_kind(connection.address)
        return connection

    def _permits(self, address: str, origin: Origin, start: Origin) -> bool:
        """Whether a request to ``origin``, whose URL came from the server at ``start``, may go to this address.

        The configured server itself may have any address, because its certificate identifies it (an internal CA is on
        a private network).
        """
        kind = address_kind(address)
        if origin.scheme == "http" and not self._allow_http:
            return kind is AddressKind.LOOPBACK
        if origin == start:
            return kind is not AddressKind.UNUSABLE
        return kind in (AddressKind.PUBLIC, self._home_kinds.get(start, _literal_kind(start.host)))

    def _give_back(self, origin: Origin, connection: HttpConnection) -> None:
        if connection.reusable:
            with self._lock:
                idle = self._idle.setdefault(origin, deque())
                if len(idle) < self._pool_size:
                    idle.append(connection)
                    return
        connection.close()

    def _head(self, method: str, origin: Origin, target: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target} HTTP/1.1\r\nHost: {origin.label}\r\n{self._headers}{length}{more}\r\n"
        return head.encode("ascii")


def _not_connected(error: Exception, seconds: float, host: str) -> NetworkError:
    """The failure to connect. A connection that was reset before its first request counts as unreachable."""
    if isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
        return NetworkError(FailureKind.UNREACHABLE, UNREACHABLE, host=host)
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError | ssl.SSLError):
        return NetworkError(FailureKind.UNREACHABLE, UNREACHABLE, host=host)
    return failure(error, seconds=seconds, host=host)


def _close_all(idle: dict[Origin, deque[HttpConnection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()


def _literal_kind(host: str) -> AddressKind:
    """The kind of network of a host according to its name or address; public for other names."""
    if is_loopback(host):
        return AddressKind.LOOPBACK
    kind = address_kind(host)
    return AddressKind.PUBLIC if kind is AddressKind.UNUSABLE else kind
