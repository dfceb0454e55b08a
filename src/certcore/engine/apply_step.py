"""Apply a module's step to the certificate: pure functions from (certificate, issuance, step) to new values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, assert_never

from attrs import evolve, frozen

from certcore.engine.look_again import STALLED, bounded, looked, not_too_often, stalled
from certcore.errors import CertCoreError, NotFoundError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import Event, EventKind
from certcore.model.issuance import TOO_MUCH, Issuance, Outcome
from certcore.model.lifecycle import Action, Status
from certcore.model.problem import Problem
from certcore.model.renewal import Retry, retry_delay
from certcore.model.renewal_info import first_info
from certcore.model.secret import SealedSecret, SecretName
from certcore.model.transitions import transition
from certcore.ports.ca_module import Failed, Waiting, WaitingFor
from certcore.x509.chain import Chain

__all__ = [
    "LEAF_REJECTED",
    "LeasedCertificate",
    "after_failure",
    "after_step",
    "after_trouble",
    "expired",
    "installed",
    "problem_of",
    "reinstated",
]

#: How much a failure adds towards `TOO_MUCH`: a CA that is down gets some minutes, a permanent refusal none.
_WEIGHT: Final = MappingProxyType({Retry.SOON: 1, Retry.SLOW: 2, Retry.NEVER: TOO_MUCH})
#: A retry time nearer than this is ignored, as if the CA had given none.
_NO_WORD: Final = timedelta(seconds=1)
_A_MINUTE: Final = timedelta(minutes=1)
_A_DAY: Final = timedelta(days=1, minutes=1)
#: Problem type of a leaf that was rejected.
LEAF_REJECTED: Final = "urn:certcore:leaf-rejected"
_REJECTED_LATEST: Final = timedelta(days=7)
#: Without a leaf in service, a certificate with fallbacks waits no longer than this for one CA.
_AN_HOUR: Final = timedelta(hours=1)


@frozen(kw_only=True)
class LeasedCertificate:
    """A certificate under lease, with its issuances and CA profiles."""

    schedule: Schedule
    certificate: Certificate
    #: The live issuances, see `certcore.ports.certificates.IssuanceRepository.live`.
    issuances: tuple[Issuance, ...]
    #: The CA profiles of the certificate and of its issuances, as they were when the lease began.
    authorities: tuple[CertificateAuthority, ...]
    #: Events that are not stored yet.
    events: tuple[Event, ...] = ()
    #: Sealed private keys to store, and private keys to delete.
    new_keys: tuple[tuple[SecretName, SealedSecret], ...] = ()
    dropped_keys: tuple[SecretName, ...] = ()
    #: The stored state, if steps since then were not stored yet; None when this state is stored.
    stored: LeasedCertificate | None = None

    def authority(self, authority_id: str | None) -> CertificateAuthority:
        """One of the CA profiles.

        Raises:
            NotFoundError: It was deleted, or never existed.
        """
        for authority in self.authorities:
            if authority.id == authority_id:
                return authority
        raise NotFoundError("authority", authority_id or "")

    @property
    def as_stored(self) -> LeasedCertificate:
        """The stored state, without what was written with it."""
        if self.stored is not None:
            return self.stored
        if not (self.events or self.new_keys or self.dropped_keys):
            return self
        return evolve(self, events=(), new_keys=(), dropped_keys=())

    @property
    def active(self) -> Issuance | None:
        """The issuance whose leaf is in service."""
        return next((each for each in self.issuances if each.id == self.certificate.active_issuance_id), None)

    def with_issuance(self, issuance: Issuance) -> LeasedCertificate:
        """Return a copy with this issuance added or replaced."""
        others = tuple(other for other in self.issuances if other.id != issuance.id)
        return evolve(self, issuances=(*others, issuance))

    def moved(
        self, certificate: Certificate, kind: EventKind | None, now: datetime, **event: object
    ) -> LeasedCertificate:
        """Return a copy with the changed certificate, and with an event unless ``kind`` is None."""
        events = self.events
        if kind is not None:
            new_event = Event(
                certificate_id=certificate.id,
                kind=kind,
                at=now,
                owner=certificate.owner,
                from_status=self.certificate.status,
                to_status=certificate.status,
                **event,  # type: ignore[arg-type]
            )
            events = (*events, new_event)
        return evolve(self, certificate=certificate, events=events)

    def due(self, due_at: datetime | None, *, attempts: int | None = None) -> LeasedCertificate:
        """Return a copy that is due at this time, but no later than the end of the leaf in service."""
        certificate = self.certificate
        if certificate.status is Status.ACTIVE and certificate.not_after is not None:
            due_at = certificate.not_after if due_at is None else min(due_at, certificate.not_after)
        before = self.schedule
        changed = before.attempts if attempts is None else attempts
        if (before.due_at, before.needed_by, before.attempts) == (due_at, certificate.not_after, changed):
            return self
        schedule = evolve(before, due_at=due_at, needed_by=certificate.not_after, attempts=changed)
        return evolve(self, schedule=schedule)


def after_step(
    leased: LeasedCertificate, issuance: Issuance, step: Waiting | Failed, *, now: datetime, roll: float
) -> LeasedCertificate:
    """The state after a module's step that returned no leaf.

    Args:
        leased: The state before the step.
        issuance: The issuance of the step.
        step: The result that the module returned.
        now: The current time.
        roll: A random number from 0 to 1, for the time of the next attempt.
    """
    match step:
        case Waiting():
            return _waiting(leased, issuance, step, now)
        case Failed():
            return after_failure(leased, issuance, step, now=now, roll=roll)
        case _:
            assert_never(step)


def _waiting(leased: LeasedCertificate, issuance: Issuance, step: Waiting, now: datetime) -> LeasedCertificate:
    certificate = leased.certificate
    works = step.waiting_for is WaitingFor.AUTHORITY
    status = transition(certificate.status, Action.PROCESS if works else Action.WAIT)
    first = issuance.module_state is None
    kind = None
    if status is not certificate.status or (first and not works):
        kind = EventKind.PROCESSING if works else EventKind.WAITING
    if step.waiting_for is WaitingFor.ADMINISTRATOR and issuance.engine_state.waiting_for != step.waiting_for:
        kind = EventKind.WAITING  # also after another wait: observers tell the administrator
    moved = evolve(
        issuance,
        module_state=dict(step.state),
        findings=issuance.findings if step.findings is None else dict(step.findings),
        needs_clean_up=issuance.needs_clean_up if step.needs_clean_up is None else step.needs_clean_up,
    )
    if step.waiting_for is WaitingFor.OWNER and issuance.authority_id != certificate.authority_id:
        # This fallback waits for the owner: go back to the other CAs instead of waiting here.
        moved = evolve(moved, authority_failures=TOO_MUCH)
    moved = looked(moved, step.waiting_for, now)
    problem = stalled(moved, step.waiting_for, now)
    leaves = problem is not None or (step.waiting_for is WaitingFor.TURN and _cannot_wait(leased, step.look_again, now))
    if certificate.fallbacks and leaves:
        return leased.with_issuance(evolve(moved, authority_failures=TOO_MUCH)).due(now)
    if problem is not None and (certificate.problem is None or certificate.problem.type != STALLED):
        kind = EventKind.ATTEMPT_FAILED
    changed = certificate
    if kind is not None or certificate.problem != problem:
        # The problem of an earlier attempt is cleared as soon as this one makes progress.
        changed = evolve(certificate, status=status, problem=problem, updated_at=now)
    look_again = not_too_often(moved, bounded(certificate, step.look_again, step.waiting_for, now), now)
    data = {"waiting_for": str(step.waiting_for)} if kind is EventKind.WAITING else {}
    return leased.with_issuance(moved).moved(changed, kind, now, problem=problem, data=data).due(look_again)


def installed(
    leased: LeasedCertificate,
    issuance: Issuance,
    chain: Chain,
    now: datetime,
    *,
    asks_renewal_info: bool,
    data: Mapping[str, object],
) -> LeasedCertificate:
    """The state after a leaf was put into service.

    Args:
        leased: The state before.
        issuance: The issuance, with the state that the module's last step returned.
        chain: The issued leaf and its chain.
        now: The current time.
        asks_renewal_info: Whether the module can ask the CA for renewal information.
        data: Additional data of the event.
    """
    certificate = leased.certificate
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
    event_data = {
        "serial": leaf.serial_hex,
        "not_after": leaf.not_after.isoformat(),
        "issuer": leaf.issuer,
        "names": list(leaf.names),
        "purpose": str(issuance.purpose),
        **data,
    }
    # Due at once: the next step cleans up, then the renewal is scheduled.
    return leased.with_issuance(issued).moved(changed, EventKind.INSTALLED, now, data=event_data).due(now, attempts=0)


def after_failure(
    leased: LeasedCertificate,
    issuance: Issuance,
    step: Failed,
    *,
    now: datetime,
    roll: float,
    forget_state: bool = False,
) -> LeasedCertificate:
    """The state after an attempt failed; with ``forget_state`` the module starts again from an empty state."""
    certificate = leased.certificate
    attempts = leased.schedule.attempts + 1
    failures = issuance.authority_failures + (_WEIGHT[step.retry] if step.of_authority else 0)
    if step.of_authority and step.retry_at is not None and _cannot_wait(leased, step.retry_at, now):
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
        # This wait has ended; the next one is counted from its own start.
        engine_state=evolve(issuance.engine_state, waiting_since=None, looks=0),
    )
    changed = evolve(certificate, status=status, problem=step.problem, updated_at=now)
    kind = EventKind.FAILED if final else EventKind.ATTEMPT_FAILED
    pause = _pause(leased, step, attempts, now=now, roll=roll, final=final)
    if (rests_until := issuance.engine_state.rests_until) is not None:
        # If an order was placed, the number of orders left decides how long to wait. After a refusal, the longer of the
        # two pauses counts.
        pause = rests_until - now if step.ordered else max(pause, rests_until - now)
    if final and status is not Status.ERROR:
        # A permanent failure of a renewal is retried slowly, because the leaf in service will expire.
        moved = evolve(moved, engine_state=evolve(moved.engine_state, retry_at=now + pause))
    after = leased.with_issuance(moved).moved(changed, kind, now, problem=step.problem, data={"attempt": attempts})
    if falls_back or (final and moved.needs_clean_up):
        return after.due(now, attempts=attempts)
    if final and status is Status.ERROR:
        return after.due(None, attempts=attempts)
    # A notice may become due before the retry.
    return after.due(now + min(pause, _A_DAY), attempts=attempts)


def _pause(
    leased: LeasedCertificate, step: Failed, attempts: int, *, now: datetime, roll: float, final: bool
) -> timedelta:
    """How long to wait after a failure."""
    certificate = leased.certificate
    left = timedelta(0) if certificate.not_after is None else certificate.not_after - now
    if final and step.problem.type == LEAF_REJECTED:
        # New orders did not help, so order rarely, but more often towards the end of the leaf.
        return min(max(left / 4, _AN_HOUR), _REJECTED_LATEST)
    pause = retry_delay(Retry.SLOW if step.retry is Retry.NEVER else step.retry, attempts, roll)
    if step.retry_at is not None and step.retry_at - now > _NO_WORD:
        # Repeated short retry times grow like the engine's own pauses.
        word = bounded(certificate, step.retry_at, WaitingFor.OWNER, now) - now
        pause = max(word, min(retry_delay(Retry.SOON, attempts, roll), _A_MINUTE))
    if certificate.status is Status.ACTIVE:
        return min(pause, max(left / 4, _A_MINUTE))
    return pause


def expired(leased: LeasedCertificate, now: datetime) -> LeasedCertificate:
    """The state after the leaf in service has ended."""
    certificate = leased.certificate
    changed = evolve(certificate, status=transition(certificate.status, Action.EXPIRE), updated_at=now)
    return leased.moved(changed, EventKind.EXPIRED, now).due(now)


def reinstated(leased: LeasedCertificate, now: datetime) -> LeasedCertificate:
    """The state after a leaf that was marked expired under a wrong clock turns out to be valid."""
    certificate = leased.certificate
    changed = evolve(certificate, status=transition(certificate.status, Action.REINSTATE), updated_at=now)
    return leased.moved(changed, EventKind.REINSTATED, now).due(now)


def problem_of(error: CertCoreError) -> Problem:
    """Convert an error of certcore into the problem of a certificate."""
    return Problem(type=f"urn:certcore:{error.code.replace('_', '-')}", title=error.text, advice=error.advice_text)


def after_trouble(leased: LeasedCertificate, error: BaseException, *, now: datetime, roll: float) -> LeasedCertificate:
    """The state after a task raised an error: it has a problem, and the task is retried after a growing pause."""
    attempts = leased.schedule.attempts + 1
    if isinstance(error, CertCoreError):
        problem = problem_of(error)
    else:
        text = "A step failed in certcore or in a plugin ({error})."
        advice = "It will be retried. Please report the details in the log."
        problem = Problem(
            type="urn:certcore:internal",
            title=Message("core.step_failed", text, {"error": type(error).__name__}),
            advice=Message("core.step_failed.advice", advice),
        )
    changed = evolve(leased.certificate, problem=problem, updated_at=now)
    after = leased.moved(changed, EventKind.ATTEMPT_FAILED, now, problem=problem, data={"attempt": attempts})
    return after.due(now + retry_delay(Retry.SOON, attempts, roll), attempts=attempts)


def _cannot_wait(leased: LeasedCertificate, until: datetime, now: datetime) -> bool:
    """Whether to try a fallback, if the certificate has one, instead of waiting for this CA until then."""
    certificate = leased.certificate
    ends = certificate.not_after if certificate.status is Status.ACTIVE else None
    left = timedelta(0) if ends is None else ends - now
    return until - now > max(_AN_HOUR, left / 2)
