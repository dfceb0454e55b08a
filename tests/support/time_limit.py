"""In `make check` a test takes about a second of a processor at most, or is marked slow with the reason.

It fails after two: processors differ, and two that share a core are slower. Other programs on the machine must not make
a test fail: what counts is the time for which this process, and the processes that it waited for, had a processor. A
busy machine makes that longer, too, so the limit grows with the load, and a test that was too slow is run again before
it fails. Property tests have the limit with the examples of the fast profile; with more examples they have more time.
`make test` has no limit: it runs on machines of any speed.
"""

import os

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

#: What a test took.
TAKEN = pytest.StashKey[float]()


def _spent():
    """For how many seconds this process, and its children that have ended, had a processor."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _limit(item):
    limit = LIMIT * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return limit * settings.default.max_examples / FAST if is_hypothesis_test(item.obj) else limit


def _is_limited(item):
    return is_fast() and item.nodeid.startswith(LIMITED) and not any(item.get_closest_marker(mark) for mark in _EXEMPT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Measure the test, without its fixtures."""
    before = _spent()
    try:
        return (yield)
    finally:
        item.stash[TAKEN] = _spent() - before


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
                f"took {item.stash[TAKEN]:.1f} seconds of a processor; the limit is {_limit(item):.1f}. "
                'Make it faster, or mark it: @pytest.mark.slow(reason="...").'
            )
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _is_too_slow(item, reports):
    return all(report.passed for report in reports) and item.stash.get(TAKEN, 0.0) > _limit(item)
