"""Access control: the panel's policy decides on every action. Objects that an actor may not see are not found."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from attrs import frozen

from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.identifiers import MOST_ID, check_actor, check_id, check_identifier
from certcore.model.labels import label_of
from certcore.model.permissions import Permission
from certcore.ports.plugins import Plugins
from certcore.ports.storage import Storage, Transaction

__all__ = ["Access", "find_authority", "unknown_authority"]

#: The permissions that concern the certificates of one owner.
_OF_OWNERS: Final = frozenset(
    permission
    for permission in Permission
    if permission.startswith("certificate.") or permission is Permission.AUTHORITY_USE
)


@frozen(kw_only=True, eq=False)
class Access:
    """Asks ``certcore_authorize``. Without a policy plugin, everything is allowed, because the panel checks first.

    An actor who may see an object but not use it gets an `AccessDeniedError`. An actor who may not see it gets the same
    `NotFoundError` as for an unknown ID, so that errors reveal nothing about other tenants.
    """

    plugins: Plugins
    storage: Storage
    #: Whether invisible objects are reported as not found. False for observers: they know the certificate from its
    #: event, and would take a refusal for a deletion, after which they do nothing more.
    hides: bool = True
    #: Restricts access to the certificates of this tenant; everything else then needs a policy that permits it. None
    #: for all tenants.
    only_owner: str | None = None

    def require(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> None:
        """Raise an error unless the policy allows an action. It may be slow: do not call it in a write transaction.

        Args:
            actor: Who acts.
            permission: The action.
            subject: The ID of the certificate or CA profile.
            owner: The tenant of the certificates.

        Raises:
            InvalidInputError: The actor is not a text that a timeline can store.
            AccessDeniedError: A policy refused, or failed.
        """
        if not self.allows(actor, permission, subject, owner=owner):
            raise _denied(actor, permission, subject)

    def allows(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> bool:
        """Whether the policy allows an action.

        Raises:
            InvalidInputError: The actor is not a text that a timeline can store.
        """
        check_actor(actor)
        if self.only_owner not in (None, owner) and permission in _OF_OWNERS:
            return False
        answer = self.plugins.authorize(actor, str(permission), subject, owner)
        # A permission that concerns all tenants, for example to change a CA profile, must be granted explicitly.
        return answer is not False if self.only_owner is None or permission in _OF_OWNERS else answer is True

    def require_visible(
        self, actor: str, permission: Permission, subject: str, *, sees: Permission, kind: str, owner: str = ""
    ) -> None:
        """As `require`, for one existing object.

        Args:
            actor, permission, subject, owner: As in `require`.
            sees: The permission to see the object.
            kind: What kind of object it is.

        Raises:
            NotFoundError: The actor may neither do this nor see the object. Not raised for observers.
            AccessDeniedError: The actor may see the object, but not do this.
        """
        if self.allows(actor, permission, subject, owner=owner):
            return
        if not self.hides or (permission is not sees and self.allows(actor, sees, subject, owner=owner)):
            raise _denied(actor, permission, subject)
        raise NotFoundError(kind, subject)

    def require_profiles(self, actor: str, certificate: Certificate, *, before: Certificate | None = None) -> None:
        """Raise an error unless the certificate may use its CA profiles. Do not call this within a write transaction.

        Args:
            actor: Who acts.
            certificate: The certificate with its changes.
            before: The stored certificate. The CA profiles that it already uses need no permission.

        Raises:
            AccessDeniedError: A policy refused or failed. The error does not reveal whether the CA profile exists.
            InvalidInputError: The actor may not see the CA profile, or it does not exist.
        """
        had = () if before is None else (before.authority_id, *before.fallbacks)
        fallbacks = (("fallbacks", fallback) for fallback in certificate.fallbacks)
        for field, authority_id in [("authority", certificate.authority_id), *fallbacks]:
            if authority_id is None or authority_id in had:
                continue
            check_id(field, authority_id)
            if self.allows(actor, Permission.AUTHORITY_USE, authority_id, owner=certificate.owner):
                continue
            if self.allows(actor, Permission.AUTHORITY_VIEW, authority_id):
                raise _denied(actor, Permission.AUTHORITY_USE, authority_id)
            raise unknown_authority(field, authority_id)

    def certificate(self, actor: str, permission: Permission, certificate_id: str) -> Certificate:
        """A certificate, for an actor who has a permission for it.

        Raises:
            InvalidInputError: The ID or the actor is malformed.
            NotFoundError: There is no such certificate that the actor may see.
            AccessDeniedError: A policy refused, or failed.
        """
        check_id("certificate_id", certificate_id)
        check_actor(actor)
        with self.storage.read() as transaction:
            stored = transaction.certificates.get(certificate_id)
        sees = Permission.CERTIFICATE_VIEW
        self.require_visible(actor, permission, certificate_id, sees=sees, kind="certificate", owner=stored.owner)
        return stored

    def authority(self, actor: str, permission: Permission, authority: str) -> CertificateAuthority:
        """A CA profile, given by ID or name, for an actor who has a permission for it.

        Raises:
            InvalidInputError: The ID, the name or the actor is malformed.
            NotFoundError: There is no such profile that the actor may see.
            AccessDeniedError: A policy refused, or failed.
        """
        check_id("authority", authority)
        check_actor(actor)
        with self.storage.read() as transaction:
            profile = find_authority(transaction, authority)
        view = Permission.AUTHORITY_VIEW
        if profile is None or (profile.id != authority and not self.allows(actor, view, profile.id)):
            raise NotFoundError("authority", authority)
        self.require_visible(actor, permission, profile.id, sees=view, kind="authority")
        return profile

    def usable_authority(self, actor: str, authority: str, *, owner: str) -> CertificateAuthority:
        """A CA profile, for an actor who may use it for the certificates of an owner, or see it.

        Args:
            actor: Who makes the call.
            authority: The ID; or the name, for an actor who may see the profile.
            owner: The tenant.

        Raises:
            InvalidInputError: The ID, the name or the actor is malformed.
            NotFoundError: There is no such profile that the actor may see or use.
        """
        authority_id = self.authority_id("authority", check_id("authority", authority), actor)
        is_usable = self.allows(actor, Permission.AUTHORITY_USE, authority_id, owner=owner)
        if not is_usable and not self.allows(actor, Permission.AUTHORITY_VIEW, authority_id):
            raise NotFoundError("authority", authority)
        try:
            with self.storage.read() as transaction:
                return transaction.authorities.get(authority_id)
        except NotFoundError:
            raise NotFoundError("authority", authority) from None

    def authority_id(self, field: str, authority: str, actor: str) -> str:
        """The ID of a CA profile that a field of a call gives by ID or name.

        A name is resolved only if the actor may see the CA profile. Otherwise it is treated as an unknown ID.

        Args:
            field: The field that errors name.
            authority: The ID or the name.
            actor: Who makes the call.

        Raises:
            InvalidInputError: The text is malformed.
        """
        check_identifier(field, authority, most=MOST_ID)
        with self.storage.read() as transaction:
            profile = find_authority(transaction, authority)
        if profile is None or profile.id == authority:
            return authority
        return profile.id if self.allows(actor, Permission.AUTHORITY_VIEW, profile.id) else authority

    def seen(self, actor: str, certificates: Iterable[Certificate]) -> list[Certificate]:
        """The certificates that the actor may see."""
        sees = Permission.CERTIFICATE_VIEW
        return [
            certificate
            for certificate in certificates
            if self.allows(actor, sees, certificate.id, owner=certificate.owner)
        ]

    def permitted(self, actor: str, about: Certificate, permissions: Iterable[Permission]) -> frozenset[Permission]:
        """The permissions that the actor has for a certificate."""
        return frozenset(name for name in permissions if self.allows(actor, name, about.id, owner=about.owner))


def find_authority(transaction: Transaction, authority: str) -> CertificateAuthority | None:
    """A CA profile by its ID or its name. The ID takes precedence, because users can choose names but not IDs."""
    with suppress(NotFoundError):
        return transaction.authorities.get(authority)
    return transaction.authorities.by_name(authority)


def unknown_authority(field: str, authority: str) -> InvalidInputError:
    """The error for a field whose CA profile does not exist or is invisible to the actor; both get the same error."""
    return InvalidInputError(
        field,
        Message("input.no_authority", "there is no CA profile {authority}.", {"authority": repr(authority[:60])}),
        advice=Message("input.no_authority.advice", "List the CA profiles to see which exist."),
    )


def _denied(actor: str, permission: Permission, subject: str) -> AccessDeniedError:
    return AccessDeniedError(actor, permission, subject, title=label_of(permission))
