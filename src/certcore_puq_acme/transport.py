"""HTTP for ACME: one request, one bounded answer or one worded error. No retries, no polls, no sleeps.

TLS is always verified, with the system's roots and whatever roots the CA profile adds. Plain ``http`` is spoken to
loopback only. Connections are pooled and kept alive; a :class:`Http` may be shared by any number of threads.

A CA's answers name the URLs that are asked next. They lead to the public Internet, or to the kind of network on which
the configured directory itself is; plain ``http`` is spoken only where the directory is of that kind, too. So no CA
reaches the services of this host or network through us.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from attrs import field, frozen

from certcore.errors import InvalidInput
from certcore.net import AddressKind, AddressRefused, address_kind, is_loopback
from certcore.ports.forks import renew_after_fork
from certcore_puq_acme.acme_errors import TransportFailed
from certcore_puq_acme.connection import BrokenOff, Connection, ReplyTooLarge

__all__ = [
    "MAX_BODY",
    "MAX_REDIRECTS",
    "Http",
    "HttpReply",
    "host_of",
    "is_redirect",
    "redirect_target",
    "redirected",
]

#: The largest body that is read, in bytes.
MAX_BODY: Final = 1024 * 1024
#: How many redirects a plain GET may follow where redirects are allowed at all.
MAX_REDIRECTS: Final = 3

_MAX_HOST: Final = 253
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@frozen(kw_only=True)
class HttpReply:
    """What the server answered, read to its end."""

    #: The HTTP status code.
    status: int
    #: The URL that answered, after redirects.
    url: str
    #: The body, at most :data:`MAX_BODY` bytes.
    body: bytes = field(default=b"", repr=False)
    _headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def header(self, name: str) -> str:
        """One header's value, whatever the case of its name, or an empty string."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> tuple[str, ...]:
        """All values of a header that may be repeated."""
        wanted = name.lower()
        return tuple(value for found, value in self._headers if found == wanted)


class Http:
    """A pool of verified, kept-alive connections.

    Args:
        timeout: Seconds to connect, seconds to wait for each part of an answer, and seconds for a whole body.
        extra_roots: PEM certificates that are trusted besides the system's roots.
        user_agent: The User-Agent header; ``certcore/<version>`` when empty (RFC 8555 section 6.1 requires one).
        pool_size: How many idle connections per server are kept for reuse.
        monotonic: Seconds from any start, never backwards; only differences are used.

    Raises:
        InvalidInput: The timeout is not positive, or ``extra_roots`` holds no certificate.
    """

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        extra_roots: str | bytes = "",
        user_agent: str = "",
        pool_size: int = 32,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not timeout > 0:
            raise InvalidInput("timeout", "must be a positive number of seconds.")
        self._timeout = timeout
        self._monotonic = monotonic
        self._headers = f"User-Agent: {user_agent or _user_agent()}\r\nAccept-Encoding: identity\r\n"
        self._tls = _tls_context(extra_roots)
        self._pool_size = pool_size
        self._lock = threading.Lock()
        #: Idle connections by origin, the one that was used last at the end.
        self._idle: dict[_Origin, deque[Connection]] = {}
        #: On which kind of network each directory's own server was found, its certificate verified.
        self._found_on: dict[_Origin, AddressKind] = {}
        # Whoever forgets to close it leaves no sockets behind.
        weakref.finalize(self, _close_all, self._idle)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Let go of the parent's connections, without a word to the server; see `certcore.ports.forks`."""
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
    ) -> HttpReply:
        """Send one request and read the whole answer, whatever its status.

        Args:
            method: GET, HEAD or POST.
            url: An ``https`` URL, or ``http`` to loopback.
            body: The body of a POST.
            headers: Headers besides User-Agent and Accept-Encoding.
            home: The configured URL (a CA's directory) whose server named this one; empty for a configured URL.

        Raises:
            TransportFailed: Any kind but redirect, empty, html and not_json, which are for the caller to judge;
                ``bad_url`` and ``foreign_address`` where ``home`` must not lead to.
        """
        origin, target = _split(url)
        start = _split(home)[0] if home else origin
        if origin.scheme == "http" and start.scheme != "http":
            message = f"A URL of the CA leads to {origin.label} without encryption."
            raise TransportFailed("bad_url", message, host=origin.label)
        head = self._head(method, origin, target, body, headers or {})
        connection = self._connection(origin, start)
        try:
            reply = connection.exchange(head, body or b"", without_body=method == "HEAD", most=MAX_BODY)
        except (OSError, BrokenOff, ReplyTooLarge) as error:
            raise self._failed(error, origin.label) from error
        finally:
            self._give_back(origin, connection)
        return HttpReply(status=reply.status, url=url, body=reply.body, headers=reply.headers)

    def close(self) -> None:
        """Close the idle connections. The object stays usable and connects again when asked to."""
        with self._lock:
            _close_all(self._idle)

    def __repr__(self) -> str:
        return f"Http(timeout={self._timeout:g})"

    def _connection(self, origin: _Origin, start: _Origin) -> Connection:
        """An idle connection that is still open, or a new one."""
        while True:
            with self._lock:
                kept = self._idle.get(origin)
                connection = kept.pop() if kept else None
            if connection is None:
                return self._connect(origin, start)
            if connection.is_open() and self._permits(connection.address, origin, start):
                return connection
            connection.close()

    def _connect(self, origin: _Origin, start: _Origin) -> Connection:
        tls = self._tls if origin.scheme == "https" else None
        try:
            connection = Connection(
                origin.host,
                origin.port,
                tls=tls,
                timeout=self._timeout,
                monotonic=self._monotonic,
                permits=lambda address: self._permits(address, origin, start),
            )
        except (OSError, ValueError) as error:
            raise self._not_connected(error, origin.label) from error
        if origin == start:
            self._found_on[origin] = address_kind(connection.address)
        return connection

    def _permits(self, address: str, origin: _Origin, start: _Origin) -> bool:
        """Whether a server that the one at ``start`` has named may be at this address.

        The configured server itself may be anywhere, as an internal CA is: its certificate says whether it is the one.
        """
        kind = address_kind(address)
        if origin.scheme == "http":
            return kind is AddressKind.LOOPBACK
        if origin == start:
            return kind is not AddressKind.UNUSABLE
        return kind in (AddressKind.PUBLIC, self._found_on.get(start, _literal_kind(start.host)))

    def _give_back(self, origin: _Origin, connection: Connection) -> None:
        if connection.reusable:
            with self._lock:
                kept = self._idle.setdefault(origin, deque())
                if len(kept) < self._pool_size:
                    kept.append(connection)
                    return
        connection.close()

    def _head(self, method: str, origin: _Origin, target: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target} HTTP/1.1\r\nHost: {origin.label}\r\n{self._headers}{length}{more}\r\n"
        return head.encode("ascii")

    def _timed_out(self, host: str) -> TransportFailed:
        message = f"The CA's server at {host} did not answer within {self._timeout:g} seconds."
        return TransportFailed("timeout", message, host=host)

    def _not_connected(self, error: Exception, host: str) -> TransportFailed:
        server = f"The CA's server at {host}"
        match error:
            case AddressRefused():
                message = f"A URL of the CA leads to {host}, which is in a network that is not the CA's."
                return TransportFailed("foreign_address", message, host=host)
            case socket.gaierror() | UnicodeError():
                return TransportFailed("unresolvable", f"The name {host} of the CA's server has no address.", host=host)
            case ConnectionRefusedError():
                return TransportFailed("refused", f"{server} refused the connection.", host=host)
            case TimeoutError():
                return self._timed_out(host)
            case ssl.SSLError():
                return TransportFailed("tls", f"{server} {_tls_words(error)}.", host=host)
        return TransportFailed("unreachable", f"{server} could not be reached.", host=host)

    def _failed(self, error: Exception, host: str) -> TransportFailed:
        if isinstance(error, TimeoutError):
            return self._timed_out(host)
        if isinstance(error, ReplyTooLarge):
            message = f"The CA's server at {host} sent more than {MAX_BODY // 1024} KiB."
            return TransportFailed("too_large", message, host=host)
        return TransportFailed("reset", f"The CA's server at {host} broke the connection off.", host=host)


def _close_all(idle: dict[_Origin, deque[Connection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()


def is_redirect(reply: HttpReply) -> bool:
    """Whether the reply sends us elsewhere (RFC 9110 section 15.4)."""
    return 300 <= reply.status < 400  # noqa: PLR2004 - RFC 9110 section 15.4


def redirected(reply: HttpReply) -> TransportFailed:
    """The error for a redirect that is not followed."""
    host = host_of(reply.url)
    error = TransportFailed("redirect", f"The CA's server at {host} redirects where it must not.", host=host)
    return error.at(reply.url)


def host_of(url: str) -> str:
    """The server's name in a URL that may be spoken to, with its port when that is not the usual one.

    Raises:
        TransportFailed: ``bad_url``: not ``https``, no host, or plain ``http`` to anything but loopback.
    """
    return _split(url)[0].label


class _Origin(NamedTuple):
    label: str
    scheme: str
    host: str
    port: int


def _split(url: str) -> tuple[_Origin, str]:
    """A URL's origin, which few requests change, and the rest, percent-encoded where it must be."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    target = slash + path.partition("#")[0] if slash else "/"
    return _origin(f"{scheme}://{authority}"), quote(target, safe="%/:=&?~!$'()*+,;@[]")


@lru_cache(maxsize=256)
def _origin(url: str) -> _Origin:
    try:
        parsed = urlsplit(url)
        port = parsed.port
    except ValueError as error:
        raise TransportFailed("bad_url", "A URL of the CA is malformed.") from error
    host, scheme = parsed.hostname or "", parsed.scheme
    if scheme not in _DEFAULT_PORTS or not host or "@" in parsed.netloc or parsed.query or parsed.fragment:
        raise TransportFailed("bad_url", "A URL of the CA is not an https URL.", host=host)
    if not host.isascii() or not host.isprintable() or " " in host or len(host) > _MAX_HOST:
        raise TransportFailed("bad_url", f"{host[:80]!r} is not the name of a server.", host="")
    if scheme == "http" and not is_loopback(host):
        raise TransportFailed("bad_url", f"The URL of the CA's server at {host} is not encrypted.", host=host)
    number = port or _DEFAULT_PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    return _Origin(shown if number == _DEFAULT_PORTS[scheme] else f"{shown}:{number}", scheme, host, number)


def _literal_kind(host: str) -> AddressKind:
    """The kind of network that a host is on, as far as its name alone tells it."""
    if is_loopback(host):
        return AddressKind.LOOPBACK
    kind = address_kind(host)
    return AddressKind.PUBLIC if kind is AddressKind.UNUSABLE else kind


def redirect_target(reply: HttpReply) -> str:
    """Where a redirect leads, as an absolute URL; empty when that is nowhere, or from https to plain http."""
    location = reply.header("Location")
    try:
        target = urljoin(reply.url, location) if location else ""
    except ValueError:
        return ""
    is_downgrade = reply.url.lower().startswith("https:") and not target.lower().startswith("https:")
    return "" if is_downgrade else target


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that cannot be trusted: {error.verify_message.rstrip('.')}"
    return "did not complete a TLS handshake"


def _tls_context(extra_roots: str | bytes) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not _system_has_roots():
        try:
            import certifi  # noqa: PLC0415 - only where the system has no roots
        except ImportError:
            pass
        else:
            context.load_verify_locations(certifi.where())
    if extra_roots:
        data = extra_roots.encode("utf-8", "replace") if isinstance(extra_roots, str) else extra_roots
        try:  # bundles have comments in all languages
            context.load_verify_locations(cadata=data.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError) as error:
            raise InvalidInput("extra_roots", "is not a list of certificates in PEM form.") from error
    return context


def _system_has_roots() -> bool:
    paths = ssl.get_default_verify_paths()
    try:
        return paths.cafile is not None or bool(paths.capath and os.listdir(paths.capath))  # noqa: PTH208 - no pathlib
    except OSError:
        return False


def _user_agent() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - once per Http

    try:
        return f"certcore/{version('certcore')}"
    except PackageNotFoundError:
        return "certcore/0"
