"""Groups and permissions of Django as roles of certcore's built-in policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model

from certcore.contrib.django.acting import SYSTEM, Acting, remember, remembered
from certcore.model.permissions import Role
from certcore.services.roles import RolePolicy

__all__ = ["group_names", "make_groups", "policy", "role_of"]


def policy() -> RolePolicy:
    """Return the policy plugin: roles as in ``CERTCORE["ROLES"]``, and the request's tenant owns its certificates.

    The actor ``system``, as which the panel itself makes calls, may do everything. Outside of a request, an actor has
    the role of the Django user with the same name, and is no tenant.
    """
    return RolePolicy(roles=_role_of_actor, owners=_owners_of_actor)


def role_of(user: Any) -> Role | None:
    """Return the highest role of a user; None if the user has no role. An active superuser is an administrator.

    Args:
        user: A user of Django; an anonymous user has no role.
    """
    if not user.is_active or not user.is_authenticated:
        return None
    if user.is_superuser:
        return Role.ADMINISTRATOR
    roles = {Role[name.upper()]: holders for name, holders in _holders().items()}
    groups: frozenset[str] | None = None
    for role in sorted(roles, reverse=True):
        for holder in roles[role]:
            if _is_permission(holder):
                if user.has_perm(holder):
                    return role
                continue
            if groups is None:
                groups = frozenset(user.groups.values_list("name", flat=True))
            if holder in groups:
                return role
    return None


def group_names() -> Iterator[str]:
    """Return the names of the groups that give a role."""
    for holders in _holders().values():
        yield from (holder for holder in holders if not _is_permission(holder))


def make_groups(using: str = "default") -> list[str]:
    """Create the groups that give a role, if they do not exist yet.

    Args:
        using: The alias of the database with Django's users.

    Returns:
        The names of the created groups.
    """
    from django.contrib.auth.models import Group  # noqa: PLC0415 - the apps must be loaded first

    return [name for name in group_names() if Group.objects.using(using).get_or_create(name=name)[1]]


def _holders() -> Mapping[str, Sequence[str]]:
    """Return ``CERTCORE["ROLES"]``."""
    from certcore.contrib.django.access import config  # noqa: PLC0415 - `access` imports this module

    return config().settings().roles


def _is_permission(holder: str) -> bool:
    return "." in holder


def _role_of_actor(actor: str) -> Role | None:
    known = remembered(actor)
    if known is None:
        known = Acting(role=_looked_up(actor))
        remember(actor, known)
    return known.role


def _owners_of_actor(actor: str) -> Collection[str]:
    known = remembered(actor)
    return () if known is None or known.owner is None else (known.owner,)


def _looked_up(actor: str) -> Role | None:
    if actor == SYSTEM:
        return Role.ADMINISTRATOR
    model = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(actor)  # noqa: SLF001 - as Django's own backends do
    except model.DoesNotExist:
        return None
    return role_of(user)
