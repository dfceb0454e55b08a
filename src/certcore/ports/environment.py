"""Time, identity and chance, handed in from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Environment"]


class Environment(Protocol):
    """Clock, ID generator and random source. Implementations MUST be safe to call from several threads."""

    def now(self) -> datetime:
        """The current moment. MUST be timezone-aware UTC."""
        ...

    def new_id(self) -> str:
        """A new id, unique in all stores; at most 40 characters from ``[0-9a-z-]``."""
        ...

    def roll(self) -> float:
        """A random number, 0 <= roll < 1, for jitter only (never for keys)."""
        ...
