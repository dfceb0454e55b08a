"""A limit on the requests to the CA in one step, wherever in the step they are made."""

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
    """The step has used up its allowance of requests; this request was not sent."""

    code = "acme_request_limit"
    http_status = 503

    def __init__(self) -> None:
        super().__init__(
            "So many requests were made for this certificate within the hour that no more are.",
            advice="It continues automatically when the hour is over.",
        )


class NewOrder(StrEnum):
    """What became of a newOrder request that failed."""

    #: The CA refused it with a problem document: no order was placed.
    REFUSED = "refused"
    #: The CA's server failed, or sent no readable answer: an order may have been placed.
    UNCLEAR = "unclear"


@define(eq=False)
class Meter:
    """Counts the requests of a step; any number of threads may make them."""

    #: How many requests the step may make.
    allowance: int
    #: How many were made, without those repeated after badNonce (RFC 8555 section 6.5).
    sent: int = 0
    #: How many were repeated after badNonce.
    repeated: int = 0
    #: What became of the last newOrder request, if it was sent and has failed; None otherwise.
    new_order: NewOrder | None = None
    #: How many newOrder requests the CA has refused, including those with a refused nonce.
    orders_refused: int = 0
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def count(self, *, repeats: bool) -> None:
        """Count a request that is about to be made.

        Raises:
            RequestLimitError: The request must not be made.
        """
        with self._lock:
            if self.sent + self.repeated >= self.allowance:
                raise RequestLimitError
            if repeats:
                self.repeated += 1
            else:
                self.sent += 1


#: The meter of the step that the current thread runs.
_METER: Final[ContextVar[Meter | None]] = ContextVar("certcore_puq_acme_meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Count the requests that this thread makes inside the ``with`` block with a meter."""
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


def current_meter() -> Meter:
    """The meter of the step that the current thread runs; outside of a step, a new one with an allowance of 0."""
    return _METER.get() or Meter(allowance=0)


def count_request(*, repeats: bool = False) -> None:
    """Count a request that is about to be made with the current step's meter, if there is one.

    Args:
        repeats: Whether the request is repeated because the server refused its nonce.

    Raises:
        RequestLimitError: The request must not be made.
    """
    meter = _METER.get()
    if meter is not None:
        meter.count(repeats=repeats)
