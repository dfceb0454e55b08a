"""The limit of `make check` on how long a test may take."""

import contextlib
import os

import pytest

from support import time_limit


class Item:
    """A test, as far as the limit knows it."""

    def __init__(self):
        self.stash = pytest.Stash()


def test_what_counts_is_the_time_of_the_processor(monkeypatch):
    """Of the test's process, and of the children that it waited for; being late on a busy machine does not."""
    moments = [os.times_result((1.0, 2.0, 3.0, 4.0, 100.0)), os.times_result((1.5, 2.25, 3.125, 4.0625, 900.0))]
    item = Item()
    with monkeypatch.context() as patched:
        patched.setattr(os, "times", lambda: moments.pop(0))
        call = time_limit.pytest_runtest_call(item)
        next(call)
        with contextlib.suppress(StopIteration):
            call.send(None)
    assert item.stash[time_limit.TAKEN] == 0.9375
    assert moments == []
