"""Asking for a certificate: generate the CSR, look again now, renew now."""

from __future__ import annotations

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.permissions import Permission
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.attempts import begin, current_attempt, is_under_way, prepare

__all__ = ["Requests"]


@frozen(kw_only=True, eq=False, slots=False)
class Requests:
    """The actions that set the engine to work."""

    contexts: Contexts
    access: Access

    def generate_csr(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Make the key and the CSR of a draft; it becomes pending, and the engine takes over.

        Raises:
            TransitionNotAllowed: It is not a draft (another call was faster, perhaps); nothing was made.
            InvalidInput: Its CA profile does not permit it any more (wildcards, say).
            NotFound: There is no such certificate.
            StaleWrite: It was edited at the same moment; nothing was stored.
            AccessDenied: The policy said no.
        """
        return self._begin(certificate_id, Action.GENERATE_CSR, Permission.CERTIFICATE_GENERATE_CSR, actor)

    def renew(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Begin a new issuance now, with a new key unless the policy keeps it; the active leaf stays in service.

        Raises:
            TransitionNotAllowed: There is nothing to renew, or it was never issued.
            InvalidInput: Its CA profile does not permit these names any more.
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        return self._begin(certificate_id, Action.RENEW, Permission.CERTIFICATE_RENEW, actor)

    def check_now(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Let the engine look at once, whatever it was waiting for.

        Instead of a first attempt that failed for good the same request goes to the CA again. Beside a leaf a new one
        is begun, as `renew` does, for whoever may renew; others only have it looked at.

        Raises:
            TransitionNotAllowed: There is nothing to look at (a draft).
            InvalidInput: A new attempt is to begin, and its CA profile does not permit these names any more.
            StaleWrite: A new attempt is to begin, and the certificate was edited at the same moment.
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        stored = self.access.certificate(actor, Permission.CERTIFICATE_CHECK, certificate_id)
        if self._has_failed_beside_leaf(stored) and self.access.allows(
            actor, Permission.CERTIFICATE_RENEW, certificate_id, owner=stored.owner
        ):
            return self._begin(certificate_id, Action.RENEW, Permission.CERTIFICATE_RENEW, actor)
        return self._look_now(certificate_id, actor)

    def _look_now(self, certificate_id: str, actor: str) -> Certificate:
        now = self.contexts.environment.now()
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.CHECK_NOW)
            changed = evolve(stored, status=status, updated_at=now)
            if stored.status is Status.ERROR and stored.issuance_id is not None:
                issuance = transaction.issuances.get(stored.issuance_id)
                # The same key and CSR, a fresh start with the CA; but for what it still holds outside.
                state = issuance.module_state if issuance.needs_clean_up else None
                transaction.issuances.save(evolve(issuance, outcome=None, finished_at=None, module_state=state))
                transaction.certificates.save_progress(changed)
            self._permit_order(transaction, stored)
            schedule = transaction.schedules.get(certificate_id)
            if status is not stored.status or not schedule.is_leased(now):
                transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            else:
                # A worker is on it, and may have looked a moment ago: it goes on with another look.
                transaction.schedules.save(evolve(schedule, due_at=now, attempts=0))
            event = Event(
                certificate_id=certificate_id,
                kind=EventKind.CHECK_REQUESTED,
                at=now,
                actor=actor,
                from_status=stored.status,
                to_status=status,
            )
            transaction.events.append([event])
        return changed

    @staticmethod
    def _permit_order(transaction: Transaction, certificate: Certificate) -> None:
        """What a user asks for may order beyond the engine's bound, see `certcore.model.order_limit`."""
        attempt = current_attempt(transaction, certificate)
        if attempt is None or attempt.engine_state.by_user:
            return
        attempt = transaction.issuances.get(attempt.id)
        transaction.issuances.save(evolve(attempt, engine_state=evolve(attempt.engine_state, by_user=True)))

    def _has_failed_beside_leaf(self, certificate: Certificate) -> bool:
        """Whether the last attempt beside the leaf in service failed for good, and there is a CA for another one."""
        if certificate.status not in (Status.ACTIVE, Status.EXPIRED) or certificate.authority_id is None:
            return False
        with self.contexts.storage.read() as transaction:
            attempt = current_attempt(transaction, certificate)
        return attempt is not None and attempt.outcome is Outcome.FAILED

    def _begin(self, certificate_id: str, action: Action, permission: Permission, actor: str) -> Certificate:
        stored = self.access.certificate(actor, permission, certificate_id)
        transition(stored.status, action)
        if action is Action.RENEW:
            with self.contexts.storage.read() as transaction:
                under_way = is_under_way(transaction, stored)
            if under_way:
                return self._look_now(certificate_id, actor)
        purpose = Purpose.ISSUE
        if action is Action.RENEW:
            purpose = Purpose.RENEW if stored.status is Status.ACTIVE else Purpose.REISSUE
        # Outside of the transaction: an RSA key takes its time.
        request = prepare(self.contexts, stored, purpose, keep_key=not stored.renewal.rotate_key)
        with self.contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            if action is not Action.RENEW or not is_under_way(transaction, current):
                return begin(self.contexts, transaction, stored, request, action, actor)
        return self._look_now(certificate_id, actor)  # the engine was faster
