"""What all tests share."""

import gc
import os
import sys
import threading

import pytest
from hypothesis import settings

# pytest explains the asserts of helpers only when it is told to.
pytest.register_assert_rewrite("support")

from support.databases import database_server  # noqa: E402 - only now
from support.examples import DEEP, FAST, FULL  # noqa: E402

pytest_plugins = ["support.databases", "support.time_limit"]

# A loaded machine is slow, not wrong; and CI must find today what it found yesterday.
settings.register_profile("full", deadline=None, derandomize="CI" in os.environ, max_examples=FULL)
# Loaded by `make check` and `make soak`, with pytest's --hypothesis-profile.
settings.register_profile("fast", settings.get_profile("full"), max_examples=FAST)
settings.register_profile("deep", settings.get_profile("full"), max_examples=DEEP, derandomize=False)
settings.load_profile("full")

#: Where tests are short, but for those that are marked as slow.
_SHORT = ("tests/unit/", "tests/contracts/")


def pytest_configure(config):
    """Refuse a pytest with which pytest-xdist 3.8 spreads groups over the workers, and says nothing."""
    if config.getoption("dist", "no") == "loadgroup" and pytest.version_tuple >= (9, 2):
        raise pytest.UsageError("pytest-xdist groups no tests with pytest 9.2 and newer: install an older pytest.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of database servers, and keep tests on one worker that share what takes long to make.

    Those of a database server share the server; those of a module that starts Pebble, or that have a fixture for their
    whole module, share their fixtures; those of the architecture share the parsed source. Each Pebble serves one test
    or one module, which bounds the orders that it has in flight: it hangs when there are more than four. The short
    tests, thousands of them, go to the workers by modules: pytest-xdist takes milliseconds to hand out a test or group.
    """
    has_workers = config.pluginmanager.hasplugin("xdist")
    for item in items:
        if database_server(item):
            item.add_marker(pytest.mark.integration)
        if has_workers and not item.get_closest_marker("xdist_group") and (group := _group(item)):
            item.add_marker(pytest.mark.xdist_group(group))


def _group(item):
    module = item.nodeid.partition("::")[0]
    if item.get_closest_marker("pebble"):
        return module
    if module.startswith("tests/architecture/"):
        return "architecture"
    if server := database_server(item):
        return server
    if module.startswith(_SHORT) and not item.get_closest_marker("slow"):
        return module
    fixtures = item._fixtureinfo.name2fixturedefs.values()  # noqa: SLF001 - pytest tells it nowhere else
    return module if any(one.scope == "module" for each in fixtures for one in each) else None


def pytest_collection_finish():
    """Leave the collected tests, which all live to the end, out of each garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """No coverage in slow tests: what they cover others do, too, and measuring makes them three times as slow.

    This is what pytest-cov's ``no_cover`` is for, which does nothing in the workers of xdist.
    """
    if not item.get_closest_marker("slow"):
        return (yield)
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(in_threads)
        sys.settrace(here)
