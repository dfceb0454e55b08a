"""What a panel shows: a certificate with everything that belongs to it, never with its private key."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from attrs import frozen

from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import Event
from certcore.model.fields import CERTIFICATE_FIELDS, FieldView, Way, When, way_to_change
from certcore.model.issuance import Issuance, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action, allowed_actions
from certcore.model.permissions import NEEDED, Permission
from certcore.model.renewal_moment import renewal_moment

__all__ = ["CertificateView", "Page"]


@frozen(kw_only=True)
class CertificateView:
    """A certificate as its page shows it: the left column's data, and what the right column is made from."""

    certificate: Certificate
    #: The CA profile; None for a certificate that has none.
    authority: CertificateAuthority | None
    #: The issuance in flight, or the last that failed.
    issuance: Issuance | None
    #: The issuance whose leaf is in service.
    active: Issuance | None
    #: The timeline, oldest first.
    events: tuple[Event, ...]
    schedule: Schedule | None
    #: The moment that this view is of.
    now: datetime
    #: The public key of the leaf in service, SubjectPublicKeyInfo in PEM; empty without a leaf.
    public_key_pem: str = ""
    #: What the actor may do with it; None for somebody who may do everything.
    permitted: frozenset[Permission] | None = None

    @property
    def leaf(self) -> Leaf | None:
        """The leaf in service."""
        return self.active.leaf if self.active else None

    @property
    def under_way(self) -> bool:
        """Whether an attempt to obtain a leaf is under way."""
        return self.issuance is not None and self.issuance.outcome is None

    @property
    def actions(self) -> frozenset[Action]:
        """What the user may do now: the status allows it, and so does the panel's policy."""
        allowed = allowed_actions(self.certificate.status)
        if not self.under_way:
            allowed -= {Action.CANCEL_ATTEMPT}
        if self.certificate.authority_id is None:
            # There is nobody to ask before a CA profile is bound.
            allowed -= {Action.GENERATE_CSR, Action.RENEW}
        if self.active is not None and self.active.purpose is Purpose.IMPORT and self.active.is_keyless:
            allowed -= {Action.REVOKE}  # nothing shows that the leaf is this owner's
        return frozenset(one for one in allowed if self._may(NEEDED[one]))

    def _may(self, permission: Permission) -> bool:
        return self.permitted is None or permission in self.permitted

    @property
    def fields(self) -> tuple[FieldView, ...]:
        """The left column: every field with its value, and how it can be changed now."""
        return tuple(FieldView(field=one, value=one.read(self), way=self._way(one.when)) for one in CERTIFICATE_FIELDS)

    def _way(self, when: When) -> Way | None:
        """How a field can be changed now, by this actor. A reissue with a change takes the permission to edit, too."""
        way = way_to_change(when, self.certificate.status, under_way=self.under_way)
        if not self._may(Permission.CERTIFICATE_EDIT):
            return None
        return None if way is Way.REISSUE and not self._may(Permission.CERTIFICATE_RENEW) else way

    @property
    def days_remaining(self) -> int | None:
        """Whole days until the leaf in service ends, negative when it has; None without a leaf."""
        if self.certificate.not_after is None:
            return None
        return math.floor((self.certificate.not_after - self.now) / timedelta(days=1))

    @property
    def renews_at(self) -> datetime | None:
        """When the leaf in service is due for renewal; None without a leaf, a CA profile or auto-renewal."""
        if self.leaf is None or self.active is None or not self.certificate.renews_itself:
            return None
        return renewal_moment(self.certificate, self.active, self.leaf)


@frozen(kw_only=True)
class Page:
    """One page of a list."""

    items: tuple[Certificate, ...]
    #: Give this to the next call; None on the last page.
    next_cursor: str | None
