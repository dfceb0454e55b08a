"""Failures of network exchanges, with a kind and a text, for all protocols (HTTP, SMTP)."""

from __future__ import annotations

import socket
import ssl
from enum import StrEnum
from typing import ClassVar, Final

from certcore.errors import CertCoreError
from certcore.messages import Message
from certcore.net.connecting import AddressRefusedError
from certcore.net.foreign_text import printable

__all__ = ["UNREACHABLE", "FailureKind", "NetworkError", "failure"]

#: The clause for a server that cannot be reached.
UNREACHABLE: Final = Message("network.unreachable", "could not be reached")

_LONGEST_REASON = 100


class FailureKind(StrEnum):
    """The kinds of failure. The values are stable."""

    #: The URL is neither an https URL nor a permitted http URL.
    BAD_URL = "bad_url"
    #: The address must not be connected to: loopback, or a private network other than that of the configured server.
    FOREIGN_ADDRESS = "foreign_address"
    #: The host name has no address.
    UNRESOLVABLE = "unresolvable"
    #: No process listens at the port.
    REFUSED = "refused"
    #: No route, or another error while connecting.
    UNREACHABLE = "unreachable"
    #: The server does not use TLS, or its certificate does not verify.
    TLS = "tls"
    #: There was no complete answer in time.
    TIMEOUT = "timeout"
    #: The connection ended early, or the answer violates the protocol.
    RESET = "reset"
    #: The answer is larger than allowed.
    TOO_LARGE = "too_large"


class NetworkError(CertCoreError):
    """There was no usable answer from a server.

    Args:
        kind: The kind of failure.
        clause: A clause whose subject is the server, for example "refused the connection". Callers combine it with
            their own name for the server. `clause_text` is translatable; `clause` is its English text.
        host: The server's name, with its port if that is not the default; empty if unknown.
    """

    code = "network_error"
    http_status = 502
    param_names: ClassVar[tuple[str, ...]] = ("kind", "host")

    def __init__(self, kind: FailureKind, clause: Message, *, host: str = "") -> None:
        params = {"host": host, "clause": clause}
        super().__init__(Message("error.network_error", "The server {host} {clause}.", params))
        self.kind = kind
        self.clause_text = clause
        self.host = host

    @property
    def clause(self) -> str:
        """What went wrong, in English: a clause whose subject is the server."""
        return str(self.clause_text)


def failure(error: Exception, *, seconds: float, host: str = "") -> NetworkError:
    """Convert an exception of the modules socket, ssl, http or smtplib.

    Args:
        error: The exception.
        seconds: How many seconds the server had to answer.
        host: The server's name.
    """
    kind, clause = _described(error, seconds)
    return NetworkError(kind, clause, host=host)


def _described(error: Exception, seconds: float) -> tuple[FailureKind, Message]:
    match error:
        case AddressRefusedError():
            return FailureKind.FOREIGN_ADDRESS, Message(
                "network.foreign_address", "has an address that connections are not allowed to"
            )
        case socket.gaierror() | UnicodeError():
            return FailureKind.UNRESOLVABLE, Message("network.unresolvable", "has no address")
        case ConnectionRefusedError():
            return FailureKind.REFUSED, Message("network.refused", "refused the connection")
        case TimeoutError():
            return FailureKind.TIMEOUT, Message(
                "network.timeout", "did not answer within {seconds} seconds", {"seconds": f"{seconds:g}"}
            )
        case ssl.SSLCertVerificationError():
            reason = printable(error.verify_message, _LONGEST_REASON).rstrip(".")
            return FailureKind.TLS, Message(
                "network.untrusted", "has a certificate that cannot be trusted: {reason}", {"reason": reason}
            )
        case ssl.SSLError():
            return FailureKind.TLS, Message("network.no_handshake", "did not complete a TLS handshake")
        case OSError() if not isinstance(error, ConnectionError):
            return FailureKind.UNREACHABLE, UNREACHABLE
    return FailureKind.RESET, Message("network.reset", "closed the connection, or did not speak the protocol")
