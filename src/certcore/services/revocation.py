"""Revoke the leaf in service."""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from certcore.engine.certificate_keys import find_key, open_key
from certcore.engine.module_context import Contexts, handed_out
from certcore.errors import InvalidInputError, NotFoundError, RevocationNotPossibleError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.identifiers import check_id
from certcore.model.issuance import Issuance, Purpose
from certcore.model.lifecycle import Action, Status
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.transitions import transition
from certcore.ports.ca_module import SupportsRevocation
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.revoked_leaves import put_out_of_service, tell_other_holders

__all__ = ["Revocation"]


@frozen(kw_only=True, eq=False, slots=False)
class Revocation:
    """The call that revokes the leaf in service."""

    _contexts: Contexts
    _access: Access

    def revoke(
        self,
        certificate_id: str,
        *,
        reason: RevocationReason | str = RevocationReason.UNSPECIFIED,
        authority: str | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Ask the CA to revoke the leaf in service. This cannot be undone; ``renew`` gets a new leaf with a new key.

        The request is signed with the account that ordered the leaf, or else with the leaf's private key. A leaf that
        was imported without its private key cannot be revoked. Every other certificate with the same leaf in service
        becomes revoked, too.

        The call waits for the CA, and the certificate becomes revoked when the CA has confirmed. A call that fails, or
        whose process dies, can be repeated, because an earlier revocation counts as confirmed. A renewal under way is
        abandoned, because it may use the same key.

        Args:
            certificate_id: The certificate.
            reason: The reason, which the CA publishes.
            authority: The CA profile for the request, by ID or name; None for the one that issued the leaf, or for the
                certificate's present one if that was deleted. If the private key is in the store, any CA profile of the
                same CA works.
            actor: Who makes the call.

        Raises:
            TransitionNotAllowedError: There is no leaf in service.
            InvalidInputError: The reason is unknown, or ``authority`` is required.
            NotFoundError: There is no such certificate or CA profile.
            CAError: The CA refused or could not be reached; nothing was changed.
            PluginError: The CA module failed; nothing was changed.
            RevocationNotPossibleError: The CA module cannot revoke, or the leaf was imported without its private key.
            SealingError: The private key cannot be opened, or does not belong to the leaf.
            AccessDeniedError: The policy refused.
        """
        self._access.certificate(actor, Permission.CERTIFICATE_REVOKE, certificate_id)
        why = RevocationReason.parse(reason)
        if authority is not None:
            check_id("authority", authority)
            authority = self._access.authority_id("authority", authority, actor)
        with self._contexts.storage.read() as transaction:
            certificate = transaction.certificates.get(certificate_id)
            transition(certificate.status, Action.REVOKE)
            issuance = transaction.issuances.get(certificate.active_issuance_id or "")
        known = (issuance.authority_id, certificate.authority_id, *certificate.fallbacks)
        if authority is not None and authority not in known:
            use, sees = Permission.AUTHORITY_USE, Permission.AUTHORITY_VIEW
            self._access.require_visible(actor, use, authority, sees=sees, kind="authority", owner=certificate.owner)
        with self._contexts.storage.read() as transaction:
            through = _through(transaction, certificate, issuance, authority)
        self._require_proof(certificate, issuance)
        module, context = self._contexts.context(through)
        if not isinstance(module, SupportsRevocation):
            raise RevocationNotPossibleError(
                Message(
                    "revocation.not_supported",
                    "The CA module {module} cannot revoke certificates.",
                    {"module": module.name},
                ),
                domain=certificate.domain.ascii,
                advice=Message("revocation.not_supported.advice", "Revoke it on the CA's own page."),
            )
        arguments = (handed_out(issuance), why, lambda: self._key(certificate, issuance), context)
        call_plugin(through.module, "revoke", module.revoke, *arguments, returns=None)
        # Other certificates first: if this process dies in between, the call can be repeated.
        tell_other_holders(self._contexts, issuance, why, through.id)
        changed = self._confirmed(certificate_id, issuance, why, actor)
        tell_other_holders(self._contexts, issuance, why, through.id)  # certificates that imported the leaf meanwhile
        return changed

    def _require_proof(self, certificate: Certificate, issuance: Issuance) -> None:
        """Refuse to revoke a leaf that was imported without its key: anybody can read it from a handshake or a CT log.

        Raises:
            RevocationNotPossibleError: Nothing proves that the leaf belongs to this owner.
            SealingError: The key cannot be opened, or does not belong to the leaf.
        """
        if issuance.purpose is Purpose.IMPORT and self._key(certificate, issuance) is None:
            raise RevocationNotPossibleError(
                Message(
                    "revocation.imported_without_key",
                    (
                        "The certificate for {domain} was imported without its private key and was not ordered here, "
                        "so its CA cannot be asked to revoke it."
                    ),
                    {"domain": certificate.domain},
                ),
                domain=certificate.domain.ascii,
                advice=Message(
                    "revocation.imported_without_key.advice",
                    "Import it with its private key, or revoke it where it was ordered.",
                ),
            )

    def _key(self, certificate: Certificate, issuance: Issuance) -> Secret | None:
        with self._contexts.storage.read() as transaction:
            key = find_key(transaction, certificate, issuance)
        return None if key is None else open_key(key, self._contexts.vault)

    def _confirmed(self, certificate_id: str, revoked: Issuance, why: RevocationReason, actor: str) -> Certificate:
        with self._contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            if stored.status is Status.REVOKED and stored.active_issuance_id == revoked.id:
                return stored  # another call has stored it
            # The leaf may have been replaced by a renewal, or have expired, meanwhile.
            return put_out_of_service(self._contexts, transaction, stored, revoked, why, actor=actor)


def _through(
    transaction: Transaction, certificate: Certificate, issuance: Issuance, authority: str | None
) -> CertificateAuthority:
    if authority is not None:
        return transaction.authorities.get(authority)
    for authority_id in filter(None, (issuance.authority_id, certificate.authority_id)):
        with suppress(NotFoundError):
            return transaction.authorities.get(authority_id)
    raise InvalidInputError(
        "authority",
        Message(
            "revocation.issued_elsewhere",
            "the leaf of {domain} was issued elsewhere, or its CA profile was deleted.",
            {"domain": certificate.domain},
        ),
        advice=Message(
            "revocation.issued_elsewhere.advice",
            "Name a CA profile of the CA that issued it; the private key proves that you may revoke it.",
        ),
    )
