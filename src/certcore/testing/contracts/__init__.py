"""Suites that every implementation of a port passes; inherit one and give it the fixtures that it asks for."""

import pytest

# So that a check that fails shows both sides, wherever the suite is inherited.
pytest.register_assert_rewrite(
    *(f"{__name__}.{suite}" for suite in ("ca_module", "deliveries", "storage", "timelines", "zone_writers"))
)
