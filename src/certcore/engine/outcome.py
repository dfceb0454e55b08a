"""What a module's step means for the certificate: pure functions from (certificate, issuance, step) to new values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, assert_never

from attrs import evolve, frozen

from certcore.engine.looks import STALLED, bounded, looked, not_too_often, stalled
from certcore.errors import CertCoreError, NotFound
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import Event, EventKind
from certcore.model.issuance import TOO_MUCH, Issuance, Outcome
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.problem import Problem
from certcore.model.renewal import Retry, retry_delay
from certcore.model.renewal_info import first_info
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.ca_module import Failed, Issued, Step, Waiting, WaitingFor
from certcore.x509.chain import Chain

__all__ = [
    "LEAF_REJECTED",
    "Held",
    "after_failure",
    "after_step",
    "after_trouble",
    "counted",
    "expired",
    "installed",
    "problem_of",
    "reinstated",
]

#: What a failure counts towards `TOO_MUCH`: a CA that is down gets some minutes, one that refuses for good none.
_WEIGHT: Final = MappingProxyType({Retry.SOON: 1, Retry.SLOW: 2, Retry.NEVER: TOO_MUCH})
#: A "try again" that is nearer than this says nothing about when.
_NO_WORD: Final = timedelta(seconds=1)
_A_MINUTE: Final = timedelta(minutes=1)
_A_DAY: Final = timedelta(days=1, minutes=1)
#: The type of the problem of a leaf that was refused.
LEAF_REJECTED: Final = "urn:certcore:leaf-rejected"
_REJECTED_LATEST: Final = timedelta(days=7)
#: Without a leaf in service, nobody waits for a CA for longer than this while there are others.
_AN_HOUR: Final = timedelta(hours=1)


@frozen(kw_only=True)
class Held:
    """A certificate under lease, with what belongs to it."""

    schedule: Schedule
    certificate: Certificate
    #: The current and the active issuance, and any other that may still hold something outside.
    issuances: tuple[Issuance, ...]
    #: The CA profiles of the certificate and of its issuances, as they were when the lease began.
    authorities: tuple[CertificateAuthority, ...]
    #: What happened and is not stored yet.
    events: tuple[Event, ...] = ()
    #: Private keys that are new and not stored yet, sealed, and those that nobody needs any more.
    new_keys: tuple[tuple[SecretName, SealedSecret], ...] = ()
    dropped_keys: tuple[SecretName, ...] = ()

    def authority(self, authority_id: str | None) -> CertificateAuthority:
        """One of the CA profiles.

        Raises:
            NotFound: It was deleted, or there never was one.
        """
        for one in self.authorities:
            if one.id == authority_id:
                return one
        raise NotFound("authority", authority_id or "")

    @property
    def active(self) -> Issuance | None:
        """The issuance whose leaf is in service."""
        return next((one for one in self.issuances if one.id == self.certificate.active_issuance_id), None)

    def with_issuance(self, issuance: Issuance) -> Held:
        """The same with one issuance in its new state."""
        others = tuple(one for one in self.issuances if one.id != issuance.id)
        return evolve(self, issuances=(*others, issuance))

    def moved(self, certificate: Certificate, kind: EventKind | None, now: datetime, **event: object) -> Held:
        """The same with the certificate in its new state, and an event that tells of it (None: not worth one)."""
        events = self.events
        if kind is not None:
            told = Event(
                certificate_id=certificate.id,
                kind=kind,
                at=now,
                from_status=self.certificate.status,
                to_status=certificate.status,
                **event,  # type: ignore[arg-type]
            )
            events = (*events, told)
        return evolve(self, certificate=certificate, events=events)

    def due(self, due_at: datetime | None, *, attempts: int | None = None) -> Held:
        """The same with the time of its next look; never later than the end of an active leaf."""
        certificate = self.certificate
        if certificate.status is Status.ACTIVE and certificate.not_after is not None:
            due_at = certificate.not_after if due_at is None else min(due_at, certificate.not_after)
        changed = self.schedule.attempts if attempts is None else attempts
        schedule = evolve(self.schedule, due_at=due_at, needed_by=certificate.not_after, attempts=changed)
        return evolve(self, schedule=schedule)


def after_step(held: Held, issuance: Issuance, step: Waiting | Failed, *, now: datetime, roll: float) -> Held:
    """The new state after a module's step that brought no leaf.

    Args:
        held: The state before.
        issuance: The issuance that the step was about.
        step: What the module returned.
        now: The present moment.
        roll: A random number from 0 to 1, for the time of the next attempt.
    """
    match step:
        case Waiting():
            return _waiting(held, issuance, step, now)
        case Failed():
            return after_failure(held, issuance, step, now=now, roll=roll)
        case _:
            assert_never(step)


def counted(issuance: Issuance, step: Step, now: datetime, *, left: int) -> Issuance:
    """The issuance with the order that a step placed, if it did; so many were left."""
    state = issuance.engine_state
    is_new = issuance.module_state is None or not state.orders
    at_work = isinstance(step, Issued) or (isinstance(step, Waiting) and step.waiting_for is WaitingFor.AUTHORITY)
    placed = step.ordered if step.ordered is not None else is_new and at_work
    return evolve(issuance, engine_state=state.ordered(now, left=left)) if placed else issuance


def _waiting(held: Held, issuance: Issuance, step: Waiting, now: datetime) -> Held:
    certificate = held.certificate
    works = step.waiting_for is WaitingFor.AUTHORITY
    status = transition(certificate.status, Action.PROCESS if works else Action.WAIT)
    first = issuance.module_state is None
    kind = None
    if status is not certificate.status or (first and not works):
        kind = EventKind.PROCESSING if works else EventKind.WAITING
    moved = evolve(
        issuance,
        module_state=dict(step.state),
        findings=issuance.findings if step.findings is None else dict(step.findings),
        needs_clean_up=issuance.needs_clean_up if step.needs_clean_up is None else step.needs_clean_up,
    )
    if step.waiting_for is WaitingFor.OWNER and issuance.authority_id != certificate.authority_id:
        # This CA was only tried because another one failed. What it asks of the owner must not keep that one waiting.
        moved = evolve(moved, authority_failures=TOO_MUCH)
    moved = looked(moved, step.waiting_for, now)
    problem = stalled(moved, step.waiting_for, now)
    leaves = problem is not None or (step.waiting_for is WaitingFor.TURN and _cannot_wait(held, step.look_again, now))
    if certificate.fallbacks and leaves:
        return held.with_issuance(evolve(moved, authority_failures=TOO_MUCH)).due(now)
    if problem is not None and (certificate.problem is None or certificate.problem.type != STALLED):
        kind = EventKind.ATTEMPT_FAILED
    changed = certificate
    if kind is not None or certificate.problem != problem:
        # A problem of the last attempt is over as soon as this one gets further.
        changed = evolve(certificate, status=status, problem=problem, updated_at=now)
    look_again = not_too_often(moved, bounded(certificate, step.look_again, step.waiting_for, now), now)
    return held.with_issuance(moved).moved(changed, kind, now, problem=problem).due(look_again)


def installed(
    held: Held,
    issuance: Issuance,
    chain: Chain,
    now: datetime,
    *,
    asks_renewal_info: bool,
    data: Mapping[str, object],
) -> Held:
    """The state after a leaf was put into service.

    Args:
        held: The state before.
        issuance: With what the module's last step left.
        chain: What was issued.
        now: The present moment.
        asks_renewal_info: Whether the module can ask the CA when it wants a leaf to be renewed.
        data: What else the event tells.
    """
    certificate = held.certificate
    leaf = chain.leaf
    issued = evolve(
        issuance,
        outcome=Outcome.ISSUED,
        leaf_pem=chain.leaf_pem,
        chain_pem=chain.chain_pem,
        leaf=leaf,
        problem=None,
        renewal_info=first_info(leaf, now) if asks_renewal_info else None,
        finished_at=now,
    )
    changed = evolve(
        certificate,
        status=transition(certificate.status, Action.INSTALL),
        issuance_id=None,
        active_issuance_id=issuance.id,
        not_after=leaf.not_after,
        problem=None,
        updated_at=now,
    )
    told = {
        "serial": leaf.serial_hex,
        "not_after": leaf.not_after.isoformat(),
        "issuer": leaf.issuer,
        "names": list(leaf.names),
        "purpose": str(issuance.purpose),
        **data,
    }
    # Due at once: what the issuance still holds is taken back, and then it is worked out when to renew.
    return held.with_issuance(issued).moved(changed, EventKind.INSTALLED, now, data=told).due(now, attempts=0)


def after_failure(
    held: Held, issuance: Issuance, step: Failed, *, now: datetime, roll: float, forget_state: bool = False
) -> Held:
    """The state after an attempt failed; ``forget_state`` makes the module begin anew."""
    certificate = held.certificate
    attempts = held.schedule.attempts + 1
    failures = issuance.authority_failures + (_WEIGHT[step.retry] if step.of_authority else 0)
    if step.of_authority and step.retry_at is not None and _cannot_wait(held, step.retry_at, now):
        failures = TOO_MUCH
    falls_back = bool(certificate.fallbacks) and failures >= TOO_MUCH
    final = step.retry is Retry.NEVER and not falls_back
    status = transition(certificate.status, Action.FAIL if final else Action.WAIT)
    moved = evolve(
        issuance,
        module_state=None if forget_state else dict(step.state),
        findings=issuance.findings if step.findings is None else dict(step.findings),
        needs_clean_up=issuance.needs_clean_up if step.needs_clean_up is None else step.needs_clean_up,
        problem=step.problem,
        authority_failures=failures,
        outcome=Outcome.FAILED if final else None,
        finished_at=now if final else None,
        # The wait is over: what comes next is another one, of whose length nothing is known yet.
        engine_state=evolve(issuance.engine_state, waiting_since=None, looks=0),
    )
    changed = evolve(certificate, status=status, problem=step.problem, updated_at=now)
    kind = EventKind.FAILED if final else EventKind.ATTEMPT_FAILED
    pause = _pause(held, step, attempts, now=now, roll=roll, final=final)
    if final and status is not Status.ERROR:
        # A final failure of a renewal is tried again too, slowly: the active leaf's end does not wait.
        moved = evolve(moved, engine_state=evolve(moved.engine_state, retry_at=now + pause))
    after = held.with_issuance(moved).moved(changed, kind, now, problem=step.problem, data={"attempt": attempts})
    if falls_back or (final and moved.needs_clean_up):
        return after.due(now, attempts=attempts)
    if final and status is Status.ERROR:
        return after.due(None, attempts=attempts)
    # Somebody may have to be told meanwhile.
    return after.due(now + min(pause, _A_DAY), attempts=attempts)


def _pause(held: Held, step: Failed, attempts: int, *, now: datetime, roll: float, final: bool) -> timedelta:
    """How long to wait after a failure."""
    certificate = held.certificate
    left = timedelta(0) if certificate.not_after is None else certificate.not_after - now
    if final and step.problem.type == LEAF_REJECTED:
        # Another order has not helped: the next ones are rare, and more frequent towards the leaf's end.
        return min(max(left / 4, _AN_HOUR), _REJECTED_LATEST)
    pause = retry_delay(Retry.SLOW if step.retry is Retry.NEVER else step.retry, attempts, roll)
    if step.retry_at is not None and step.retry_at - now > _NO_WORD:
        # Who is told "in two seconds" each time comes less often than that.
        word = bounded(certificate, step.retry_at, WaitingFor.OWNER, now) - now
        pause = max(word, min(retry_delay(Retry.SOON, attempts, roll), _A_MINUTE))
    if certificate.status is Status.ACTIVE:
        return min(pause, max(left / 4, _A_MINUTE))
    return pause


def expired(held: Held, now: datetime) -> Held:
    """The state after the leaf in service has ended."""
    certificate = held.certificate
    changed = evolve(certificate, status=transition(certificate.status, Action.EXPIRE), updated_at=now)
    return held.moved(changed, EventKind.EXPIRED, now).due(now)


def reinstated(held: Held, now: datetime) -> Held:
    """The state after a leaf that had ended under a wrong clock is seen to be valid."""
    certificate = held.certificate
    changed = evolve(certificate, status=transition(certificate.status, Action.REINSTATE), updated_at=now)
    return held.moved(changed, EventKind.REINSTATED, now).due(now)


def problem_of(error: CertCoreError) -> Problem:
    """An error of ours as the problem that a certificate keeps."""
    return Problem(type=f"urn:certcore:{error.code}", title=error.message, advice=error.advice)


def after_trouble(held: Held, error: BaseException, *, now: datetime, roll: float) -> Held:
    """The state after a task that raised: as before, with the problem, and another try after a growing pause."""
    attempts = held.schedule.attempts + 1
    if isinstance(error, CertCoreError):
        problem = problem_of(error)
    else:
        problem = Problem(
            type="urn:certcore:internal",
            title=f"A step failed in certcore or in a plugin ({type(error).__name__}).",
            advice="It is tried again. The log has the details: please report them.",
        )
    changed = evolve(held.certificate, problem=problem, updated_at=now)
    after = held.moved(changed, EventKind.ATTEMPT_FAILED, now, problem=problem, data={"attempt": attempts})
    return after.due(now + retry_delay(Retry.SOON, attempts, roll), attempts=attempts)


def _cannot_wait(held: Held, until: datetime, now: datetime) -> bool:
    """Whether another CA, if there is one, is tried rather than waiting for this one until then."""
    certificate = held.certificate
    ends = certificate.not_after if certificate.status is Status.ACTIVE else None
    left = timedelta(0) if ends is None else ends - now
    return until - now > max(_AN_HOUR, left / 2)
