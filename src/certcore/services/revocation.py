"""Revoking the leaf in service."""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from certcore.engine.certificate_keys import find_key, open_key
from certcore.engine.contexts import Contexts, handed_out
from certcore.errors import CertCoreError, InvalidInput, NotFound
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance, Purpose
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.ports.ca_module import SupportsRevocation
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.identifiers import check_id
from certcore.services.revoked_leaves import put_out_of_service, tell_other_holders

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

        The account that ordered the leaf for this certificate asks for it, else its private key does. A leaf that was
        imported without its key was not ordered here, so that it is not revoked from here. Any other certificate that
        has the same leaf in service becomes revoked, too.

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
            CertCoreError: The CA module cannot revoke, or the leaf was imported without its private key.
            SealingError: The private key does not open, or is not that of the leaf.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_REVOKE, certificate_id)
        why = RevocationReason.parse(reason)
        if authority is not None:
            check_id("authority", authority)
        with self.contexts.storage.read() as transaction:
            certificate = transaction.certificates.get(certificate_id)
            transition(certificate.status, Action.REVOKE)
            issuance = transaction.issuances.get(certificate.active_issuance_id or "")
        known = (issuance.authority_id, certificate.authority_id, *certificate.fallbacks)
        if authority is not None and authority not in known:
            check_id("authority", authority)
            use, sees = Permission.AUTHORITY_USE, Permission.AUTHORITY_VIEW
            self.access.require_visible(actor, use, authority, sees=sees, kind="authority", owner=certificate.owner)
        with self.contexts.storage.read() as transaction:
            through = _through(transaction, certificate, issuance, authority)
        self._require_proof(certificate, issuance)
        module, context = self.contexts.context(through)
        if not isinstance(module, SupportsRevocation):
            raise CertCoreError(
                f"The CA module {module.name} cannot revoke certificates.", advice="Revoke it on the CA's own page."
            )
        arguments = (handed_out(issuance), why, lambda: self._key(certificate, issuance), context)
        call_plugin(through.module, "revoke", module.revoke, *arguments, returns=None)
        # Before the certificate itself: should this process die in between, the call is repeated.
        tell_other_holders(self.contexts, issuance, why, through.id)
        changed = self._confirmed(certificate_id, issuance, why, actor)
        tell_other_holders(self.contexts, issuance, why, through.id)  # who took the leaf in meanwhile
        return changed

    def _require_proof(self, certificate: Certificate, issuance: Issuance) -> None:
        """Refuse to ask for a leaf that was taken in without its key: anybody can have it from a handshake or a log.

        Raises:
            CertCoreError: Nothing shows that the leaf is this owner's.
            SealingError: The key does not open, or is not that of the leaf.
        """
        if issuance.purpose is Purpose.IMPORT and self._key(certificate, issuance) is None:
            raise CertCoreError(
                f"The certificate for {certificate.domain} was imported without its private key, and was not ordered "
                "here: its CA is not asked to revoke it.",
                advice="Import it with its private key, or revoke it where it was ordered.",
            )

    def _key(self, certificate: Certificate, issuance: Issuance) -> Secret | None:
        with self.contexts.storage.read() as transaction:
            key = find_key(transaction, certificate, issuance)
        return None if key is None else open_key(key, self.contexts.vault)

    def _confirmed(self, certificate_id: str, revoked: Issuance, why: RevocationReason, actor: str) -> Certificate:
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            if stored.status is Status.REVOKED and stored.active_issuance_id == revoked.id:
                return stored  # another call was faster
            # The leaf may have gone out of service meanwhile: replaced by a renewal, or expired.
            return put_out_of_service(self.contexts, transaction, stored, revoked, why, actor=actor)


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
