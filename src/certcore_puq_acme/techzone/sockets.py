"""The UDP and TCP sockets of a name server. UDP answers leave from the address that the query was sent to."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from typing import Any, Final

from attrs import field, frozen

from certcore.errors import CertCoreError, InvalidInputError
from certcore.messages import Message

__all__ = ["Datagram", "ListenError", "listen_on", "receive", "reply"]

#: How many free ports are tried until one is free for both UDP and TCP.
_PORT_ATTEMPTS: Final = 32
#: The longest query that is read from UDP; a longer one is cut, and answered as malformed.
_MAX_QUERY: Final = 4096
_PRIVILEGED: Final = 1024
_MAX_PORT: Final = 65535
_BACKLOG: Final = 128
#: The size of the UDP receive buffer in octets; the system may allow less. An order of a hundred names causes hundreds
#: of queries at once, because CAs ask from several places. The usual 208 KiB hold 256. A lost one may fail the order.
_WAITING: Final = 4 * 1024 * 1024
#: Room for one in6_pktinfo (20 octets) or in_pktinfo (12), with its header.
_ANCILLARY: Final = socket.CMSG_SPACE(20) if hasattr(socket, "CMSG_SPACE") else 0
#: Linux's IP_PKTINFO, which the socket module of older Pythons does not name.
_IP_PKTINFO: Final = 8


class ListenError(CertCoreError):
    """The name server's address or port cannot be listened on.

    Args:
        host: The address.
        port: The port.
        cause: The error of the operating system.
    """

    code = "listen_error"

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        reason, advice = _explain(port, cause)
        params = {"host": host or "*", "port": port, "reason": reason}
        text = "The DNS server cannot listen on {host} port {port}: {reason}."
        super().__init__(Message("puq_acme.listen", text, params), advice=advice)
        self.host = host
        self.port = port


@frozen
class Datagram:
    """A UDP packet, with the information for answering it."""

    data: bytes
    sender: Any
    #: Control data that makes the answer leave from the address that the packet came to (RFC 3542 section 6).
    control: tuple[tuple[int, int, bytes], ...] = field(default=(), repr=False)


def listen_on(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Bind a UDP and a TCP socket to the same address and port, both non-blocking.

    Raises:
        InvalidInputError: The port number is invalid.
        ListenError: The operating system refuses the address or the port.
    """
    if not 0 <= port <= _MAX_PORT:
        raise InvalidInputError(
            "port",
            Message(
                "puq_acme.listen.port",
                "{port} is not a port number; those go from 1 to {most}.",
                {"port": port, "most": _MAX_PORT},
            ),
        )
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ListenError(host, port, error) from error
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        try:
            return _bind_both(family, place)
        except OSError as error:
            # With port 0 the system picks a port that is free for UDP, but it may be in use for TCP.
            if port == 0 and error.errno == errno.EADDRINUSE and attempt < _PORT_ATTEMPTS:
                continue
            raise ListenError(host, port, error) from error
    raise AssertionError("unreachable")


def receive(udp: socket.socket) -> Datagram:
    """Read one packet.

    Raises:
        OSError: No packet has arrived, or an earlier answer could not be delivered.
    """
    if not _ANCILLARY:
        return Datagram(*udp.recvfrom(_MAX_QUERY))
    data, control, _, sender = udp.recvmsg(_MAX_QUERY, _ANCILLARY)
    return Datagram(data, sender, tuple(_from_same_address(item) for item in control if _is_packet_info(item)))


def reply(udp: socket.socket, datagram: Datagram, data: bytes) -> None:
    """Send the answer to a packet. Errors are ignored, because UDP answers may be lost anyway."""
    with contextlib.suppress(OSError):
        if datagram.control:
            udp.sendmsg([data], datagram.control, 0, datagram.sender)
        else:
            udp.sendto(data, datagram.sender)


def _bind_both(family: int, place: Any) -> tuple[socket.socket, socket.socket]:
    with contextlib.ExitStack() as undo:
        udp = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        tcp = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        if family == socket.AF_INET6:
            # "::" includes IPv4, whatever the system's default is, because a server listens on one address only.
            for each in (udp, tcp):
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if place[0] == "::" else 1)
        if place[0] in {"::", "0.0.0.0"}:  # noqa: S104 - compared, not bound
            _ask_for_packet_info(udp, family)
        # A restarted server must not wait until its old connections time out. UDP has no connections; there, the option
        # would let a second server bind the same port.
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        udp.bind(place)
        tcp.bind((place[0], udp.getsockname()[1], *place[2:]))
        tcp.listen(_BACKLOG)
        udp.setblocking(False)
        tcp.setblocking(False)
        undo.pop_all()
        return udp, tcp


def _ask_for_packet_info(udp: socket.socket, family: int) -> None:
    """Make the system report each packet's destination address.

    Otherwise, on a machine with several addresses, an answer leaves from the address that the routing prefers. A
    resolver that sent its query to another address would ignore it.
    """
    if not sys.platform.startswith("linux"):
        return
    if family == socket.AF_INET6:
        # It is also reported for IPv4 packets to "::", as a mapped address (RFC 4291 section 2.5.5.2).
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _is_packet_info(item: tuple[int, int, bytes]) -> bool:
    level, kind, _ = item
    return (level == socket.IPPROTO_IP and kind == _IP_PKTINFO) or (
        level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO
    )


def _from_same_address(item: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """Keep the address and remove the interface, so that the routing still chooses the interface of the answer."""
    level, kind, data = item
    if level == socket.IPPROTO_IP:
        # struct in_pktinfo: interface index, local address (what a sender sets), destination address.
        return level, kind, b"\0\0\0\0" + data[4:8] + b"\0\0\0\0"
    # struct in6_pktinfo: address, interface index. A link-local address needs its interface.
    return level, kind, data if data[:2] == b"\xfe\x80" else data[:16] + b"\0\0\0\0"


def _explain(port: int, cause: OSError) -> tuple[str | Message, str | Message]:
    if isinstance(cause, socket.gaierror):
        text = "Give an IP address of this machine, or 0.0.0.0 or :: for all of them."
        return (
            Message("puq_acme.listen.no_address", "it is not an address"),
            Message("puq_acme.listen.no_address.advice", text),
        )
    match cause.errno:
        case errno.EACCES | errno.EPERM if port < _PRIVILEGED:
            text = (
                "Ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; or listen on a higher port and "
                "forward port 53 to it."
            )
            return (
                Message("puq_acme.listen.denied", "permission denied"),
                Message("puq_acme.listen.denied.advice", text),
            )
        case errno.EADDRINUSE:
            text = "Another DNS server runs there: stop it, or choose another address or port."
            return (
                Message("puq_acme.listen.in_use", "the port is in use"),
                Message("puq_acme.listen.in_use.advice", text),
            )
        case errno.EADDRNOTAVAIL:
            return (
                Message("puq_acme.listen.foreign", "the address is not one of this machine's"),
                Message("puq_acme.listen.foreign.advice", "Use an address of this machine, or 0.0.0.0 or :: for all."),
            )
        case errno.EAFNOSUPPORT:
            return (
                Message("puq_acme.listen.family", "this machine has no such address family"),
                Message("puq_acme.listen.family.advice", "Use an IPv4 address."),
            )
        case _:
            return cause.strerror or type(cause).__name__, ""
