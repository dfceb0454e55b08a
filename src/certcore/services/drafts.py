"""Drafts: create, edit, return to draft, delete. Saving a draft neither generates a key nor contacts the CA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Unpack

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.model.certificate import Certificate, Schedule
from certcore.model.certificate_form import INPUTS, CertificateChanges, CertificateForm, CertificateOptions
from certcore.model.conditions import with_standing
from certcore.model.edit_rules import EditRule
from certcore.model.events import EventKind
from certcore.model.identifiers import check_owner
from certcore.model.lifecycle import Action
from certcore.model.permissions import Permission
from certcore.model.transitions import transition
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.certificate_changes import (
    certificate_event,
    changes_between,
    check_editable,
    conflict,
    kept_module_data,
    read_version,
    validate,
    validate_fallbacks,
)
from certcore.services.certificate_form import new_certificate, read_form, read_new_form
from certcore.services.deletion import delete_certificate
from certcore.services.issuance_attempts import end_attempt, is_under_way, issuances_in_use

__all__ = ["Drafts", "created", "edited", "new_draft", "store_draft"]

#: The fields that can be edited in every status.
_ALWAYS: Final = frozenset(name for name, field in INPUTS.items() if field.edit_rule is EditRule.ALWAYS)


@frozen(kw_only=True, eq=False, slots=False)
class Drafts:
    """Calls for a certificate before its issuance, and its deletion."""

    _contexts: Contexts
    _access: Access

    def create(
        self,
        domain: str | None = None,
        *,
        authority: str,
        owner: str = "",
        actor: str = "system",
        **options: Unpack[CertificateOptions],
    ) -> Certificate:
        """Store a new draft.

        Args:
            domain: The primary name, as a person types it. None with a ``csr``, which determines the names.
            authority: The CA profile, by ID or name.
            owner: The tenant, if the panel has tenants.
            actor: Who makes the call.
            options: The other fields: ``aliases``, ``wildcard``, ``csr``, ``subject``, ``key_type``, ``renewal``,
                ``fallbacks`` and ``module_data``; see `certcore.model.certificate_form.CertificateOptions`.

        Raises:
            InvalidInputError: A value is invalid, or there is no such CA profile; nothing was stored.
            AccessDeniedError: The policy refused.
        """
        values = {**options, "domain": domain, "authority": authority, "owner": owner}
        return store_draft(self._contexts, created(self._contexts, self._access, values, actor), actor)

    def edit(
        self,
        certificate_id: str,
        *,
        version: int | None = None,
        actor: str = "system",
        **changes: Unpack[CertificateChanges],
    ) -> Certificate:
        """Change the given fields. All other fields, the key and the leaf are kept, and the CA is not contacted.

        In draft, every field can be edited. The renewal policy and the fallbacks can be edited in every status. The CA
        profile, its settings for the certificate, the key type and the subject can also be edited while a leaf is in
        service and no issuance is under way; the next issuance uses them. Other names need a `reissue`. The rules are
        in `certcore.model.edit_rules`.

        An imported certificate that gets a CA profile is renewed from then on, according to its policy. A certificate
        whose CA profile is removed by an empty text is no longer renewed.

        Args:
            certificate_id: The certificate.
            version: The version that the user has read. If another version is stored, the edit is refused. None for any
                version.
            actor: Who makes the call.
            changes: The fields to change: those of `create` with ``domain`` and ``authority``, see
                `certcore.model.certificate_form.CertificateChanges`.

        Raises:
            InvalidInputError: A value is invalid, or the field cannot be changed in this status, or only by a reissue.
                Nothing was stored.
            StaleWriteError: The certificate was changed meanwhile.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        stored = self._access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        changed, fields = edited(self._contexts, self._access, stored, changes, version=version, actor=actor)
        if changed is stored:
            return stored
        now = changed.updated_at
        with self._contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            under_way = is_under_way(transaction, current)
            check_editable(current, fields, under_way=under_way)  # again: the status may have changed meanwhile
            if current.version != changed.version:
                raise conflict(transaction, changed, current)
            changed = evolve(
                changed,
                status=current.status,
                issuance_id=current.issuance_id,
                active_issuance_id=current.active_issuance_id,
                not_after=current.not_after,
                problem=current.problem,
                standing=current.standing,
            )
            issuances = issuances_in_use(transaction, current)
            saved = transaction.certificates.save(with_standing(changed, issuances, now, changed_at=now))
            event = certificate_event(
                self._contexts,
                saved,
                EventKind.EDITED,
                actor,
                fields=fields,
                version=saved.version,
                changes=changes_between(current, saved),
            )
            transaction.events.append([event])
            if current.active_issuance_id is not None and not under_way:
                # The engine computes the renewal time again.
                transaction.schedules.take_over(certificate_id, due_at=now)
        return saved

    def back_to_draft(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Abandon an unfinished issuance and return to the draft. Its key is destroyed, and the module cleans up.

        Raises:
            TransitionNotAllowedError: The certificate's status does not allow it.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        self._access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        now = self._contexts.environment.now()
        with self._contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.BACK_TO_DRAFT)
            end_attempt(transaction, stored, now)
            draft = evolve(stored, status=status, issuance_id=None, problem=None, updated_at=now)
            draft = with_standing(draft, issuances_in_use(transaction, draft), now, changed_at=now)
            transaction.certificates.save_progress(draft)
            # Takes the lease from any worker; the next step cleans up what the issuance still holds outside.
            transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            event = certificate_event(self._contexts, draft, EventKind.BACK_TO_DRAFT, actor, from_status=stored.status)
            transaction.events.append([event])
        return draft

    def delete(self, certificate_id: str, *, actor: str = "system") -> None:
        """Delete a certificate with its keys and all its issuances. Its timeline is kept.

        Before that, the CA module releases what it holds outside, for example TXT values.

        Raises:
            NotFoundError: There is no such certificate.
            CertCoreError: The module could not clean up, or other processes kept taking steps; nothing was deleted. Try
                again.
            AccessDeniedError: The policy refused.
        """
        self._access.certificate(actor, Permission.CERTIFICATE_DELETE, certificate_id)
        delete_certificate(self._contexts, certificate_id, actor)


def created(contexts: Contexts, access: Access, values: Mapping[str, Any], actor: str) -> Certificate:
    """The draft that a call of `create` would store.

    Args:
        contexts: The store's module contexts.
        access: Asks the policy.
        values: The keywords of the call, ``domain``, ``authority`` and ``owner`` among them.
        actor: Who makes the call.

    Raises:
        InvalidInputError, AccessDeniedError: As in `Drafts.create`.
    """
    access.require(actor, Permission.CERTIFICATE_CREATE, owner=check_owner(values["owner"]))
    return new_draft(contexts, access, read_new_form(access, values, actor), actor)


def edited(
    contexts: Contexts,
    access: Access,
    stored: Certificate,
    changes: Mapping[str, Any],
    *,
    version: int | None,
    actor: str,
) -> tuple[Certificate, Sequence[str]]:
    """The certificate that a call of `edit` would store, and the fields that it changes; `stored` itself if none.

    Args:
        contexts: The store's module contexts.
        access: Asks the policy.
        stored: The certificate, which the actor may edit.
        changes: The keywords of the call.
        version: The version that the user has read; None: any.
        actor: Who makes the call.

    Raises:
        InvalidInputError, AccessDeniedError: As in `Drafts.edit`.
    """
    form = read_form(access, changes, actor)
    attributes = form.attributes(stored)
    if "module_data" in attributes and attributes.get("authority_id", stored.authority_id) == stored.authority_id:
        attributes["module_data"] = kept_module_data(contexts, stored, attributes["module_data"])
    # A page may post all fields; those with equal values are not changes.
    attributes = {name: value for name, value in attributes.items() if value != getattr(stored, name)}
    fields = sorted(name for name in form.filled_in if INPUTS[name].attribute in attributes)
    with contexts.storage.read() as transaction:
        under_way = is_under_way(transaction, stored)
    check_editable(stored, fields, under_way=under_way)
    now = contexts.environment.now()
    changed = evolve(stored, **attributes, updated_at=now, version=read_version(version, stored))
    if not attributes and changed.version == stored.version:
        return stored, ()
    access.require_profiles(actor, changed, before=stored)
    module_data = changes.get("module_data")
    if _ALWAYS.issuperset(fields):
        validate_fallbacks(contexts, changed, before=stored, filled_in=module_data)
        return changed, fields
    return validate(contexts, changed, before=stored, filled_in=module_data), fields


def new_draft(contexts: Contexts, access: Access, form: CertificateForm, actor: str) -> Certificate:
    """A validated draft that is not stored yet.

    Raises:
        InvalidInputError: A value is invalid, or there is no such CA profile.
        AccessDeniedError: The policy refused the CA profile.
    """
    draft = new_certificate(contexts.environment, form.attributes())
    access.require_profiles(actor, draft)
    return validate(contexts, draft)


def store_draft(
    contexts: Contexts,
    draft: Certificate,
    actor: str,
    *,
    unless: Callable[[Transaction], Certificate | None] = lambda _: None,
    data: Mapping[str, Any] = MappingProxyType({}),
) -> Certificate:
    """Store a draft with its event.

    Args:
        contexts: The store's module contexts.
        draft: See `new_draft`.
        actor: Who creates it.
        unless: Runs inside the insert transaction. If it returns a certificate, that one is returned and nothing is
            inserted.
        data: Further data of the event.
    """
    with contexts.storage.write() as transaction:
        if draft.authority_id is not None:
            transaction.authorities.get(draft.authority_id)
        existing = unless(transaction)
        if existing is not None:
            return existing
        draft = with_standing(draft, (), draft.created_at, changed_at=draft.created_at)
        transaction.certificates.add(draft)
        transaction.schedules.add(Schedule(certificate_id=draft.id))
        transaction.events.append([certificate_event(contexts, draft, EventKind.CREATED, actor, **data)])
    return draft
