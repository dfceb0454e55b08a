"""Looking things up: one certificate, its page, lists, and the right column."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts, handed_out
from certcore.errors import AmbiguousName, CertCoreError, InvalidName, NotFound, UnsealFailed
from certcore.model.authority import CertificateAuthority
from certcore.model.bounds import LONGEST_ID, MOST_ROWS, text_within, whole_number
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.hints import ActionButton, Hint, Level, Message, Notice
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action
from certcore.model.names import DnsName
from certcore.model.permissions import NEEDED, Permission
from certcore.model.plugin_calls import call_for_hints
from certcore.model.timeline import Timeline, TimelineCheck, first_fault, seal_of
from certcore.model.views import CertificateView
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.identifiers import check_actor, check_id, check_identifier
from certcore.services.lists import check_limit
from certcore.services.notes import MOST_NAMED, core_hints
from certcore.services.record_key import RECORD_KEY
from certcore.x509.keys import certificate_public_key_pem

__all__ = ["Queries"]

#: Of a domain name, with a wildcard's label.
_MOST_NAME: Final = 260
#: How many events of a timeline are read at once.
_BATCH: Final = 500
#: So near the end of its timeline is the deletion of a certificate: what was under way may come after it.
_AFTER_DELETION: Final = 20


@frozen(kw_only=True, eq=False, slots=False)
class Queries:
    """Reads; nothing here changes anything."""

    contexts: Contexts
    access: Access

    def get(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """One certificate by id.

        Raises:
            NotFound: There is none.
            AccessDenied: The policy said no.
        """
        return self.access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)

    def find(self, name_or_id: str, *, actor: str = "system") -> Certificate:
        """One certificate by its id, or by its primary domain where that is unambiguous.

        Raises:
            NotFound: There is none that the actor may see.
            AmbiguousName: The actor may see several certificates with this domain; the error lists their ids.
        """
        check_identifier("name_or_id", name_or_id, most=_MOST_NAME)
        check_actor(actor)
        with self.contexts.storage.read() as transaction:
            try:
                found = [transaction.certificates.get(name_or_id)]
            except NotFound:
                found = list(_of_domain(transaction, name_or_id))
        visible = self.access.seen(actor, found)
        if not visible:
            raise NotFound("certificate", name_or_id)
        if len(visible) > 1:
            raise AmbiguousName("certificate", name_or_id, [one.id for one in visible])
        return visible[0]

    def view(self, certificate_id: str, *, actor: str = "system") -> CertificateView:
        """Everything that a certificate's page shows; never its private key.

        Without ``authority.view`` for the CA profile, the view has only the profile's id, name and module: its settings
        and its description are empty then.

        Raises:
            NotFound: There is none.
            AccessDenied: The policy said no.
        """
        view = self._view(certificate_id, actor)
        return evolve(view, authority=self._shown(view.authority, actor))

    def _view(self, certificate_id: str, actor: str) -> CertificateView:
        """With the CA profile as it is stored."""
        seen = self.access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        permitted = self.access.permitted(actor, seen, set(NEEDED.values()))
        with self.contexts.storage.read() as transaction:
            certificate = transaction.certificates.get(certificate_id)
            by_id = {one.id: one for one in transaction.issuances.of_certificate(certificate_id)}
            active = by_id.get(certificate.active_issuance_id or "")
            return CertificateView(
                certificate=certificate,
                authority=_authority(transaction, certificate),
                issuance=by_id.get(certificate.issuance_id or ""),
                active=active,
                public_key_pem=certificate_public_key_pem((active.leaf_pem if active else None) or ""),
                events=tuple(transaction.events.of_certificate(certificate_id)),
                schedule=transaction.schedules.get(certificate_id),
                now=self.contexts.environment.now(),
                permitted=permitted,
            )

    def _shown(self, authority: CertificateAuthority | None, actor: str) -> CertificateAuthority | None:
        """A CA profile as far as the actor may see it: whose certificate it issues may know which one it is."""
        if authority is None or self.access.allows(actor, Permission.AUTHORITY_VIEW, authority.id):
            return authority
        return CertificateAuthority(
            id=authority.id,
            name=authority.name,
            module=authority.module,
            created_at=authority.created_at,
            updated_at=authority.created_at,
        )

    def issuances(self, certificate_id: str, *, actor: str = "system") -> Sequence[Issuance]:
        """All attempts of a certificate, by number.

        Raises:
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        self.access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        with self.contexts.storage.read() as transaction:
            return transaction.issuances.of_certificate(certificate_id)

    def timeline(
        self, certificate_id: str, *, after: int = 0, limit: int = 200, actor: str = "system"
    ) -> Sequence[Event]:
        """What happened to a certificate, oldest first; also when it is deleted.

        Args:
            certificate_id: Whose record.
            after: Only the events after the one of this number; 0 gives the newest ``limit`` events.
            limit: How many, from 1 to 1000.
            actor: Who asks.

        Raises:
            InvalidInput: The limit is none.
            AccessDenied: The policy said no.
        """
        self._require_record(actor, certificate_id)
        check_limit(limit)
        whole_number("after", after, 0, MOST_ROWS)
        with self.contexts.storage.read() as transaction:
            if after:
                return transaction.events.following(certificate_id, after, limit=limit)
            return transaction.events.of_certificate(certificate_id, limit=limit)

    def deliveries(self, certificate_id: str, *, actor: str = "system") -> Timeline:
        """How far the plugins were told of a certificate's events, and which of them failed and are asked again.

        Raises:
            NotFound: There is no record of such a certificate.
            AccessDenied: The policy said no. The reasons tell of the server (what a command wrote, paths): seeing them
                is a permission of its own, ``certificate.deliveries``.
        """
        self._require_record(actor, certificate_id, Permission.CERTIFICATE_DELIVERIES)
        with self.contexts.storage.read() as transaction:
            return transaction.timelines.get(certificate_id)

    def verify_timeline(self, certificate_id: str, *, head: str = "", actor: str = "system") -> TimelineCheck:
        """Check that a certificate's record is as it was written; also when the certificate is deleted.

        Args:
            certificate_id: Whose record.
            head: A hash that was seen earlier (`TimelineCheck.head`, or `Event.hash` of an event that an observer
                got) and kept outside the database: it has to be in the record still. Without it, a record that was
                put back to what it was once, by somebody who may write to the database, looks intact.
            actor: Who asks.

        Raises:
            NotFound: There is no record of such a certificate.
            AccessDenied: The policy said no.
        """
        self._require_record(actor, certificate_id)
        text_within("head", head, LONGEST_ID)
        with self.contexts.storage.read() as transaction:
            timeline = transaction.timelines.get(certificate_id)
            length, last, fault, seen = 0, "", "", not head
            while not fault and (events := transaction.events.following(certificate_id, length, limit=_BATCH)):
                fault = first_fault(events, length=length, head=last)
                seen = seen or any(event.hash == head for event in events)
                length, last = events[-1].number, events[-1].hash
        if not fault and (length, last) != (timeline.length, timeline.head):
            fault = f"it ends with event {length}, but {timeline.length} were written."
        if not fault and not self._is_sealed(timeline):
            fault = "its end does not bear the seal of this store: it was changed, cut off, or written anew."
        if not fault and not seen:
            fault = "the hash that was kept is not in it: the record was written anew."
        return TimelineCheck(certificate_id=certificate_id, events=length, head=last, fault=fault)

    def _is_sealed(self, timeline: Timeline) -> bool:
        with self.contexts.storage.read() as transaction:
            sealed = transaction.secrets.get(RECORD_KEY)
        if sealed is None:
            return False
        try:
            key = self.contexts.vault.open(sealed, RECORD_KEY)
        except UnsealFailed:
            return False
        return hmac.compare_digest(timeline.seal, seal_of(timeline, key.reveal()))

    def hints(self, certificate_id: str, *, actor: str = "system") -> Sequence[Hint]:
        """The right column: the CA module's hints, then certcore's own and those of other plugins.

        Never raises for a module's bug.

        Raises:
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        view = self._view(certificate_id, actor)
        shown = evolve(view, authority=self._shown(view.authority, actor))
        with self.contexts.storage.read() as transaction:
            sharing = transaction.certificates.sharing(view.certificate, limit=MOST_NAMED)
            timeline = transaction.timelines.get(certificate_id)
        others = self.access.seen(actor, sharing)
        hints: Sequence[Hint] = ()
        if view.authority is not None:
            try:
                module, context = self.contexts.context(view.authority)
                hints = call_for_hints(view.authority.module, "hints", module.hints, _handed_out(view), context)
            except CertCoreError as error:
                hints = [_trouble(view.authority, str(error))]
        more = self.contexts.plugins.more_hints(_handed_out(shown))
        found = (*hints, *core_hints(shown, others, timeline), *more)
        return tuple(one for one in found if not _is_refused(one, view))

    def _require_record(
        self, actor: str, certificate_id: str, permission: Permission = Permission.CERTIFICATE_VIEW
    ) -> None:
        """The record outlives the certificate: the event of its deletion says whose it was."""
        check_id("certificate_id", certificate_id)
        check_actor(actor)
        with self.contexts.storage.read() as transaction:
            try:
                owner = transaction.certificates.get(certificate_id).owner
            except NotFound:
                owner = _last_owner(transaction, certificate_id)
        sees = Permission.CERTIFICATE_VIEW
        self.access.require_visible(actor, permission, certificate_id, sees=sees, kind="certificate", owner=owner)


def _is_refused(hint: Hint, view: CertificateView) -> bool:
    """Whether a hint is a button for something that the actor, or the status, does not permit."""
    return isinstance(hint, ActionButton) and hint.name in set(Action) and hint.name not in view.actions


def _handed_out(view: CertificateView) -> CertificateView:
    """A copy for plugins."""
    issuance, active = (None if one is None else handed_out(one) for one in (view.issuance, view.active))
    return evolve(view, issuance=issuance, active=active)


def _last_owner(transaction: Transaction, certificate_id: str) -> str:
    """Whose a deleted certificate was; empty where its record does not say it, as older ones do not."""
    for event in reversed(transaction.events.of_certificate(certificate_id, limit=_AFTER_DELETION)):
        if event.kind is EventKind.DELETED:
            return str(event.data.get("owner", ""))
    return ""


def _of_domain(transaction: Transaction, name: str) -> Sequence[Certificate]:
    try:
        return transaction.certificates.find_by_domain(DnsName.parse(name))
    except InvalidName:
        return ()


def _authority(transaction: Transaction, certificate: Certificate) -> CertificateAuthority | None:
    return None if certificate.authority_id is None else transaction.authorities.get(certificate.authority_id)


def _trouble(authority: CertificateAuthority, reason: str) -> Notice:
    text = "The CA module {module} has nothing to show: {reason}"
    return Notice(Level.ERROR, Message("core.module_failed", text, {"module": authority.module, "reason": reason}))
