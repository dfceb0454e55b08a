"""Who may do what: the panel's policy is asked for every action."""

from __future__ import annotations

from attrs import frozen

from certcore.errors import AccessDenied
from certcore.ports.plugins import Plugins

__all__ = ["Access"]


@frozen(kw_only=True, eq=False)
class Access:
    """Asks ``certcore_authorize``; without any policy plugin everything is allowed, as the panel has asked already."""

    plugins: Plugins

    def require(self, actor: str, action: str, subject: str = "") -> None:
        """Go on only if the policy has nothing against it.

        Raises:
            AccessDenied: A policy said no, or failed.
        """
        if self.plugins.authorize(actor, action, subject) is False:
            raise AccessDenied(actor, action, subject or "this")
