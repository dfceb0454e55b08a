"""A limit on the requests of one step, wherever in the step they are made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Final

from attrs import define, field

from certcore_puq_acme.protocol.errors import AcmeError

__all__ = ["Meter", "NewOrder", "RequestLimitError", "count_request", "current_meter", "metered"]


class RequestLimitError(AcmeError):
    """The allowance of requests is used up: this one was not sent."""

    code = "acme_request_limit"
    http_status = 503

    def __init__(self) -> None:
        super().__init__(
            "So many requests were made for this certificate within the hour that no more are.",
            advice="It continues automatically when the hour is over.",
        )


class NewOrder(StrEnum):
    """What became of a newOrder request that failed."""

    #: The CA has refused it in a problem document: no order was placed.
    REFUSED = "refused"
    #: An error of the CA's server, no answer, or none that can be read: an order may have been placed.
    UNCLEAR = "unclear"


@define(eq=False)
class Meter:
    """Counts the requests of a step; any number of threads may make them."""

    #: How many there may be.
    allowance: int
    #: How many were made, those that repeat one for its nonce (RFC 8555 section 6.5) not among them.
    sent: int = 0
    #: How many repeated one.
    repeated: int = 0
    #: What became of the last newOrder request, if it was sent and has failed; None otherwise.
    new_order: NewOrder | None = None
    #: How many newOrder requests the CA has refused, those with a nonce that it did not take among them.
    orders_refused: int = 0
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def count(self, *, repeats: bool) -> None:
        """One more is about to be made.

        Raises:
            RequestLimitError: It must not be.
        """
        with self._lock:
            if self.sent + self.repeated >= self.allowance:
                raise RequestLimitError
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


def current_meter() -> Meter:
    """That of the step which the present thread works for; one that nobody reads outside of a step."""
    return _METER.get() or Meter(allowance=0)


def count_request(*, repeats: bool = False) -> None:
    """A request is about to be made.

    Args:
        repeats: It is made again because the server refused its nonce.

    Raises:
        RequestLimitError: It must not be made.
    """
    meter = _METER.get()
    if meter is not None:
        meter.count(repeats=repeats)
