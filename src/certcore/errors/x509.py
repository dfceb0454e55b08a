"""Errors about keys, CSRs and certificates."""

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
    """A private key does not belong to a certificate or CSR.

    Args:
        message: What happened, in one sentence.
        field: The field that contained the key, as in `InvalidInputError.field`; empty if no user supplied the key.
        advice: What the reader can do next; may be empty.
    """

    code = "key_mismatch"
    param_names = ("field",)

    def __init__(self, message: str | Message, *, field: str = "", advice: str | Message = "") -> None:
        super().__init__(message, advice=advice)
        self.field = field


class LeafRejectedError(X509Error):
    """The leaf that a CA returned does not match the request. It was not installed."""

    code = "leaf_rejected"
    http_status = 502
