"""A real Prometheus scrapes what certcore offers, and answers questions about it."""

import json
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from certcore import CertCore
from certcore.contrib.prometheus import CertCoreMetrics
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.ports import free_port
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.testing.server import Child, ProgramMissingError, find_program

pytestmark = pytest.mark.integration
PATIENCE = 20
CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: certcore
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def _answer(port, question):
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': question})}"
    with urllib.request.urlopen(url, timeout=5) as reply:
        return json.load(reply)["data"]["result"]


def _is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


@pytest.fixture
def prometheus():
    """Starts one that scrapes a port; it ends with the test."""
    children = []

    def start(scraped):
        try:
            binary = find_program("prometheus", "prometheus")
        except ProgramMissingError as error:
            pytest.skip(str(error))
        folder = Path(tempfile.mkdtemp(prefix="certcore-prometheus-"))
        (folder / "prometheus.yml").write_text(CONFIG.format(port=scraped))
        port = free_port()
        arguments = [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        children.append(Child(binary, arguments, folder=folder, env={}))
        assert children[0].wait_until(lambda: _is_ready(port)), children[0].log_tail()
        return port

    yield start
    for child in children:
        child.stop()


def test_prometheus_scrapes_and_answers(prometheus):
    """The certificates by status, and a failure by its code, come out of its query language."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.FAIL_NEVER], now=environment.now())
    registry = CollectorRegistry()
    with (
        CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core,
        CertCoreMetrics(core, registry=registry),
    ):
        profile = core.authorities.create("test", module="scripted").id
        one = core.certificates.create("shop.example", authority=profile).id
        core.certificates.generate_csr(one)
        core.reconcile(one)
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        try:
            port = prometheus(server.server_port)
            deadline = time.monotonic() + PATIENCE
            while not (answers := _answer(port, 'certcore_certificates{status="error"} == 1')):
                assert time.monotonic() < deadline, _answer(port, "up")
                time.sleep(0.1)
            assert answers[0]["metric"]["job"] == "certcore"
            (failures,) = _answer(port, "sum by (code) (certcore_failures_total)")
            assert (failures["metric"]["code"], failures["value"][1]) == ("urn:scripted:fail_never", "1")
            assert _answer(port, "histogram_quantile(0.95, certcore_step_seconds_bucket)")
            (up,) = _answer(port, "up")
            assert up["value"][1] == "1"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)
