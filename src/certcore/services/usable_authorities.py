"""The CA profiles that an actor may use for certificates, even without permission to see their settings."""

from __future__ import annotations

from collections.abc import Sequence

from certcore.engine.module_context import Contexts
from certcore.model.authority import UsableAuthority
from certcore.model.permissions import Permission
from certcore.services.access import Access

__all__ = ["usable_authorities"]


def usable_authorities(contexts: Contexts, access: Access, actor: str, *, owner: str) -> Sequence[UsableAuthority]:
    """The CA profiles that the actor may use for the certificates of an owner, by name.

    Args:
        contexts: The store's module contexts.
        access: Asks the policy about each CA profile.
        actor: Who makes the call.
        owner: The tenant.
    """
    with contexts.storage.read() as transaction:
        profiles = transaction.authorities.list()
    modules = contexts.plugins.modules
    return tuple(
        UsableAuthority(
            id=profile.id,
            name=profile.name,
            title=modules[profile.module].title if profile.module in modules else profile.module,
        )
        for profile in profiles
        if access.allows(actor, Permission.AUTHORITY_USE, profile.id, owner=owner)
    )
