"""The conformance suite of observers: plugins with ``certcore_on_event``.

The events are really delivered to the observer. They are about a certificate that exists only in memory for this run.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Final

from attrs import evolve

from certcore.core import CertCore
from certcore.model.events import Event, EventKind
from certcore.model.revocation import RevocationReason
from certcore.testing.conformance.hooks import HookEvidence
from certcore.testing.conformance.processes import all_at_once
from certcore.testing.conformance.recording import Call
from certcore.testing.conformance.values import ConformanceCheck, RuleBrokenError, Suite, check_of, require
from certcore.testing.scripted_ca import Act, ScriptedCA

__all__ = ["OBSERVER_CHECKS", "ObserverEvidence"]

_HOOK: Final = "certcore_on_event"
_OWNERS: Final = ("tenant-1", "tenant-2", "tenant-3", "tenant-4")


class ObserverEvidence(HookEvidence):
    """An observer, and certificates with events."""

    @cached_property
    def core(self) -> CertCore:
        """A separate core, whose events are delivered to the observer one by one."""
        ca = ScriptedCA([Act.ISSUE], now=self.environment.now())
        core = CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=self.environment)
        return self.stack.enter_context(core)

    @cached_property
    def authority_id(self) -> str:
        """A CA profile that issues."""
        return self.core.authorities.create("conformance", module="scripted").id

    def certificate(self, owner: str, *, active: bool = True) -> str:
        """The ID of a new certificate, in service or a draft."""
        draft = self.core.certificates.create(f"{owner}.shop.test", authority=self.authority_id, owner=owner)
        if active:
            self.core.certificates.generate_csr(draft.id)
            for _ in range(3):
                self.core.reconcile(draft.id)
        return draft.id

    @cached_property
    def life(self) -> Sequence[Event]:
        """The events of a certificate from its first to its last."""
        certificate_id = self.certificate(_OWNERS[0])
        self.core.certificates.renew(certificate_id)
        for _ in range(3):
            self.core.reconcile(certificate_id)
        self.core.certificates.revoke(certificate_id, reason=RevocationReason.SUPERSEDED)
        return tuple(self.core.certificates.timeline(certificate_id, limit=1000))

    def tell(self, event: Event) -> Call:
        """Deliver an event to the observer.

        Raises:
            RuleBrokenError: The observer raised an exception, or returned a coroutine or generator.
        """
        call = self.call(_HOOK, {"event": event, "certificates": self.core.certificates})
        if call.raised is not None:
            raise RuleBrokenError(f"Of an event {event.kind} it is told, and {call.failure}")
        unfinished = inspect.isgenerator(call.returned) or inspect.isawaitable(call.returned)
        text = f"It returned a {type(call.returned).__name__}: nothing has run yet. Write a plain function."
        require(not unfinished, text)
        return call


def _loads(evidence: ObserverEvidence) -> None:
    evidence.require_loaded(_HOOK)


def _life(evidence: ObserverEvidence) -> None:
    for event in evidence.life:
        evidence.tell(event)


def _every_kind(evidence: ObserverEvidence) -> None:
    for kind in EventKind:
        evidence.tell(evolve(evidence.life[-1], kind=kind, number=evidence.life[-1].number + 1))


def _again(evidence: ObserverEvidence) -> None:
    for event in evidence.life:
        for _ in range(2):
            evidence.tell(event)


def _draft(evidence: ObserverEvidence) -> None:
    certificate_id = evidence.certificate(_OWNERS[1], active=False)
    for event in evidence.core.certificates.timeline(certificate_id):
        for kind in (EventKind.CREATED, EventKind.EDITED, EventKind.ATTEMPT_FAILED, EventKind.FAILED):
            evidence.tell(evolve(event, kind=kind))


def _gone(evidence: ObserverEvidence) -> None:
    certificate_id = evidence.certificate(_OWNERS[2])
    events = tuple(evidence.core.certificates.timeline(certificate_id, limit=1000))
    evidence.core.certificates.delete(certificate_id)
    for event in (*events, evolve(events[-1], kind=EventKind.DELETED)):
        try:
            evidence.tell(event)
        except RuleBrokenError as fault:
            raise RuleBrokenError(f"The certificate was deleted meanwhile. {fault}") from None


def _threads(evidence: ObserverEvidence) -> None:
    events = [evolve(evidence.life[-1], certificate_id=f"other-{number}") for number in range(4)]
    events = [evolve(event, kind=EventKind.EDITED) for event in events]
    all_at_once([partial(evidence.tell, event) for event in events])


def _checks() -> Iterator[ConformanceCheck]:
    check = check_of(Suite.OBSERVER)
    yield check(
        "loads",
        "The plugin is loaded without a failure, and has certcore_on_event as a plain function.",
        "An observer that is not loaded is told of nothing.",
        _loads,
    )
    yield check(
        "takes-a-life",
        "certcore_on_event takes the events of a certificate, from its first to its revocation, without an error.",
        "An observer that raises gets the same event again, and no later one of that certificate.",
        _life,
        needs=("loads",),
    )
    yield check(
        "takes-every-kind",
        "certcore_on_event takes an event of every kind: what does not concern it, it leaves.",
        "Kinds of events are added in later versions.",
        _every_kind,
        needs=("takes-a-life",),
    )
    yield check(
        "takes-it-again",
        "The same event again is harmless.",
        "Each event comes at least once: a crash before the delivery was recorded repeats it.",
        _again,
        needs=("takes-a-life",),
    )
    yield check(
        "takes-drafts",
        "Events of a certificate without a leaf are taken.",
        "Drafts and failed issuances have events, too.",
        _draft,
        needs=("takes-a-life", "takes-every-kind"),
    )
    yield check(
        "takes-deleted",
        "Events of a certificate that was deleted meanwhile are taken.",
        "Deliveries are late when the observer's server was down, and the certificate may be gone then.",
        _gone,
        needs=("takes-a-life", "takes-every-kind"),
    )
    yield check(
        "thread-safe",
        "certcore_on_event may be called from several threads at once, for different certificates.",
        "A worker has several threads, and several processes deliver.",
        _threads,
        needs=("takes-a-life", "takes-every-kind", "takes-deleted"),
    )
    yield check(
        "quiet",
        "certcore_on_event prints nothing.",
        "What is printed ends up in the output of every command, and breaks its JSON.",
        HookEvidence.require_quiet,
        needs=("takes-a-life",),
    )


#: In the order in which they are run.
OBSERVER_CHECKS: Final = tuple(_checks())
