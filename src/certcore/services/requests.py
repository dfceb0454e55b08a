"""Asking for a certificate: generate the CSR, look again now, renew now."""

from __future__ import annotations

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.permissions import Permission
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.attempts import begin, is_under_way, prepare

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
        """Let the engine look at once, whatever it was waiting for; a failed attempt is taken up again as it was made.

        Raises:
            TransitionNotAllowed: There is nothing to look at (a draft).
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_CHECK, certificate_id)
        now = self.contexts.environment.now()
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.CHECK_NOW)
            changed = evolve(stored, status=status, updated_at=now)
            failed = _failed_attempt(transaction, stored)
            if failed is not None:
                # The same key and CSR, a fresh start with the CA.
                transaction.issuances.save(evolve(failed, outcome=None, finished_at=None, module_state=None))
                transaction.certificates.save_progress(changed)
            schedule = transaction.schedules.get(certificate_id)
            if status is not stored.status or schedule.lease_until is None or schedule.lease_until <= now:
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

    def _begin(self, certificate_id: str, action: Action, permission: Permission, actor: str) -> Certificate:
        stored = self.access.certificate(actor, permission, certificate_id)
        transition(stored.status, action)
        if action is Action.RENEW:
            with self.contexts.storage.read() as transaction:
                under_way = is_under_way(transaction, stored)
            if under_way:
                return self.check_now(certificate_id, actor=actor)  # look at it now
        purpose = Purpose.ISSUE
        if action is Action.RENEW:
            purpose = Purpose.RENEW if stored.status is Status.ACTIVE else Purpose.REISSUE
        # Outside of the transaction: an RSA key takes its time.
        request = prepare(self.contexts, stored, purpose, keep_key=not stored.renewal.rotate_key)
        with self.contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            if action is not Action.RENEW or not is_under_way(transaction, current):
                return begin(self.contexts, transaction, stored, request, action, actor)
        return self.check_now(certificate_id, actor=actor)  # the engine was faster


def _failed_attempt(transaction: Transaction, certificate: Certificate) -> Issuance | None:
    """The attempt that failed for good, where there has been no other since: instead of a leaf, or beside one."""
    if certificate.issuance_id is None or certificate.status is Status.REVOKED:
        return None
    attempt = transaction.issuances.get(certificate.issuance_id)
    return attempt if attempt.outcome is Outcome.FAILED else None
