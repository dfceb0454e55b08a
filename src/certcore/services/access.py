"""Who may do what: the panel's policy is asked for every action; what somebody may not see is not there for them."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from certcore.errors import AccessDenied, NotFound
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.permissions import Permission
from certcore.ports.plugins import Plugins
from certcore.ports.storage import Storage
from certcore.services.identifiers import check_actor, check_id
from certcore.services.inputs import no_profile

__all__ = ["Access"]


@frozen(kw_only=True, eq=False)
class Access:
    """Asks ``certcore_authorize``; without any policy plugin everything is allowed, as the panel has asked already.

    Who may see an object and not do something with it gets `AccessDenied`. Who may not see it gets the `NotFound` that
    an id gets which nobody has: an error does not tell what other tenants have.
    """

    plugins: Plugins
    storage: Storage
    #: Whether what may not be seen is not found. An observer has been told of the certificate by its event: for it, a
    #: refusal must not look like a deletion, after which there is nothing left to do.
    hides: bool = True

    def require(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> None:
        """Go on only if the policy has nothing against it. Not inside a writing transaction: a policy may be slow.

        Args:
            actor: Who wants to do it.
            permission: What.
            subject: The id of the certificate or CA profile.
            owner: The tenant whose certificates it is about.

        Raises:
            InvalidInput: The actor is no text that can go on the record.
            AccessDenied: A policy said no, or failed.
        """
        if not self.allows(actor, permission, subject, owner=owner):
            raise AccessDenied(actor, permission, subject)

    def allows(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> bool:
        """Whether the policy has nothing against it.

        Raises:
            InvalidInput: The actor is no text that can go on the record.
        """
        return self.plugins.authorize(check_actor(actor), str(permission), subject, owner) is not False

    def require_visible(
        self, actor: str, permission: Permission, subject: str, *, sees: Permission, kind: str, owner: str = ""
    ) -> None:
        """As `require`, about one object that is there.

        Args:
            actor, permission, subject, owner: As in `require`.
            sees: The permission to see the object.
            kind: What kind of object it is.

        Raises:
            NotFound: The actor may neither do this nor see the object; not for an observer.
            AccessDenied: The actor may see the object.
        """
        if self.allows(actor, permission, subject, owner=owner):
            return
        if not self.hides or (permission is not sees and self.allows(actor, sees, subject, owner=owner)):
            raise AccessDenied(actor, permission, subject)
        raise NotFound(kind, subject)

    def require_profiles(self, actor: str, certificate: Certificate, *, before: Certificate | None = None) -> None:
        """Go on only if the certificate may use its CA profiles, fallbacks too. Not inside a writing transaction.

        Args:
            actor: Who wants it to.
            certificate: As it is to be.
            before: As it is; nobody is asked again about the profiles that it has.

        Raises:
            AccessDenied: A policy said no, or failed. Whether there is such a profile it does not say.
            InvalidInput: The actor may not even see the profile: as if it were not there.
        """
        had = () if before is None else (before.authority_id, *before.fallbacks)
        wanted = [("authority", certificate.authority_id), *(("fallbacks", one) for one in certificate.fallbacks)]
        for field, authority_id in wanted:
            if authority_id is None or authority_id in had:
                continue
            check_id(field, authority_id)
            if self.allows(actor, Permission.AUTHORITY_USE, authority_id, owner=certificate.owner):
                continue
            if self.allows(actor, Permission.AUTHORITY_VIEW, authority_id):
                raise AccessDenied(actor, Permission.AUTHORITY_USE, authority_id)
            raise no_profile(field, authority_id)

    def certificate(self, actor: str, permission: Permission, certificate_id: str) -> Certificate:
        """A certificate, for somebody who may do this with it.

        Raises:
            InvalidInput: The id or the actor is none.
            NotFound: There is no such certificate that the actor may see.
            AccessDenied: A policy said no, or failed.
        """
        check_id("certificate_id", certificate_id)
        check_actor(actor)
        with self.storage.read() as transaction:
            found = transaction.certificates.get(certificate_id)
        sees = Permission.CERTIFICATE_VIEW
        self.require_visible(actor, permission, certificate_id, sees=sees, kind="certificate", owner=found.owner)
        return found

    def authority(self, actor: str, permission: Permission, authority_id: str) -> CertificateAuthority:
        """A CA profile, for somebody who may do this with it.

        Raises:
            InvalidInput: The id or the actor is none.
            NotFound: There is no such profile that the actor may see.
            AccessDenied: A policy said no, or failed.
        """
        check_id("authority_id", authority_id)
        check_actor(actor)
        with self.storage.read() as transaction:
            found = transaction.authorities.get(authority_id)
        self.require_visible(actor, permission, authority_id, sees=Permission.AUTHORITY_VIEW, kind="authority")
        return found

    def seen(self, actor: str, certificates: Iterable[Certificate]) -> list[Certificate]:
        """Those of some certificates that the actor may see."""
        sees = Permission.CERTIFICATE_VIEW
        return [one for one in certificates if self.allows(actor, sees, one.id, owner=one.owner)]

    def permitted(self, actor: str, about: Certificate, permissions: Iterable[Permission]) -> frozenset[Permission]:
        """Those of some permissions that the actor has for a certificate."""
        return frozenset(one for one in permissions if self.allows(actor, one, about.id, owner=about.owner))
