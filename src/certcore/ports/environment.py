"""The interface of the clock, the ID generator and the random source."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Environment"]


class Environment(Protocol):
    """Clock, ID generator and random source. Implementations MUST be safe to call from several threads."""

    def now(self) -> datetime:
        """The present moment. MUST be timezone-aware and in UTC."""
        ...

    def new_id(self) -> str:
        """A new globally unique ID of at most 40 characters from ``[0-9a-z-]``."""
        ...

    def roll(self) -> float:
        """A random number from 0 (included) to 1 (excluded). Use it only for jitter, never for keys."""
        ...
