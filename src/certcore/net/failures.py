"""Why a server gave no answer: one kind and one clause for every protocol (HTTP, SMTP)."""

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

#: The clause of a server to which there is no way.
UNREACHABLE: Final = Message("network.unreachable", "could not be reached")

_LONGEST_REASON = 100


class FailureKind(StrEnum):
    """The kinds of failure. The values are stable: code may branch on them."""

    #: Not an https URL, nor an http URL that is permitted.
    BAD_URL = "bad_url"
    #: An address that must not be connected to: on loopback, or in a private network that is not the caller's.
    FOREIGN_ADDRESS = "foreign_address"
    #: The host name has no address.
    UNRESOLVABLE = "unresolvable"
    #: No process listens at the port.
    REFUSED = "refused"
    #: No route, or another error while connecting.
    UNREACHABLE = "unreachable"
    #: No TLS, or a certificate that does not verify.
    TLS = "tls"
    #: No complete answer in time.
    TIMEOUT = "timeout"
    #: The connection ended early, or what came is not the protocol.
    RESET = "reset"
    #: More than is read.
    TOO_LARGE = "too_large"


class NetworkError(CertCoreError):
    """A server gave no answer. Callers put `clause` behind their own name of the server.

    Args:
        kind: What went wrong.
        clause: A clause that describes it, such as "refused the connection"; the server is the subject. `clause_text`
            can be translated, `clause` is its English text.
        host: The server's name, with its port when that is not the usual one; empty when unknown.
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
    """The failure that an exception of the socket, ssl, http or smtplib module stands for.

    Args:
        error: The exception.
        seconds: How long the server had time.
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
