"""Free loopback ports for the servers that a test starts."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from typing import Final

from certcore.testing.server import ServerStartError

__all__ = ["free_port", "free_ports"]

#: Below the ports that systems give to outgoing connections (RFC 6335 section 6 starts them at 49152, Linux at 32768):
#: one of those may be taken by any connection between its choice here and its use by the server.
_RANGE: Final = range(12000, 32000)
#: Processes whose numbers differ by less than this, such as those that run tests side by side, choose different ports.
_SHARES: Final = 4
_TRIES: Final = 2000


def free_ports(count: int) -> list[int]:
    """Choose ports of 127.0.0.1 that are free for TCP and UDP.

    Args:
        count: How many; all are different.

    Raises:
        CertCoreError: There are not so many free ports.
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
    """Choose one port of 127.0.0.1 that is free for TCP and UDP."""
    return free_ports(1)[0]
