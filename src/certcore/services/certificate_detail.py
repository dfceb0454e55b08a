"""One certificate: its page, issuances, timeline, deliveries and the right column."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts, handed_out
from certcore.errors import AmbiguousNameError, CertCoreError, InvalidNameError, NotFoundError, UnsealError
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.conditions import with_standing
from certcore.model.deliveries import Deliveries
from certcore.model.events import Event, EventKind
from certcore.model.hints import ActionButton, Hint, Level, Message, Notice
from certcore.model.identifiers import check_actor, check_id, check_identifier
from certcore.model.input_limits import LONGEST_ID, MOST_ROWS, refuse_unstorable, text_within, whole_number
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action
from certcore.model.names import DnsName
from certcore.model.permissions import NEEDED, Permission
from certcore.model.plugin_calls import call_for_hints, call_plugin
from certcore.model.preflight import Preflight
from certcore.model.timeline import Timeline, TimelineCheck, first_fault, seal_of
from certcore.model.views import CertificateView
from certcore.ports.module_actions import CertificateAction, SupportsCertificateActions
from certcore.ports.module_files import ModuleFile
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.certificate_list import check_limit
from certcore.services.core_hints import MOST_NAMED, core_hints
from certcore.services.failed_deliveries import failed_deliveries
from certcore.services.module_actions import sound_certificate_actions, with_buttons
from certcore.services.module_files import certificate_files, profile_files
from certcore.services.timeline_seal_key import RECORD_KEY
from certcore.x509.keys import certificate_public_key_pem

__all__ = ["Queries"]

#: The longest domain name with a wildcard label, in characters.
_MOST_NAME: Final = 260
#: How many events are read at once.
_BATCH: Final = 500
#: How many of the latest events are searched for the deletion; a step under way may have added events after it.
_AFTER_DELETION: Final = 20


@frozen(kw_only=True, eq=False, slots=False)
class Queries:
    """Reads of one certificate."""

    _contexts: Contexts
    _access: Access

    def get(self, certificate_id: str, *, actor: str = "system") -> Certificate:
        """One certificate by ID.

        Raises:
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        return self._access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)

    def find(self, name_or_id: str, *, actor: str = "system") -> Certificate:
        """One certificate by its ID, or by its primary domain if that is unambiguous.

        Raises:
            NotFoundError: There is no such object that the actor may see.
            AmbiguousNameError: The actor may see several certificates with this domain; the error lists their IDs.
        """
        check_identifier("name_or_id", name_or_id, most=_MOST_NAME)
        check_actor(actor)
        with self._contexts.storage.read() as transaction:
            try:
                certificates = [transaction.certificates.get(name_or_id)]
            except NotFoundError:
                certificates = list(_of_domain(transaction, name_or_id))
        visible = self._access.seen(actor, certificates)
        if not visible:
            raise NotFoundError("certificate", name_or_id)
        if len(visible) > 1:
            raise AmbiguousNameError("certificate", name_or_id, [certificate.id for certificate in visible])
        return visible[0]

    def view(self, certificate_id: str, *, actor: str = "system") -> CertificateView:
        """Everything that a certificate's page shows, without the private key.

        Without the permission ``authority.view``, the view has only the ID, name and module of the CA profile; its
        settings and description are empty.

        Raises:
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        view = self._view(certificate_id, actor)
        return evolve(view, authority=self._shown(view.authority, actor))

    def _view(self, certificate_id: str, actor: str) -> CertificateView:
        """The view with the stored CA profile."""
        checked = self._access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        permitted = self._access.permitted(actor, checked, {*NEEDED.values(), Permission.CERTIFICATE_DELIVERIES})
        sees_details = Permission.CERTIFICATE_DELIVERIES in permitted
        with self._contexts.storage.read() as transaction:
            now = self._contexts.environment.now()
            issuances = transaction.issuances.of_certificate(certificate_id)
            stored = transaction.certificates.get(certificate_id)
            certificate = with_standing(stored, issuances, now, changed_at=None)
            by_id = {issuance.id: issuance for issuance in issuances}
            active = by_id.get(certificate.active_issuance_id or "")
            view = CertificateView(
                certificate=certificate,
                authority=_authority(transaction, certificate),
                issuance=by_id.get(certificate.issuance_id or ""),
                active=active,
                public_key_pem=certificate_public_key_pem((active.leaf_pem if active else None) or ""),
                events=tuple(transaction.events.of_certificate(certificate_id)),
                schedule=transaction.schedules.get(certificate_id),
                now=now,
                failed_deliveries=failed_deliveries(transaction, [certificate_id]).get(certificate_id, ()),
                preflight=_preflight(transaction, certificate_id, sees_details=sees_details),
                permitted=permitted,
            )
        events = tuple(self._readable(view.events, checked.owner, actor))
        return evolve(view, events=events, module_title=self._module_title(view.authority))

    def _shown(self, authority: CertificateAuthority | None, actor: str) -> CertificateAuthority | None:
        """The part of a CA profile that the actor may see: at least its ID, name and module."""
        if authority is None or self._access.allows(actor, Permission.AUTHORITY_VIEW, authority.id):
            return authority
        return CertificateAuthority(
            id=authority.id,
            name=authority.name,
            module=authority.module,
            created_at=authority.created_at,
            updated_at=authority.created_at,
        )

    def _module_title(self, authority: CertificateAuthority | None) -> str:
        if authority is None:
            return ""
        modules = self._contexts.plugins.modules
        return modules[authority.module].title if authority.module in modules else authority.module

    def issuances(self, certificate_id: str, *, actor: str = "system") -> Sequence[Issuance]:
        """All issuances of a certificate, by number.

        Raises:
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        self._access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        with self._contexts.storage.read() as transaction:
            return transaction.issuances.of_certificate(certificate_id)

    def timeline(
        self, certificate_id: str, *, after: int = 0, before: int = 0, limit: int = 200, actor: str = "system"
    ) -> Sequence[Event]:
        """The events of a certificate, oldest first. Deleted certificates keep their events.

        The numbers of a certificate's events begin with 1 and have no gaps, so pages can use them as positions.

        If the certificate was transferred, the events of a former owner are left out, unless the actor may see that
        owner's certificates.

        Args:
            certificate_id: The certificate.
            after: Only events after this number; 0 for the newest ``limit`` events.
            before: Only the ``limit`` events before this number; 0 for no limit. With ``after``, the first events
                between both numbers.
            limit: The largest number of events, 1 to 1000.
            actor: Who makes the call.

        Raises:
            InvalidInputError: The limit or a number is out of range.
            AccessDeniedError: The policy refused.
        """
        owner = self._require_record(actor, certificate_id)
        check_limit(limit)
        whole_number("after", after, 0, MOST_ROWS)
        whole_number("before", before, 0, MOST_ROWS)
        with self._contexts.storage.read() as transaction:
            events = _page_of_events(transaction, certificate_id, after, before, limit)
        return self._readable(events, owner, actor)

    def _readable(self, events: Sequence[Event], owner: str, actor: str) -> Sequence[Event]:
        """The events that the actor may read: not those of a former owner whose certificates the actor may not see."""
        # Events of older versions do not have the owner.
        former = {event.owner: event.certificate_id for event in events if event.owner not in ("", owner)}
        hidden = {
            name
            for name, certificate_id in former.items()
            if not self._access.allows(actor, Permission.CERTIFICATE_VIEW, certificate_id, owner=name)
        }
        return [event for event in events if event.owner not in hidden] if hidden else events

    def deliveries(self, certificate_id: str, *, actor: str = "system") -> Deliveries:
        """The deliveries of a certificate's events to observers: the progress of each, and the failed ones.

        This needs the separate permission ``certificate.deliveries``, because the reasons of failures may contain
        details of the server, such as the output of commands and paths.

        Raises:
            NotFoundError: There is no timeline of such a certificate.
            AccessDeniedError: The policy refused.
        """
        self._require_record(actor, certificate_id, Permission.CERTIFICATE_DELIVERIES)
        with self._contexts.storage.read() as transaction:
            return _deliveries(transaction, certificate_id)

    def deliver_again(self, certificate_id: str, *, observer: str | None = None, actor: str = "system") -> int:
        """Retry the failed deliveries of a certificate now instead of after their pause.

        The next process that has the observer delivers the events, in `CertCore.deliver_events` or its worker.

        Args:
            certificate_id: The certificate, which may have been deleted.
            observer: The observer; None for all observers.
            actor: Who makes the call.

        Returns:
            How many deliveries are retried.

        Raises:
            InvalidInputError: The observer is not a text that can be stored, or is too long.
            NotFoundError: There is no timeline of such a certificate.
            AccessDeniedError: The policy refused ``certificate.deliveries``.
        """
        if observer is not None:
            refuse_unstorable({"observer": text_within("observer", observer, LONGEST_ID)})
        self._require_record(actor, certificate_id, Permission.CERTIFICATE_DELIVERIES)
        with self._contexts.storage.write() as transaction:
            now = self._contexts.environment.now()
            return transaction.deliveries.retry_now(certificate_id, observer=observer, now=now)

    def verify_timeline(self, certificate_id: str, *, head: str = "", actor: str = "system") -> TimelineCheck:
        """Verify that the timeline of a certificate was not changed, see `certcore.model.timeline`.

        Args:
            certificate_id: The certificate, which may have been deleted.
            head: A hash that was kept outside the database (`TimelineCheck.head`, or `Event.hash` of an event that an
                observer got). The timeline must contain it. Without it, a timeline that was reset to an earlier state
                in the database appears intact.
            actor: Who makes the call.

        Raises:
            NotFoundError: There is no timeline of such a certificate.
            AccessDeniedError: The policy refused.
        """
        self._require_record(actor, certificate_id)
        text_within("head", head, LONGEST_ID)
        with self._contexts.storage.read() as transaction:
            timeline = transaction.timelines.get(certificate_id)
            length, last, is_head_known = 0, "", not head
            fault: Message | None = None
            while fault is None and (events := transaction.events.following(certificate_id, length, limit=_BATCH)):
                fault = first_fault(events, length=length, head=last)
                is_head_known = is_head_known or any(event.hash == head for event in events)
                length, last = events[-1].number, events[-1].hash
        if fault is None and (length, last) != (timeline.length, timeline.head):
            text = "it ends with event {last}, but {count} were written."
            fault = Message("timeline.cut_off", text, {"last": length, "count": timeline.length})
        if fault is None and not self._is_sealed(timeline):
            text = "its end lacks the seal of this store: it was changed, cut off, or rewritten."
            fault = Message("timeline.no_seal", text)
        if fault is None and not is_head_known:
            text = "it does not contain the hash that you kept: the record was rewritten."
            fault = Message("timeline.other_hash", text)
        return TimelineCheck(certificate_id=certificate_id, events=length, head=last, fault_text=fault)

    def _is_sealed(self, timeline: Timeline) -> bool:
        with self._contexts.storage.read() as transaction:
            sealed = transaction.secrets.get(RECORD_KEY)
        if sealed is None:
            return False
        try:
            key = self._contexts.vault.open(sealed, RECORD_KEY)
        except UnsealError:
            return False
        return hmac.compare_digest(timeline.seal, seal_of(timeline, key.reveal()))

    def hints(self, certificate_id: str, *, actor: str = "system") -> Sequence[Hint]:
        """The right column: the hints of the CA module, then those of certcore and of other plugins.

        An exception in a module becomes a hint.

        Raises:
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        view = self._view(certificate_id, actor)
        shown = evolve(view, authority=self._shown(view.authority, actor))
        with self._contexts.storage.read() as transaction:
            sharing = transaction.certificates.sharing(view.certificate, limit=MOST_NAMED)
            deliveries = _deliveries(transaction, certificate_id)
        others = self._access.seen(actor, sharing)
        hints = self._module_hints(view, actor)
        more = self._contexts.plugins.more_hints(_handed_out(shown))
        all_hints = (*hints, *core_hints(shown, others, deliveries), *more)
        return tuple(hint for hint in all_hints if not _is_refused(hint, view))

    def _module_hints(self, view: CertificateView, actor: str) -> Sequence[Hint]:
        """The hints of the CA module, with a button for each of its actions that the actor may take."""
        hints: Sequence[Hint] = ()
        if view.authority is not None:
            try:
                module, context = self._contexts.context(view.authority)
                hints = call_for_hints(view.authority.module, "hints", module.hints, _handed_out(view), context)
            except CertCoreError as error:
                return [_trouble(view.authority, str(error))]
        try:
            offered = self._offered(view)[1]
        except CertCoreError as error:
            return hints if view.authority is None else [*hints, _trouble(view.authority, str(error))]
        permitted = self._permitted_actions(view, offered, actor)
        return with_buttons(hints, permitted, {action.name for action in offered} - {each.name for each in permitted})

    def actions(self, certificate_id: str, *, actor: str = "system") -> Sequence[CertificateAction]:
        """The actions of the CA module that the actor may take on a certificate now; see `Certificates.run_action`.

        Raises:
            NotFoundError: There is no such certificate.
            UnknownModuleError: The module is not loaded.
            AccessDeniedError: The policy refused.
        """
        view = self._view(certificate_id, actor)
        return self._permitted_actions(view, self._offered(view)[1], actor)

    def files(self, certificate_id: str, *, actor: str = "system") -> Sequence[ModuleFile]:
        """The files of the CA module for a certificate and for its CA profile, for example the root and the CRL.

        An actor who may see the certificate may read them. If two files have the same name, that of the certificate is
        returned. Send them as attachments, with ``X-Content-Type-Options: nosniff``.

        Raises:
            NotFoundError: There is no such certificate.
            PluginError: The module failed.
            AccessDeniedError: The policy refused.
        """
        view = self._view(certificate_id, actor)
        authority = self._at_work(view)
        if authority is None:
            return ()
        module, context = self._contexts.context(authority)
        about = evolve(context, owner=view.certificate.owner)
        own = certificate_files(authority.module, module, _handed_out(view), about)
        names = {file.name.lower() for file in own}
        shared = profile_files(authority.module, module, context)
        return (*own, *(file for file in shared if file.name.lower() not in names))

    def _offered(self, view: CertificateView) -> tuple[CertificateAuthority | None, Sequence[CertificateAction]]:
        """The CA profile that works on a certificate, and the actions that its module offers now."""
        authority = self._at_work(view)
        if authority is None:
            return None, ()
        module, context = self._contexts.context(authority)
        if not isinstance(module, SupportsCertificateActions):
            return authority, ()
        actions: Sequence[CertificateAction] = call_plugin(
            authority.module,
            "certificate_actions",
            module.certificate_actions,
            _handed_out(view),
            evolve(context, owner=view.certificate.owner),
            returns=sound_certificate_actions,
        )
        return authority, actions

    def _at_work(self, view: CertificateView) -> CertificateAuthority | None:
        """The CA profile of the issuance under way, which may be a fallback; otherwise that of the certificate."""
        authority_id = view.issuance.authority_id if view.under_way and view.issuance is not None else None
        if authority_id is None or authority_id == view.certificate.authority_id:
            return view.authority
        with self._contexts.storage.read() as transaction, suppress(NotFoundError):
            return transaction.authorities.get(authority_id)
        return None

    def _permitted_actions(
        self, view: CertificateView, offered: Sequence[CertificateAction], actor: str
    ) -> Sequence[CertificateAction]:
        needed = {action.permission for action in offered}
        permitted = self._access.permitted(actor, view.certificate, needed)
        return tuple(action for action in offered if action.permission in permitted)

    def _require_record(
        self, actor: str, certificate_id: str, permission: Permission = Permission.CERTIFICATE_VIEW
    ) -> str:
        """The owner. The timeline outlives the certificate: the event of its deletion has the owner."""
        check_id("certificate_id", certificate_id)
        check_actor(actor)
        with self._contexts.storage.read() as transaction:
            try:
                owner = transaction.certificates.get(certificate_id).owner
            except NotFoundError:
                owner = _last_owner(transaction, certificate_id)
        sees = Permission.CERTIFICATE_VIEW
        self._access.require_visible(actor, permission, certificate_id, sees=sees, kind="certificate", owner=owner)
        return owner


def _page_of_events(
    transaction: Transaction, certificate_id: str, after: int, before: int, limit: int
) -> Sequence[Event]:
    """Events of a certificate by their numbers, which begin with 1 and have no gaps; 0 is no bound."""
    if not before:
        if after:
            return transaction.events.following(certificate_id, after, limit=limit)
        return transaction.events.of_certificate(certificate_id, limit=limit)
    newest = transaction.events.of_certificate(certificate_id, limit=1)
    end = min(before, newest[0].number + 1) if newest else 0
    begin = after or max(0, end - 1 - limit)
    count = min(limit, end - 1 - begin)
    return transaction.events.following(certificate_id, begin, limit=count) if count > 0 else ()


def _deliveries(transaction: Transaction, certificate_id: str) -> Deliveries:
    timeline = transaction.timelines.get(certificate_id)
    cursors = transaction.deliveries.of_certificate(certificate_id)
    return Deliveries(
        certificate_id=certificate_id,
        length=timeline.length,
        delivered=timeline.offered,
        behind={cursor.observer: cursor for cursor in cursors if cursor.delivered < cursor.length},
    )


def _preflight(transaction: Transaction, certificate_id: str, *, sees_details: bool) -> Preflight | None:
    stored = transaction.preflights.get(certificate_id)
    return stored if stored is None or sees_details else stored.without_details()


def _is_refused(hint: Hint, view: CertificateView) -> bool:
    """Whether a hint is a button for an action that the actor may not take now."""
    return isinstance(hint, ActionButton) and hint.name in set(Action) and hint.name not in view.actions


def _handed_out(view: CertificateView) -> CertificateView:
    """The view without the parts that plugins must not see."""
    issuance, active = (item if item is None else handed_out(item) for item in (view.issuance, view.active))
    return evolve(view, issuance=issuance, active=active)


def _last_owner(transaction: Transaction, certificate_id: str) -> str:
    """The owner of a deleted certificate; empty in timelines of older versions, which do not have it."""
    for event in reversed(transaction.events.of_certificate(certificate_id, limit=_AFTER_DELETION)):
        if event.kind is EventKind.DELETED:
            return str(event.data.get("owner", ""))
    return ""


def _of_domain(transaction: Transaction, name: str) -> Sequence[Certificate]:
    try:
        return transaction.certificates.find_by_domain(DnsName.parse(name))
    except InvalidNameError:
        return ()


def _authority(transaction: Transaction, certificate: Certificate) -> CertificateAuthority | None:
    return None if certificate.authority_id is None else transaction.authorities.get(certificate.authority_id)


def _trouble(authority: CertificateAuthority, reason: str) -> Notice:
    text = "The CA module {module} cannot show its hints: {reason}"
    return Notice(Level.ERROR, Message("core.module_failed", text, {"module": authority.module, "reason": reason}))
