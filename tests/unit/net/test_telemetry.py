"""Spans of OpenTelemetry for what takes time, without secrets; and listeners that cannot do harm."""

import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import certcore
from certcore import CertCore
from certcore.net.telemetry import STEP, listen, measured
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA


class Target:
    @certcore.hookimpl
    def certcore_on_event(self, event):
        pass


@pytest.fixture(scope="module")
def exporter():
    """OpenTelemetry takes a provider once in a process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter):
    exporter.clear()
    return exporter.get_finished_spans


def test_steps_and_deliveries_are_spans(spans):
    """With the certificate, the status before and after, and the observer."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Target()], installed_plugins=False, environment=environment) as core:
        profile = core.authorities.create("test", module="scripted").id
        one = core.certificates.create("shop.example", authority=profile).id
        core.certificates.generate_csr(one)
        core.reconcile(one)
        core.deliver_events()
    by_name = {span.name: dict(span.attributes) for span in reversed(spans())}
    assert by_name["certcore.step"] == {
        "certcore.certificate_id": one,
        "certcore.status_from": "pending",
        "certcore.status_to": "active",
    }
    assert by_name["certcore.delivery"]["certcore.observer"] == "Target"


def test_a_span_tells_the_kind_of_an_error_and_not_its_text(spans):
    """The text may hold a secret."""
    with pytest.raises(RuntimeError), measured(STEP, {}):
        raise RuntimeError("canary-password")
    (span,) = spans()
    assert span.attributes["error.type"] == "RuntimeError"
    assert "canary" not in span.to_json()


def test_a_listener_that_raises_ends_nothing(caplog):
    """It is logged; the others are told."""
    heard = []

    def broken(measurement):
        raise RuntimeError("no")

    stops = [listen(broken), listen(heard.append)]
    with caplog.at_level(logging.ERROR), measured(STEP, {"a": 1}) as measurement:
        pass
    for stop in (*stops, *stops):
        stop()
    assert heard == [measurement]
    assert measurement.seconds >= 0
    assert "listener" in caplog.text
    with measured(STEP, {}):
        pass
    assert len(heard) == 1
