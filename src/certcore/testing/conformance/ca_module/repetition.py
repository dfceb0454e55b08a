"""Checks of crashes, other processes and other threads: steps that are repeated, interleaved and given up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from certcore.errors import CertCoreError
from certcore.model.lifecycle import Status
from certcore.ports.ca_module import CAModule, Issued
from certcore.ports.signing_ca import SigningCA
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence, Trial
from certcore.testing.conformance.memory import Memory
from certcore.testing.conformance.processes import DEADLINE, all_at_once, forked
from certcore.testing.conformance.values import (
    MissingSetupError,
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)
from certcore.x509.chain import parse_chain
from certcore.x509.leaf_checks import LeafFault, judge_leaf

__all__ = ["REPETITION"]

_check: Final = check_of(Suite.CA_MODULE, needs=("issues",))
_STEPS_BEFORE_DELETION: Final = (0, 1, 2, 4)


def _repeated(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    with _nothing_left(evidence, "After steps that were repeated"):
        certificate_id = trial.requested()
        certificate = trial.drive(certificate_id, lambda: _lose(trial, certificate_id))
        trial.require_active(certificate, " when each step is repeated")
        trial.rest(certificate_id)


def _lose(trial: Trial, certificate_id: str) -> None:
    """Take the step that is next, and lose what it returned, as in a crash."""
    if trial.status(certificate_id) in (Status.PENDING, Status.PROCESSING):
        trial.call("advance", trial.harness.work(certificate_id))


def _orders_once(evidence: ModuleEvidence) -> None:
    orders_placed = evidence.setup.orders_placed
    if orders_placed is None and isinstance(evidence.module, SigningCA):
        raise NotApplicableError("The CA signs at once: there is no order.")
    if orders_placed is None:
        raise MissingSetupError("The setup has to give `orders_placed`: how many orders the CA has got so far.")
    trial = evidence.trial()
    certificate_id = trial.requested()
    before = orders_placed()
    trial.drive(certificate_id, lambda: _lose(trial, certificate_id))
    placed = orders_placed() - before
    require(placed <= 1, f"{placed} orders were placed for one issuance, because steps were repeated.")


def _object_memory(module: CAModule[Any, Any]) -> list[Memory]:
    return [Memory.of_object(module)]


def _global_memory(module: CAModule[Any, Any]) -> list[Memory]:
    """What the module's classes and their Python modules keep in containers and counters."""
    memories = []
    for kind in type(module).__mro__:
        if kind in (CAModule, object) or kind.__module__.startswith(("certcore.ports.", "typing", "abc")):
            continue
        for owner in (kind, sys.modules.get(kind.__module__)):
            if owner is not None:
                names = [
                    name
                    for name, value in vars(owner).items()
                    if type(value) in (dict, list, set, bytearray, int) and not name.startswith("__")
                ]
                memories.append(Memory.of(owner, iter(names)))
    return memories


def _in_new_process(
    evidence: ModuleEvidence, memories: Callable[[CAModule[Any, Any]], list[Memory]], forgotten: str
) -> None:
    trial = evidence.trial()
    pristine = memories(trial.module)
    certificate_id = trial.requested()

    def forget() -> None:
        for memory in pristine:
            memory.restore()

    certificate = trial.drive(certificate_id, forget)
    trial.require_active(certificate, f" when {forgotten} is forgotten between two steps")


def _fresh_object(evidence: ModuleEvidence) -> None:
    _in_new_process(evidence, _object_memory, "what the module object remembers")


def _fresh_globals(evidence: ModuleEvidence) -> None:
    _in_new_process(evidence, _global_memory, "what its classes and its Python module remember")


def _apart(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    ids = [trial.requested(number) for number in range(len(evidence.setup.domains))]
    for _ in range(100):
        waiting = [each for each in ids if trial.status(each) not in (Status.ACTIVE, Status.ERROR)]
        if not waiting:
            break
        for certificate_id in waiting:
            trial.step(certificate_id)
    _require_own_leaves(trial, ids, "of several that are under way at once")


def _require_own_leaves(trial: Trial, ids: list[str], when: str) -> None:
    serials = set()
    for call in trial.recorder.of("advance"):
        if isinstance(call.returned, Issued):
            work = call.arguments[0]
            issued_leaf = parse_chain(call.returned.chain_pem).leaf
            csr = work.issuance.csr_pem
            faults = judge_leaf(issued_leaf, names=work.issuance.names, csr_pem=csr, now=call.now).faults
            is_other = {LeafFault.OTHER_KEY, LeafFault.MISSING_NAMES} & set(faults)
            require(not is_other, f"{work.certificate.domain}, {when}, got the leaf of another request.")
    for number, certificate_id in enumerate(ids):
        certificate = trial.core.certificates.get(certificate_id)
        trial.require_active(certificate, f", {when}")
        leaf = trial.core.certificates.view(certificate_id).leaf
        names = () if leaf is None else leaf.names
        domain = trial.setup.domains[number]
        require(domain in names, f"The leaf of {domain}, {when}, is for {', '.join(names)}.")
        serials.add("" if leaf is None else leaf.serial_hex)
    require(len(serials) == len(ids), "Two leaves have the same serial number.")


def _threads(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    ids = [trial.requested(number) for number in range(len(evidence.setup.domains))]

    def run(certificate_id: str) -> None:
        for _ in range(100):
            if trial.status(certificate_id) in (Status.ACTIVE, Status.ERROR):
                return
            trial.step(certificate_id)

    all_at_once([partial(run, each) for each in ids])
    _require_own_leaves(trial, ids, "of several in threads of their own")


def _fork(evidence: ModuleEvidence) -> None:
    if not hasattr(os, "fork"):
        raise NotApplicableError("This system has no fork.")
    trial = evidence.trial()
    trial.issued(0)
    detail = forked(lambda: _fork_fault(trial))
    require(detail is not None, f"A process that was forked off did not come back within {DEADLINE:g} seconds.")
    require(not detail, f"In a process that was forked off: {detail}")


def _fork_fault(trial: Trial) -> str:
    """What goes wrong with an issuance in this process; empty when nothing does."""
    certificate_id = trial.requested(1)
    try:
        trial.require_active(trial.drive(certificate_id))
    except RuleBrokenError as fault:
        return str(fault)
    return ""


@contextmanager
def _nothing_left(evidence: ModuleEvidence, when: str) -> Iterator[None]:
    held_outside = evidence.setup.held_outside
    before = 0 if held_outside is None else held_outside()
    yield
    left = 0 if held_outside is None else held_outside() - before
    require(left <= 0, f"{when} {left} things are still held outside.")


def _deleted(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    for steps in _STEPS_BEFORE_DELETION:
        when = f"When a certificate is deleted after {steps} steps"
        with _nothing_left(evidence, when):
            certificate_id = trial.requested()
            for _ in range(steps):
                if trial.status(certificate_id) not in (Status.ACTIVE, Status.ERROR):
                    trial.step(certificate_id)
            try:
                trial.core.certificates.delete(certificate_id)
            except CertCoreError as error:
                raise RuleBrokenError(f"{when}: {error.message}") from None


def _given_up(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    for steps in (0, 1, 2):
        with _nothing_left(evidence, f"When an issuance is given up after {steps} steps"):
            certificate_id = trial.requested()
            _take(trial, certificate_id, steps)
            if trial.status(certificate_id) is Status.PENDING:
                trial.core.certificates.back_to_draft(certificate_id)
                trial.rest(certificate_id)
                trial.core.certificates.generate_csr(certificate_id)
            trial.require_active(trial.drive(certificate_id), f" after it was given up after {steps} steps")
            trial.rest(certificate_id)
        with _nothing_left(evidence, f"When a renewal is given up after {steps} steps"):
            trial.core.certificates.renew(certificate_id)
            _take(trial, certificate_id, steps)
            if trial.core.certificates.view(certificate_id).under_way:
                trial.core.certificates.cancel_attempt(certificate_id)
            trial.rest(certificate_id)


def _take(trial: Trial, certificate_id: str, steps: int) -> None:
    """Take steps while an issuance is under way."""
    for _ in range(steps):
        if trial.core.certificates.view(certificate_id).under_way:
            trial.step(certificate_id)


def _renewed(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    certificate_id = trial.issued()
    before = trial.core.certificates.view(certificate_id).leaf
    trial.core.certificates.renew(certificate_id)
    _take(trial, certificate_id, 100)
    trial.rest(certificate_id)
    leaf = trial.core.certificates.view(certificate_id).leaf
    require(leaf != before, "A certificate that is renewed does not get a new leaf.")
    serials = {each.serial_hex for each in (before, leaf) if each is not None}
    require(len(serials) == 2, "The renewed leaf has the serial number of the one before.")  # noqa: PLR2004 - two leaves


_CLEANED_UP: Final = ("clean-up", "clean-up-twice", "clean-up-nothing", "taken-back")

#: In the order in which they are run.
REPETITION: Final = (
    _check(
        "renews",
        "A certificate that is renewed gets a new leaf with another serial number.",
        "A leaf that is not renewed ends.",
        _renewed,
    ),
    _check(
        "repeated-steps",
        "Every step may be taken twice from the same state, as after a crash: the certificate becomes active.",
        "A process may die between a step and the store's write.",
        _repeated,
        needs=("issues", *_CLEANED_UP),
    ),
    _check(
        "orders-once",
        "A step that is repeated places no second order.",
        "Orders are counted by the limits of CAs, and perhaps paid for.",
        _orders_once,
        needs=("repeated-steps",),
    ),
    _check(
        "fresh-object",
        "Nothing that matters is kept in the module object: each step may find a new one.",
        "The next step may run in another process, or after a restart.",
        _fresh_object,
    ),
    _check(
        "fresh-globals",
        "Nothing that matters is kept in attributes of classes or in global variables.",
        "The next step may run in another process, or after a restart.",
        _fresh_globals,
    ),
    _check(
        "certificates-apart",
        "Several certificates under way at once, step by step in turns, each get their own leaf.",
        "A panel has many customers.",
        _apart,
    ),
    _check(
        "thread-safe",
        "Methods may be called from several threads at once.",
        "A worker has several threads, and they share the module object.",
        _threads,
        needs=("certificates-apart",),
    ),
    _check(
        "fork-safe",
        "The module works in a process that was forked off after it was used.",
        "gunicorn and Celery fork; connections, locks and threads of the parent do not work in the child.",
        _fork,
    ),
    _check(
        "deletion",
        "A certificate can be deleted after any step, and takes with it what the module holds outside.",
        "Owners delete what they do not need any more, also in the middle.",
        _deleted,
        needs=("request", *_CLEANED_UP, "certificate-deleted"),
    ),
    _check(
        "cancellation",
        "An issuance or a renewal can be given up after any step; what it holds outside is taken back.",
        "Owners notice mistakes after they have asked.",
        _given_up,
        needs=("issues", "renews", *_CLEANED_UP),
    ),
)
