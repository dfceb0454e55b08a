"""Metrics for Prometheus: numbers of the store, and counters and times of this process.

Install the extra: ``pip install 'certcore[prometheus]'``. In a program that has a `CertCore` open::

    from certcore import CertCore
    from certcore.contrib.prometheus import CertCoreMetrics
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    with CertCore.in_memory() as core, CertCoreMetrics(core, registry=registry):
        text = generate_latest(registry).decode()
    assert 'certcore_certificates{status="active"} 0.0' in text

The numbers of the store are the same in every process, so scrape only one process for them. The labels for problems, CA
servers and observers have at most 50 values each, and further values are counted as ``other``. Budgets are given for at
most 50 CA profiles. No label names a certificate, a domain or an owner.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, field

from certcore.core import CertCore
from certcore.errors import CertCoreError, InvalidInputError, MissingPackageError
from certcore.net.telemetry import CA_REQUEST, DELIVERY, DNS_QUERY, EVENT, STEP, Measurement, listen

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError:
    raise MissingPackageError("certcore.contrib.prometheus", "prometheus-client", extra="prometheus") from None

__all__ = ["CertCoreMetrics"]

#: How many values a label may have.
_MOST_VALUES: Final = 50
_OLDEST_COUNTS: Final = 60
#: Upper bounds in seconds. A step of the engine is one exchange with a CA, or some questions to DNS servers.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@define(eq=False)
class _Bounded:
    """The values that a label has had, up to a limit; further values become ``other``."""

    _seen: set[str] = field(factory=set)
    _lock: threading.Lock = field(factory=threading.Lock)

    def value(self, text: str) -> str:
        with self._lock:
            if text not in self._seen and len(self._seen) >= _MOST_VALUES:
                return "other"
            self._seen.add(text)
            return text


class CertCoreMetrics(Collector):
    """The metrics of one `CertCore` in one registry, from the construction until `close`.

    Args:
        core: The open store.
        registry: The registry for the metrics; by default that of the process.
        counts_age: For how many seconds numbers of the store may be reused, 0 to 3600.
        actor: The actor that reads the store. It needs the permission ``certificate.list_all``.

    Raises:
        InvalidInputError: ``counts_age`` is out of range.
    """

    def __init__(
        self,
        core: CertCore,
        *,
        registry: CollectorRegistry = REGISTRY,
        counts_age: float = _OLDEST_COUNTS,
        actor: str = "system",
    ) -> None:
        if not 0 <= counts_age <= 3600:  # noqa: PLR2004 - an hour
            raise InvalidInputError("counts_age", "must be from 0 to 3600 seconds.")
        self._core, self._registry, self._actor = core, registry, actor
        self._counts_age = counts_age
        self._codes, self._servers, self._observers = _Bounded(), _Bounded(), _Bounded()
        options: dict[str, Any] = {"registry": registry}
        self._events = Counter(
            "certcore_events", "Entries of timelines that this process has written.", ["event"], **options
        )
        self._leaves = Counter(
            "certcore_leaves_installed",
            "Leaves put into service, by purpose: issue, renew, reissue.",
            ["purpose"],
            **options,
        )
        self._failures = Counter(
            "certcore_failures", "Failed attempts, by the type of the problem.", ["code"], **options
        )
        self._steps = Histogram(
            "certcore_step_seconds", "Steps of the engine.", ["result"], buckets=_BUCKETS, **options
        )
        self._requests = Histogram(
            "certcore_ca_request_seconds", "Requests to CAs.", ["server", "status"], buckets=_BUCKETS, **options
        )
        self._queries = Histogram(
            "certcore_dns_query_seconds", "Questions to DNS servers.", ["answer"], buckets=_BUCKETS, **options
        )
        self._deliveries = Histogram(
            "certcore_delivery_seconds",
            "Events told to observers.",
            ["observer", "result"],
            buckets=_BUCKETS,
            **options,
        )
        registry.register(self)
        self._stop_listening = listen(self._count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop counting, and take the metrics out of the registry."""
        self._stop_listening()
        for collector in (
            self,
            self._events,
            self._leaves,
            self._failures,
            self._steps,
            self._requests,
            self._queries,
            self._deliveries,
        ):
            self._registry.unregister(collector)

    def describe(self) -> Iterable[Metric]:
        """Return no metrics. Otherwise the registry would call `collect`, and read the database, to register this."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The numbers of the store; only ``certcore_up`` with 0 if the store cannot be used now."""
        up = GaugeMetricFamily("certcore_up", "Whether the store could be read.")
        try:
            counts = self._core.certificates.counts(max_age=self._counts_age, actor=self._actor)
            age = self._core.queue_age()
        except CertCoreError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        by_status = GaugeMetricFamily("certcore_certificates", "Certificates, by status.", labels=["status"])
        for status, number in counts.by_status.items():
            by_status.add_metric([str(status)], number)
        yield by_status
        by_condition = GaugeMetricFamily(
            "certcore_certificates_condition", "Certificates for which a condition holds.", labels=["condition"]
        )
        for condition, number in counts.by_condition.items():
            by_condition.add_metric([str(condition)], number)
        yield by_condition
        ending = GaugeMetricFamily(
            "certcore_leaves_ending", "Leaves in service that end within so many days.", labels=["days"]
        )
        for days, number in counts.ending_within.items():
            ending.add_metric([str(days)], number)
        yield ending
        queue = GaugeMetricFamily(
            "certcore_queue_age_seconds", "For how long the certificate that is longest overdue waits for a worker."
        )
        queue.add_metric([], age.total_seconds())
        yield queue
        yield from self._collect_budgets()

    def _collect_budgets(self) -> Iterable[Metric]:
        """The limits of the CAs, and how much of them is used. A profile whose module fails is left out."""
        labels = ["authority", "limit"]
        used = GaugeMetricFamily("certcore_ca_budget_used", "How much of a limit of a CA is used.", labels=labels)
        most = GaugeMetricFamily("certcore_ca_budget", "How much of a limit of a CA may be used.", labels=labels)
        with contextlib.suppress(CertCoreError):
            for authority in self._core.authorities.list(actor=self._actor)[:_MOST_VALUES]:
                with contextlib.suppress(CertCoreError):
                    for budget in self._core.authorities.budgets(authority.id, actor=self._actor):
                        used.add_metric([authority.name, budget.name], budget.used)
                        most.add_metric([authority.name, budget.name], budget.most)
        yield used
        yield most

    def _count(self, measurement: Measurement) -> None:
        counts: dict[str, Callable[[Measurement, dict[str, str]], None]] = {
            EVENT: self._count_event,
            STEP: self._count_step,
            CA_REQUEST: self._count_request,
            DNS_QUERY: self._count_query,
            DELIVERY: self._count_delivery,
        }
        count = counts.get(measurement.name)
        if count is not None:
            count(measurement, {name: str(value) for name, value in measurement.attributes.items()})

    def _count_event(self, measurement: Measurement, about: dict[str, str]) -> None:
        self._events.labels(about["certcore.event"]).inc()
        if about["certcore.event"] == "installed":
            self._leaves.labels(about["certcore.purpose"]).inc()
        if about["certcore.event"] in ("failed", "attempt_failed"):
            self._failures.labels(self._codes.value(about["certcore.code"])).inc()

    def _count_step(self, measurement: Measurement, about: dict[str, str]) -> None:
        self._steps.labels(_result(measurement)).observe(measurement.seconds)

    def _count_request(self, measurement: Measurement, about: dict[str, str]) -> None:
        status = about.get("http.response.status_code", "")
        kind = f"{status[0]}xx" if status else "none"
        server = self._servers.value(about["server.address"])
        self._requests.labels(server, kind).observe(measurement.seconds)

    def _count_query(self, measurement: Measurement, about: dict[str, str]) -> None:
        self._queries.labels(about.get("certcore.answer", "none")).observe(measurement.seconds)

    def _count_delivery(self, measurement: Measurement, about: dict[str, str]) -> None:
        observer = self._observers.value(about["certcore.observer"])
        self._deliveries.labels(observer, _result(measurement)).observe(measurement.seconds)


def _result(measurement: Measurement) -> str:
    return "failed" if measurement.error else "done"
