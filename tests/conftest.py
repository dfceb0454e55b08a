"""What all tests share."""

import os

import pytest
from hypothesis import settings

# A loaded machine is slow, not wrong; and CI must find today what it found yesterday.
settings.register_profile("certcore", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("certcore")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that use Pebble on one worker: it hangs when too much happens at once."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.get_closest_marker("pebble") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("pebble"))
