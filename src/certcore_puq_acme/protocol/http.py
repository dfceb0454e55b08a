"""HTTP to ACME servers: `certcore.net.http` with errors whose texts name the CA's server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

from certcore.messages import Message
from certcore.net.failures import FailureKind, NetworkError
from certcore.net.http import HttpClient, HttpReply
from certcore.net.telemetry import CA_REQUEST, measured
from certcore.net.tls import TlsContexts, tls_context
from certcore.net.urls import BadUrlError, parse_url
from certcore_puq_acme.protocol.errors import TransportError

__all__ = ["MAX_REDIRECTS", "Http", "host_of", "is_redirect", "redirect_target", "redirected"]

#: How many redirects a plain GET may follow where redirects are allowed at all.
MAX_REDIRECTS: Final = 3
_REDIRECTS: Final = range(300, 400)  # RFC 9110 section 15.4


class Http:
    """Connections to ACME servers: `certcore_puq_acme.protocol.http_port.HttpPort`. Any number of threads may share it.

    Args:
        timeout: Seconds to connect, and seconds for each reply.
        extra_roots: PEM certificates that are trusted in addition to the system's roots.
        contexts: A cache of TLS contexts, shared with other objects that trust the same roots; None for an own context.

    Raises:
        InvalidInputError: The timeout is not positive, or ``extra_roots`` holds no certificate.
    """

    def __init__(
        self, *, timeout: float = 10.0, extra_roots: str | bytes = "", contexts: TlsContexts | None = None
    ) -> None:
        tls = tls_context(extra_roots=extra_roots) if contexts is None else contexts.get(extra_roots)
        self._client = HttpClient(timeout=timeout, tls=tls)

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        home: str = "",
    ) -> HttpReply:
        """Send one request and read the whole reply; see `HttpClient.request`.

        Raises:
            TransportError: The server cannot be reached, or its reply is unusable.
        """
        with measured(CA_REQUEST, {"http.request.method": method, "server.address": _server(url)}) as request:
            try:
                reply = self._client.request(method, url, body=body, headers=headers, home=home)
            except NetworkError as error:
                request.attributes["certcore.failure"] = str(error.kind)
                raise _worded(error) from error.__cause__
            request.attributes["http.response.status_code"] = reply.status
            return reply

    def close(self) -> None:
        """Close the idle connections. The object stays usable and connects again."""
        self._client.close()

    def __repr__(self) -> str:
        return f"Http(timeout={self._client.timeout:g})"


def _server(url: str) -> str:
    """The server's host name. The rest of the URL is left out, because it may contain a token of the CA."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _worded(error: NetworkError) -> TransportError:
    if error.kind is FailureKind.BAD_URL and not error.host:
        message = Message("puq_acme.transport.of_ca", "The CA {clause}.", {"clause": error.clause_text})
    else:
        params = {"host": error.host, "clause": error.clause_text}
        message = Message("puq_acme.transport.of_server", "The CA's server at {host} {clause}.", params)
    return TransportError(error.kind, message, host=error.host)


def is_redirect(reply: HttpReply) -> bool:
    """Whether the reply is a redirect."""
    return reply.status in _REDIRECTS


def redirected(reply: HttpReply) -> TransportError:
    """The error for a redirect that is not followed."""
    host = host_of(reply.url)
    return TransportError(
        "redirect",
        Message(
            "puq_acme.transport.redirect",
            "The CA's server at {host} sent a redirect that is not allowed.",
            {"host": host},
        ),
        host=host,
    ).at(reply.url)


def host_of(url: str) -> str:
    """The server's name in a URL that may be requested, with its port unless it is the default port.

    Raises:
        TransportError: ``bad_url``: the URL is malformed, or one that may not be requested, such as plain ``http`` to
            another machine.
    """
    try:
        return parse_url(url)[0].label
    except BadUrlError as error:
        text = "The CA has a URL that cannot be requested: it {reason}."
        raise TransportError("bad_url", Message("puq_acme.transport.bad_url", text, {"reason": error.clause})) from None


def redirect_target(reply: HttpReply) -> str:
    """The absolute URL that a redirect points to; empty if it has none, or leads from https to plain http."""
    location = reply.header("Location")
    try:
        target = urljoin(reply.url, location) if location else ""
    except ValueError:
        return ""
    is_downgrade = reply.url.lower().startswith("https:") and not target.lower().startswith("https:")
    return "" if is_downgrade else target
