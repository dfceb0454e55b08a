"""Calls in several threads at once, and in a process that was forked off."""

from __future__ import annotations

import os
import select
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from certcore.testing.conformance.values import RuleBrokenError, require

__all__ = ["DEADLINE", "all_at_once", "forked"]

#: On the real clock: how long threads and a forked process may take, in seconds.
DEADLINE: Final = 60.0


def all_at_once(jobs: Sequence[Callable[[], object]]) -> None:
    """Run functions in threads of their own, at the same moment.

    Raises:
        RuleBrokenError: One of them raised, or did not come back.
    """
    together = threading.Barrier(len(jobs))
    errors: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            together.wait(DEADLINE)
            job()
        except BaseException as error:  # isolation: it is told by the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    require(not any(thread.is_alive() for thread in threads), "Two threads wait for each other in the plugin.")
    for error in errors:
        if isinstance(error, RuleBrokenError):
            raise RuleBrokenError(f"In several threads at once: {error}")
        raise RuleBrokenError(f"In several threads at once it raised {type(error).__name__}.")


def forked(function: Callable[[], str]) -> str | None:
    """The text that a function returns in a forked process; None when it does not return in time."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads exist where a test runner has some
        child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            os.write(theirs, function().encode("utf-8", "replace")[:2000])
        except BaseException as error:  # isolation: nothing may leave the child but its exit
            os.write(theirs, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(theirs)
    try:
        return _read_all(ours)
    finally:
        os.close(ours)
        _end(child)


def _read_all(descriptor: int) -> str | None:
    parts: list[bytes] = []
    while select.select([descriptor], [], [], DEADLINE)[0]:
        part = os.read(descriptor, 4096)
        if not part:
            return b"".join(parts).decode("utf-8", "replace")
        parts.append(part)
    return None


def _end(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
