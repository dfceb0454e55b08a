"""Changing a certificate that has a leaf: what is in service stays until the new leaf is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import EventKind
from certcore.model.issuance import Purpose
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action, transition
from certcore.model.names import MAX_IMPORTED_NAMES, DnsName, form_of_names
from certcore.model.permissions import Permission
from certcore.model.subject import Subject
from certcore.services.access import Access
from certcore.services.attempts import begin, end_attempt, is_under_way, prepare
from certcore.services.edits import certificate_event, changes_between, checked, conflict, read_version
from certcore.services.inputs import given_changes, owner_of, true_or_false

__all__ = ["Reissues"]


@frozen(kw_only=True, eq=False, slots=False)
class Reissues:
    """Reissue, give a reissue up, and copy."""

    contexts: Contexts
    access: Access

    def reissue(  # noqa: PLR0913 - one keyword per field of the form
        self,
        certificate_id: str,
        *,
        keep_key: bool = False,
        domain: str | None = None,
        authority: str | None = None,
        aliases: Iterable[str] | str | None = None,
        wildcard: bool | None = None,
        csr: str | bytes | None = None,
        subject: Subject | Mapping[str, str] | None = None,
        key_type: KeyType | str | None = None,
        module_data: Mapping[str, Any] | None = None,
        version: int | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Have it issued anew, with a new key and with what is given changed; what is not given stays.

        The leaf in service stays until the new one is there. An attempt that is under way is given up first. When the
        leaf in service would end before the changed names are proven, it is renewed as it is, and the wish stays in the
        form (see `certcore.engine.decide`).

        Args:
            certificate_id: Which certificate.
            keep_key: Use the key of the leaf in service again. After a revocation the key is always a new one.
            version: The version that was read; a save over a newer one is refused. None: whatever there is.
            domain, authority, aliases, wildcard, csr, subject, key_type, module_data, actor: As in `edit`.

        Raises:
            InvalidInput: A field is wrong, or there is no CA profile; nothing was stored.
            TransitionNotAllowed: It has no leaf: edit the draft, or take it back to draft.
            StaleWrite: Somebody else saved first.
            NotFound: There is no such certificate or CA profile.
            AccessDenied: The policy said no.
        """
        stored = self.access.certificate(actor, Permission.CERTIFICATE_RENEW, certificate_id)
        given = {
            "domain": domain,
            "authority": authority,
            "aliases": aliases,
            "wildcard": wildcard,
            "csr": csr,
            "subject": subject,
            "key_type": key_type,
            "module_data": module_data,
        }
        if any(value is not None for value in given.values()):
            self.access.require(actor, Permission.CERTIFICATE_EDIT, certificate_id, owner=stored.owner)
        transition(stored.status, Action.REISSUE)
        changes = given_changes(stored, given)
        changed = evolve(stored, **changes, version=read_version(version, stored))
        self.access.require_profiles(actor, changed, before=stored)
        changed = checked(self.contexts, changed, before=stored, given=module_data)
        if true_or_false("keep_key", keep_key):
            self._check_keeps_key(changed)
        request = prepare(self.contexts, changed, Purpose.REISSUE, keep_key=keep_key, any_kind=True)
        with self.contexts.storage.write() as transaction:
            current = transaction.certificates.get(certificate_id)
            if current.version != changed.version:
                raise conflict(transaction, changed, current)
            transition(current.status, Action.REISSUE)
            end_attempt(transaction, current, self.contexts.environment.now())
            details = changes_between(current, changed)
            told = {"version": changed.version + 1, "changes": details} if details else {}
            return begin(self.contexts, transaction, changed, request, Action.REISSUE, actor, **told)

    def cancel_attempt(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """Give an attempt beside the leaf in service up; names, key type and CSR go back to those of the leaf.

        Its key is destroyed unless the leaf has the same; what it holds outside is taken back. A renewal that is due
        begins again by itself, for what is in service.

        Raises:
            TransitionNotAllowed: There is no leaf in service: take it back to draft instead.
            CertCoreError: No attempt is under way.
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_RENEW, certificate_id)
        now = self.contexts.environment.now()
        with self.contexts.storage.write() as transaction:
            stored = transaction.certificates.get(certificate_id)
            status = transition(stored.status, Action.CANCEL_ATTEMPT)
            if not is_under_way(transaction, stored) or stored.active_issuance_id is None:
                raise CertCoreError(f"No attempt is under way for {stored.domain}: there is nothing to give up.")
            active = transaction.issuances.get(stored.active_issuance_id)
            ended = end_attempt(transaction, stored, now)
            back = _as_in_service(stored, active.names, active.key_type, active.own_csr_pem)
            changed = evolve(back, status=status, issuance_id=None, problem=None, updated_at=now)
            saved = transaction.certificates.save(changed)
            transaction.schedules.take_over(certificate_id, due_at=now, attempts=0)
            told = {"version": saved.version, "changes": changes_between(stored, saved)} if back is not stored else {}
            number = 0 if ended is None else ended.number
            event = certificate_event(
                self.contexts,
                saved,
                EventKind.ATTEMPT_CANCELLED,
                actor,
                from_status=stored.status,
                number=number,
                **told,
            )
            transaction.events.append([event])
        return saved

    def clone(
        self, certificate_id: str, domain: str | None = None, *, owner: str | None = None, actor: str = "system"
    ) -> Certificate:
        """A new draft with the same form: names, CA profile, key type, subject, renewal policy. No key is copied.

        Args:
            certificate_id: What is copied.
            domain: The primary name of the copy; its aliases are left out then, and the wildcard stays. None copies
                all names: the copy is pointed out as a duplicate.
            owner: The tenant of the copy; that of the original when None.
            actor: Who does this.

        Raises:
            InvalidInput: The name is wrong, or the CA profile does not permit it.
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        original = self.access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        tenant = original.owner if owner is None else owner_of(owner)
        self.access.require(actor, Permission.CERTIFICATE_CREATE, owner=tenant)
        now = self.contexts.environment.now()
        names: dict[str, Any] = {}
        if domain is not None:
            # An own CSR is for its names, and no others.
            primary = DnsName.parse(domain)
            wildcard = original.wildcard and not primary.is_wildcard
            names = {"domain": primary, "aliases": (), "wildcard": wildcard, "csr_pem": ""}
        wished = Certificate(
            **{
                "domain": original.domain,
                "aliases": original.aliases,
                "wildcard": original.wildcard,
                "csr_pem": original.csr_pem,
                **names,
            },
            id=self.contexts.environment.new_id(),
            owner=tenant,
            subject=original.subject,
            key_type=original.key_type,
            renewal=original.renewal,
            authority_id=original.authority_id,
            fallbacks=original.fallbacks,
            module_data=original.module_data,
            created_at=now,
            updated_at=now,
        )
        self.access.require_profiles(actor, wished)
        copy = checked(self.contexts, wished)
        with self.contexts.storage.write() as transaction:
            transaction.certificates.add(copy)
            transaction.schedules.add(Schedule(certificate_id=copy.id))
            # The record of another tenant does not name it.
            told: dict[str, Any] = {"cloned_from": original.id} if copy.owner == original.owner else {}
            event = certificate_event(self.contexts, copy, EventKind.CREATED, actor, **told)
            transaction.events.append([event])
        return copy

    def _check_keeps_key(self, changed: Certificate) -> None:
        with self.contexts.storage.read() as transaction:
            active = transaction.issuances.get(changed.active_issuance_id or "")
        if active.key_type is not changed.key_type and not changed.csr_pem:
            raise InvalidInput(
                "key_type",
                f"{changed.key_type} cannot be had with the present key, which is {active.key_type}.",
                advice="Leave the key type as it is, or do not keep the key.",
            )


def _as_in_service(
    certificate: Certificate, names: tuple[DnsName, ...], key_type: KeyType, own_csr_pem: str
) -> Certificate:
    """The form as the leaf in service has it; the certificate itself when it is so already."""
    if set(names) == set(certificate.names) and own_csr_pem == certificate.csr_pem and key_type is certificate.key_type:
        return certificate
    domain, aliases, wildcard = form_of_names(names, domain=names[0], most=MAX_IMPORTED_NAMES)
    return evolve(
        certificate, domain=domain, aliases=aliases, wildcard=wildcard, key_type=key_type, csr_pem=own_csr_pem
    )
