"""Suites that every implementation of a port passes; inherit one and give it the fixtures that it asks for."""

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
# So that a check that fails shows both sides, wherever the suite is inherited; the pytest plugin does the same.
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))
