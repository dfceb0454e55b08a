"""Capture log records while the code of a plugin runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LogTexts"]


class LogTexts(logging.Handler):
    """Keeps what is logged, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Capture all log records, debug messages included; other handlers get none."""
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        root.handlers[:] = [self]
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of this thread."""
        if record.thread == self._thread:
            text = self.format(record)
            self.texts.append(text)
