"""Keys, requests and certificates that are not what they should be."""

from __future__ import annotations

from certcore.errors.base import CertCoreError

__all__ = ["KeyMismatch", "LeafRejected", "UnreadablePem", "X509Error"]


class X509Error(CertCoreError):
    """Something is wrong with a key, a certificate signing request or a certificate."""


class UnreadablePem(X509Error):
    """The text is not the PEM (RFC 7468) that was expected."""


class KeyMismatch(X509Error):
    """A private key and a certificate or request that do not belong together.

    Args:
        message: What does not belong to what.
        field: The field that the key was given in, as `InvalidInput.field`; empty when nobody gave it.
        advice: What to do.
    """

    _shown_fields = ("field",)

    def __init__(self, message: str, *, field: str = "", advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.field = field


class LeafRejected(X509Error):
    """A certificate that a CA returned is not the one that was asked for; it was not installed."""
