"""A deadline on a whole conversation, for libraries that set a timeout for each read only (smtplib).

A server that sends a byte every few seconds never hits such a timeout. Here a timer shuts the connection down when the
time for the whole conversation is over; the reader then sees its end.
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
    """Shuts down the connections that it watches when the time is over."""

    #: Whether the time is over.
    passed: bool = field(default=False, init=False)
    _watched: list[socket.socket] = field(factory=list, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def watch(self, connected: socket.socket) -> None:
        """Watch a TCP connection, whether or not TLS is put around it later."""
        same = connected.dup()  # shutting down the copy ends the connection itself
        with self._lock:
            self._watched.append(same)
            if self.passed:
                _hang_up(same)

    def end(self) -> None:
        """The time is over."""
        with self._lock:
            self.passed = True
            for connected in self._watched:
                _hang_up(connected)

    def forget(self) -> None:
        """Stop watching: the conversation is over."""
        with self._lock:
            while self._watched:
                self._watched.pop().close()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """A deadline for the connections that the block watches."""
    limit = Deadline()
    timer = threading.Timer(seconds, limit.end)
    timer.name, timer.daemon = "certcore-deadline", True
    timer.start()
    try:
        yield limit
    finally:
        timer.cancel()
        limit.forget()


def _hang_up(connected: socket.socket) -> None:
    with suppress(OSError):  # already closed
        connected.shutdown(socket.SHUT_RDWR)
