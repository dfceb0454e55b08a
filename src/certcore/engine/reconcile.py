"""`Engine`: look at one certificate, take at most one step, and compute when to look again.

The engine is level-triggered: it does not rely on having seen an event. After a crash, a restart, a double call or a
user's action in between, the next look starts from the stored state. The outcome of a step is written in one
transaction, under a lease whose token the database checks. So if another worker has taken over, the outcome is refused.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, assert_never

from attrs import evolve, field, frozen

from certcore.engine.apply_step import LeasedCertificate, after_step, after_trouble, expired, problem_of, reinstated
from certcore.engine.clock_repair import Sweep, repaired
from certcore.engine.decide import Decision, Task, decide
from certcore.engine.expiry_notices import tell
from certcore.engine.failed_steps import put_off
from certcore.engine.issued_leaf import Fate, Verdict, install, keep, refuse, verdict_on
from certcore.engine.leases import LEASE, LeaseKeeper
from certcore.engine.module_context import Contexts, secrets_in
from certcore.engine.module_store import OpenStep
from certcore.engine.notes import with_notes
from certcore.engine.order_limit import OrderCount, counted, hold_back, limit_for, rests_until
from certcore.engine.overtaken_steps import take_back
from certcore.engine.renewals import ask_renewal_info, fall_back, set_change_aside, start_renewal
from certcore.engine.step_rows import authorities_of, in_time, may_be_repeated, store_changes
from certcore.engine.step_validation import sound_step
from certcore.errors import (
    CertCoreError,
    LeaseLostError,
    NotFoundError,
    PluginError,
    StorageError,
    StorageUnavailableError,
)
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Schedule
from certcore.model.conditions import with_standing
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.notice_policy import NoticePolicy
from certcore.model.order_limit import OrderLimit
from certcore.model.plugin_calls import call_plugin, is_interrupt
from certcore.model.renewal import Retry
from certcore.net.telemetry import STEP, measured
from certcore.ports.ca_module import Failed, Issued, StepResult, Waiting
from certcore.ports.environment import Environment
from certcore.ports.module_powers import can_ask_renewal_info, can_clean_up
from certcore.ports.plugins import Plugins
from certcore.ports.sealing import Vault
from certcore.ports.storage import LockWait, Storage

__all__ = ["Engine", "Reconciled"]

_log = logging.getLogger(__name__)
#: Issuances that finished within this time count for the order limit.
_RECENT: Final = timedelta(days=8)
_A_DAY: Final = timedelta(days=1)
_AFTER_FAILED_CLEAN_UP: Final = timedelta(minutes=5)
#: Shortest and longest time between two calls of a module's `clean_up` that asks to be called later.
_CLEAN_UP_PAUSE: Final = timedelta(minutes=1)
_CLEAN_UP_LATEST: Final = timedelta(days=1)


@frozen(kw_only=True)
class Reconciled:
    """The result of one look at a certificate."""

    certificate_id: str
    #: None if the certificate was deleted.
    status: Status | None
    #: When to look again; None if only a user's action can change anything.
    look_again: datetime | None
    #: Whether a step was taken.
    stepped: bool


@frozen(kw_only=True, eq=False)
class Engine:
    """Reconciles certificates. Thread-safe; any number of processes may do this on one store."""

    storage: Storage
    vault: Vault
    plugins: Plugins
    environment: Environment
    contexts: Contexts
    #: When notices are given.
    notices: NoticePolicy = field(factory=NoticePolicy)
    leases: LeaseKeeper = field(init=False, repr=False)
    sweep: Sweep = field(init=False, repr=False)

    @sweep.default
    def _own_sweep(self) -> Sweep:
        return Sweep(self.storage)

    @leases.default
    def _own_leases(self) -> LeaseKeeper:
        return LeaseKeeper(storage=self.storage, environment=self.environment)

    @property
    def owner(self) -> str:
        """The owner of the leases, unique per process."""
        return self.leases.owner

    def reconcile(self, certificate_id: str) -> Reconciled:
        """Look at one certificate and take at most one step.

        Safe to call at any time: nothing happens before the certificate is due, or while another process works on it.
        """
        now = self.environment.now()
        try:
            with self.storage.write() as transaction:
                schedule = transaction.schedules.get(certificate_id)
                leased = schedule.is_leased(now)
                sleeps = schedule.due_at is None or schedule.due_at > now
                if leased or (sleeps and not schedule.is_from_ahead(now)):
                    status = transaction.certificates.get(certificate_id).status
                    again = schedule.lease_until if leased else schedule.due_at
                    return Reconciled(certificate_id=certificate_id, status=status, look_again=again, stepped=False)
                claim = transaction.schedules.claim(certificate_id, now=now, owner=self.owner, lease_until=now + LEASE)
                if claim is None:  # pragma: no cover - the row was read in this transaction
                    return Reconciled(certificate_id=certificate_id, status=None, look_again=now, stepped=False)
            claimed: LeasedCertificate | Schedule = claim
            try:
                claimed = self.load(claim)
                after = self.step(claimed, keep_lease=False)
            except (NotFoundError, LeaseLostError):
                raise
            except BaseException as error:  # boundary: the lease is released however the step ends
                self.give_up(claimed, error)
                raise
        except (NotFoundError, LeaseLostError):
            return self._overtaken(certificate_id)
        return Reconciled(
            certificate_id=certificate_id,
            status=after.certificate.status,
            look_again=after.schedule.due_at,
            stepped=True,
        )

    def give_up(self, claimed: LeasedCertificate | Schedule, error: BaseException) -> None:
        """Release a certificate whose step raised; if that fails, the lease expires.

        After a failure of the store or an interrupt, the certificate is due again at once. After other errors the
        pauses grow (see `certcore.engine.failed_steps.put_off`).

        Args:
            claimed: The value from `load`, or from `claim_due` if the certificate could not be loaded.
            error: The error that was raised.
        """
        with contextlib.suppress(StorageError):
            if isinstance(error, StorageUnavailableError) or is_interrupt(error):
                self.release(claimed.schedule if isinstance(claimed, LeasedCertificate) else claimed)
            else:
                put_off(claimed, error, storage=self.storage, environment=self.environment)

    def claim_due(self, limit: int) -> Sequence[Schedule]:
        """Lease up to ``limit`` certificates that are due."""
        now = self.environment.now()
        self.sweep.run(now)
        with self.storage.write() as transaction:
            return transaction.schedules.claim_due(now=now, owner=self.owner, lease_until=now + LEASE, limit=limit)

    def due(self, limit: int) -> Sequence[str]:
        """The IDs of up to ``limit`` certificates that are due and not leased, most urgent first."""
        now = self.environment.now()
        self.sweep.run(now)
        with self.storage.read() as transaction:
            return transaction.schedules.due(now=now, limit=limit)

    def load(self, schedule: Schedule) -> LeasedCertificate:
        """Read a leased certificate with its live issuances and CA profiles.

        Raises:
            NotFoundError: It was deleted in the meantime.
        """
        with self.storage.read() as transaction:
            certificate = transaction.certificates.get(schedule.certificate_id)
            issuances = transaction.issuances.live(certificate, since=self.environment.now() - _RECENT)
            authorities = tuple(authorities_of(transaction, certificate, issuances))
        return LeasedCertificate(
            schedule=schedule, certificate=certificate, issuances=tuple(issuances), authorities=authorities
        )

    def put_down(self, leased: LeasedCertificate) -> None:
        """Store steps that are not stored yet and release the lease; does nothing if the lease is lost."""
        if leased.stored is None:
            self.release(leased.schedule)
            return
        with contextlib.suppress(LeaseLostError, NotFoundError):
            self._store(leased.stored, leased, OpenStep(leased.schedule), keep_lease=False)

    def release(self, schedule: Schedule) -> None:
        """Release the lease without a step; does nothing if it is lost."""
        try:
            with self.storage.write(LockWait.NONE) as transaction:
                transaction.schedules.save(evolve(schedule, lease_owner="", lease_until=None))
        except (LeaseLostError, NotFoundError):
            return

    def step(self, leased: LeasedCertificate, *, keep_lease: bool | timedelta) -> LeasedCertificate:
        """Take one step of a leased certificate and store its outcome.

        Args:
            leased: The value from `load`, or from the step before.
            keep_lease: Whether to keep the lease afterwards; a timedelta keeps it if the next look is within that time.

        Returns:
            The new state. Its schedule has a lease_owner if and only if the lease was kept.

        Raises:
            LeaseLostError: Another process took over; nothing was written.
            NotFoundError: The certificate was deleted.
        """
        stored = leased.as_stored
        certificate = leased.certificate
        about = {"certcore.certificate_id": certificate.id, "certcore.status_from": str(certificate.status)}
        with self.leases.keep(stored.schedule), measured(STEP, about) as step:
            begun = evolve(leased, events=(), stored=None) if leased.events or leased.stored else leased
            after = self._step(stored, begun, keep_lease=keep_lease)
            step.attributes["certcore.status_to"] = str(after.certificate.status)
            return after

    def _step(
        self, stored: LeasedCertificate, leased: LeasedCertificate, *, keep_lease: bool | timedelta
    ) -> LeasedCertificate:
        now = self.environment.now()
        step = OpenStep(stored.schedule)
        before = repaired(leased, now)
        noticed = tell(before, self.notices, now)
        if noticed is not None:
            return self._store(stored, noticed.due(now), step, keep_lease=keep_lease)
        decision, after, again = decide(before.certificate, before.issuances, now), before, None
        try:
            if decision.task is Task.CLEAN_UP:
                after, again = self._clean_up_any(before, step)
                if again is None:
                    return self._store(stored, after, step, keep_lease=keep_lease)
                # A clean-up that has to wait does not delay other tasks, such as a renewal.
                decision = decide(before.certificate, before.issuances, now, clean_up=False)
            after = self._run_task(before, decision, step, now)
            due_at = after.schedule.due_at
            if again is not None:
                after = after.due(again if due_at is None else min(due_at, again))
            return self._store(stored, after, step, keep_lease=keep_lease)
        except (LeaseLostError, NotFoundError, StorageError):
            if decision.task is Task.ADVANCE and decision.issuance is not None:
                take_back(after, decision.issuance.id, self.contexts)
            raise

    def _run_task(
        self, before: LeasedCertificate, decision: Decision, step: OpenStep, now: datetime
    ) -> LeasedCertificate:
        """Run a task other than `Task.CLEAN_UP`; an error becomes the problem of this certificate alone."""
        try:
            match decision.task:
                case Task.ADVANCE if decision.issuance is not None:
                    return self._advance(before, decision.issuance, step)
                case Task.START_RENEWAL if decision.issuance is not None:
                    return start_renewal(before, decision.issuance, self.contexts)
                case Task.SET_CHANGE_ASIDE if decision.issuance is not None:
                    return set_change_aside(before, decision.issuance, self.contexts)
                case Task.FALL_BACK if decision.issuance is not None:
                    return fall_back(before, decision.issuance, self.contexts)
                case Task.ASK_RENEWAL_INFO if decision.issuance is not None:
                    after = ask_renewal_info(before, decision.issuance, self.contexts, step)
                    return self._rest(after, decide(after.certificate, after.issuances, now))
                case Task.EXPIRE | Task.REINSTATE:
                    return (expired if decision.task is Task.EXPIRE else reinstated)(before, now)
                case _:
                    return self._rest(before, decision)
        except (LeaseLostError, NotFoundError, StorageError):
            raise
        except Exception as error:  # isolation: retried after a growing pause; other certificates go on
            reason = error.message if isinstance(error, CertCoreError) else f"{type(error).__name__}\n{_frames(error)}"
            _log.error("The task %s of certificate %s failed: %s", decision.task, before.certificate.id, reason)
            return after_trouble(before, error, now=now, roll=self.environment.roll())

    def _advance(self, leased: LeasedCertificate, issuance: Issuance, step: OpenStep) -> LeasedCertificate:
        roll = self.environment.roll()
        now = self.environment.now()
        if issuance.engine_state.kept_chain:
            verdict = verdict_on(issuance.engine_state.kept_chain, issuance, now)
            # Another leaf was ordered meanwhile: continue with that order, unless the kept leaf is valid now.
            if verdict.fate is Fate.INSTALL or not issuance.engine_state.kept_beside:
                return self._take_leaf(leased, issuance, verdict, step)
        if (until := rests_until(issuance, now)) is not None:
            return leased.due(min(until, now + _A_DAY))
        limit = limit_for(leased, issuance, now)
        if (held_back := hold_back(leased, issuance, limit, now)) is not None:
            return held_back
        if self._begins_holding(leased, issuance):
            # An issuance that is repeated, or was begun while the module was not loaded: stored before its first step.
            return leased.with_issuance(evolve(issuance, needs_clean_up=True)).due(now)
        step.order_count = count = OrderCount(issuance, self.environment)
        try:
            outcome = self._call_module(leased, issuance, limit, step)
        except (LeaseLostError, StorageError):  # not the fault of the module or the CA: repeat the step
            raise
        except CertCoreError as error:  # no such module, a key that does not open, a module's bug
            _log.warning("Certificate %s cannot be advanced: %s", leased.certificate.id, error)
            # It is unknown what a failing module holds, so it is asked to clean up at the end.
            state = issuance.module_state or {}
            outcome = Failed(state=state, problem=problem_of(error), retry=Retry.SOON, needs_clean_up=True)
        now = self.environment.now()
        at = count.announced_at
        issuance, outcome = counted(leased, issuance, outcome, announced_at=at, left=limit.left, now=now)
        leased, issuance = with_notes(leased, issuance, outcome, now)
        if not isinstance(outcome, Issued):
            step.is_repeatable = isinstance(outcome, Waiting) and outcome.repeatable
            return after_step(leased, issuance, outcome, now=now, roll=roll)
        holds = issuance.needs_clean_up if outcome.needs_clean_up is None else outcome.needs_clean_up
        issued = evolve(issuance, module_state=dict(outcome.state), needs_clean_up=holds)
        return self._take_leaf(leased, issued, verdict_on(outcome.chain_pem, issued, now), step)

    def _begins_holding(self, leased: LeasedCertificate, issuance: Issuance) -> bool:
        """Whether the next step is the first, and may create something outside that is not recorded yet."""
        if issuance.needs_clean_up or issuance.module_state is not None:
            return False
        return self.contexts.holds_from_start(issuance.authority_id, leased.authorities)

    def _take_leaf(
        self, leased: LeasedCertificate, issuance: Issuance, verdict: Verdict, step: OpenStep
    ) -> LeasedCertificate:
        now = self.environment.now()
        match verdict.fate:
            case Fate.INSTALL:
                module = self.plugins.module(leased.authority(issuance.authority_id).module)
                asks = can_ask_renewal_info(module)
                after = install(leased, issuance, verdict, now, asks_renewal_info=asks)
                return self._rest(after, decide(after.certificate, after.issuances, now))
            case Fate.KEEP | Fate.KEEP_AND_ORDER | Fate.REFUSE:
                cleaned, current = leased, issuance
                if issuance.needs_clean_up:  # the CA has validated, so nothing outside is needed any more
                    cleaned = self._clean_up(leased.with_issuance(issuance), issuance, step)
                    current = next(each for each in cleaned.issuances if each.id == issuance.id)
                if verdict.fate is Fate.KEEP:
                    return keep(cleaned, current, verdict, now)
                return refuse(cleaned, current, verdict, now=now, roll=self.environment.roll())
            case _:
                assert_never(verdict.fate)

    def _call_module(
        self, leased: LeasedCertificate, issuance: Issuance, limit: OrderLimit, step: OpenStep
    ) -> StepResult:
        authority = leased.authority(issuance.authority_id)
        module, work = self.contexts.work(
            authority, leased.certificate, issuance, active=leased.active, step=step, orders=limit
        )
        check = partial(sound_step, secrets=secrets_in(work.profile))
        outcome: StepResult = call_plugin(authority.module, "advance", module.advance, work, returns=check)
        if outcome.needs_clean_up and not can_clean_up(module):
            reason = "it returned needs_clean_up=True, and the module has no method clean_up."
            raise PluginError(authority.module, "advance", reason)
        return outcome

    def _clean_up_any(self, leased: LeasedCertificate, step: OpenStep) -> tuple[LeasedCertificate, datetime | None]:
        """Let the module clean up after one issuance: the first for which the clean-up succeeds.

        Returns:
            The new state; and when to try again, if no clean-up succeeded.
        """
        again: list[datetime] = []
        for issuance in leased.issuances:
            if not issuance.needs_clean_up or issuance.outcome is None:
                continue
            after = self._clean_up(leased, issuance, step)
            if not any(each.id == issuance.id and each.needs_clean_up for each in after.issuances):
                return after, None
            again += [after.schedule.due_at] if after.schedule.due_at is not None else []
        return leased, min(again, default=None)

    def _clean_up(self, leased: LeasedCertificate, issuance: Issuance, step: OpenStep) -> LeasedCertificate:
        """Let the module clean up after an issuance; if that fails, it is retried later."""
        now = self.environment.now()
        again: datetime | None = None
        try:
            authority = leased.authority(issuance.authority_id)
        except NotFoundError as error:  # without the CA profile nothing can be cleaned up
            _log.warning("The clean-up of certificate %s is impossible: %s", leased.certificate.id, error)
        else:
            again = self._cleaned_up(leased, issuance, authority, step)
        if again is not None:
            return leased.due(min(max(again, now + _CLEAN_UP_PAUSE), now + _CLEAN_UP_LATEST))
        cleaned = leased.with_issuance(evolve(issuance, needs_clean_up=False))
        return self._rest(cleaned, decide(cleaned.certificate, cleaned.issuances, now))

    def _cleaned_up(
        self, leased: LeasedCertificate, issuance: Issuance, authority: CertificateAuthority, step: OpenStep
    ) -> datetime | None:
        """Call the module's clean_up; returns when to call it again, or None if it is done."""
        try:
            module, work = self.contexts.work(authority, leased.certificate, issuance, step=step)
            if not can_clean_up(module):
                return None
            again: datetime | None = call_plugin(
                authority.module, "clean_up", module.clean_up, work, returns=datetime | None
            )
        except (LeaseLostError, StorageError):
            raise
        except Exception as error:  # isolation: the clean-up is retried
            reason = error.message if isinstance(error, CertCoreError) else type(error).__name__
            _log.warning("The clean-up of certificate %s failed: %s", leased.certificate.id, reason)
            return self.environment.now() + _AFTER_FAILED_CLEAN_UP
        return again

    def _rest(self, leased: LeasedCertificate, decision: Decision) -> LeasedCertificate:
        if decision.task is Task.REST:
            return leased.due(decision.look_again)
        return leased.due(self.environment.now())

    def _store(
        self, stored: LeasedCertificate, after: LeasedCertificate, step: OpenStep, *, keep_lease: bool | timedelta
    ) -> LeasedCertificate:
        """Store the outcome of a step in one transaction, or keep it in memory if the step may be repeated."""
        now = self.environment.now()
        after = in_time(after, self.notices, now)
        if isinstance(keep_lease, timedelta):
            due_at = after.schedule.due_at
            keep_lease = due_at is not None and due_at - now <= keep_lease
            if keep_lease and step.is_repeatable and not step.has_changes and may_be_repeated(stored, after, now):
                return evolve(after, stored=stored)
        standing = with_standing(after.certificate, after.issuances, now, changed_at=now)
        if standing is not after.certificate:
            after = evolve(after, certificate=standing)
        with self.storage.write() as transaction:
            # First, because it checks the token.
            schedule = transaction.schedules.finish(
                self._leased(after.schedule, now, keep=keep_lease), begun=stored.schedule
            )
            store_changes(transaction, stored, after)
            step.store(transaction)
        return evolve(after, schedule=schedule)

    def _leased(self, schedule: Schedule, now: datetime, *, keep: bool) -> Schedule:
        owner, until = (self.owner, now + LEASE) if keep else ("", None)
        return evolve(schedule, lease_owner=owner, lease_until=until, written_at=now)

    def _overtaken(self, certificate_id: str) -> Reconciled:
        try:
            with self.storage.read() as transaction:
                status = transaction.certificates.get(certificate_id).status
                due_at = transaction.schedules.get(certificate_id).due_at
        except NotFoundError:
            return Reconciled(certificate_id=certificate_id, status=None, look_again=None, stepped=False)
        return Reconciled(certificate_id=certificate_id, status=status, look_again=due_at, stepped=False)


def _frames(error: Exception) -> str:
    """The traceback without the message, which might contain a secret."""
    return "".join(traceback.format_tb(error.__traceback__))
