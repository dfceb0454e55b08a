"""Connect to a host with TCP, but only to addresses that the caller permits."""

from __future__ import annotations

import socket
from collections.abc import Callable

__all__ = ["AddressRefusedError", "connect"]


class AddressRefusedError(OSError):
    """The host has no permitted address."""


def connect(host: str, port: int, *, timeout: float, permits: Callable[[str], bool]) -> socket.socket:
    """Connect to the first permitted address of a host that accepts the connection.

    The name is resolved once and the connection uses the checked address, so that changing addresses (DNS rebinding)
    cannot bypass the check.

    Args:
        host: A name or an address; IPv6 addresses without brackets.
        port: The TCP port.
        timeout: The seconds to wait for each address.
        permits: Returns whether a connection to an address (as text) is permitted.

    Raises:
        AddressRefusedError: No address of the host is permitted.
        OSError: The name has no address, or no permitted address accepts the connection.
    """
    failure: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not permits(str(address[0])):
            continue
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(timeout)
            connected.connect(address)
        except OSError as error:
            connected.close()
            failure = error
        else:
            return connected
    if failure is not None:
        raise failure
    raise AddressRefusedError(f"no address of {host} is permitted")
