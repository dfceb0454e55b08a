"""What a person should know about a bundle that was taken."""

from __future__ import annotations

from attrs import frozen

from certcore.model.hints import Message

__all__ = ["BundleWarning", "bundle_warning"]


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


def bundle_warning(field: str, key: str, text: str, **params: str) -> BundleWarning:
    """A warning of a key and a text with parameters."""
    return BundleWarning(field=field, message=Message(key, text, params))
