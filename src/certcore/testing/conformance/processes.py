"""Run functions in several threads at once, and in a forked process."""

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

#: How many seconds threads and a forked process may take on the real clock.
DEADLINE: Final = 60.0


def all_at_once(jobs: Sequence[Callable[[], object]]) -> None:
    """Run functions in separate threads at the same time.

    Raises:
        RuleBrokenError: A function raised an exception or did not return.
    """
    together = threading.Barrier(len(jobs))
    errors: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            together.wait(DEADLINE)
            job()
        except BaseException as error:  # isolation: the waiting thread reports it
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
    """The text that a function returns in a forked process; None if it does not return in time."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # test runners may have other threads
        child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            os.write(theirs, function().encode("utf-8", "replace")[:2000])
        except BaseException as error:  # isolation: no exception may leave the child
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
