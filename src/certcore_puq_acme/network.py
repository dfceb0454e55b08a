"""The network as the ACME module sees it: two ports, HTTP and DNS, and the real ones as the default."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from certcore_puq_acme.dns.port import DnsPort
from certcore_puq_acme.protocol.http_port import HttpOpener, HttpPort

__all__ = ["Network", "NetworkPort"]


class NetworkPort(HttpOpener, Protocol):
    """Everything that the ACME module does outside the process, apart from serving its zones."""

    def dns(self) -> DnsPort:
        """The DNS."""
        ...


@frozen
class Network:
    """The real network."""

    def http(self, *, timeout: float, extra_roots: str = "") -> HttpPort:
        """A pool of verified connections, see `certcore_puq_acme.protocol.http.Http`."""
        from certcore_puq_acme.protocol.http import Http  # noqa: PLC0415 - keeps the ACME client out of the host's start-up

        return Http(timeout=timeout, extra_roots=extra_roots)

    def dns(self) -> DnsPort:
        """Questions over UDP and TCP, see `certcore_puq_acme.dns.query.SocketDns`."""
        from certcore_puq_acme.dns.query import SocketDns  # noqa: PLC0415 - dnspython costs 0.1 s

        return SocketDns()
