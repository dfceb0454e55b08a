"""Checks of a zone writer in operation: other threads and processes, restarts, time."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

from certcore.ports.zone_writers import TxtChange
from certcore.testing.conformance.memory import Memory
from certcore.testing.conformance.processes import DEADLINE, all_at_once, forked
from certcore.testing.conformance.values import (
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)
from certcore.testing.conformance.zone_writers.evidence import WriterEvidence

__all__ = ["OPERATION"]

_check: Final = check_of(Suite.ZONE_WRITER, needs=("withdraws",))


def _need_outside(evidence: WriterEvidence) -> None:
    if evidence.zone and not evidence.written.is_shared:
        raise NotApplicableError("The zone is in the memory of this process.")


def _fresh_object(evidence: WriterEvidence) -> None:
    _need_outside(evidence)
    pristine = Memory.of_object(evidence.writer)
    name = evidence.name()
    evidence.put(name, ["first", "second"])
    pristine.restore()
    evidence.put(name, ["second"], ["first"], when="When what the writer remembers is forgotten, ")
    pristine.restore()
    evidence.require_shown(name, ["second"], "When what the writer remembers is forgotten between two calls")


def _need_forks(evidence: WriterEvidence) -> None:
    _need_outside(evidence)
    if not hasattr(os, "fork"):
        raise NotApplicableError("This system has no fork.")


def _write_elsewhere(evidence: WriterEvidence, name: str) -> None:
    """Write a value in a process that is forked off."""

    def write() -> str:
        try:
            evidence.put(name, ["elsewhere"])
            evidence.require_shown(name, ["elsewhere"], "When write returns,")
        except RuleBrokenError as fault:
            return str(fault)
        return ""

    detail = forked(write)
    require(detail is not None, f"A process that was forked off did not come back within {DEADLINE:g} seconds.")
    require(not detail, f"In a process that was forked off: {detail}")


def _fork(evidence: WriterEvidence) -> None:
    _need_forks(evidence)
    before, elsewhere = evidence.name(), evidence.name()
    evidence.put(before, ["here"])
    _write_elsewhere(evidence, elsewhere)
    evidence.put(before, [], ["here"], when="After another process has written, ")
    evidence.require_shown(before, [], "After another process has written and a value was withdrawn")
    evidence.change(TxtChange(name=elsewhere, withdrawn=("elsewhere",)))


def _two_processes(evidence: WriterEvidence) -> None:
    _need_forks(evidence)
    here, elsewhere = evidence.name(), evidence.name()
    evidence.put(here, ["first"])
    _write_elsewhere(evidence, elsewhere)
    evidence.put(here, ["first", "second"])
    evidence.require_shown(elsewhere, ["elsewhere"], "After two processes have written, at the name of the second one,")
    evidence.require_shown(here, ["first", "second"], "After two processes have written, at the name of the first one,")
    evidence.change(TxtChange(name=elsewhere, withdrawn=("elsewhere",)))


def _threads(evidence: WriterEvidence) -> None:
    if evidence.zone and evidence.writer.one_at_a_time:
        raise NotApplicableError("The writer is called by one thread at a time.")
    names = [evidence.name() for _ in range(8)]

    def write(name: str) -> None:
        for _ in range(3):
            evidence.put(name, ["value"])

    all_at_once([partial(write, name) for name in names])
    for name in names:
        evidence.require_shown(name, ["value"], f"After {len(names)} threads have written, at one of their names")


def _returns(evidence: WriterEvidence) -> None:
    for call in evidence.calls:
        is_none = call.method != "write" or call.raised is not None or call.returned is None
        require(is_none, f"write returned a {type(call.returned).__name__}. It returns None, or raises ZoneWriteError.")


def _in_time(evidence: WriterEvidence) -> None:
    longest = evidence.written.longest_call
    for call in evidence.calls:
        require(call.seconds <= longest, f"{call.method} took {call.seconds:.1f} s; it ends within {longest:g} s.")


def _no_sleep(evidence: WriterEvidence) -> None:
    for call in evidence.calls:
        require(not call.slept, f"{call.method} slept {call.slept:g} s. certcore calls again after a pause.")


def _quiet(evidence: WriterEvidence) -> None:
    _ = evidence.calls
    evidence.require_quiet()


#: In the order in which they are run.
OPERATION: Final = (
    _check(
        "fresh-object",
        "Nothing that matters is kept in the writer: each call may find a new one.",
        "The value is withdrawn by another process, or after a restart.",
        _fresh_object,
        needs=("by-value",),
    ),
    _check(
        "fork-safe",
        "The writer works in a process that was forked off after it was used, and afterwards in the first one.",
        "gunicorn and Celery fork; connections and threads of the parent do not work in the child.",
        _fork,
    ),
    _check(
        "two-processes",
        "What another process has written stays when this one writes at another name.",
        "Several workers write to one zone.",
        _two_processes,
        needs=("fork-safe", "by-value"),
    ),
    _check(
        "thread-safe",
        "Calls about different names may run at the same time, unless one_at_a_time says that they may not.",
        "A worker has several threads.",
        _threads,
        needs=("adds-twice",),
    ),
    _check(
        "returns",
        "write returns None.",
        "A result that says whether it worked is not read: a failure is a ZoneWriteError.",
        _returns,
        needs=("loads",),
    ),
    _check(
        "in-time",
        "Every call ends within a minute.",
        "While it runs, the names that it is about are kept from other processes.",
        _in_time,
        needs=("loads",),
    ),
    _check(
        "no-sleep",
        "No call sleeps.",
        "It would keep a thread of the worker; certcore calls again after a pause that grows.",
        _no_sleep,
        needs=("loads",),
    ),
    _check(
        "quiet",
        "No method prints anything.",
        "What is printed ends up in the output of every command, and breaks its JSON.",
        _quiet,
        needs=("loads",),
    ),
)
