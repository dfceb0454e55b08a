"""The conformance suite of CA modules as tests of pytest, one for each rule.

::

    class TestMyCA(ModuleConformance):
        conformance_setup = ModuleSetup(plugin=my_plugin, settings={"api_key": "…"})

The suite runs once for the class. A rule that does not apply to the module, or that cannot be judged because
another rule is broken, is skipped with the reason.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from certcore.testing.conformance.ca_module.setup import ModuleSetup
from certcore.testing.conformance.ca_module.suite import MODULE_CHECKS
from certcore.testing.conformance.suites import run
from certcore.testing.conformance.values import CheckOutcome, ConformanceCheck, ConformanceReport

__all__ = ["ModuleConformance"]


class ModuleConformance:
    """Inherit this class, and define `conformance_setup`."""

    #: The setup of the module.
    conformance_setup: ClassVar[ModuleSetup]

    @pytest.fixture(scope="class")
    @classmethod
    def conformance_report(cls, request: pytest.FixtureRequest) -> ConformanceReport:
        """The report of the suite, which is run once for the class."""
        setup: ModuleSetup = request.cls.conformance_setup
        return run(setup)

    @pytest.mark.parametrize("check", MODULE_CHECKS, ids=str)
    def test_rule(self, check: ConformanceCheck, conformance_report: ConformanceReport) -> None:
        """The module keeps the rule of this name: see docs/reference/conformance.md."""
        (result,) = [result for result in conformance_report.results if result.check is check]
        if result.outcome is CheckOutcome.FAILED:
            text = f"{result.detail}\nRule: {check.rule}\nWhy: {check.why}\nSee: {check.link}"
            pytest.fail(text, pytrace=False)
        if result.outcome is not CheckOutcome.PASSED:
            pytest.skip(result.detail)
