"""The system's clock, IDs and randomness. Other modules get them only through the environment."""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime
from typing import Final

from attrs import field, frozen

__all__ = ["SystemEnvironment"]

_RANDOM_BYTES: Final = 10


@frozen(eq=False)
class SystemEnvironment:
    """The real `certcore.ports.environment.Environment`."""

    _random: random.Random = field(factory=random.SystemRandom, init=False, repr=False)

    def now(self) -> datetime:
        """The current time, UTC."""
        return datetime.now(UTC)

    def new_id(self) -> str:
        """A new ID: the milliseconds since 1970 and 80 random bits, in hexadecimal. Later IDs sort last."""
        milliseconds = int(self.now().timestamp() * 1000)
        return f"{milliseconds:012x}{secrets.token_hex(_RANDOM_BYTES)}"

    def roll(self) -> float:
        """A random number, 0 <= roll < 1."""
        return self._random.random()
