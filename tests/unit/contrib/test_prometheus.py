"""Metrics: numbers of the store, counters and times of the process, and labels that cannot grow without a bound."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import certcore
from certcore import CertCore
from certcore.contrib.prometheus import CertCoreMetrics
from certcore.errors import InvalidInputError
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.net.telemetry import CA_REQUEST, DNS_QUERY, has_listeners, measured
from certcore.ports.ca_module import Failed
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA


class CodesCA(ScriptedCA):
    """Each certificate fails with a code of its own."""

    def advance(self, work):
        code = f"urn:{work.certificate.domain}"
        return Failed(state={}, problem=Problem(type=code, title="No."), retry=Retry.SLOW)


class Target:
    @certcore.hookimpl
    def certcore_on_event(self, event):
        if event.kind == "created":
            raise RuntimeError


def _values(registry):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


@pytest.fixture
def world():
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    registry = CollectorRegistry()
    with (
        CertCore.in_memory(plugins=[ca.plugin(), Target()], installed_plugins=False, environment=environment) as core,
        CertCoreMetrics(core, registry=registry, counts_age=0),
    ):
        yield core, ca, environment, registry


def test_the_metrics_tell_what_happened(world):
    """Certificates by status and condition, leaves that end, the queue, events, steps and deliveries."""
    core, ca, environment, registry = world
    profile = core.authorities.create("test", module="scripted").id
    one = core.certificates.create("shop.example", authority=profile).id
    core.certificates.generate_csr(one)
    environment.advance(timedelta(minutes=2))
    assert _values(registry)["certcore_queue_age_seconds",] == 120
    while core.due():
        core.reconcile(one)
    core.deliver_events()
    ca.script = (Act.FAIL_NEVER,)
    two = core.certificates.create("other.example", authority=profile).id
    core.certificates.generate_csr(two)
    while core.due():
        core.reconcile(two)
    environment.advance(timedelta(seconds=1))
    values = _values(registry)
    assert values["certcore_up",] == 1
    assert values["certcore_certificates", "active"] == 1
    assert values["certcore_certificates", "error"] == 1
    assert values["certcore_certificates", "draft"] == 0
    assert values["certcore_certificates_condition", "Ready"] == 1
    assert values["certcore_leaves_ending", "90"] == 1
    assert values["certcore_queue_age_seconds",] == 0
    assert values["certcore_events_total", "created"] == 2
    assert values["certcore_leaves_installed_total", "issue"] == 1
    assert values["certcore_failures_total", "urn:scripted:fail_never"] == 1
    assert values["certcore_step_seconds_count", "done"] >= 2
    assert values["certcore_delivery_seconds_count", "Target", "failed"] == 1
    assert "shop.example" not in generate_latest(registry).decode()


def test_requests_and_questions_are_timed(world):
    """By server and kind of answer; one without an answer counts, too."""
    _, _, _, registry = world
    with measured(CA_REQUEST, {"server.address": "ca.example"}) as request:
        request.attributes["http.response.status_code"] = 201
    with pytest.raises(OSError, match="gone"), measured(CA_REQUEST, {"server.address": "ca.example"}):
        raise OSError("gone")
    with measured(DNS_QUERY, {"server.address": "192.0.2.1"}) as question:
        question.attributes["certcore.answer"] = "NOERROR"
    values = _values(registry)
    assert values["certcore_ca_request_seconds_count", "ca.example", "2xx"] == 1
    assert values["certcore_ca_request_seconds_count", "ca.example", "none"] == 1
    assert values["certcore_dns_query_seconds_count", "NOERROR"] == 1


def test_labels_are_bounded():
    """A CA that invents a code for each failure does not fill the memory of Prometheus."""
    environment = FrozenEnvironment()
    ca = CodesCA(now=environment.now())
    registry = CollectorRegistry()
    with (
        CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core,
        CertCoreMetrics(core, registry=registry),
    ):
        profile = core.authorities.create("test", module="scripted").id
        for number in range(60):
            one = core.certificates.create(f"n{number}.example", authority=profile).id
            core.certificates.generate_csr(one)
            core.reconcile(one)
        codes = {key[1]: value for key, value in _values(registry).items() if key[0] == "certcore_failures_total"}
    assert len(codes) == 51
    assert codes["other"] == 10


def test_a_store_that_is_away_is_told(world):
    """The scrape succeeds, and says that the numbers are missing."""
    core, _, _, registry = world
    core.close()
    values = _values(registry)
    assert values["certcore_up",] == 0
    assert not any(name == "certcore_certificates" for name, *_ in values)


def test_nothing_is_counted_after_the_end():
    """A second object can be made in the same registry, and no listener is left."""
    registry = CollectorRegistry()
    with CertCore.in_memory(installed_plugins=False) as core:
        CertCoreMetrics(core, registry=registry).close()
        with CertCoreMetrics(core, registry=registry):
            assert has_listeners()
        assert not has_listeners()
        with pytest.raises(InvalidInputError, match="counts_age"):
            CertCoreMetrics(core, registry=registry, counts_age=-1)
