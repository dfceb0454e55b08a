"""The HTTP operations that the ACME client needs, as a port, so that tests can use a simulated CA in process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from certcore.net.http import HttpReply

__all__ = ["HttpOpener", "HttpPort"]


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
        """Send one request and read the whole reply, whatever its status.

        Args:
            method: GET, HEAD or POST.
            url: The URL to request.
            body: The body of a POST.
            headers: Headers besides those of the transport.
            home: The configured URL (a CA's directory) whose server named this one; empty for a configured URL. A
                request MUST NOT go to a private network that the server of ``home`` is not in.

        Raises:
            TransportError: There is no usable reply.
        """
        ...

    def close(self) -> None:
        """Close idle connections; the object stays usable."""
        ...


class HttpOpener(Protocol):
    """Opens connections to CAs."""

    def http(self, *, timeout: float, extra_roots: str = "") -> HttpPort:
        """Connections to a CA.

        Args:
            timeout: Seconds to connect, and seconds for each reply.
            extra_roots: PEM certificates that are trusted besides the system's.

        Raises:
            InvalidInputError: ``extra_roots`` holds no certificate.
        """
        ...
