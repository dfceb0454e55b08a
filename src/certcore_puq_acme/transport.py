"""HTTP for ACME: one request, one bounded answer or one worded error. No retries, no polls, no sleeps.

TLS is always verified, with the system's roots and whatever roots the CA profile adds. Plain ``http`` is spoken to
loopback only. Connections are pooled and kept alive; a :class:`Http` may be shared by any number of threads.

It stands on ``http.client``: half of what a certificate costs is HTTP, and this costs half of what urllib3 does.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from attrs import field, frozen

from certcore.errors import InvalidInput
from certcore_puq_acme.acme_errors import TransportFailed

__all__ = ["MAX_BODY", "MAX_REDIRECTS", "Http", "HttpReply", "host_of", "is_redirect", "redirected"]

#: The largest body that is read, in bytes.
MAX_BODY: Final = 1024 * 1024
#: How many redirects a plain GET may follow where redirects are allowed at all.
MAX_REDIRECTS: Final = 3

_CHUNK: Final = 65536
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
    _headers: HTTPMessage = field(factory=HTTPMessage, repr=False)

    def header(self, name: str) -> str:
        """One header's value, whatever the case of its name, or an empty string."""
        return str(self._headers.get(name) or "")

    def headers(self, name: str) -> tuple[str, ...]:
        """All values of a header that may be repeated."""
        return tuple(str(value) for value in self._headers.get_all(name) or ())


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
        self._headers = {"User-Agent": user_agent or _user_agent(), "Accept-Encoding": "identity"}
        self._tls = _tls_context(extra_roots)
        self._pool_size = pool_size
        self._lock = threading.Lock()
        #: Idle connections by origin, the one that was used last at the end.
        self._idle: dict[_Origin, deque[HTTPConnection]] = {}
        # Whoever forgets to close it leaves no sockets behind.
        weakref.finalize(self, _close_all, self._idle)

    def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        """Send one request and read the whole answer, whatever its status.

        Args:
            method: GET, HEAD or POST.
            url: An ``https`` URL, or ``http`` to loopback.
            body: The body of a POST.
            headers: Headers besides User-Agent and Accept-Encoding.

        Raises:
            TransportFailed: Any kind but redirect, empty, html and not_json, which are for the caller to judge.
        """
        origin, target = _split(url)
        connection = self._connection(origin)
        try:
            connection.request(method, target, body=body, headers={**self._headers, **(headers or {})})
            response = connection.getresponse()
            content = self._read(response, origin.label)
            keep = not response.will_close
        except TransportFailed:
            connection.close()
            raise
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            raise self._broken_off(error, origin.label) from error
        except BaseException:
            connection.close()
            raise
        self._give_back(origin, connection, keep=keep)
        return HttpReply(status=response.status, url=url, body=content, headers=response.msg)

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, redirects: int = 0) -> HttpReply:
        """GET, following at most ``redirects`` redirects, never from https to http.

        Raises:
            TransportFailed: As :meth:`request`; ``redirect`` for a redirect too many, to nowhere, or to plain http.
        """
        for _ in range(redirects + 1):
            reply = self.request("GET", url, headers=headers)
            if not is_redirect(reply):
                return reply
            target = _join(url, reply.header("Location"))
            if not target or (url.lower().startswith("https:") and not target.lower().startswith("https:")):
                break
            url = target
        raise redirected(reply)

    def close(self) -> None:
        """Close the idle connections. The object stays usable and connects again when asked to."""
        with self._lock:
            _close_all(self._idle)

    def __repr__(self) -> str:
        return f"Http(timeout={self._timeout:g})"

    def _connection(self, origin: _Origin) -> HTTPConnection:
        """An idle connection that is still open, or a new one."""
        while True:
            with self._lock:
                kept = self._idle.get(origin)
                connection = kept.pop() if kept else None
            if connection is None:
                return self._connect(origin)
            if _is_open(connection):
                return connection
            connection.close()

    def _connect(self, origin: _Origin) -> HTTPConnection:
        connection: HTTPConnection
        if origin.scheme == "https":
            connection = HTTPSConnection(origin.host, origin.port, timeout=self._timeout, context=self._tls)
        else:
            connection = HTTPConnection(origin.host, origin.port, timeout=self._timeout)
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            connection.close()
            raise self._not_connected(error, origin.label) from error
        return connection

    def _give_back(self, origin: _Origin, connection: HTTPConnection, *, keep: bool) -> None:
        if keep:
            with self._lock:
                kept = self._idle.setdefault(origin, deque())
                if len(kept) < self._pool_size:
                    kept.append(connection)
                    return
        connection.close()

    def _read(self, response: HTTPResponse, host: str) -> bytes:
        deadline = self._monotonic() + self._timeout
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read1(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                message = f"The CA's server at {host} sent more than {MAX_BODY // 1024} KiB."
                raise TransportFailed("too_large", message, host=host)
            if self._monotonic() > deadline:
                raise self._timed_out(host)
        if response.length:
            raise HTTPException("the body is shorter than announced")
        response.close()  # read to its end: the connection is free for the next request
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _timed_out(self, host: str) -> TransportFailed:
        message = f"The CA's server at {host} did not answer within {self._timeout:g} seconds."
        return TransportFailed("timeout", message, host=host)

    def _not_connected(self, error: Exception, host: str) -> TransportFailed:
        server = f"The CA's server at {host}"
        match error:
            case socket.gaierror() | UnicodeError():
                return TransportFailed("unresolvable", f"The name {host} of the CA's server has no address.", host=host)
            case ConnectionRefusedError():
                return TransportFailed("refused", f"{server} refused the connection.", host=host)
            case TimeoutError():
                return self._timed_out(host)
            case ssl.SSLError():
                return TransportFailed("tls", f"{server} {_tls_words(error)}.", host=host)
        return TransportFailed("unreachable", f"{server} could not be reached.", host=host)

    def _broken_off(self, error: Exception, host: str) -> TransportFailed:
        if isinstance(error, TimeoutError):
            return self._timed_out(host)
        return TransportFailed("reset", f"The CA's server at {host} broke the connection off.", host=host)


def _close_all(idle: dict[_Origin, deque[HTTPConnection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()


def _is_open(connection: HTTPConnection) -> bool:
    """Whether an idle connection can be used: one that has something to say was closed by the server."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def is_redirect(reply: HttpReply) -> bool:
    """Whether the reply sends us elsewhere (RFC 9110 section 15.4)."""
    return 300 <= reply.status < 400  # noqa: PLR2004 - RFC 9110 section 15.4


def redirected(reply: HttpReply) -> TransportFailed:
    """The error for a redirect that is not followed."""
    host = host_of(reply.url)
    return TransportFailed("redirect", f"The CA's server at {host} redirects where it must not.", host=host)


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
    if scheme == "http" and not _is_loopback(host):
        raise TransportFailed("bad_url", f"The URL of the CA's server at {host} is not encrypted.", host=host)
    number = port or _DEFAULT_PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    return _Origin(shown if number == _DEFAULT_PORTS[scheme] else f"{shown}:{number}", scheme, host, number)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _join(base: str, location: str) -> str:
    try:
        return urljoin(base, location) if location else ""
    except ValueError:
        return ""


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
