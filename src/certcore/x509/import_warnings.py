"""Warnings about an imported bundle."""

from __future__ import annotations

from attrs import frozen

from certcore.messages import Message

__all__ = ["BundleWarning"]


@frozen(kw_only=True)
class BundleWarning:
    """One fact that the user should know about an imported bundle."""

    #: The field that the warning is about.
    field: str
    #: The text. Its key is stable and begins with ``bundle.``.
    message: Message

    @property
    def key(self) -> str:
        """The stable key, for example ``bundle.expired``."""
        return self.message.key

    @property
    def text(self) -> str:
        """The English sentence."""
        return str(self.message)
