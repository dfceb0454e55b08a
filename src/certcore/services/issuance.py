"""Issuance: generate the CSR, check now, renew now."""

from __future__ import annotations

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.model.certificate import Certificate
from certcore.model.conditions import with_standing
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.model.lifecycle import Action, Status
from certcore.model.permissions import Permission
from certcore.model.transitions import transition
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.issuance_attempts import begin, current_attempt, is_under_way, prepare

__all__ = ["Requests"]


@frozen(kw_only=True, eq=False, slots=False)
class Requests:
    """The calls that begin an issuance or make its next step due."""

    _contexts: Contexts
    _access: Access

    def generate_csr(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Generate the key and CSR of a draft. It becomes pending, and the engine continues the issuance.

        Raises:
            TransitionNotAllowedError: The certificate is not a draft; nothing was stored.
            InvalidInputError: The CA profile does not allow the names or settings, for example wildcards.
            NotFoundError: There is no such certificate.
            StaleWriteError: The certificate was edited at the same time; nothing was stored.
            AccessDeniedError: The policy refused.
        """
        return self._begin(certificate_id, Action.GENERATE_CSR, Permission.CERTIFICATE_GENERATE_CSR, actor)

    def renew(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Begin a new issuance now, with a new key unless the policy keeps it. The present leaf stays in service.

        Raises:
            TransitionNotAllowedError: The status does not allow a renewal, for example because there was never a leaf.
            InvalidInputError: The CA profile does not allow these names.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        return self._begin(certificate_id, Action.RENEW, Permission.CERTIFICATE_RENEW, actor)

    def check_now(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Make the next step due now, whatever the certificate waits for.

        A first issuance that failed permanently is repeated with the same CSR. If an issuance beside a leaf failed
        permanently, a new one begins as with `renew`; if the actor may not renew, the certificate is only checked.

        Raises:
            TransitionNotAllowedError: The certificate is a draft.
            InvalidInputError: A new issuance would begin, but the CA profile does not allow these names.
            StaleWriteError: A new issuance would begin, but the certificate was edited at the same time.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        stored = self._access.certificate(actor, Permission.CERTIFICATE_CHECK, certificate_id)
        if self._has_failed_beside_leaf(stored) and self._access.allows(
            actor, Permission.CERTIFICATE_RENEW, certificate_id, owner=stored.owner
        ):
            return self._begin(certificate_id, Action.RENEW, Permission.CERTIFICATE_RENEW, actor)
        return self._look_now(certificate_id, actor)

    def _look_now(self, certificate_id: str, actor: str) -> Certificate:
        now = self._contexts.environment.now()
        with self._contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.CHECK_NOW)
            changed = evolve(stored, status=status, updated_at=now)
            if stored.status is Status.ERROR and stored.issuance_id is not None:
                issuance = transaction.issuances.get(stored.issuance_id)
                # Start again at the CA with the same key and CSR. The state is kept while the module holds resources
                # outside.
                state = issuance.module_state if issuance.needs_clean_up else None
                issuance = evolve(issuance, outcome=None, finished_at=None, module_state=state)
                transaction.issuances.save(issuance)
                changed = with_standing(changed, [issuance], now, changed_at=now)
                transaction.certificates.save_progress(changed)
            self._permit_order(transaction, stored)
            schedule = transaction.schedules.get(certificate_id)
            if status is not stored.status or not schedule.is_leased(now):
                transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            else:
                # A worker holds the lease and may have just checked, so it checks once more.
                transaction.schedules.save(evolve(schedule, due_at=now, attempts=0))
            event = Event(
                certificate_id=certificate_id,
                kind=EventKind.CHECK_REQUESTED,
                at=now,
                owner=stored.owner,
                actor=actor,
                from_status=stored.status,
                to_status=status,
            )
            transaction.events.append([event])
        return changed

    @staticmethod
    def _permit_order(transaction: Transaction, certificate: Certificate) -> None:
        """Permit an order of a user to exceed the engine's limit, see `certcore.model.order_limit`."""
        attempt = current_attempt(transaction, certificate)
        if attempt is None or attempt.engine_state.by_user:
            return
        attempt = transaction.issuances.get(attempt.id)
        transaction.issuances.save(evolve(attempt, engine_state=evolve(attempt.engine_state, by_user=True)))

    def _has_failed_beside_leaf(self, certificate: Certificate) -> bool:
        """Whether the last issuance beside the leaf failed permanently, and there is a CA profile for another one."""
        if certificate.status not in (Status.ACTIVE, Status.EXPIRED) or certificate.authority_id is None:
            return False
        with self._contexts.storage.read() as transaction:
            attempt = current_attempt(transaction, certificate)
        return attempt is not None and attempt.outcome is Outcome.FAILED

    def _begin(self, certificate_id: str, action: Action, permission: Permission, actor: str) -> Certificate:
        stored = self._access.certificate(actor, permission, certificate_id)
        transition(stored.status, action)
        if action is Action.RENEW:
            with self._contexts.storage.read() as transaction:
                under_way = is_under_way(transaction, stored)
            if under_way:
                return self._look_now(certificate_id, actor)
        purpose = Purpose.ISSUE
        if action is Action.RENEW:
            purpose = Purpose.RENEW if stored.status is Status.ACTIVE else Purpose.REISSUE
        # Outside the transaction, because generating an RSA key is slow.
        request = prepare(self._contexts, stored, purpose, keep_key=not stored.renewal.rotate_key)
        with self._contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            if action is not Action.RENEW or not is_under_way(transaction, current):
                return begin(self._contexts, transaction, stored, request, action, actor)
        return self._look_now(certificate_id, actor)  # the engine has begun an issuance meanwhile
