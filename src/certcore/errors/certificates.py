"""Errors about the state of a certificate."""

from __future__ import annotations

from typing import ClassVar

from certcore.errors.base import CertCoreError
from certcore.messages import Message

__all__ = [
    "ActionRefusedError",
    "CertificateBusyError",
    "CertificateError",
    "NoIssuanceError",
    "NotIssuedError",
    "PrivateKeyNotStoredError",
    "RevocationNotPossibleError",
]


class CertificateError(CertCoreError):
    """The state of a certificate does not allow the operation.

    Args:
        message: What happened, in one sentence.
        domain: The certificate's primary name.
        advice: What the reader can do next; may be empty.
    """

    code = "certificate_error"
    http_status = 409
    param_names: ClassVar[tuple[str, ...]] = ("domain",)

    def __init__(self, message: str | Message, *, domain: str, advice: str | Message = "") -> None:
        super().__init__(message, advice=advice)
        self.domain = domain


class ActionRefusedError(CertificateError):
    """The CA module refused an action on a certificate; nothing was stored.

    Args:
        action: The name of the action.
        domain: The certificate's primary name.
        reason: Why, as the module reports it.
    """

    code = "action_refused"
    param_names = ("action", "reason")

    def __init__(self, action: str, *, domain: str, reason: str | Message) -> None:
        super().__init__(reason, domain=domain)
        self.action = action
        self.reason = str(reason)


class CertificateBusyError(CertificateError):
    """A step of the certificate is running. The same call can succeed a little later."""

    code = "certificate_busy"


class NoIssuanceError(CertificateError):
    """No issuance of the certificate is under way."""

    code = "no_issuance"


class NotIssuedError(CertificateError):
    """The certificate has no leaf yet, or no CSR."""

    code = "not_issued"


class PrivateKeyNotStoredError(CertificateError):
    """The private key is not in this store: the user supplied only a CSR, or imported the leaf without its key."""

    code = "private_key_not_stored"


class RevocationNotPossibleError(CertificateError):
    """certcore cannot ask the CA to revoke this leaf."""

    code = "revocation_not_possible"
