"""HTTP for ACME: one request, one bounded answer or one worded error. No retries, no polls, no sleeps.

TLS is always verified, with the system's roots and whatever roots the CA profile adds. Plain ``http`` is spoken to
loopback only. Connections are pooled and kept alive; a :class:`Http` may be shared by any number of threads.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import urllib3
from attrs import field, frozen
from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
    TimeoutError,  # noqa: A004 - urllib3's own name for it
)
from urllib3.util import parse_url

from certcore.errors import InvalidInput
from certcore_puq_acme.acme_errors import TransportFailed

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

__all__ = ["MAX_BODY", "MAX_REDIRECTS", "Http", "HttpReply", "host_of", "is_redirect", "redirected"]

#: The largest body that is read, in bytes.
MAX_BODY: Final = 1024 * 1024
#: How many redirects a plain GET may follow where redirects are allowed at all.
MAX_REDIRECTS: Final = 3

_CHUNK: Final = 65536
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
    #: The headers, looked up regardless of case; ``getlist`` gives all of a repeated one.
    headers: urllib3.HTTPHeaderDict = field(factory=urllib3.HTTPHeaderDict, repr=False)

    def header(self, name: str) -> str:
        """One header's value, or an empty string."""
        return self.headers.get(name) or ""


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
        self._pools = urllib3.PoolManager(
            num_pools=8,
            maxsize=pool_size,
            ssl_context=_tls_context(extra_roots),
            cert_reqs="CERT_REQUIRED",
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            retries=urllib3.Retry(total=False, redirect=False),
        )

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
        host, scheme, name, port = origin
        try:
            pool = self._pools.connection_from_host(name, port=port, scheme=scheme)
            response = pool.urlopen(
                method,
                target,
                body=body,
                headers={**self._headers, **headers} if headers else self._headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            content = self._read(response, host)
        except HTTPError as error:
            raise self._worded(error, host) from error
        except (OSError, ValueError) as error:  # what urllib3 does not wrap, such as a name that no DNS could hold
            raise TransportFailed(
                "unreachable", f"The CA's server at {host} could not be reached.", host=host
            ) from error
        return HttpReply(status=response.status, url=url, body=content, headers=response.headers)

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
        self._pools.clear()

    def __repr__(self) -> str:
        return f"Http(timeout={self._timeout:g})"

    def _read(self, response: BaseHTTPResponse, host: str) -> bytes:
        deadline = self._monotonic() + self._timeout
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read1(_CHUNK, decode_content=False):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                response.close()
                raise TransportFailed(
                    "too_large", f"The CA's server at {host} sent more than {MAX_BODY // 1024} KiB.", host=host
                )
            if self._monotonic() > deadline:
                response.close()
                raise self._timed_out(host)
        response.release_conn()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _timed_out(self, host: str) -> TransportFailed:
        message = f"The CA's server at {host} did not answer within {self._timeout:g} seconds."
        return TransportFailed("timeout", message, host=host)

    def _worded(self, error: HTTPError, host: str) -> TransportFailed:
        server = f"The CA's server at {host}"
        match error:
            case NameResolutionError():
                return TransportFailed("unresolvable", f"The name {host} of the CA's server has no address.", host=host)
            case NewConnectionError() if isinstance(error.__cause__, ConnectionRefusedError):
                return TransportFailed("refused", f"{server} refused the connection.", host=host)
            case NewConnectionError():
                return TransportFailed("unreachable", f"{server} could not be reached.", host=host)
            case TimeoutError():
                return self._timed_out(host)
            case SSLError():
                return TransportFailed("tls", f"{server} {_tls_words(error)}.", host=host)
            case LocationValueError():
                return TransportFailed("bad_url", f"{host!r} is not the name of a server.", host=host)
        return TransportFailed("reset", f"{server} broke the connection off.", host=host)


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
    """A URL's origin, which few requests change, and the rest, which urllib3 percent-encodes where it must."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return _origin(f"{scheme}://{authority}"), slash + path if slash else "/"


@lru_cache(maxsize=256)
def _origin(url: str) -> _Origin:
    try:
        parsed = parse_url(url)
    except (HTTPError, ValueError) as error:
        raise TransportFailed("bad_url", "A URL of the CA is malformed.") from error
    host, scheme = parsed.host or "", parsed.scheme or ""
    if scheme not in _DEFAULT_PORTS or not host or parsed.auth or parsed.query or parsed.fragment:
        raise TransportFailed("bad_url", "A URL of the CA is not an https URL.", host=host)
    if scheme == "http" and not _is_loopback(host):
        raise TransportFailed("bad_url", f"The URL of the CA's server at {host} is not encrypted.", host=host)
    port = parsed.port or _DEFAULT_PORTS[scheme]
    return _Origin(host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}", scheme, host, port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _join(base: str, location: str) -> str:
    from urllib.parse import urljoin  # noqa: PLC0415 - redirects are rare

    try:
        return urljoin(base, location) if location else ""
    except ValueError:
        return ""


def _tls_words(error: SSLError) -> str:
    cause: BaseException | None = error
    for _ in range(5):  # urllib3 wraps the ssl module's error once or twice
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has a certificate that cannot be trusted: {cause.verify_message.rstrip('.')}"
        if cause is None:
            break
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        cause = inner or cause.__cause__
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
