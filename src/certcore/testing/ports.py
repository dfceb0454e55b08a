"""Free loopback ports for servers that tests start."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from typing import Final

from certcore.testing.server import ServerStartError

__all__ = ["free_port", "free_ports"]

#: Below the ports of outgoing connections (from 49152 in RFC 6335 section 6, from 32768 on Linux), which any connection
#: could take before the server listens.
_RANGE: Final = range(12000, 32000)
#: Processes whose IDs differ by less than this choose different ports, for example parallel test processes.
_SHARES: Final = 4
_TRIES: Final = 2000


def free_ports(count: int) -> list[int]:
    """Choose different ports of 127.0.0.1 that are free for TCP and UDP.

    Args:
        count: The number of ports.

    Raises:
        CertCoreError: There are not enough free ports.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as sockets:
        for port in random.sample(_RANGE[os.getpid() % _SHARES :: _SHARES], _TRIES):
            if len(ports) == count:
                return ports
            with contextlib.suppress(OSError):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    sockets.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
                ports.append(port)
    raise ServerStartError(
        f"{count} free ports of 127.0.0.1 were not found.", advice="Stop servers that are not needed."
    )


def free_port() -> int:
    """Choose a port of 127.0.0.1 that is free for TCP and UDP."""
    return free_ports(1)[0]
