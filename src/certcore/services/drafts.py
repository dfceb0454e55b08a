"""Drafts: create, edit, back to draft, delete. Saving touches neither key nor CA."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.model.bounds import LONGEST_ID, text_within
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import EventKind
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action, transition
from certcore.model.permissions import Permission
from certcore.model.renewal import RenewalPolicy
from certcore.model.subject import Subject
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.attempts import end_attempt, is_under_way
from certcore.services.deletion import delete_certificate
from certcore.services.edits import (
    certificate_event,
    changes_between,
    check_editable,
    check_fallback_consents,
    check_fallbacks,
    checked,
    conflict,
    kept_module_data,
    read_version,
)
from certcore.services.inputs import (
    fallbacks_of,
    fields_set,
    given_changes,
    members_of,
    names_given,
    owner_of,
    renewal_of,
    subject_of,
)

__all__ = ["Drafts"]

#: What can be changed in every status.
_LASTING: Final = frozenset({"renewal", "fallbacks"})


@frozen(kw_only=True, eq=False, slots=False)
class Drafts:
    """Everything that a user does to a certificate before it is requested, and deleting it."""

    contexts: Contexts
    access: Access

    def create(  # noqa: PLR0913 - one keyword per field of the form
        self,
        domain: str | None = None,
        *,
        authority: str,
        csr: str | bytes | None = None,
        aliases: Iterable[str] | str = (),
        wildcard: bool = False,
        fallbacks: Iterable[str] = (),
        owner: str = "",
        subject: Subject | Mapping[str, str] | None = None,
        key_type: KeyType | str | None = None,
        renewal: RenewalPolicy | Mapping[str, Any] | None = None,
        module_data: Mapping[str, Any] | None = None,
        unless: Callable[[Transaction], Certificate | None] | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Store a new draft.

        Args:
            domain: The primary name, as a person types it. Not with a ``csr``, whose names count.
            authority: The id of the CA profile.
            csr: A certificate signing request of the user's own (PEM or DER): its private key never comes here, and the
                same request is used at renewals. It says the names and the key type.
            aliases: Further names, or one text with a name per line.
            wildcard: Also ``*.domain``.
            fallbacks: The ids of further CA profiles, tried in this order when the first one keeps failing for reasons
                of its own.
            owner: The tenant, if the panel has tenants.
            subject: The subject fields.
            key_type: The kind of key to make; ``ec-p256`` when None. Not with a ``csr``.
            renewal: When to renew.
            module_data: The CA module's own fields.
            unless: Looks for one in the transaction that would store the draft, and locks what has to be locked. What
                it finds is returned, and nothing is stored.
            actor: Who does this.

        Raises:
            InvalidInput: A field is wrong; nothing was stored.
            NotFound: There is no such CA profile.
            StaleWrite: What ``unless`` locks was taken by somebody else: look again.
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.CERTIFICATE_CREATE, owner=owner_of(owner))
        now = self.contexts.environment.now()
        names = names_given(domain, aliases, wildcard=wildcard, key_type=key_type, csr=csr)
        draft = Certificate(
            id=self.contexts.environment.new_id(),
            owner=owner_of(owner),
            **names,
            subject=subject_of(subject),
            renewal=renewal_of(renewal),
            authority_id=text_within("authority", authority, LONGEST_ID),
            fallbacks=fallbacks_of(fallbacks),
            module_data={} if module_data is None else members_of("module_data", module_data),
            created_at=now,
            updated_at=now,
        )
        self.access.require_profiles(actor, draft)
        new = checked(self.contexts, draft)
        with self.contexts.storage.write() as transaction:
            transaction.authorities.get(authority)
            found = None if unless is None else unless(transaction)
            if found is not None:
                return found
            transaction.certificates.add(new)
            transaction.schedules.add(Schedule(certificate_id=new.id))
            transaction.events.append([certificate_event(self.contexts, new, EventKind.CREATED, actor)])
        return new

    def edit(  # noqa: PLR0913 - one keyword per field of the form
        self,
        certificate_id: str,
        *,
        domain: str | None = None,
        authority: str | None = None,
        aliases: Iterable[str] | str | None = None,
        wildcard: bool | None = None,
        csr: str | bytes | None = None,
        fallbacks: Iterable[str] | None = None,
        subject: Subject | Mapping[str, str] | None = None,
        key_type: KeyType | str | None = None,
        renewal: RenewalPolicy | Mapping[str, Any] | None = None,
        module_data: Mapping[str, Any] | None = None,
        version: int | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Change what is given and differs; everything else stays. Neither key nor CA is touched.

        Everything can be changed in draft; the renewal policy and the fallbacks in every status. The CA profile, its
        own settings, the key type and the subject can be changed beside a leaf, too, while no attempt is under way:
        they count from the next issuance on. Other names take a `reissue`. `certcore.model.fields` has the table.

        An imported certificate that gets a CA profile here renews from then on, by its policy; any certificate whose
        CA profile is taken away, by empty text, does not renew any more.

        Args:
            certificate_id: Which certificate.
            version: The version that was read; a save over a newer one is refused. None: whatever there is.
            csr: As in `create`; empty text goes back to a key of ours.
            domain, authority, aliases, wildcard, fallbacks, subject, key_type, renewal, module_data, actor:
                As in `create`. Of ``subject``, ``renewal`` and ``module_data`` given as mappings, only the given
                members change.

        Raises:
            InvalidInput: A field is wrong, or takes a reissue; nothing was stored.
            TransitionNotAllowed: It is unfinished: take it back to draft first.
            StaleWrite: Somebody else saved first.
            NotFound: There is no such certificate or CA profile.
            AccessDenied: The policy said no.
        """
        stored = self.access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        given = {
            "domain": domain,
            "authority": authority,
            "aliases": aliases,
            "wildcard": wildcard,
            "csr": csr,
            "fallbacks": fallbacks,
            "subject": subject,
            "key_type": key_type,
            "renewal": renewal,
            "module_data": module_data,
        }
        # A form that is posted whole changes what differs, and nothing else.
        wished = given_changes(stored, given)
        if "module_data" in wished and wished.get("authority_id", stored.authority_id) == stored.authority_id:
            wished["module_data"] = kept_module_data(self.contexts, stored, wished["module_data"])
        changes = {attribute: value for attribute, value in wished.items() if value != getattr(stored, attribute)}
        named = fields_set(given, changes)
        check_editable(stored, named, under_way=self._under_way(stored))
        now = self.contexts.environment.now()
        changed = evolve(stored, **changes, updated_at=now, version=read_version(version, stored))
        if not changes and changed.version == stored.version:
            return stored
        self.access.require_profiles(actor, changed, before=stored)
        if set(named) <= _LASTING:
            check_fallbacks(self.contexts, changed)
            check_fallback_consents(self.contexts, changed, before=stored, given=module_data)
        else:
            changed = checked(self.contexts, changed, before=stored, given=module_data)
        with self.contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            under_way = is_under_way(transaction, current)
            check_editable(current, named, under_way=under_way)  # again: somebody may have been faster
            if current.version != changed.version:
                raise conflict(transaction, changed, current)
            saved = transaction.certificates.save(
                evolve(
                    changed,
                    status=current.status,
                    issuance_id=current.issuance_id,
                    active_issuance_id=current.active_issuance_id,
                    not_after=current.not_after,
                    problem=current.problem,
                )
            )
            event = certificate_event(
                self.contexts,
                saved,
                EventKind.EDITED,
                actor,
                fields=sorted(named),
                version=saved.version,
                changes=changes_between(current, saved),
            )
            transaction.events.append([event])
            if current.active_issuance_id is not None and not under_way:
                # The engine works out anew when to renew.
                transaction.schedules.take_over(certificate_id, due_at=now)
        return saved

    def back_to_draft(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Give an unfinished attempt up and edit again. Its key is destroyed, and what it holds outside taken back.

        Raises:
            TransitionNotAllowed: The certificate's status does not permit it.
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        now = self.contexts.environment.now()
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.BACK_TO_DRAFT)
            end_attempt(transaction, stored, now)
            draft = evolve(stored, status=status, issuance_id=None, problem=None, updated_at=now)
            transaction.certificates.save_progress(draft)
            # Overtakes any worker; the engine's next look lets the module take back what the attempt still holds.
            transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            event = certificate_event(self.contexts, draft, EventKind.BACK_TO_DRAFT, actor, from_status=stored.status)
            transaction.events.append([event])
        return draft

    def delete(self, certificate_id: str, *, actor: str = "system") -> None:
        """Delete a certificate with its keys and all its issuances; its timeline stays.

        What the CA module still holds outside (TXT values) is taken back first.

        Raises:
            NotFound: There is no such certificate.
            CertCoreError: The module could not take something back, or others kept working on it; nothing was deleted.
                Try again.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_DELETE, certificate_id)
        delete_certificate(self.contexts, certificate_id, actor)

    def _under_way(self, certificate: Certificate) -> bool:
        with self.contexts.storage.read() as transaction:
            return is_under_way(transaction, certificate)
