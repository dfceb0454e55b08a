"""Who may do what: the panel's policy is asked for every action."""

from __future__ import annotations

from attrs import frozen

from certcore.errors import AccessDenied
from certcore.model.certificate import Certificate
from certcore.model.permissions import Permission
from certcore.ports.plugins import Plugins
from certcore.ports.storage import Storage

__all__ = ["Access"]


@frozen(kw_only=True, eq=False)
class Access:
    """Asks ``certcore_authorize``; without any policy plugin everything is allowed, as the panel has asked already."""

    plugins: Plugins
    storage: Storage

    def require(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> None:
        """Go on only if the policy has nothing against it. Not inside a writing transaction: a policy may be slow.

        Args:
            actor: Who wants to do it.
            permission: What.
            subject: The id of the certificate or CA profile.
            owner: The tenant whose certificates it is about.

        Raises:
            AccessDenied: A policy said no, or failed.
        """
        if not self.allows(actor, permission, subject, owner=owner):
            raise AccessDenied(actor, permission, subject)

    def allows(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> bool:
        """Whether the policy has nothing against it."""
        return self.plugins.authorize(actor, str(permission), subject, owner) is not False

    def certificate(self, actor: str, permission: Permission, certificate_id: str) -> Certificate:
        """A certificate, for somebody who may do this with it.

        Raises:
            NotFound: There is none.
            AccessDenied: A policy said no, or failed.
        """
        with self.storage.read() as transaction:
            found = transaction.certificates.get(certificate_id)
        self.require(actor, permission, certificate_id, owner=found.owner)
        return found
