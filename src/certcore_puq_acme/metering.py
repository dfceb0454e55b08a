"""The requests of one step are counted wherever they are made, and the step is stopped at its allowance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from attrs import define, field

from certcore_puq_acme.acme_errors import AcmeError

__all__ = ["AskedEnough", "Meter", "count_request", "metered"]


class AskedEnough(AcmeError):
    """The allowance of requests is used up: this one was not sent."""

    def __init__(self) -> None:
        super().__init__(
            "So many requests were made for this certificate within the hour that no more are.",
            advice="It goes on by itself when the hour is over.",
        )


@define(eq=False)
class Meter:
    """Counts the requests of a step; any number of threads may make them."""

    #: How many there may be.
    allowance: int
    #: How many were made, those that repeat one for its nonce (RFC 8555 section 6.5) not among them.
    sent: int = 0
    #: How many repeated one.
    repeated: int = 0
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def count(self, *, repeats: bool) -> None:
        """One more is about to be made.

        Raises:
            AskedEnough: It must not be.
        """
        with self._lock:
            if self.sent + self.repeated >= self.allowance:
                raise AskedEnough
            if repeats:
                self.repeated += 1
            else:
                self.sent += 1


#: That of the step which the present thread works for; each thread, and each step, sees its own.
_METER: Final[ContextVar[Meter | None]] = ContextVar("certcore_puq_acme_meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Count the requests that are made within the block with this meter."""
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


def count_request(*, repeats: bool = False) -> None:
    """A request is about to be made.

    Args:
        repeats: It is made again because the server refused its nonce.

    Raises:
        AskedEnough: It must not be made.
    """
    meter = _METER.get()
    if meter is not None:
        meter.count(repeats=repeats)
