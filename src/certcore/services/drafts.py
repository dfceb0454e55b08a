"""Drafts: create, edit, back to draft, delete. Saving touches neither key nor CA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import asdict, evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.errors import CertCoreError, InvalidInput, InvalidName, NotFound, StaleWrite
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

__all__ = ["Drafts"]

_MAX_OWNER: Final = 100
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
        self.access.require(actor, Permission.CERTIFICATE_CREATE, owner=_owner(owner))
        now = self.contexts.environment.now()
        draft = Certificate(
            id=self.contexts.environment.new_id(),
            owner=_owner(owner),
            domain=DnsName.parse(domain),
            aliases=_aliases(aliases),
            wildcard=_boolean("wildcard", wildcard),
            subject=_subject(subject),
            key_type=KeyType.parse(key_type),
            renewal=renewal or RenewalPolicy(),
            authority_id=authority,
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
        subject: Subject | Mapping[str, str] | None = None,
        key_type: KeyType | str | None = None,
        renewal: RenewalPolicy | None = None,
        module_data: Mapping[str, Any] | None = None,
        version: int | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Change what is given; what is not given stays. Neither key nor CA is touched.

        Everything can be changed in draft; the renewal policy in every status.

        Args:
            certificate_id: Which certificate.
            version: The version that was read; a save over a newer one is refused. None: whatever there is.
            domain, authority, aliases, wildcard, subject, key_type, renewal, module_data, actor: As in `create`.
                Of ``subject`` and ``module_data`` given as mappings, only the given members change.

        Raises:
            InvalidInput: A field is wrong; nothing was stored.
            TransitionNotAllowed: It is not a draft any more.
            StaleWrite: Somebody else saved first.
            NotFound: There is no such certificate or CA profile.
            AccessDenied: The policy said no.
        """
        stored = self.access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        changes: dict[str, Any] = {}
        if domain is not None:
            changes["domain"] = DnsName.parse(domain)
        if authority is not None:
            changes["authority_id"] = authority
        if aliases is not None:
            changes["aliases"] = _aliases(aliases)
        if wildcard is not None:
            changes["wildcard"] = _boolean("wildcard", wildcard)
        if subject is not None:
            changes["subject"] = _subject(subject, stored.subject)
        if key_type is not None:
            changes["key_type"] = KeyType.parse(key_type)
        if module_data is not None:
            changes["module_data"] = {**stored.module_data, **module_data}
        action = Action.EDIT if changes or renewal is None else Action.CHANGE_RENEWAL
        if renewal is not None:
            changes["renewal"] = renewal
        now = self.contexts.environment.now()
        changed = evolve(stored, **changes, updated_at=now, version=stored.version if version is None else version)
        transition(stored.status, action)
        if action is Action.EDIT:
            changed = self._checked(changed)
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
        module = self.contexts.plugins.module(authority.module)
        settings: object = structure(module.certificate_type, certificate.module_data)
        module.check_request(self.contexts.profile(authority), names, settings)
        return evolve(certificate, module_data=unstructure(settings))

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


def _aliases(aliases: Iterable[str] | str) -> tuple[DnsName, ...]:
    if isinstance(aliases, str):
        aliases = aliases.replace(",", "\n").replace(";", "\n").splitlines()
    try:
        given = [alias for alias in aliases if not isinstance(alias, str) or alias.strip()]
    except TypeError:
        raise InvalidName("aliases", "must be a list of names.") from None
    return tuple(DnsName.parse(alias, field="aliases") for alias in given)


def _subject(subject: Subject | Mapping[str, str] | None, stored: Subject | None = None) -> Subject:
    if subject is None or isinstance(subject, Subject):
        return subject or Subject()
    known = Subject.field_names()
    for name in subject:
        if name not in known:
            raise InvalidInput(str(name)[:60], "there is no such subject field.", advice=f"Known: {', '.join(known)}.")
    return evolve(stored or Subject(), **subject)


def _owner(owner: str) -> str:
    if not isinstance(owner, str) or len(owner) > _MAX_OWNER or not (owner == "" or owner.isprintable()):
        raise InvalidInput("owner", f"must be printable text of at most {_MAX_OWNER} characters.")
    return owner


def _boolean(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(field, "must be true or false.")
    return value
