"""Test suites for implementations of ports. Inherit a suite and define the fixtures that it needs."""

import pytest

_SUITES = (
    "ca_module",
    "conformance",
    "deliveries",
    "keys",
    "lists",
    "preflights",
    "rows",
    "secrets",
    "steps",
    "storage",
    "stores",
    "timelines",
    "zone_writers",
)
# Failing assertions show both sides, also in a suite that is inherited elsewhere. The pytest plugin does the same.
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))
