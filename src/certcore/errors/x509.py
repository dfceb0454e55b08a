"""Keys, requests and certificates that are not what they should be."""

from __future__ import annotations

from certcore.errors.base import CertCoreError
from certcore.messages import Message

__all__ = ["KeyMismatchError", "LeafRejectedError", "UnreadablePemError", "X509Error"]


class X509Error(CertCoreError):
    """Something is wrong with a key, a certificate signing request or a certificate."""

    code = "x509_error"
    http_status = 422


class UnreadablePemError(X509Error):
    """The text is not the PEM (RFC 7468) that was expected."""

    code = "unreadable_pem"


class KeyMismatchError(X509Error):
    """A private key and a certificate or request that do not belong together.

    Args:
        message: What does not belong to what.
        field: The field that the key was given in, as `InvalidInputError.field`; empty when nobody gave it.
        advice: What to do.
    """

    code = "key_mismatch"
    param_names = ("field",)

    def __init__(self, message: str | Message, *, field: str = "", advice: str | Message = "") -> None:
        super().__init__(message, advice=advice)
        self.field = field


class LeafRejectedError(X509Error):
    """A certificate that a CA returned is not the one that was asked for; it was not installed."""

    code = "leaf_rejected"
    http_status = 502
