"""Revoking the leaf in service."""

from __future__ import annotations

from contextlib import suppress

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.errors import CertCoreError, InvalidInput, NotFound
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.ports.ca_module import SupportsRevocation
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.attempts import end_attempt
from certcore.services.inputs import check_id

__all__ = ["Revocation"]


@frozen(kw_only=True, eq=False, slots=False)
class Revocation:
    """Tells the CA that a leaf is not to be trusted any more."""

    contexts: Contexts
    access: Access

    def revoke(
        self,
        certificate_id: str,
        *,
        reason: RevocationReason | str = RevocationReason.UNSPECIFIED,
        authority: str | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Revoke the leaf in service at its CA. It cannot be undone; ``renew`` gets a new leaf, with a new key.

        The CA is asked while the call lasts. The certificate becomes revoked only when the CA has confirmed, and a call
        that fails, or whose process dies, can be repeated: a leaf that is revoked already counts as confirmed. A
        renewal under way is given up, for it may have the same key.

        Args:
            certificate_id: Whose leaf.
            reason: Why; the CA publishes it.
            authority: The id of the CA profile to ask through; the one that issued when None, or, when that is gone,
                the certificate's present one. Any profile of the same CA will do where the private key is here.
            actor: Who asks.

        Raises:
            TransitionNotAllowed: There is no leaf in service.
            InvalidInput: The reason is none, or a CA profile has to be named.
            NotFound: There is no such certificate or CA profile.
            CAError: The CA refused, or could not be asked; nothing was changed.
            PluginError: The CA module failed; nothing was changed.
            CertCoreError: The CA module cannot revoke.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_REVOKE, certificate_id)
        why = RevocationReason.parse(reason)
        with self.contexts.storage.read() as transaction:
            certificate = transaction.certificates.get(certificate_id)
            transition(certificate.status, Action.REVOKE)
            issuance = transaction.issuances.get(certificate.active_issuance_id or "")
        known = (issuance.authority_id, certificate.authority_id, *certificate.fallbacks)
        if authority is not None and authority not in known:
            self.access.require(actor, Permission.AUTHORITY_USE, authority, owner=certificate.owner)
            check_id("authority", authority)
        with self.contexts.storage.read() as transaction:
            through = _through(transaction, certificate, issuance, authority)
        module, context = self.contexts.context(through)
        if not isinstance(module, SupportsRevocation):
            raise CertCoreError(
                f"The CA module {module.name} cannot revoke certificates.", advice="Revoke it on the CA's own page."
            )
        arguments = (issuance, why, lambda: self._key(issuance), context)
        call_plugin(through.module, "revoke", module.revoke, *arguments, returns=None)
        return self._confirmed(certificate_id, issuance, why, actor)

    def _key(self, issuance: Issuance) -> Secret | None:
        with self.contexts.storage.read() as transaction:
            sealed = transaction.secrets.get(issuance.key_name)
        return None if sealed is None else self.contexts.vault.open(sealed, issuance.key_name)

    def _confirmed(self, certificate_id: str, revoked: Issuance, why: RevocationReason, actor: str) -> Certificate:
        now = self.contexts.environment.now()
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            if stored.status is Status.REVOKED and stored.active_issuance_id == revoked.id:
                return stored  # another call was faster
            changed = stored
            if stored.active_issuance_id == revoked.id and stored.status is Status.ACTIVE:
                status = transition(stored.status, Action.REVOKE)
                changed = evolve(stored, status=status, issuance_id=revoked.id, problem=None, updated_at=now)
                # Overtakes any worker; its next look takes back what an attempt that was given up still holds.
                transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
                end_attempt(transaction, stored, now)
                transaction.certificates.save_progress(changed)
            # Else it went out of service meanwhile: replaced by a renewal, or expired. The record tells of it anyway.
            serial = "" if revoked.leaf is None else revoked.leaf.serial_hex
            event = Event(
                certificate_id=certificate_id,
                kind=EventKind.REVOKED,
                at=now,
                actor=actor,
                from_status=stored.status,
                to_status=changed.status,
                data={"reason": str(why), "serial": serial},
            )
            transaction.events.append([event])
        return changed


def _through(
    transaction: Transaction, certificate: Certificate, issuance: Issuance, wanted: str | None
) -> CertificateAuthority:
    if wanted is not None:
        return transaction.authorities.get(wanted)
    for one in filter(None, (issuance.authority_id, certificate.authority_id)):
        with suppress(NotFound):
            return transaction.authorities.get(one)
    raise InvalidInput(
        "authority",
        f"the leaf of {certificate.domain} was issued elsewhere, or its CA profile is gone.",
        advice="Name a CA profile of the CA that issued it; the private key proves that you may revoke it.",
    )
