"""What a person should know about a bundle that was taken."""

from __future__ import annotations

from attrs import frozen

from certcore.messages import Message

__all__ = ["BundleWarning"]


@frozen(kw_only=True)
class BundleWarning:
    """What a person should know about a bundle that was taken."""

    #: Which field it is about.
    field: str
    #: A text with a stable key that begins with ``bundle.``.
    message: Message

    @property
    def key(self) -> str:
        """The stable key, for example ``bundle.expired``."""
        return self.message.key

    @property
    def text(self) -> str:
        """The English sentence."""
        return str(self.message)
