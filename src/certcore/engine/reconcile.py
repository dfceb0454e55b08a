"""`Engine`: look at one certificate as it stands, take at most one step, and say when to look again.

Level-triggered: nothing here relies on having seen an event. A crash, a restart, a double call or a user's action in
between is survived by looking again. Every step's outcome is written in one transaction, under a lease whose token
the database checks, so that the result of a worker that was overtaken is refused.
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

from certcore.engine.clocks import Sweep, repaired
from certcore.engine.contexts import Contexts, secrets_in
from certcore.engine.crossings import take_back
from certcore.engine.decide import Decision, Task, decide
from certcore.engine.flaws import sound_step
from certcore.engine.leases import LEASE, LeaseKeeper
from certcore.engine.leaves import Fate, Verdict, install, keep, refuse, verdict_on
from certcore.engine.notices import tell
from certcore.engine.orders import hold_back, limit_for
from certcore.engine.outcome import Held, after_step, after_trouble, counted, expired, problem_of, reinstated
from certcore.engine.renewals import ask_renewal_info, fall_back, set_change_aside, start_renewal
from certcore.engine.rows import authorities_of, in_time, store_changes
from certcore.engine.troubles import put_off
from certcore.errors import CertCoreError, LeaseLost, NotFound, PluginError, StorageError, StorageUnavailable
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Schedule
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.notices import NoticePolicy
from certcore.model.order_limit import OrderLimit
from certcore.model.plugin_calls import call_plugin, is_interrupt
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Issued, Step, SupportsCleanUp, SupportsRenewalInfo
from certcore.ports.environment import Environment
from certcore.ports.plugins import Plugins
from certcore.ports.sealing import Vault
from certcore.ports.storage import LockWait, Storage

__all__ = ["Engine", "Reconciled"]

_log = logging.getLogger(__name__)
_A_MINUTE = timedelta(minutes=1)
_AFTER_FAILED_CLEAN_UP: Final = timedelta(minutes=5)
#: Between two calls of a module's `clean_up` that says "later": no shorter and no longer than this.
_CLEAN_UP_PAUSE: Final = timedelta(minutes=1)
_CLEAN_UP_LATEST: Final = timedelta(days=1)


@frozen(kw_only=True)
class Reconciled:
    """What one look at a certificate led to."""

    certificate_id: str
    #: None when the certificate was not there any more.
    status: Status | None
    #: When to look again; None when only a user's action can change anything.
    look_again: datetime | None
    #: Whether a step was taken.
    stepped: bool


@frozen(kw_only=True, eq=False)
class Engine:
    """Reconciles certificates; thread-safe, and any number of processes may do so on one store."""

    storage: Storage
    vault: Vault
    plugins: Plugins
    environment: Environment
    contexts: Contexts
    #: Of what is told by itself.
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
        """Who holds the leases: unique per process."""
        return self.leases.owner

    def reconcile(self, certificate_id: str) -> Reconciled:
        """Look at one certificate and take at most one step.

        Harmless at any time: before the certificate is due, or while somebody else works on it, nothing happens.
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
            taken: Held | Schedule = claim
            try:
                taken = self.load(claim)
                after = self.step(taken, keep_lease=False)
            except (NotFound, LeaseLost):
                raise
            except BaseException as error:  # boundary: whatever ends the step, the lease does not outlive it
                self.give_up(taken, error)
                raise
        except (NotFound, LeaseLost):
            return self._overtaken(certificate_id)
        return Reconciled(
            certificate_id=certificate_id,
            status=after.certificate.status,
            look_again=after.schedule.due_at,
            stepped=True,
        )

    def give_up(self, taken: Held | Schedule, error: BaseException) -> None:
        """Give a certificate back whose step raised; should that fail, the lease runs out by itself.

        It is due again at once when the store or an interrupt was the reason, and later and later (see
        `certcore.engine.troubles.put_off`) when it is its own trouble.

        Args:
            taken: From `load`; or from `claim_due`, when it could not be loaded.
            error: What was raised.
        """
        with contextlib.suppress(StorageError):
            if isinstance(error, StorageUnavailable) or is_interrupt(error):
                self.release(taken.schedule if isinstance(taken, Held) else taken)
            else:
                put_off(taken, error, storage=self.storage, environment=self.environment)

    def claim_due(self, limit: int) -> Sequence[Schedule]:
        """Lease up to ``limit`` certificates that are due."""
        now = self.environment.now()
        self.sweep.run(now)
        with self.storage.write() as transaction:
            return transaction.schedules.claim_due(now=now, owner=self.owner, lease_until=now + LEASE, limit=limit)

    def load(self, schedule: Schedule) -> Held:
        """What belongs to a leased certificate.

        Raises:
            NotFound: It was deleted in the meantime.
        """
        with self.storage.read() as transaction:
            certificate = transaction.certificates.get(schedule.certificate_id)
            # All of them: one that a user set aside may still hold something outside.
            issuances = transaction.issuances.of_certificate(certificate.id)
            authorities = tuple(authorities_of(transaction, certificate, issuances))
        return Held(schedule=schedule, certificate=certificate, issuances=tuple(issuances), authorities=authorities)

    def release(self, schedule: Schedule) -> None:
        """Give the lease back without a step; nothing happens when it is lost already."""
        try:
            with self.storage.write(LockWait.NONE) as transaction:
                transaction.schedules.save(evolve(schedule, lease_owner="", lease_until=None))
        except (LeaseLost, NotFound):
            return

    def step(self, held: Held, *, keep_lease: bool | timedelta) -> Held:
        """Take one step of a leased certificate and store its outcome.

        Args:
            held: From `load`, or from the step before.
            keep_lease: Whether to keep the lease afterwards; a timedelta keeps it when the next look is that near.

        Returns:
            The new state; its schedule has a lease_owner exactly when the lease was kept.

        Raises:
            LeaseLost: Somebody else took over; nothing was written.
            NotFound: The certificate was deleted.
        """
        with self.leases.keep(held.schedule):
            return self._step(held, keep_lease=keep_lease)

    def _step(self, held: Held, *, keep_lease: bool | timedelta) -> Held:
        now = self.environment.now()
        stored = evolve(held, events=(), new_keys=(), dropped_keys=())
        before = repaired(stored, now)
        decision = decide(before.certificate, before.issuances, now)
        told = tell(before, self.notices, now)
        if told is not None:
            return self._store(stored, told.due(now), keep_lease=keep_lease)
        after, again = before, None
        try:
            if decision.task is Task.CLEAN_UP:
                after, again = self._clean_up_any(before)
                if again is None:
                    return self._store(stored, after, keep_lease=keep_lease)
                # What cannot be taken back now keeps nothing else waiting: a renewal least of all.
                decision = decide(before.certificate, before.issuances, now, clean_up=False)
            after = self._taken_alone(before, decision, now)
            due_at = after.schedule.due_at
            if again is not None:
                after = after.due(again if due_at is None else min(due_at, again))
            return self._store(stored, after, keep_lease=keep_lease)
        except (LeaseLost, NotFound, StorageError):
            if decision.task is Task.ADVANCE and decision.issuance is not None:
                take_back(after, decision.issuance.id, self.contexts)
            raise

    def _taken_alone(self, before: Held, decision: Decision, now: datetime) -> Held:
        """As `_taken`; what goes wrong is this certificate's problem, and neither the worker's nor that of others."""
        try:
            return self._taken(before, decision, now)
        except (LeaseLost, NotFound, StorageError):
            raise
        except Exception as error:  # isolation: it is tried again later and later, and others have their turn
            what = error.message if isinstance(error, CertCoreError) else f"{type(error).__name__}\n{_frames(error)}"
            _log.error("The task %s of certificate %s failed: %s", decision.task, before.certificate.id, what)
            return after_trouble(before, error, now=now, roll=self.environment.roll())

    def _taken(self, before: Held, decision: Decision, now: datetime) -> Held:
        """The state after a step; not for `Task.CLEAN_UP`."""
        match decision.task:
            case Task.ADVANCE if decision.issuance is not None:
                return self._advance(before, decision.issuance)
            case Task.START_RENEWAL if decision.issuance is not None:
                return start_renewal(before, decision.issuance, self.contexts)
            case Task.SET_CHANGE_ASIDE if decision.issuance is not None:
                return set_change_aside(before, decision.issuance, self.contexts)
            case Task.FALL_BACK if decision.issuance is not None:
                return fall_back(before, decision.issuance, self.contexts)
            case Task.ASK_RENEWAL_INFO if decision.issuance is not None:
                asked = ask_renewal_info(before, decision.issuance, self.contexts)
                return self._rest(asked, decide(asked.certificate, asked.issuances, now))
            case Task.EXPIRE:
                return expired(before, now)
            case Task.REINSTATE:
                return reinstated(before, now)
            case _:
                return self._rest(before, decision)

    def _advance(self, held: Held, issuance: Issuance) -> Held:
        roll = self.environment.roll()
        now = self.environment.now()
        if issuance.engine_state.kept_chain:
            verdict = verdict_on(issuance.engine_state.kept_chain, issuance, now)
            # One that was ordered anew meanwhile goes on, unless this one serves by now.
            if verdict.fate is Fate.INSTALL or not issuance.engine_state.kept_beside:
                return self._take_leaf(held, issuance, verdict, now)
        limit = limit_for(held, issuance, now)
        if (held_back := hold_back(held, issuance, limit, now)) is not None:
            return held_back
        try:
            step = self._ask_module(held, issuance, limit)
        except (LeaseLost, StorageError):  # not the fault of the module or the CA: nothing happened, look again
            raise
        except CertCoreError as error:  # no such module, a key that does not open, a module's bug
            _log.warning("Certificate %s cannot be advanced: %s", held.certificate.id, error)
            # What a module with a bug has taken hold of before, nobody knows: it is asked to take it back at the end.
            state = issuance.module_state or {}
            step = Failed(state=state, problem=problem_of(error), retry=Retry.SOON, needs_clean_up=True)
        now = self.environment.now()
        issuance = counted(issuance, step, now, left=limit.left)
        if not isinstance(step, Issued):
            return after_step(held, issuance, step, now=now, roll=roll)
        holds = issuance.needs_clean_up if step.needs_clean_up is None else step.needs_clean_up
        issued = evolve(issuance, module_state=dict(step.state), needs_clean_up=holds)
        return self._take_leaf(held, issued, verdict_on(step.chain_pem, issued, now), now)

    def _take_leaf(self, held: Held, issuance: Issuance, verdict: Verdict, now: datetime) -> Held:
        match verdict.fate:
            case Fate.INSTALL:
                module = self.plugins.module(held.authority(issuance.authority_id).module)
                asks = isinstance(module, SupportsRenewalInfo)
                after = install(held, issuance, verdict, now, asks_renewal_info=asks)
                return self._rest(after, decide(after.certificate, after.issuances, now))
            case Fate.KEEP | Fate.KEEP_AND_ORDER | Fate.REFUSE:
                cleaned, current = held, issuance
                if issuance.needs_clean_up:  # the CA has validated: nobody asks for what is held outside any more
                    cleaned = self._clean_up(held.with_issuance(issuance), issuance)
                    current = next(one for one in cleaned.issuances if one.id == issuance.id)
                if verdict.fate is Fate.KEEP:
                    return keep(cleaned, current, verdict, now)
                return refuse(cleaned, current, verdict, now=now, roll=self.environment.roll())
            case _:
                assert_never(verdict.fate)

    def _ask_module(self, held: Held, issuance: Issuance, limit: OrderLimit) -> Step:
        authority = held.authority(issuance.authority_id)
        module, work = self.contexts.work(
            authority, held.certificate, issuance, active=held.active, lease=held.schedule, orders=limit
        )
        check = partial(sound_step, secrets=secrets_in(work.profile))
        step: Step = call_plugin(authority.module, "advance", module.advance, work, returns=check)
        if step.needs_clean_up and not isinstance(module, SupportsCleanUp):
            reason = "it returned needs_clean_up=True, and the module has no method clean_up."
            raise PluginError(authority.module, "advance", reason)
        return step

    def _clean_up_any(self, held: Held) -> tuple[Held, datetime | None]:
        """Let the module take back what one of the issuances holds: the first for which it can.

        Returns:
            The new state; and, when it could for none, when to try again.
        """
        again: list[datetime] = []
        for issuance in held.issuances:
            if not issuance.needs_clean_up or issuance.outcome is None:
                continue
            after = self._clean_up(held, issuance)
            if not any(one.id == issuance.id and one.needs_clean_up for one in after.issuances):
                return after, None
            again += [after.schedule.due_at] if after.schedule.due_at is not None else []
        return held, min(again, default=None)

    def _clean_up(self, held: Held, issuance: Issuance) -> Held:
        """Let the module take back what the issuance holds; when that fails it is tried again later."""
        now = self.environment.now()
        again: datetime | None = None
        try:
            authority = held.authority(issuance.authority_id)
        except NotFound as error:  # the CA profile is gone, and with it whatever could be taken back
            _log.warning("Nobody can clean up after certificate %s: %s", held.certificate.id, error)
        else:
            again = self._cleaned_up(held, issuance, authority, now)
        if again is not None:
            return held.due(min(max(again, now + _CLEAN_UP_PAUSE), now + _CLEAN_UP_LATEST))
        cleaned = held.with_issuance(evolve(issuance, needs_clean_up=False))
        return self._rest(cleaned, decide(cleaned.certificate, cleaned.issuances, now))

    def _cleaned_up(
        self, held: Held, issuance: Issuance, authority: CertificateAuthority, now: datetime
    ) -> datetime | None:
        """None when the module has taken back what the issuance holds; else when to try again."""
        try:
            module, work = self.contexts.work(authority, held.certificate, issuance, lease=held.schedule)
            if not isinstance(module, SupportsCleanUp):
                return None
            again: datetime | None = call_plugin(
                authority.module, "clean_up", module.clean_up, work, returns=datetime | None
            )
        except (LeaseLost, StorageError):
            raise
        except Exception as error:  # isolation: what cannot be taken back now is tried again, whatever the reason
            what = error.message if isinstance(error, CertCoreError) else type(error).__name__
            _log.warning("Cleaning up after certificate %s failed: %s", held.certificate.id, what)
            return now + _AFTER_FAILED_CLEAN_UP
        return again

    def _rest(self, held: Held, decision: Decision) -> Held:
        if decision.task is Task.REST:
            return held.due(decision.look_again)
        return held.due(self.environment.now())

    def _store(self, before: Held, after: Held, *, keep_lease: bool | timedelta) -> Held:
        now = self.environment.now()
        after = in_time(after, self.notices, now)
        with self.storage.write() as transaction:
            asked = transaction.schedules.get(before.certificate.id)
            if asked.token == before.schedule.token and asked.due_at != before.schedule.due_at:
                # Somebody wants it looked at, since this step began.
                after = evolve(after, schedule=evolve(after.schedule, due_at=asked.due_at, attempts=asked.attempts))
            due_at = after.schedule.due_at
            if isinstance(keep_lease, timedelta):
                keep_lease = due_at is not None and due_at - now <= keep_lease
            schedule = self._leased(after.schedule, now, keep=keep_lease)
            transaction.schedules.save(schedule)  # checks the token: first, so that nothing else is written without it
            store_changes(transaction, before, after)
        return evolve(after, schedule=schedule)

    def _leased(self, schedule: Schedule, now: datetime, *, keep: bool) -> Schedule:
        owner, until = (self.owner, now + LEASE) if keep else ("", None)
        return evolve(schedule, lease_owner=owner, lease_until=until, written_at=now)

    def _overtaken(self, certificate_id: str) -> Reconciled:
        try:
            with self.storage.read() as transaction:
                status = transaction.certificates.get(certificate_id).status
                due_at = transaction.schedules.get(certificate_id).due_at
        except NotFound:
            return Reconciled(certificate_id=certificate_id, status=None, look_again=None, stepped=False)
        return Reconciled(certificate_id=certificate_id, status=status, look_again=due_at, stepped=False)


def _frames(error: Exception) -> str:
    """Where it was raised; what it says might hold a secret."""
    return "".join(traceback.format_tb(error.__traceback__))
