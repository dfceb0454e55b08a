"""Measure what takes time: steps, requests to CAs, questions to DNS servers, deliveries.

Each measured piece of work becomes a span of OpenTelemetry where its API (the package ``opentelemetry-api``) is
installed and the application has configured it; and every listener of this process is told of it, such as
`certcore.contrib.prometheus`. Without either, measuring costs some microseconds.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import define, field

__all__ = [
    "CA_REQUEST",
    "DELIVERY",
    "DNS_QUERY",
    "EVENT",
    "STEP",
    "Measurement",
    "happened",
    "has_listeners",
    "listen",
    "measured",
]

_log = logging.getLogger(__name__)
#: The names of what is measured: a step of the engine, a request to a CA, a question to a DNS server, an event that an
#: observer is told.
STEP: Final = "certcore.step"
CA_REQUEST: Final = "certcore.ca_request"
DNS_QUERY: Final = "certcore.dns_query"
DELIVERY: Final = "certcore.delivery"
#: An entry of a timeline that this process has written.
EVENT: Final = "certcore.event"


@define
class Measurement:
    """One piece of work, while it runs and afterwards. Attributes are without secrets."""

    name: str
    attributes: dict[str, str | int] = field(factory=dict)
    #: How long it took, in seconds; 0 while it runs.
    seconds: float = 0.0
    #: The class of the error that ended it; empty without one.
    error: str = ""


#: Of this process, as handlers of `logging` are: requests to CAs and servers know no `CertCore` that could hold them.
_listeners: list[Callable[[Measurement], object]] = []


def listen(listener: Callable[[Measurement], object]) -> Callable[[], None]:
    """Tell a function of each piece of work of this process when it has ended, in the thread that did it.

    Args:
        listener: Must be fast and thread-safe. What it raises is logged.

    Returns:
        A function that ends this.
    """
    _listeners.append(listener)
    return functools.partial(_forget, listener)


@contextlib.contextmanager
def measured(name: str, attributes: Mapping[str, str | int]) -> Iterator[Measurement]:
    """Measure the block, which may add attributes.

    Args:
        name: The name of the work.
        attributes: Attributes that are known before it begins.
    """
    measurement = Measurement(name, dict(attributes))
    tracer = _tracer()
    if tracer is None:
        opened: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    else:
        # Without the text of an exception, which may hold a secret.
        opened = tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)
    with opened as span:
        begun = time.monotonic()
        try:
            yield measurement
        except BaseException as error:  # boundary: what ended it is noted, and goes on
            measurement.error = type(error).__name__
            raise
        finally:
            measurement.seconds = time.monotonic() - begun
            if span is not None:
                span.set_attributes(measurement.attributes)
                if measurement.error:
                    span.set_attribute("error.type", measurement.error)
            _tell_all(measurement)


def happened(name: str, attributes: Mapping[str, str | int]) -> None:
    """Report something without a duration to the listeners."""
    _tell_all(Measurement(name, dict(attributes)))


def has_listeners() -> bool:
    """Whether anybody listens in this process."""
    return bool(_listeners)


def _tell_all(measurement: Measurement) -> None:
    for listener in tuple(_listeners):
        _tell(listener, measurement)


def _tell(listener: Callable[[Measurement], object], measurement: Measurement) -> None:
    try:
        listener(measurement)
    except Exception:  # isolation: a failing listener must not end the measured work
        _log.exception("A listener of measurements failed")


def _forget(listener: Callable[[Measurement], object]) -> None:
    with contextlib.suppress(ValueError):  # called twice
        _listeners.remove(listener)


def _tracer() -> Any:
    """The tracer of OpenTelemetry; None where its API is not installed, or the application has not configured it."""
    trace = _trace_api()
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else _tracer_of(provider)


@functools.lru_cache(maxsize=1)
def _tracer_of(provider: Any) -> Any:
    return provider.get_tracer("certcore")


@functools.cache
def _trace_api() -> Any:
    """The module ``opentelemetry.trace``; None where it is not installed."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - is not needed, and may be missing
    except ImportError:
        return None
    return trace
