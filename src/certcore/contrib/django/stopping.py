"""Let SIGTERM and Ctrl-C end a command after its current work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["until_stopped"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Provide an event that SIGTERM or SIGINT sets. Call this in the main thread."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = [(number, signal.signal(number, end)) for number in _SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
