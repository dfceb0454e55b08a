"""The built-in policy: viewer, operator, administrator, and the owner of a certificate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from attrs import frozen

from certcore.hookspecs import hookimpl
from certcore.model.permissions import GRANTS, Permission, Role

__all__ = ["RolePolicy"]


def _only_oneself(actor: str) -> Collection[str]:
    return (actor,)


@frozen(eq=False)
class RolePolicy:
    """A policy plugin with roles; pass it to ``CertCore.open(…, plugins=[RolePolicy(…)])``.

    An actor without a role and without certificates may do nothing. The actor of calls without an argument ``actor`` is
    ``system``: give it a role if the panel makes such calls. Processes without an actor, such as ``certcore run``, need
    no permission.

    Example:
        >>> policy = RolePolicy({"anna": Role.ADMINISTRATOR, "bert": Role.VIEWER})
        >>> policy.certcore_authorize(actor="bert", action="certificate.delete", owner="carla")
        False
        >>> policy.certcore_authorize(actor="carla", action="certificate.delete", owner="carla")
        True
    """

    #: The roles by actor, or a function that returns an actor's role (None for no role). It is used at every call.
    roles: Mapping[str, Role] | Callable[[str], Role | None]
    #: Returns the owners for which an actor may act, or None for none. By default, an actor acts for the owner with its
    #: own name.
    owners: Callable[[str], Collection[str] | None] = _only_oneself

    @hookimpl
    def certcore_authorize(self, actor: str, action: str, owner: str) -> bool:
        """The decision. It is never None, so no other policy is asked."""
        try:
            grant = GRANTS[Permission(action)]
        except ValueError:  # an unknown action, for example of a newer version
            return self._role(actor) is Role.ADMINISTRATOR
        role = self._role(actor)
        if role is not None and role >= grant.role:
            return True
        return grant.owner and owner != "" and self._owns(actor, owner)

    def _owns(self, actor: str, owner: str) -> bool:
        owners = self.owners(actor)
        # A str is also a collection: `in` would find "customer-7" in "customer-77".
        return owner == owners if isinstance(owners, str) else owner in (owners or ())

    def _role(self, actor: str) -> Role | None:
        return self.roles(actor) if callable(self.roles) else self.roles.get(actor)
