"""Reissue and clone certificates. The leaf in service stays until the new leaf is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError, NoIssuanceError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.certificate_form import INPUTS, CertificateChanges
from certcore.model.conditions import with_standing
from certcore.model.events import EventKind
from certcore.model.identifiers import check_owner
from certcore.model.input_limits import true_or_false
from certcore.model.issuance import Purpose
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action
from certcore.model.names import MAX_IMPORTED_NAMES, DnsName, form_of_names
from certcore.model.permissions import Permission
from certcore.model.transitions import transition
from certcore.services.access import Access
from certcore.services.certificate_changes import certificate_event, changes_between, conflict, read_version, validate
from certcore.services.certificate_form import new_certificate, read_form
from certcore.services.drafts import store_draft
from certcore.services.issuance_attempts import begin, end_attempt, is_under_way, prepare

__all__ = ["Reissues", "as_in_service", "reissued"]


@frozen(kw_only=True, eq=False, slots=False)
class Reissues:
    """Reissue, cancel an issuance, and clone."""

    _contexts: Contexts
    _access: Access

    def reissue(
        self,
        certificate_id: str,
        *,
        keep_key: bool = False,
        version: int | None = None,
        actor: str = "system",
        **changes: Unpack[CertificateChanges],
    ) -> Certificate:
        """Request a new leaf with a new key and the given changes. All other fields are kept.

        The leaf in service stays until the new leaf is installed. An issuance under way is abandoned first. If the leaf
        in service would expire before the changed names are validated, it is renewed unchanged, and the changes are
        kept in the form (see `certcore.engine.decide`).

        Args:
            certificate_id: The certificate.
            keep_key: Whether to reuse the private key of the leaf in service. After a revocation, the key is new.
            version: The version that the user has read. If another version is stored, the call is refused. None for any
                version.
            actor: Who makes the call.
            changes: The fields to change, as in `edit`.

        Raises:
            InvalidInputError: A value is invalid, or there is no CA profile; nothing was stored.
            TransitionNotAllowedError: There is no leaf. Edit the draft, or return the certificate to draft.
            StaleWriteError: The certificate was changed meanwhile.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        stored = self._access.certificate(actor, Permission.CERTIFICATE_RENEW, certificate_id)
        changed = reissued(self._contexts, self._access, stored, changes, version=version, actor=actor)
        if true_or_false("keep_key", keep_key):
            self._check_keeps_key(changed)
        request = prepare(self._contexts, changed, Purpose.REISSUE, keep_key=keep_key, any_kind=True)
        with self._contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            if current.version != changed.version:
                raise conflict(transaction, changed, current)
            transition(current.status, Action.REISSUE)
            end_attempt(transaction, current, self._contexts.environment.now())
            details = changes_between(current, changed)
            data = {"version": changed.version + 1, "changes": details} if details else {}
            return begin(self._contexts, transaction, changed, request, Action.REISSUE, actor, **data)

    def cancel_attempt(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Abandon the issuance beside the leaf in service. Names, key type and CSR are reset to those of the leaf.

        The key of the issuance is destroyed unless the leaf uses it, and the module cleans up. A due renewal begins
        again automatically with the names of the leaf in service.

        Raises:
            TransitionNotAllowedError: There is no leaf in service. Return the certificate to draft instead.
            NoIssuanceError: No issuance is under way.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        self._access.certificate(actor, Permission.CERTIFICATE_RENEW, certificate_id)
        now = self._contexts.environment.now()
        with self._contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.CANCEL_ATTEMPT)
            if not is_under_way(transaction, stored) or stored.active_issuance_id is None:
                raise NoIssuanceError(
                    Message(
                        "certificate.no_issuance",
                        "No issuance is under way for {domain}: there is nothing to cancel.",
                        {"domain": stored.domain},
                    ),
                    domain=stored.domain.ascii,
                )
            active = transaction.issuances.get(stored.active_issuance_id)
            ended = end_attempt(transaction, stored, now)
            back = as_in_service(stored, active.names, active.key_type, active.own_csr_pem)
            changed = evolve(back, status=status, issuance_id=None, problem=None, updated_at=now)
            changed = with_standing(changed, [active], now, changed_at=now)
            saved = transaction.certificates.save(changed)
            transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            data = {"version": saved.version, "changes": changes_between(stored, saved)} if back is not stored else {}
            number = 0 if ended is None else ended.number
            event = certificate_event(
                self._contexts,
                saved,
                EventKind.ATTEMPT_CANCELLED,
                actor,
                from_status=stored.status,
                number=number,
                **data,
            )
            transaction.events.append([event])
        return saved

    def clone(
        self, certificate_id: str, domain: str | None = None, *, owner: str | None = None, actor: str = "system"
    ) -> Certificate:
        """Create a draft with the same form: names, CA profile, key type, subject, renewal policy. No key is copied.

        Args:
            certificate_id: The certificate to copy.
            domain: The primary name of the copy, which then has no aliases but keeps the wildcard. None copies all
                names; then the hints report a duplicate.
            owner: The tenant of the copy; None for that of the original.
            actor: Who makes the call.

        Raises:
            InvalidInputError: The name is invalid, or the CA profile does not allow it.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        original = self._access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        tenant = original.owner if owner is None else check_owner(owner)
        self._access.require(actor, Permission.CERTIFICATE_CREATE, owner=tenant)
        attributes = {field.attribute: getattr(original, field.attribute) for field in INPUTS.values()}
        if domain is not None:
            primary = DnsName.parse(domain)
            wildcard = original.wildcard and not primary.is_wildcard
            # A user's CSR is only valid for its own names.
            attributes |= {"domain": primary, "aliases": (), "wildcard": wildcard, "csr_pem": ""}
        copy = new_certificate(self._contexts.environment, {**attributes, "owner": tenant})
        self._access.require_profiles(actor, copy)
        copy = validate(self._contexts, copy)
        # The timeline of another tenant's certificate must not name the original.
        data = {"cloned_from": original.id} if copy.owner == original.owner else {}
        return store_draft(self._contexts, copy, actor, data=data)

    def _check_keeps_key(self, changed: Certificate) -> None:
        with self._contexts.storage.read() as transaction:
            active = transaction.issuances.get(changed.active_issuance_id or "")
        if active.key_type is not changed.key_type and not changed.csr_pem:
            raise InvalidInputError(
                "key_type",
                Message(
                    "reissue.other_key_type",
                    "{wished} does not fit the current key, which is {present}.",
                    {"wished": changed.key_type, "present": active.key_type},
                ),
                advice=Message("reissue.other_key_type.advice", "Keep the key type, or do not keep the key."),
            )


def reissued(
    contexts: Contexts,
    access: Access,
    stored: Certificate,
    changes: Mapping[str, Any],
    *,
    version: int | None,
    actor: str,
) -> Certificate:
    """The certificate with the changes of a reissue, not stored yet.

    Args:
        contexts: The store's module contexts.
        access: Asks the policy.
        stored: The certificate, which the actor may renew.
        changes: The keywords of the call.
        version: The version that the user has read; None: any.
        actor: Who makes the call.

    Raises:
        InvalidInputError, TransitionNotAllowedError, AccessDeniedError: As in `Reissues.reissue`.
    """
    form = read_form(access, changes, actor)
    if form.filled_in:
        access.require(actor, Permission.CERTIFICATE_EDIT, stored.id, owner=stored.owner)
    transition(stored.status, Action.REISSUE)
    changed = evolve(stored, **form.attributes(stored), version=read_version(version, stored))
    access.require_profiles(actor, changed, before=stored)
    return validate(contexts, changed, before=stored, filled_in=changes.get("module_data"))


def as_in_service(
    certificate: Certificate, names: tuple[DnsName, ...], key_type: KeyType, own_csr_pem: str
) -> Certificate:
    """The certificate with the names, key type and CSR of the leaf in service; unchanged if they are equal."""
    if set(names) == set(certificate.names) and own_csr_pem == certificate.csr_pem and key_type is certificate.key_type:
        return certificate
    domain, aliases, wildcard = form_of_names(names, domain=names[0], most=MAX_IMPORTED_NAMES)
    return evolve(
        certificate, domain=domain, aliases=aliases, wildcard=wildcard, key_type=key_type, csr_pem=own_csr_pem
    )
