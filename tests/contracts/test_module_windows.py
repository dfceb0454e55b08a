"""What the suite of CA modules finds out by itself, and what it says of rules that it cannot judge."""

import contextlib
import socket

import pytest

from certcore.plugin import CheckItem, CheckReport, Failed, Problem, Retry
from certcore.testing import conformance
from certcore.testing.conformance import MODULE_CHECKS, CheckOutcome
from support.check_needs import needed
from support.conformant_ca import SETTINGS, ConformantCA, Registering, message


@pytest.fixture
def listener():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as server:
        yield server.getsockname()


class ConnectingCA(ConformantCA):
    """Asks its CA over the network before each step."""

    address = ("127.0.0.1", 0)

    def ask(self):
        socket.create_connection(self.address, timeout=5).close()

    def advance(self, work):
        try:
            self.ask()
        except OSError:
            problem = Problem(title="The CA does not answer.", advice="Wait.")
            return Failed(state=dict(work.state or {}), problem=problem, retry=Retry.SOON, of_authority=True)
        return super().advance(work)

    def check(self, context):
        try:
            self.ask()
        except OSError:
            return CheckReport(items=[CheckItem(title=message("down"), ok=False)])
        return super().check(context)


class FailsWhenDown(ConnectingCA):
    def advance(self, work):
        self.ask()
        return super().advance(work)


class SaysAllIsWell(ConnectingCA):
    def check(self, context):
        with contextlib.suppress(OSError):
            self.ask()
        return CheckReport(items=[CheckItem(title=message("up"), ok=True)])


def outcomes(module, **setup):
    report = conformance.run(Registering(module, []), settings=SETTINGS, **setup)
    return {result.check.name: result for result in report.results}, report


@pytest.mark.parametrize(
    ("kind", "failed"), [(ConnectingCA, []), (FailsWhenDown, ["ca-down"]), (SaysAllIsWell, ["check-ca-down"])]
)
def test_a_ca_is_made_unreachable_without_a_window(kind, failed, listener):
    """Where the setup has no ca_down, the calls of the module reach nobody for a while; both rules are judged."""
    module = type(kind.__name__, (kind,), {"address": listener})()
    names = needed("ca-down", MODULE_CHECKS) | needed("check-ca-down", MODULE_CHECKS)
    results, report = outcomes(module, only=lambda check: check.name in names)
    assert [result.check.name for result in report.failed] == failed, report.text()
    judged = {CheckOutcome.PASSED, CheckOutcome.FAILED}
    assert {results["ca-down"].outcome, results["check-ca-down"].outcome} <= judged


def test_settings_beyond_the_limits_of_fields_are_tried():
    """Where the setup has no invalid_settings, values beyond the limits are; a form without limits is not judged."""
    results, _ = outcomes(ConformantCA(), only=lambda check: check.name in ("loads", "refused-settings"))
    assert results["refused-settings"].outcome is CheckOutcome.PASSED


def test_the_report_says_what_a_setup_lacks():
    """Rules that nothing can be seen of are not judged, apart from those that do not concern the module."""
    names = set().union(
        *(needed(name, MODULE_CHECKS) for name in ("ca-down", "check-ca-down", "taken-back", "orders-once"))
    )
    _, report = outcomes(ConformantCA(), only=lambda check: check.name in names)
    missing = {result.check.name: result.detail for result in report.of(CheckOutcome.NOT_JUDGED)}
    windows = {"taken-back": "held_outside", "orders-once": "orders_placed", "ca-down": "ca_down"}
    assert set(missing) == {*windows, "check-ca-down"}
    for name, window in windows.items():
        assert f"`{window}`" in missing[name]
        assert f"`{window}`" in report.text()
    assert "4 not judged" in report.text()
