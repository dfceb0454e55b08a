"""Views for panels: a certificate with everything that belongs to it, except its private key."""

from __future__ import annotations

from attrs import frozen

from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.certificate_fields import CERTIFICATE_FIELDS, FieldView
from certcore.model.edit_rules import EditMethod, EditRule, edit_method
from certcore.model.events import Event
from certcore.model.issuance import Issuance, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import NEEDS, Action, Need, allowed_actions
from certcore.model.offers import Offer, in_order
from certcore.model.permissions import NEEDED, Permission
from certcore.model.preflight import Preflight
from certcore.model.renewal import RenewalMoment, RenewalReason
from certcore.model.renewal_moment import renewal_message
from certcore.model.rows import CertificateNow

__all__ = ["CertificateView", "Page"]


@frozen(kw_only=True)
class CertificateView(CertificateNow):
    """A certificate with everything that its page shows."""

    #: The CA profile; None if the certificate has none.
    authority: CertificateAuthority | None
    #: The issuance under way, or the last one if it failed.
    issuance: Issuance | None
    #: The issuance whose leaf is in service.
    active: Issuance | None
    #: The timeline, oldest first.
    events: tuple[Event, ...]
    schedule: Schedule | None
    #: The public key of the leaf in service, SubjectPublicKeyInfo in PEM; empty without a leaf.
    public_key_pem: str = ""
    #: The preflight; None before the first one.
    preflight: Preflight | None = None
    #: The actor's permissions for the certificate; None for all permissions.
    permitted: frozenset[Permission] | None = None
    #: The title of the CA module; its name if it is not loaded; empty without a CA profile.
    module_title: str = ""

    @property
    def leaf(self) -> Leaf | None:
        """The leaf in service."""
        return self.active.leaf if self.active else None

    @property
    def under_way(self) -> bool:
        """Whether an issuance is under way."""
        return self.issuance is not None and self.issuance.outcome is None

    @property
    def actions(self) -> frozenset[Action]:
        """The actions that the actor may take now, according to the status, the panel's policy and `NEEDS`.

        An edit is among them if the actor may change at least one field, see `fields`.
        """
        allowed = allowed_actions(self.certificate.status)
        return frozenset(action for action in allowed if self._has(NEEDS.get(action)) and self._may(NEEDED[action]))

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The buttons of the page: the `actions` with their texts and methods.

        If the actor may not export the private key, or it is not stored, an export without it is offered. The buttons
        for actions of the CA module are among the hints.
        """
        has_leaf = self.active is not None and Action.EXPORT in allowed_actions(self.certificate.status)
        exports_key = Action.EXPORT in self.actions and self.active is not None and not self.active.is_keyless
        actions = self.actions | ({Action.EXPORT} if has_leaf else set())
        has_profile = self.certificate.authority_id is not None
        return in_order(actions, self.certificate.status, exports_key=exports_key, has_profile=has_profile)

    def _has(self, need: Need | None) -> bool:
        match need:
            case None:
                return True
            case Need.LEAF:
                return self.active is not None
            case Need.ISSUANCE:
                return self.under_way
            case Need.AUTHORITY:
                return self.certificate.authority_id is not None
            case Need.PROOF:
                return self.active is not None and not (
                    self.active.purpose is Purpose.IMPORT and self.active.is_keyless
                )

    def _may(self, permission: Permission) -> bool:
        return self.permitted is None or permission in self.permitted

    @property
    def fields(self) -> tuple[FieldView, ...]:
        """The left column: every field with its value, and the call with which the actor can change it now."""
        return tuple(
            FieldView(field=field, value=field.read(self), edit_method=self._edit_method(field.edit_rule))
            for field in CERTIFICATE_FIELDS
        )

    def _edit_method(self, rule: EditRule) -> EditMethod | None:
        """The call that the actor may use to change a field. A reissue with changes also needs the edit permission."""
        method = edit_method(rule, self.certificate.status, under_way=self.under_way)
        if not self._may(Permission.CERTIFICATE_EDIT):
            return None
        return None if method is EditMethod.REISSUE and not self._may(Permission.CERTIFICATE_RENEW) else method

    @property
    def renews_because(self) -> RenewalReason | None:
        """What determines `renews_at`; None if that is None."""
        return self.certificate.standing.renews_because

    @property
    def renewal_text(self) -> Message | None:
        """A sentence about when and why the leaf is due for renewal; None if `renews_at` is None."""
        if self.leaf is None or self.renews_at is None or self.renews_because is None:
            return None
        planned = RenewalMoment(self.renews_at, self.renews_because)
        return renewal_message(planned, self.certificate.renewal, self.leaf)


@frozen(kw_only=True)
class Page:
    """One page of a list."""

    items: tuple[Certificate, ...]
    #: Pass this to the next call; None on the last page.
    next_cursor: str | None
