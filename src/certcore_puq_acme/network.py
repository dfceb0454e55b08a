"""The network as the ACME module sees it: two ports, HTTP and DNS, and the real ones as the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from certcore_puq_acme.dns.port import DnsPort
from certcore_puq_acme.protocol.http_port import HttpOpener, HttpPort

if TYPE_CHECKING:
    from certcore.net.tls import TlsContexts

__all__ = ["Network", "NetworkPort"]


class NetworkPort(HttpOpener, Protocol):
    """Everything that the ACME module does outside the process, apart from serving its zones."""

    def dns(self) -> DnsPort:
        """The DNS."""
        ...


class Network:
    """The real network."""

    def __init__(self) -> None:
        self._contexts: TlsContexts | None = None

    def http(self, *, timeout: float, extra_roots: str = "") -> HttpPort:
        """A pool of verified connections, see `certcore_puq_acme.protocol.http.Http`."""
        from certcore.net.tls import TlsContexts  # noqa: PLC0415 - keeps OpenSSL out of the host's start-up
        from certcore_puq_acme.protocol.http import Http  # noqa: PLC0415 - keeps the ACME client out of the host's start-up

        if self._contexts is None:
            self._contexts = TlsContexts()
        return Http(timeout=timeout, extra_roots=extra_roots, contexts=self._contexts)

    def dns(self) -> DnsPort:
        """Questions over UDP and TCP, see `certcore_puq_acme.dns.query.SocketDns`."""
        from certcore_puq_acme.dns.query import SocketDns  # noqa: PLC0415 - dnspython costs 0.1 s

        return SocketDns()
