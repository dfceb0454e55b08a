"""A deadline on a whole conversation: a server that trickles is a server that times out.

A socket's own timeout is for each part that comes. Somebody who sends a byte every few seconds would hold whoever reads
for ever. Here the connection is ended when the time for all of it is over; whoever reads from it then finds its end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import define, field

__all__ = ["Deadline", "deadline"]


@define(eq=False)
class Deadline:
    """Ends the connections that it watches when the time is over."""

    #: Whether it is.
    passed: bool = field(default=False, init=False)
    _watched: list[socket.socket] = field(factory=list, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def watch(self, connected: socket.socket) -> None:
        """End this connection, too, whatever TLS is put around it later."""
        same = connected.dup()  # the connection is one, however often it is open
        with self._lock:
            self._watched.append(same)
            if self.passed:
                _hang_up(same)

    def end(self) -> None:
        """The time is over."""
        with self._lock:
            self.passed = True
            for one in self._watched:
                _hang_up(one)

    def forget(self) -> None:
        """The conversation has come to its end by itself."""
        with self._lock:
            while self._watched:
                self._watched.pop().close()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """A deadline for what is done in the block."""
    one = Deadline()
    timer = threading.Timer(seconds, one.end)
    timer.name, timer.daemon = "certcore-deadline", True
    timer.start()
    try:
        yield one
    finally:
        timer.cancel()
        one.forget()


def _hang_up(connected: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        connected.shutdown(socket.SHUT_RDWR)
