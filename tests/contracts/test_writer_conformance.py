"""The conformance suite of zone writers: a writer that keeps every rule passes; each broken one fails its own check."""

import pytest

from certcore.plugin import hookimpl
from certcore.testing import ZoneWriterContract, conformance
from certcore.testing.conformance import CheckOutcome, Suite, all_checks
from support.broken_zone_writers import BROKEN, SETUPS
from support.check_needs import dependents, needed
from support.file_zone_writers import KEY, ZONE, FileServer, FileWriter, zone_of

CHECKS = [check for check in all_checks() if check.subject is Suite.ZONE_WRITER]


@pytest.fixture
def server(tmp_path):
    return FileServer(tmp_path)


def test_a_writer_that_keeps_every_rule_passes(server):
    """Every check applies to a writer with all windows, and all of them pass; nothing is left in the zone."""
    before = server.of(f"www.{ZONE}", "A")
    report = conformance.run(zone_of(FileWriter(server), server))
    assert report.ok, report.text()
    assert {result.outcome for result in report.results} == {CheckOutcome.PASSED}
    assert [result.check for result in report.results] == CHECKS
    with server.changing() as records:
        assert {name: data for name, data in records.items() if data} == {f"www.{ZONE}": [["A", *before]]}


def test_every_check_has_a_broken_writer():
    """No check is there that nothing fails."""
    assert set(BROKEN) == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_writer_fails_its_check(name, server):
    """The check fails by its name, none of those that it needs does, and no secret is told."""
    names = needed(name, CHECKS)
    setup = zone_of(BROKEN[name](server), server, **SETUPS.get(name, {}))
    report = conformance.run(setup, only=lambda check: check.name in names)
    assert [result.check.name for result in report.failed] == [name], report.text()
    assert not report.of(CheckOutcome.SKIPPED)
    assert report.failed[0].detail
    assert KEY not in report.text()


@pytest.mark.slow(reason="runs the whole suite for each broken writer")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_writer_fails_no_other_check(name, server):
    """Those that need the check that fails are not run, no other one fails, and no secret is told."""
    report = conformance.run(zone_of(BROKEN[name](server), server, **SETUPS.get(name, {})))
    assert [result.check.name for result in report.failed] == [name], report.text()
    assert {result.check.name for result in report.of(CheckOutcome.SKIPPED)} == dependents(name, CHECKS)
    assert KEY not in report.text()


class Plugin:
    """A plugin with one writer."""

    def __init__(self, writer):
        self.writer = writer

    @hookimpl
    def certcore_zone_writers(self):
        return [self.writer]


def test_a_writer_of_a_plugin_is_checked_without_a_zone(server):
    """Rules that need no zone are judged, nothing is written, and the report says what the others need."""
    report = conformance.run(Plugin(FileWriter(server)))
    passed = {result.check.name for result in report.of(CheckOutcome.PASSED)}
    assert passed == {"loads", "servers", "servers-offline", "secret-reprs"}
    assert {result.outcome for result in report.results} == {
        CheckOutcome.PASSED,
        CheckOutcome.NOT_JUDGED,
    }, report.text()
    assert "needs a zone to write to" in report.text()
    broken = conformance.run(Plugin(BROKEN["servers"](server)))
    assert [result.check.name for result in broken.failed] == ["servers"]


def test_a_writer_of_a_plugin_is_checked_in_a_zone(server):
    """With a zone to write to, every rule is judged."""
    report = conformance.run(Plugin(FileWriter(server)), see_zone=lambda writer: zone_of(writer, server))
    assert {result.outcome for result in report.results} == {CheckOutcome.PASSED}, report.text()


def test_a_writer_of_txt_values_needs_no_cnames(server):
    """Rules of CNAMEs do not concern a writer without that power, and are not judged without a window to them."""
    without = type("TxtWriter", (FileWriter,), {"look_up": None, "set_cname": None, "remove_cname": None})
    for writer, changed, outcome in (
        (without(server), {}, CheckOutcome.NOT_APPLICABLE),
        (FileWriter(server), {"cname": None}, CheckOutcome.NOT_JUDGED),
    ):
        report = conformance.run(
            zone_of(writer, server, **changed), only=lambda check: check.name in ("loads", "cname-sets")
        )
        assert report.results[-1].outcome is outcome, report.text()


class TestFileWriter(ZoneWriterContract):
    """The same rules as tests of pytest."""

    @pytest.fixture
    def written(self, server):
        return zone_of(FileWriter(server), server)
