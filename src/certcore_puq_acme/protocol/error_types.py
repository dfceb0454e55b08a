"""The ACME error types: what the CA did, whether the same request can succeed later, and what the user can do.

`acme.messages.ERROR_CODES` has a description of each type for logs. Here, each type has an outlook and translatable
advice. A test checks that all types of that registry are here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.messages import Message
from certcore_puq_acme.protocol.problem_document import ProblemDocument

__all__ = [
    "BUSY",
    "CLIENT_ERRORS",
    "ERROR_TYPES",
    "NOT_FOUND",
    "REPEATED",
    "SERVER_ERROR",
    "TOO_MANY_REQUESTS",
    "ErrorType",
    "Outlook",
    "advice_for_caller",
    "error_type",
    "sentence",
]

#: Statuses of a refusal (RFC 9110 section 15.5).
CLIENT_ERRORS: Final = range(400, 500)
#: Statuses from here on are faults of the server (RFC 9110 section 15.6).
SERVER_ERROR: Final = 500
#: RFC 6585 section 4.
TOO_MANY_REQUESTS: Final = 429
#: Client errors after which the same request may succeed later (RFC 9110, RFC 8470, RFC 6585).
BUSY: Final = frozenset({408, 425, TOO_MANY_REQUESTS})
#: Statuses of a resource that does not exist (RFC 9110 sections 15.5.5 and 15.5.11).
NOT_FOUND: Final = (404, 410)

_CONTACT: Final = re.compile(r"contact", re.IGNORECASE)


class Outlook(Enum):
    """Whether the same request can succeed later."""

    #: Soon, for example after a refused nonce or with a busy server.
    SOON = auto()
    #: After hours, for example because of a rate limit or a DNS record that its owner has to change.
    LATER = auto()
    #: Only after the request is changed.
    NEVER = auto()


@frozen(kw_only=True)
class ErrorType:
    """An ACME error type."""

    #: What the CA did. The parameter is ``host``.
    says: Message
    outlook: Outlook
    #: What the owner of the domain or the operator of the panel can do while the request is retried.
    advice: Message
    #: Whether the cause is the CA or the account, not the identifiers and their owner.
    of_authority: bool = True
    #: What the caller of a single request can do, which is not retried (a test or action of a CA profile, or a
    #: revocation); None if `advice` applies.
    caller_advice: Message | None = None


REPEATED: Final = Message("puq_acme.refusal.repeated", "It is retried automatically.")
_TRY_AGAIN: Final = Message("puq_acme.refusal.try_again", "Try again later.")
_ACCOUNT_KEY_TYPE: Final = Message(
    "puq_acme.refusal.account_key_type", "Choose another kind of account key in the CA profile."
)

#: By the last part of the problem type (RFC 8555 section 6.7, RFC 9773 section 7.4, draft-ietf-acme-profiles). The
#: registry of the package `acme`, `acme.messages.ERROR_CODES`, lacks the last two. A test compares both.
ERROR_TYPES: Final[Mapping[str, ErrorType]] = MappingProxyType(
    {
        "accountDoesNotExist": ErrorType(
            says=Message(
                "puq_acme.refusal.account_does_not_exist", "The CA at {host} knows no account for this account key."
            ),
            outlook=Outlook.SOON,
            advice=Message(
                "puq_acme.refusal.account_does_not_exist.advice", "A new account is opened at the next attempt."
            ),
            caller_advice=Message(
                "puq_acme.refusal.account_does_not_exist.caller_advice",
                "Check that the key belongs to an account at the CA of this CA profile.",
            ),
        ),
        "alreadyReplaced": ErrorType(
            says=Message(
                "puq_acme.refusal.already_replaced",
                "The CA at {host} says that the certificate to be replaced has been replaced already.",
            ),
            outlook=Outlook.SOON,
            advice=Message(
                "puq_acme.refusal.already_replaced.advice",
                "It is ordered again without naming the leaf that it replaces.",
            ),
        ),
        "alreadyRevoked": ErrorType(
            says=Message(
                "puq_acme.refusal.already_revoked", "The CA at {host} says that the certificate is revoked already."
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.already_revoked.advice", "The certificate is revoked already. Issue a new one."
            ),
        ),
        "badCSR": ErrorType(
            says=Message(
                "puq_acme.refusal.bad_csr", "The CA at {host} does not accept the certificate signing request."
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.bad_csr.advice", "Choose another key type or other names, and generate a new CSR."
            ),
        ),
        "badNonce": ErrorType(
            says=Message("puq_acme.refusal.bad_nonce", "The CA at {host} kept refusing the requests as replays."),
            outlook=Outlook.SOON,
            advice=REPEATED,
            caller_advice=_TRY_AGAIN,
        ),
        "badPublicKey": ErrorType(
            says=Message("puq_acme.refusal.bad_public_key", "The CA at {host} does not accept the public key."),
            outlook=Outlook.NEVER,
            advice=Message("puq_acme.refusal.bad_public_key.advice", "Choose another kind of key."),
            caller_advice=_ACCOUNT_KEY_TYPE,
        ),
        "badRevocationReason": ErrorType(
            says=Message(
                "puq_acme.refusal.bad_revocation_reason", "The CA at {host} does not accept this revocation reason."
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.bad_revocation_reason.advice", "Choose another reason for the revocation."
            ),
        ),
        "badSignatureAlgorithm": ErrorType(
            says=Message(
                "puq_acme.refusal.bad_signature_algorithm",
                "The CA at {host} does not accept the type of the account key.",
            ),
            outlook=Outlook.NEVER,
            advice=_ACCOUNT_KEY_TYPE,
        ),
        "caa": ErrorType(
            says=Message(
                "puq_acme.refusal.caa", "The CA at {host} may not issue for this name: a CAA record forbids it."
            ),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.caa.advice",
                "The owner has to allow this CA in the domain's CAA record, or remove that record.",
            ),
            of_authority=False,
        ),
        "compound": ErrorType(
            says=Message("puq_acme.refusal.compound", "The CA at {host} found several problems."),
            outlook=Outlook.LATER,
            advice=Message("puq_acme.refusal.compound.advice", "Look at the problem of each name."),
            of_authority=False,
        ),
        "connection": ErrorType(
            says=Message("puq_acme.refusal.connection", "The CA at {host} could not reach the name servers."),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.connection.advice",
                "Check that the tech zone's name servers can be reached from the Internet.",
            ),
            of_authority=False,
        ),
        "dns": ErrorType(
            says=Message("puq_acme.refusal.dns", "The CA at {host} could not look the name up."),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.dns.advice",
                "Check the domain's name servers, its DNSSEC, and the tech zone's delegation.",
            ),
            of_authority=False,
        ),
        "externalAccountRequired": ErrorType(
            says=Message(
                "puq_acme.refusal.external_account_required",
                "The CA at {host} asks for external account binding: a key id and an HMAC key from the CA.",
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.external_account_required.advice",
                "Put the CA's EAB key id and HMAC key into the CA profile, both as the CA shows them.",
            ),
        ),
        "incorrectResponse": ErrorType(
            says=Message(
                "puq_acme.refusal.incorrect_response",
                "The CA at {host} did not find the expected answer to its challenge.",
            ),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.incorrect_response.advice", "Check that the CNAME still points into the tech zone."
            ),
            of_authority=False,
        ),
        "invalidContact": ErrorType(
            says=Message(
                "puq_acme.refusal.invalid_contact", "The CA at {host} does not accept the account's e-mail address."
            ),
            outlook=Outlook.NEVER,
            advice=Message("puq_acme.refusal.invalid_contact.advice", "Correct the account e-mail in the CA profile."),
        ),
        "malformed": ErrorType(
            says=Message("puq_acme.refusal.malformed", "The CA at {host} could not make sense of the request."),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.malformed.advice",
                "It is retried slowly. If it persists, report it with the CA's text.",
            ),
            caller_advice=Message(
                "puq_acme.refusal.malformed.caller_advice",
                "Look at the CA profile. If that is right, report it with the CA's text.",
            ),
        ),
        "orderNotReady": ErrorType(
            says=Message("puq_acme.refusal.order_not_ready", "The CA at {host} is not ready to issue this order."),
            outlook=Outlook.SOON,
            advice=REPEATED,
            caller_advice=_TRY_AGAIN,
        ),
        "rateLimited": ErrorType(
            says=Message("puq_acme.refusal.rate_limited", "The CA at {host} refuses because of too many requests."),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.rate_limited.advice",
                "It is retried when the CA permits; no action is needed.",
            ),
            caller_advice=_TRY_AGAIN,
        ),
        "rejectedIdentifier": ErrorType(
            says=Message("puq_acme.refusal.rejected_identifier", "The CA at {host} will not issue for this name."),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.rejected_identifier.advice",
                "Remove the name from the certificate, or use another CA.",
            ),
        ),
        "serverInternal": ErrorType(
            says=Message("puq_acme.refusal.server_internal", "The CA at {host} failed with an internal error."),
            outlook=Outlook.SOON,
            advice=REPEATED,
            caller_advice=_TRY_AGAIN,
        ),
        "tls": ErrorType(
            says=Message("puq_acme.refusal.tls", "The CA at {host} had trouble with TLS."),
            outlook=Outlook.LATER,
            advice=REPEATED,
            of_authority=False,
            caller_advice=_TRY_AGAIN,
        ),
        "unauthorized": ErrorType(
            says=Message("puq_acme.refusal.unauthorized", "The CA at {host} does not authorise this request."),
            outlook=Outlook.LATER,
            advice=Message(
                "puq_acme.refusal.unauthorized.advice",
                (
                    "Check that the CNAME still points into the tech zone. If it is about the account, look "
                    "at the CA profile."
                ),
            ),
            caller_advice=Message(
                "puq_acme.refusal.unauthorized.caller_advice",
                "Look at the CA profile: its account, and the EAB key id and HMAC key where the CA wants them.",
            ),
        ),
        "unsupportedContact": ErrorType(
            says=Message(
                "puq_acme.refusal.unsupported_contact", "The CA at {host} does not accept this kind of contact address."
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.unsupported_contact.advice", "Correct the account e-mail in the CA profile."
            ),
        ),
        "unsupportedIdentifier": ErrorType(
            says=Message(
                "puq_acme.refusal.unsupported_identifier", "The CA at {host} does not issue for this kind of name."
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.unsupported_identifier.advice",
                "Remove the name from the certificate, or use another CA.",
            ),
        ),
        "userActionRequired": ErrorType(
            says=Message(
                "puq_acme.refusal.user_action_required",
                "The CA at {host} wants a person to visit one of its pages first.",
            ),
            outlook=Outlook.NEVER,
            advice=Message("puq_acme.refusal.user_action_required.advice", "Visit the CA's page, then check again."),
            caller_advice=Message(
                "puq_acme.refusal.user_action_required.caller_advice", "Visit the CA's page, then try again."
            ),
        ),
        "invalidProfile": ErrorType(
            says=Message(
                "puq_acme.refusal.invalid_profile", "The CA at {host} does not know the requested certificate profile."
            ),
            outlook=Outlook.NEVER,
            advice=Message(
                "puq_acme.refusal.invalid_profile.advice", "Choose a certificate profile that the CA offers, or none."
            ),
        ),
    }
)
_CONTACT_MISSING: Final = ErrorType(
    says=ERROR_TYPES["malformed"].says,
    outlook=Outlook.LATER,
    advice=Message(
        "puq_acme.refusal.contact_missing.advice", "Enter an account e-mail in the CA profile: this CA wants one."
    ),
)


def error_type(problem: ProblemDocument, status: int) -> ErrorType | None:
    """The type of a refusal, from its problem document and HTTP status; None for an unknown type."""
    if status == TOO_MANY_REQUESTS:
        return ERROR_TYPES["rateLimited"]
    if problem.acme_type == "malformed" and _CONTACT.search(problem.detail):
        return _CONTACT_MISSING
    return ERROR_TYPES.get(problem.acme_type)


def sentence(problem: ProblemDocument, status: int, host: str) -> Message:
    """A sentence about what the CA did."""
    params = {"host": host, "status": status}
    known = ERROR_TYPES.get(problem.acme_type)
    if status in NOT_FOUND and problem.acme_type in ("", "malformed"):
        text = "The CA at {host} does not know the requested object (HTTP status {status})."
        return Message("puq_acme.refusal.not_found", text, params)
    if known is not None:
        return evolve(known.says, params={"host": host})
    if status >= SERVER_ERROR:
        return Message("puq_acme.refusal.failed", "The CA at {host} failed (HTTP status {status}).", params)
    text = "The CA at {host} refused the request (HTTP status {status})."
    return Message("puq_acme.refusal.refused", text, params)


def advice_for_caller(problem: ProblemDocument, status: int) -> str | Message:
    """What the caller of a single request can do about its refusal."""
    if status in NOT_FOUND and problem.acme_type in ("", "malformed"):
        text = "Check the directory URL in the CA profile, and try again: the CA may have moved."
        return Message("puq_acme.refusal.not_found.caller_advice", text)
    known = error_type(problem, status)
    if known is None:
        return _TRY_AGAIN if status >= SERVER_ERROR else ""
    return known.caller_advice or known.advice
