"""Conformance suites: named rules for plugins, and a function that checks a plugin and reports the broken rules.

::

    from datetime import UTC, datetime

    from certcore.testing import Act, ScriptedCA, conformance

    ca = ScriptedCA([Act.ISSUE], now=datetime(2030, 1, 1, tzinfo=UTC))
    report = conformance.run(ca.plugin(), settings={"api_key": "a key of the CA"})
    assert report.ok, report.text()

`certcore plugin check NAME` does the same for an installed plugin. docs/reference/conformance.md lists the checks.
"""

from __future__ import annotations

from certcore.testing.conformance.ca_module.setup import ModuleSetup
from certcore.testing.conformance.ca_module.suite import MODULE_CHECKS
from certcore.testing.conformance.given_setups import named_setup
from certcore.testing.conformance.store_setup import StoreSetup
from certcore.testing.conformance.suites import all_checks, run, store_checks
from certcore.testing.conformance.values import (
    CheckOutcome,
    ConformanceCheck,
    ConformanceReport,
    ConformanceResult,
    Suite,
)
from certcore.testing.conformance.zone_writers.by_dns import seen_by_dns
from certcore.testing.conformance.zone_writers.setup import WrittenZone

__all__ = [
    "MODULE_CHECKS",
    "CheckOutcome",
    "ConformanceCheck",
    "ConformanceReport",
    "ConformanceResult",
    "ModuleSetup",
    "StoreSetup",
    "Suite",
    "WrittenZone",
    "all_checks",
    "named_setup",
    "run",
    "seen_by_dns",
    "store_checks",
]
