"""In `make check` a test takes about a second at most, or is marked slow with the reason.

It fails after two: processors differ, and two that share a core are slower. Other programs on the machine must not make
a test fail: time that the test's thread waited for a processor does not count, the limit grows with the load, and a
test that was too slow is run again before it fails. Property tests have the limit with the examples of the fast
profile; with more examples they have more time. `make test` has no limit: it runs on machines of any speed.
"""

import os
import time
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import is_hypothesis_test, settings

from support.examples import FAST, is_fast

#: Seconds.
LIMIT = 2.0

#: The folders that `make check` runs.
LIMITED = ("tests/unit/", "tests/contracts/")

#: Marks of tests that have their time elsewhere.
_EXEMPT = ("slow", "soak", "integration", "pebble")

_TAKEN = pytest.StashKey[float]()


def _waited():
    """For how many seconds this thread could have run, and had no processor; 0 where the system does not count it."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _limit(item):
    limit = LIMIT * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return limit * settings.default.max_examples / FAST if is_hypothesis_test(item.obj) else limit


def _is_limited(item):
    return is_fast() and item.nodeid.startswith(LIMITED) and not any(item.get_closest_marker(mark) for mark in _EXEMPT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Measure the test, without its fixtures."""
    began, waited = time.monotonic(), _waited()
    try:
        return (yield)
    finally:
        item.stash[_TAKEN] = time.monotonic() - began - (_waited() - waited)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Run a test that was too slow once more; fail it when it is too slow again."""
    if not _is_limited(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if _is_too_slow(item, reports):
        item._initrequest()  # noqa: SLF001 - pytest has no public way to run a test again
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if _is_too_slow(item, reports):
            (report,) = (report for report in reports if report.when == "call")
            report.outcome = "failed"
            report.longrepr = (
                f"took {item.stash[_TAKEN]:.1f} seconds; the limit is {_limit(item):.1f}. "
                'Make it faster, or mark it: @pytest.mark.slow(reason="...").'
            )
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _is_too_slow(item, reports):
    return all(report.passed for report in reports) and item.stash.get(_TAKEN, 0.0) > _limit(item)
