"""A deadline for a whole conversation, for libraries with a timeout only for each read (smtplib).

A server that sends one byte every few seconds never exceeds such a timeout. So a timer shuts down the connection when
the time for the whole conversation is over, and the library sees the end of the connection.
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
    """Shuts down the watched connections when the time is over."""

    #: Whether the time is over.
    passed: bool = field(default=False, init=False)
    _watched: list[socket.socket] = field(factory=list, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def watch(self, connected: socket.socket) -> None:
        """Watch a TCP connection. TLS may be started on it later."""
        same = connected.dup()  # shutting down the duplicate shuts down the connection
        with self._lock:
            self._watched.append(same)
            if self.passed:
                _hang_up(same)

    def end(self) -> None:
        """Shut down all watched connections, because the time is over."""
        with self._lock:
            self.passed = True
            for connected in self._watched:
                _hang_up(connected)

    def forget(self) -> None:
        """Stop watching, because the conversation is over."""
        with self._lock:
            while self._watched:
                self._watched.pop().close()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """A context manager with a deadline, in seconds, for the connections that its block watches."""
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
