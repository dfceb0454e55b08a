"""A TCP connection to a host, made only to an address that the caller permits."""

from __future__ import annotations

import socket
from collections.abc import Callable

__all__ = ["AddressRefusedError", "connect"]


class AddressRefusedError(OSError):
    """The host has no address that may be connected to."""


def connect(host: str, port: int, *, timeout: float, permits: Callable[[str], bool]) -> socket.socket:
    """Connect to the first address of a host that is permitted and accepts.

    The name is looked up once, and the checked address is the one that is used, so that changing addresses (DNS
    rebinding) cannot get around the check.

    Args:
        host: Name or address, an IPv6 address without brackets.
        port: The TCP port.
        timeout: Seconds for each address.
        permits: Whether an address, in text form, may be connected to.

    Raises:
        AddressRefusedError: It has addresses, and none is permitted.
        OSError: The name has no address, or none of the permitted ones could be connected to.
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
