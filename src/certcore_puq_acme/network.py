"""The network as the ACME module sees it: two ports, HTTP and DNS, and the real ones as the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from dns.rdatatype import RdataType

    from certcore_puq_acme.lookup import Lookup
    from certcore_puq_acme.settings import NameServer
    from certcore_puq_acme.transport import HttpReply

__all__ = ["DnsPort", "HttpPort", "Network", "NetworkPort"]


class HttpPort(Protocol):
    """HTTP to one CA. MUST be thread-safe; MUST NOT follow redirects, retry or sleep."""

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
            url: Where to.
            body: The body of a POST.
            headers: Headers besides those of the transport.
            home: The configured URL (a CA's directory) whose server named this one; empty for a configured URL. A
                server MUST NOT be asked in a network in which the one of ``home`` is not.

        Raises:
            TransportFailed: There is no answer.
        """
        ...

    def close(self) -> None:
        """Let go of what is held; the object stays usable."""
        ...


class DnsPort(Protocol):
    """Questions to recursive DNS servers. MUST be thread-safe."""

    def ask(self, server: NameServer, name: str, kind: RdataType, timeout: float) -> Lookup:
        """Ask one server one question; failures are in the answer.

        Args:
            server: Whom.
            name: A-labels without the final dot.
            kind: CNAME, TXT, CAA or SOA.
            timeout: Seconds.
        """
        ...

    def system_servers(self) -> Sequence[NameServer]:
        """The servers that this host is set up to ask; none when it has none."""
        ...


class NetworkPort(Protocol):
    """Everything that the ACME module does outside the process, apart from serving its zones."""

    def http(self, *, timeout: float, extra_roots: str = "") -> HttpPort:
        """Connections to a CA.

        Args:
            timeout: Seconds to connect, and for each answer.
            extra_roots: PEM certificates that are trusted besides the system's.

        Raises:
            InvalidInput: ``extra_roots`` holds no certificate.
        """
        ...

    def dns(self) -> DnsPort:
        """The DNS."""
        ...


@frozen
class Network:
    """The real network."""

    def http(self, *, timeout: float, extra_roots: str = "") -> HttpPort:
        """A pool of verified connections, see `certcore_puq_acme.transport.Http`."""
        from certcore_puq_acme.transport import Http  # noqa: PLC0415 - keeps the ACME client out of the host's start-up

        return Http(timeout=timeout, extra_roots=extra_roots)

    def dns(self) -> DnsPort:
        """Questions over UDP and TCP, see `certcore_puq_acme.lookup.SocketDns`."""
        from certcore_puq_acme.lookup import SocketDns  # noqa: PLC0415 - dnspython costs 0.1 s

        return SocketDns()
