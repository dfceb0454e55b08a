"""The zone server whose sources fail or are slow."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import dns.rcode
import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore_puq_acme.techzone.server import ZoneServer
from support.served_zone import Flaky, serve
from support.zone_clients import HOST, PATIENCE, tcp, udp, values

pytestmark = pytest.mark.integration


def test_a_failing_source_is_servfail_and_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Each query gets SERVFAIL; the log is not flooded, and carries no secret of the store."""
    with caplog.at_level(logging.ERROR), serve(Flaky()) as server:
        for _ in range(25):
            assert udp(server.address[1], "bad.acme.example.net").rcode() == dns.rcode.SERVFAIL
        assert tcp(server.address[1], "bad.acme.example.net").rcode() == dns.rcode.SERVFAIL
        assert values(udp(server.address[1], "good.acme.example.net")) == ["ok"]
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("techzone.complaints")]
    assert len(lines) == 1
    assert "OSError" in lines[0]
    assert "hunter2" not in caplog.text


def test_a_database_that_was_restarted_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The connections of the pool are dead after a restart: the CA's one query for a challenge is answered anyway."""
    with caplog.at_level(logging.ERROR), serve(Flaky()) as server:
        assert values(udp(server.address[1], "restarted.acme.example.net")) == ["ok"]
    assert caplog.text == ""


def test_the_log_speaks_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The next line says how many failures were not logged; our own errors are logged with their words."""
    clock = [0.0]
    with (
        caplog.at_level(logging.ERROR),
        ZoneServer((HOST, 0), [Flaky()], SystemEnvironment(), monotonic=lambda: clock[0]) as server,
    ):
        for moment in (0.0, 1.0, 2.0, 61.0):
            clock[0] = moment
            udp(server.address[1], "refused.acme.example.net")
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("techzone.complaints")]
    assert len(lines) == 2
    assert "The store is closed." in lines[0]
    assert "2 more" in lines[1]


def test_a_slow_lookup_does_not_hold_up_the_others() -> None:
    """While one query waits for its source, other UDP queries are answered."""
    source = Flaky()
    with serve(source, udp_threads=3, lookup_timeout=PATIENCE) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(udp, server.address[1], "slow.acme.example.net")
        try:
            assert source.waiting.wait(PATIENCE)
            for _ in range(20):
                assert values(udp(server.address[1], "fast.acme.example.net")) == ["ok"]
            assert not slow.done()
        finally:
            source.gate.set()
        assert values(slow.result(PATIENCE)) == ["ok"]
