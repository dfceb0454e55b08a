"""Transfer a certificate to another owner. The policy must permit it for both owners, and private keys are re-sealed.

The new owner gets the certificate with the leaf in service and its private key. Nothing else that depends on the old
owner's control of the domains is transferred: an issuance under way ends, the next one waits for CNAMEs with the new
owner's labels, a CSR of the old owner is removed, and consents must be given again. The next issuance generates a new
key, because the old owner may have kept the present one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from certcore.engine.certificate_keys import SealedKey, find_key, open_key
from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.conditions import with_standing
from certcore.model.events import EventKind
from certcore.model.form import fields_of
from certcore.model.hints import DnsRecord, DnsRecords
from certcore.model.identifiers import MOST_OWNER, check_identifier
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_for_hints
from certcore.model.secret import SealedSecret, SecretName
from certcore.model.views import CertificateView
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.certificate_changes import certificate_event, changes_between, conflict, read_version, validate
from certcore.services.exclusive import exclusively
from certcore.services.issuance_attempts import end_attempt, issuances_in_use
from certcore.services.reissues import as_in_service

__all__ = ["TransferPreview", "Transfers"]


@frozen(kw_only=True)
class TransferPreview:
    """The effects of a transfer that was not carried out."""

    #: The certificate after the transfer.
    certificate: Certificate
    #: The DNS records that the new owner has to set before the next issuance.
    records: tuple[DnsRecord, ...]
    #: The fields other than the owner that would change, with their old and new values as plain JSON.
    changes: Mapping[str, Mapping[str, Any]]
    #: Whether an issuance under way, or one that has failed, would be abandoned.
    ends_issuance: bool


@frozen(kw_only=True, eq=False, slots=False)
class Transfers:
    """The calls that transfer a certificate to another owner."""

    _contexts: Contexts
    _access: Access

    def preview_transfer(self, certificate_id: str, *, to: str, actor: str = "system") -> TransferPreview:
        """Show what `transfer` would do, and the DNS records that the new owner would need. Nothing is stored.

        Args:
            certificate_id: The certificate.
            to: The new owner; empty for none.
            actor: Who makes the call.

        Raises:
            InvalidInputError, NotFoundError, AccessDeniedError: As in `transfer`.
        """
        stored, changed = self._transferred(certificate_id, to, actor)
        return TransferPreview(
            certificate=changed,
            records=self._records(changed),
            changes={name: change for name, change in changes_between(stored, changed).items() if name != "owner"},
            ends_issuance=stored.issuance_id not in (None, stored.active_issuance_id),
        )

    def transfer(
        self, certificate_id: str, *, to: str, version: int | None = None, actor: str = "system"
    ) -> Certificate:
        """Transfer a certificate to another owner, with the leaf in service and its private key.

        An issuance under way is abandoned; without a leaf, the certificate becomes a draft again. The next issuance
        needs DNS records with labels of the new owner (see `preview_transfer`) and generates a new key. A CSR of the
        old owner is removed, and consents must be given again. Actors who may not see the old owner's certificates do
        not see the older events in the timeline.

        Args:
            certificate_id: The certificate.
            to: The new owner; empty for none.
            version: The version that the user has read. If another version is stored, the transfer is refused. None for
                any version.
            actor: Who makes the call. The policy must grant ``certificate.transfer`` for the old owner, and
                ``certificate.create`` and ``authority.use`` for the new owner.

        Raises:
            InvalidInputError: The certificate already belongs to this owner, or the CA profile refuses it for the new
                owner.
            StaleWriteError: The certificate was changed meanwhile.
            CertificateBusyError: A step or action is running; nothing was changed.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
            SealingError: A private key cannot be opened; nothing was changed.
        """
        stored, changed = self._transferred(certificate_id, to, actor)
        expected = evolve(changed, version=read_version(version, stored))
        if expected.version != stored.version:
            with self._contexts.storage.read() as transaction:
                raise conflict(transaction, expected, stored)

        def prepare(_: Certificate, issuances: Sequence[Issuance]) -> Mapping[SecretName, SealedSecret]:
            return self._sealed_anew(stored, changed, issuances)

        def change(transaction: Transaction, current: Certificate, keys: Mapping[SecretName, SealedSecret]) -> None:
            now = self._contexts.environment.now()
            if (current.version, current.owner) != (expected.version, stored.owner):
                raise conflict(transaction, expected, current)
            end_attempt(transaction, current, now)
            owned = _given_to(current, to, _active(transaction, current), changed.module_data)
            owned = evolve(owned, updated_at=now)
            owned = with_standing(owned, issuances_in_use(transaction, owned), now, changed_at=now)
            saved = transaction.certificates.save(owned)
            for name, sealed in keys.items():
                if transaction.secrets.get(name) is not None:  # not the key of an issuance that has just ended
                    transaction.secrets.put(name, sealed)
            transaction.schedules.take_over(current.id, due_at=now, attempts=0)
            left, arrived = (
                certificate_event(
                    self._contexts, told_of, EventKind.TRANSFERRED, actor, from_status=current.status, **data
                )
                for told_of, data in (
                    (evolve(saved, owner=current.owner), {"to": to}),
                    (saved, {"version": saved.version}),
                )
            )
            transaction.events.append([left, arrived])

        exclusively(self._contexts, certificate_id, permit=lambda _: None, prepare=prepare, change=change)
        with self._contexts.storage.read() as transaction:
            return transaction.certificates.get(certificate_id)

    def _transferred(self, certificate_id: str, to: str, actor: str) -> tuple[Certificate, Certificate]:
        """The certificate before and after the transfer, checked against the policy and the CA profile."""
        stored = self._access.certificate(actor, Permission.CERTIFICATE_TRANSFER, certificate_id)
        if check_identifier("to", to, most=MOST_OWNER) == stored.owner:
            raise InvalidInputError("to", Message("transfer.same_owner", "is the owner already."))
        self._access.require(actor, Permission.CERTIFICATE_CREATE, owner=to)
        with self._contexts.storage.read() as transaction:
            active = _active(transaction, stored)
        changed = _given_to(stored, to, active, self._impersonal(stored))
        self._access.require_profiles(actor, changed)
        return stored, validate(self._contexts, changed)

    def _impersonal(self, certificate: Certificate) -> Mapping[str, Any]:
        """The module's settings for the certificate, without consents and personal fields of the old owner."""
        if certificate.authority_id is None:
            return certificate.module_data
        with self._contexts.storage.read() as transaction:
            authority = transaction.authorities.get(certificate.authority_id)
        fields = fields_of(self._contexts.plugins.module(authority.module).certificate_type)
        consents = {field.name for field in fields if field.consent_to}
        personal = consents | {field.name for field in fields if field.personal}
        return {name: value for name, value in certificate.module_data.items() if name not in personal}

    def _sealed_anew(
        self, before: Certificate, after: Certificate, issuances: Sequence[Issuance]
    ) -> Mapping[SecretName, SealedSecret]:
        """The private keys of the issuances, sealed for the new owner."""
        keys: list[SealedKey] = []
        with self._contexts.storage.read() as transaction:
            for issuance in issuances:
                key = find_key(transaction, before, issuance)
                if key is not None:
                    keys.append(key)
        vault = self._contexts.vault
        return {key.name: vault.seal(open_key(key, vault), key.name, owner=after.owner) for key in keys}

    def _records(self, certificate: Certificate) -> tuple[DnsRecord, ...]:
        """The DNS records that the owner of a certificate has to set, from the module's hints."""
        if certificate.authority_id is None:
            return ()
        with self._contexts.storage.read() as transaction:
            authority = transaction.authorities.get(certificate.authority_id)
        module, context = self._contexts.context(authority)
        draft = evolve(certificate, status=Status.DRAFT, issuance_id=None, active_issuance_id=None, not_after=None)
        view = CertificateView(
            certificate=draft,
            authority=authority,
            issuance=None,
            active=None,
            events=(),
            schedule=None,
            now=self._contexts.environment.now(),
        )
        about = evolve(context, owner=certificate.owner)
        hints = call_for_hints(authority.module, "hints", module.hints, view, about)
        return tuple(record for hint in hints if isinstance(hint, DnsRecords) for record in hint.rows)


def _active(transaction: Transaction, certificate: Certificate) -> Issuance | None:
    """The issuance whose leaf is in service."""
    active_id = certificate.active_issuance_id
    return None if active_id is None else transaction.issuances.get(active_id)


def _given_to(
    certificate: Certificate, owner: str, active: Issuance | None, module_data: Mapping[str, Any]
) -> Certificate:
    """The certificate with another owner, without an issuance under way and without the old owner's CSR."""
    has_attempt = certificate.issuance_id not in (None, certificate.active_issuance_id)
    if has_attempt and active is not None:
        certificate = as_in_service(certificate, active.names, active.key_type, active.own_csr_pem)
    is_unissued = certificate.status in (Status.PENDING, Status.PROCESSING, Status.ERROR)
    return evolve(
        certificate,
        owner=owner,
        status=Status.DRAFT if is_unissued else certificate.status,
        issuance_id=None if has_attempt else certificate.issuance_id,
        problem=None if has_attempt else certificate.problem,
        csr_pem="",
        renewal=evolve(certificate.renewal, rotate_key=True),
        module_data=module_data,
    )
