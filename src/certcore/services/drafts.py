"""Drafts: create, edit, back to draft, delete. Saving touches neither key nor CA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import asdict, evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.errors import CertCoreError, InvalidInput, NotFound, StaleWrite
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import Event, EventKind
from certcore.model.form import structure, unstructure
from certcore.model.issuance import Issuance, Outcome
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action, transition
from certcore.model.names import DnsName, certificate_names
from certcore.model.permissions import Permission
from certcore.model.renewal import RenewalPolicy
from certcore.model.secret import SecretName
from certcore.model.subject import Subject
from certcore.ports.ca_module import SupportsCleanUp
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.inputs import aliases_of, fallbacks_of, given_changes, owner_of, subject_of, true_or_false

__all__ = ["Drafts"]

#: How far back a conflict is explained.
_EDITS: Final = 50


@frozen(kw_only=True, eq=False, slots=False)
class Drafts:
    """Everything that a user does to a certificate before it is requested, and deleting it."""

    contexts: Contexts
    access: Access

    def create(  # noqa: PLR0913 - one keyword per field of the form
        self,
        domain: str,
        *,
        authority: str,
        aliases: Iterable[str] | str = (),
        wildcard: bool = False,
        fallbacks: Iterable[str] = (),
        owner: str = "",
        subject: Subject | Mapping[str, str] | None = None,
        key_type: KeyType | str = KeyType.EC_P256,
        renewal: RenewalPolicy | None = None,
        module_data: Mapping[str, Any] | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Store a new draft.

        Args:
            domain: The primary name, as a person types it.
            authority: The id of the CA profile.
            aliases: Further names, or one text with a name per line.
            wildcard: Also ``*.domain``.
            fallbacks: The ids of further CA profiles, tried in this order when the first one keeps failing for reasons
                of its own.
            owner: The tenant, if the panel has tenants.
            subject: The subject fields.
            key_type: The kind of key to make.
            renewal: When to renew.
            module_data: The CA module's own fields.
            actor: Who does this.

        Raises:
            InvalidInput: A field is wrong; nothing was stored.
            NotFound: There is no such CA profile.
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.CERTIFICATE_CREATE, owner=owner_of(owner))
        now = self.contexts.environment.now()
        draft = Certificate(
            id=self.contexts.environment.new_id(),
            owner=owner_of(owner),
            domain=DnsName.parse(domain),
            aliases=aliases_of(aliases),
            wildcard=true_or_false("wildcard", wildcard),
            subject=subject_of(subject),
            key_type=KeyType.parse(key_type),
            renewal=renewal or RenewalPolicy(),
            authority_id=authority,
            fallbacks=fallbacks_of(fallbacks),
            module_data=module_data or {},
            created_at=now,
            updated_at=now,
        )
        checked = self._checked(draft)
        with self.contexts.storage.write() as transaction:
            transaction.authorities.get(authority)
            transaction.certificates.add(checked)
            transaction.schedules.add(Schedule(certificate_id=checked.id))
            transaction.events.append([self._event(checked, EventKind.CREATED, actor)])
        return checked

    def edit(  # noqa: PLR0913 - one keyword per field of the form
        self,
        certificate_id: str,
        *,
        domain: str | None = None,
        authority: str | None = None,
        aliases: Iterable[str] | str | None = None,
        wildcard: bool | None = None,
        fallbacks: Iterable[str] | None = None,
        subject: Subject | Mapping[str, str] | None = None,
        key_type: KeyType | str | None = None,
        renewal: RenewalPolicy | None = None,
        module_data: Mapping[str, Any] | None = None,
        version: int | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Change what is given; what is not given stays. Neither key nor CA is touched.

        Everything can be changed in draft; the renewal policy and the fallbacks in every status.

        Args:
            certificate_id: Which certificate.
            version: The version that was read; a save over a newer one is refused. None: whatever there is.
            domain, authority, aliases, wildcard, fallbacks, subject, key_type, renewal, module_data, actor:
                As in `create`. Of ``subject`` and ``module_data`` given as mappings, only the given members change.

        Raises:
            InvalidInput: A field is wrong; nothing was stored.
            TransitionNotAllowed: It is not a draft any more.
            StaleWrite: Somebody else saved first.
            NotFound: There is no such certificate or CA profile.
            AccessDenied: The policy said no.
        """
        stored = self.access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        form = {
            "domain": domain,
            "authority": authority,
            "aliases": aliases,
            "wildcard": wildcard,
            "subject": subject,
            "key_type": key_type,
            "module_data": module_data,
        }
        lasting = {"renewal": renewal, "fallbacks": fallbacks}
        changes = {**given_changes(stored, form), **given_changes(stored, lasting)}
        of_form = any(value is not None for value in form.values())
        of_lasting = any(value is not None for value in lasting.values())
        action = Action.EDIT if of_form or not of_lasting else Action.CHANGE_RENEWAL
        now = self.contexts.environment.now()
        changed = evolve(stored, **changes, updated_at=now, version=stored.version if version is None else version)
        transition(stored.status, action)
        if action is Action.EDIT:
            changed = self._checked(changed)
        else:
            self._check_fallbacks(changed)
        with self.contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            transition(current.status, action)
            if current.version != changed.version:
                raise _conflict(transaction, changed, current)
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
            details = {"version": saved.version, "changes": _changes(current, saved)}
            event = self._event(saved, EventKind.EDITED, actor, fields=sorted(changes), **details)
            transaction.events.append([event])
            if action is Action.CHANGE_RENEWAL and current.issuance_id is None:
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
            for issuance in transaction.issuances.of_certificate(certificate_id):
                if issuance.id == stored.issuance_id:
                    gone = evolve(issuance, outcome=Outcome.ABANDONED, finished_at=now)
                    transaction.issuances.save(gone)
                    self._destroy_key(transaction, issuance, stored.active_issuance_id)
            draft = evolve(stored, status=status, issuance_id=None, problem=None, updated_at=now)
            transaction.certificates.save_progress(draft)
            # Overtakes any worker; the engine's next look lets the module take back what the attempt still holds.
            transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            event = self._event(draft, EventKind.BACK_TO_DRAFT, actor, from_status=stored.status)
            transaction.events.append([event])
        return draft

    def delete(self, certificate_id: str, *, actor: str = "system") -> None:
        """Delete a certificate with its keys and all its issuances; its timeline stays.

        What the CA module still holds outside (TXT values) is taken back first.

        Raises:
            NotFound: There is no such certificate.
            CertCoreError: The module could not take something back; nothing was deleted. Try again.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_DELETE, certificate_id)
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            transition(stored.status, Action.DELETE)
            issuances = transaction.issuances.of_certificate(certificate_id)
            # From here on, a worker that is in the middle of a step has its result refused and takes it back itself.
            transaction.schedules.take_over(certificate_id, due_at=None)
        for issuance in issuances:
            if issuance.needs_clean_up:
                self._clean_up(stored, issuance)
        with self.contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            for issuance in transaction.issuances.of_certificate(certificate_id):
                transaction.secrets.delete(issuance.key_name)
            transaction.certificates.delete(certificate_id)
            event = self._event(current, EventKind.DELETED, actor, domain=current.domain.ascii)
            transaction.events.append([event])

    def _clean_up(self, certificate: Certificate, issuance: Issuance) -> None:
        with self.contexts.storage.read() as transaction:
            authority = transaction.authorities.get(issuance.authority_id)
        module, work = self.contexts.work(authority, certificate, issuance)
        if isinstance(module, SupportsCleanUp) and module.clean_up(work) is not None:
            raise CertCoreError(
                f"The DNS records of {certificate.domain} could not be taken back now; it was not deleted.",
                advice="Try again in a moment.",
            )

    def _destroy_key(self, transaction: Transaction, issuance: Issuance, active_id: str | None) -> None:
        """Delete the key of an abandoned attempt, unless the leaf in service has the same one."""
        own: SecretName = issuance.key_name
        if active_id is not None and transaction.issuances.get(active_id).key_name == own:
            return
        transaction.secrets.delete(own)

    def _checked(self, certificate: Certificate) -> Certificate:
        """Check a draft as a whole against its CA profile; module data comes out normalised."""
        names = certificate_names(certificate.domain, certificate.aliases, wildcard=certificate.wildcard)
        with self.contexts.storage.read() as transaction:
            try:
                authority = transaction.authorities.get(certificate.authority_id)
            except NotFound:
                raise InvalidInput(
                    "authority",
                    f"there is no CA profile {certificate.authority_id!r}.",
                    advice="Create one first, or list the ones there are.",
                ) from None
        self._check_fallbacks(certificate)
        module, context = self.contexts.context(authority)
        settings: object = structure(module.certificate_type, certificate.module_data)
        module.check_request(context, names, settings)
        return evolve(certificate, module_data=unstructure(settings))

    def _check_fallbacks(self, certificate: Certificate) -> None:
        with self.contexts.storage.read() as transaction:
            for one in certificate.fallbacks:
                if one == certificate.authority_id:
                    raise InvalidInput("fallbacks", "the certificate's own CA profile is no fallback for itself.")
                try:
                    transaction.authorities.get(one)
                except NotFound:
                    raise InvalidInput("fallbacks", f"there is no CA profile {one[:60]!r}.") from None

    def _event(self, certificate: Certificate, kind: EventKind, actor: str, **data: Any) -> Event:
        before = data.pop("from_status", None)
        return Event(
            certificate_id=certificate.id,
            kind=kind,
            at=self.contexts.environment.now(),
            actor=actor,
            from_status=before,
            to_status=certificate.status,
            data=data,
        )


def _changes(before: Certificate, after: Certificate) -> dict[str, dict[str, Any]]:
    """The fields of the form that differ, as plain JSON; of the CA module's own fields only that they do."""
    old, new = _form(before), _form(after)
    found = {field: {"from": old[field], "to": new[field]} for field in old if old[field] != new[field]}
    if before.module_data != after.module_data:
        found["module_data"] = {"from": "…", "to": "…"}
    return found


def _form(certificate: Certificate) -> dict[str, Any]:
    return {
        "domain": certificate.domain.ascii,
        "aliases": [one.ascii for one in certificate.aliases],
        "wildcard": certificate.wildcard,
        "subject": {name: value for name, value in asdict(certificate.subject).items() if value},
        "key_type": certificate.key_type.value,
        "renewal": asdict(certificate.renewal),
        "authority": certificate.authority_id,
        "fallbacks": list(certificate.fallbacks),
    }


def _conflict(transaction: Transaction, mine: Certificate, stored: Certificate) -> StaleWrite:
    """Somebody saved since this version was read: say who, and what."""
    edits = [
        event
        for event in transaction.events.of_certificate(stored.id, limit=_EDITS)
        if event.kind is EventKind.EDITED and event.data.get("version", 0) > mine.version
    ]
    changes: dict[str, tuple[object, object]] = {}
    for event in edits:
        for field, change in event.data["changes"].items():
            first = changes[field][0] if field in changes else change["from"]
            changes[field] = (first, change["to"])
    return StaleWrite(
        "certificate",
        stored.id,
        expected=mine.version,
        found=stored.version,
        changes=changes,
        actors=[event.actor for event in edits],
    )
