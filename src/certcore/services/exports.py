"""Taking a certificate and its private key out: authorised, and on the record."""

from __future__ import annotations

from attrs import frozen

from certcore.engine.contexts import Contexts
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance
from certcore.model.permissions import Permission
from certcore.model.secret import Secret
from certcore.services.access import Access

__all__ = ["Exported", "Exports"]


@frozen(kw_only=True)
class Exported:
    """A leaf in service with what a server needs to present it."""

    leaf_pem: str
    #: The intermediates in order; empty when the leaf was signed by a root.
    chain_pem: str
    #: Leaf and intermediates: what a server presents.
    fullchain_pem: str
    #: PKCS#8 PEM.
    private_key: Secret


@frozen(kw_only=True, eq=False, slots=False)
class Exports:
    """The only way by which a private key leaves the store."""

    contexts: Contexts
    access: Access

    def reveal_private_key(self, certificate_id: str, *, reason: str, actor: str = "system") -> Secret:
        """The private key as PKCS#8 PEM: of the leaf in service, or of the attempt under way.

        Args:
            certificate_id: Whose key.
            reason: Why; it goes on the record.
            actor: Who asks.

        Raises:
            InvalidInput: No reason is given.
            NotFound: There is no such certificate.
            CertCoreError: There is no key yet.
            AccessDenied: The policy said no.
            SealingError: The key does not open.
        """
        return self._reveal(certificate_id, reason=reason, actor=actor)[1]

    def export(self, certificate_id: str, *, reason: str, actor: str = "system") -> Exported:
        """Leaf, chain and private key of the leaf in service.

        Raises:
            CertCoreError: No leaf was issued yet.
            InvalidInput, NotFound, AccessDenied, SealingError: As `reveal_private_key`.
        """
        issuance, key = self._reveal(certificate_id, reason=reason, actor=actor, issued=True)
        return Exported(
            leaf_pem=issuance.leaf_pem or "",
            chain_pem=issuance.chain_pem or "",
            fullchain_pem=issuance.fullchain_pem or "",
            private_key=key,
        )

    def _reveal(self, certificate_id: str, *, reason: str, actor: str, issued: bool = False) -> tuple[Issuance, Secret]:
        if not reason.strip():
            raise InvalidInput("reason", "a reason is needed to take a private key out.")
        self.access.certificate(actor, Permission.CERTIFICATE_REVEAL_KEY, certificate_id)
        with self.contexts.storage.read() as transaction:
            certificate = transaction.certificates.get(certificate_id)
            wanted = certificate.active_issuance_id or (None if issued else certificate.issuance_id)
            if wanted is None:
                missing = "certificate was issued" if issued else "key was made"
                raise CertCoreError(
                    f"No {missing} for {certificate.domain} yet (it is {certificate.status}).",
                    advice="Look at its hints to see what it is waiting for." if issued else "Generate the CSR first.",
                )
            issuance = transaction.issuances.get(wanted)
            sealed = transaction.secrets.get(issuance.key_name)
        if sealed is None:
            raise CertCoreError(f"The private key of {certificate.domain} is not in the store.")
        key = self.contexts.vault.open(sealed, issuance.key_name)
        with self.contexts.storage.write() as transaction:
            # On the record before it leaves.
            event = Event(
                certificate_id=certificate_id,
                kind=EventKind.KEY_REVEALED,
                at=self.contexts.environment.now(),
                actor=actor,
                from_status=certificate.status,
                to_status=certificate.status,
                data={"reason": reason.strip()[:500], "issuance": issuance.number},
            )
            transaction.events.append([event])
        return issuance, key
