"""Measure the duration of steps, requests to CAs, DNS queries and deliveries.

Each measurement is passed to the listeners of this process, for example `certcore.contrib.prometheus`. It also becomes
an OpenTelemetry span, if the package ``opentelemetry-api`` is installed and configured by the application. Without
both, measuring costs a few microseconds.
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
#: A step of the engine.
STEP: Final = "certcore.step"
#: A request to a CA.
CA_REQUEST: Final = "certcore.ca_request"
#: A query to a DNS server.
DNS_QUERY: Final = "certcore.dns_query"
#: The delivery of an event to an observer.
DELIVERY: Final = "certcore.delivery"
#: An event that this process has stored; without a duration.
EVENT: Final = "certcore.event"


@define
class Measurement:
    """A measurement of one operation, during the operation and afterwards."""

    #: One of the names of this module, for example `STEP`.
    name: str
    #: Further facts, without secrets.
    attributes: dict[str, str | int] = field(factory=dict)
    #: The duration in seconds; 0 while the operation runs.
    seconds: float = 0.0
    #: The class name of the exception that ended the operation; empty if it succeeded.
    error: str = ""


#: The listeners of this process. They are global, like the handlers of `logging`, because HTTP and DNS clients have no
#: reference to a `CertCore`.
_listeners: list[Callable[[Measurement], object]] = []


def listen(listener: Callable[[Measurement], object]) -> Callable[[], None]:
    """Call a function after each measured operation of this process, in the thread of the operation.

    Args:
        listener: The function. It must be fast and thread-safe. Its exceptions are logged.

    Returns:
        A function that removes the listener.
    """
    _listeners.append(listener)
    return functools.partial(_forget, listener)


@contextlib.contextmanager
def measured(name: str, attributes: Mapping[str, str | int]) -> Iterator[Measurement]:
    """A context manager that measures its block. The block may add attributes.

    Args:
        name: The name of the operation.
        attributes: The attributes that are known at the beginning.
    """
    measurement = Measurement(name, dict(attributes))
    tracer = _tracer()
    if tracer is None:
        opened: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    else:
        # The text of an exception may contain a secret, so it is not recorded.
        opened = tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)
    with opened as span:
        begun = time.monotonic()
        try:
            yield measurement
        except BaseException as error:  # boundary: the exception is noted and passed on
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
    """Report an occurrence without a duration to the listeners."""
    _tell_all(Measurement(name, dict(attributes)))


def has_listeners() -> bool:
    """Whether this process has listeners."""
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
    """The tracer of OpenTelemetry; None if its API is not installed, or the application has not configured it."""
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
    """The module ``opentelemetry.trace``; None if it is not installed."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return trace
