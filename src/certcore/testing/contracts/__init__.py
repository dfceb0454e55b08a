"""Suites that every implementation of a port passes; inherit one and give it the fixtures that it asks for."""

import pytest

# So that a check that fails shows both sides, wherever the suite is inherited.
pytest.register_assert_rewrite(f"{__name__}.ca_module", f"{__name__}.storage", f"{__name__}.timelines")
