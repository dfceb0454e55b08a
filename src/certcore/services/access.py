"""Who may do what: the panel's policy is asked for every action."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from certcore.errors import AccessDenied, InvalidInput, NotFound
from certcore.model.bounds import LONGEST_ID, text_within
from certcore.model.certificate import Certificate
from certcore.model.permissions import Permission
from certcore.ports.plugins import Plugins
from certcore.ports.storage import Storage
from certcore.services.inputs import check_id, is_storable

__all__ = ["Access"]

#: In characters; it stands in every event of the record.
_LONGEST_ACTOR: Final = 300


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
            InvalidInput: The actor is no text that can go on the record.
            AccessDenied: A policy said no, or failed.
        """
        if not self.allows(actor, permission, subject, owner=owner):
            raise AccessDenied(actor, permission, subject)

    def allows(self, actor: str, permission: Permission, subject: str = "", *, owner: str = "") -> bool:
        """Whether the policy has nothing against it.

        Raises:
            InvalidInput: The actor is no text that can go on the record.
            NotFound: The subject is longer than any id.
        """
        if not is_storable(text_within("actor", actor, _LONGEST_ACTOR)):
            raise InvalidInput("actor", "must be text, without surrogates and NUL.")
        if len(subject) > LONGEST_ID:
            raise NotFound(str(permission).partition(".")[0], subject)
        return self.plugins.authorize(actor, str(permission), subject, owner) is not False

    def require_profiles(self, actor: str, certificate: Certificate, *, before: Certificate | None = None) -> None:
        """Go on only if the certificate may use its CA profiles, fallbacks too. Not inside a writing transaction.

        Args:
            actor: Who wants it to.
            certificate: As it is to be.
            before: As it is; nobody is asked again about the profiles that it has.

        Raises:
            AccessDenied: A policy said no, or failed. Whether there is such a profile it does not say.
        """
        had = () if before is None else (before.authority_id, *before.fallbacks)
        for one in (certificate.authority_id, *certificate.fallbacks):
            if one is not None and one not in had:
                self.require(actor, Permission.AUTHORITY_USE, one, owner=certificate.owner)

    def certificate(self, actor: str, permission: Permission, certificate_id: str) -> Certificate:
        """A certificate, for somebody who may do this with it.

        Raises:
            NotFound: There is none.
            AccessDenied: A policy said no, or failed.
        """
        check_id("certificate", certificate_id)
        with self.storage.read() as transaction:
            found = transaction.certificates.get(certificate_id)
        self.require(actor, permission, certificate_id, owner=found.owner)
        return found
