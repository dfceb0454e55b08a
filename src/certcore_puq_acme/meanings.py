"""What the ACME error types mean, as a table: whether it is tried again, and what somebody can do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from certcore.model.problem import Problem
from certcore.model.renewal import Retry

__all__ = ["BY_ITSELF", "GONE", "MEANINGS", "SERVER_ERROR", "TOO_MANY", "Meaning", "advice_by_hand", "meaning_of"]

#: From here on it is the server's fault (RFC 9110 section 15.6).
SERVER_ERROR: Final = 500
#: RFC 6585 section 4.
TOO_MANY: Final = 429
#: Statuses of what is not there, or not any more (RFC 9110 sections 15.5.5 and 15.5.11).
GONE: Final = (404, 410)
_NO_CONTACT: Final = re.compile(r"contact", re.IGNORECASE)


@frozen
class Meaning:
    """What an ACME error type means."""

    retry: Retry
    #: What the owner of the domain, or the operator of the panel, can do.
    advice: str
    #: Whether it is a matter of the CA or of our account there, not of the names and their owner.
    of_authority: bool = True
    #: What somebody can do who has asked by hand (for a test of the profile, one of its actions, a revocation), where
    #: that is something else: nothing is tried again by itself then.
    by_hand: str = ""


BY_ITSELF: Final = "It is tried again by itself."
_TRY_AGAIN: Final = "Try again later."
_ACCOUNT_KEY_TYPE: Final = "Choose another kind of account key in the CA profile."
_OWNER: Final = False

#: By the last part of the problem type (RFC 8555 section 6.7, RFC 9773 section 7.4, draft-ietf-acme-profiles).
MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "accountDoesNotExist": Meaning(
            Retry.SOON,
            "A new account is opened at the next attempt.",
            by_hand="Check that the key is that of an account at the CA which the CA profile is set to.",
        ),
        "alreadyReplaced": Meaning(Retry.SOON, "It is ordered again without naming the leaf that it replaces."),
        "alreadyRevoked": Meaning(Retry.NEVER, "The certificate is revoked already. Issue a new one."),
        "badCSR": Meaning(Retry.NEVER, "Choose another key type or other names, and generate a new CSR."),
        "badNonce": Meaning(Retry.SOON, BY_ITSELF, by_hand=_TRY_AGAIN),
        "badPublicKey": Meaning(Retry.NEVER, "Choose another kind of key.", by_hand=_ACCOUNT_KEY_TYPE),
        "badRevocationReason": Meaning(Retry.NEVER, "Choose another reason for the revocation."),
        "badSignatureAlgorithm": Meaning(Retry.NEVER, _ACCOUNT_KEY_TYPE),
        "caa": Meaning(
            Retry.SLOW, "The owner has to allow this CA in the domain's CAA record, or remove that record.", _OWNER
        ),
        "compound": Meaning(Retry.SLOW, "Look at the problem of each name.", _OWNER),
        "connection": Meaning(
            Retry.SLOW, "Check that the tech zone's name servers can be reached from the Internet.", _OWNER
        ),
        "dns": Meaning(
            Retry.SLOW, "Check the domain's name servers, its DNSSEC, and the tech zone's delegation.", _OWNER
        ),
        "externalAccountRequired": Meaning(
            Retry.NEVER, "Put the CA's EAB key id and HMAC key into the CA profile, both as the CA shows them."
        ),
        "incorrectResponse": Meaning(Retry.SLOW, "Check that the CNAME still points into the tech zone.", _OWNER),
        "invalidContact": Meaning(Retry.NEVER, "Correct the account e-mail in the CA profile."),
        "invalidProfile": Meaning(Retry.NEVER, "Choose a certificate profile that the CA offers, or none."),
        "malformed": Meaning(
            Retry.SLOW,
            "It is tried again slowly. If it stays, report it with the CA's text.",
            by_hand="Look at the CA profile. If that is right, report it with the CA's text.",
        ),
        "orderNotReady": Meaning(Retry.SOON, BY_ITSELF, by_hand=_TRY_AGAIN),
        "rateLimited": Meaning(
            Retry.SLOW, "It is tried again when the CA permits; until then nothing is to be done.", by_hand=_TRY_AGAIN
        ),
        "rejectedIdentifier": Meaning(Retry.NEVER, "Remove the name from the certificate, or use another CA."),
        "serverInternal": Meaning(Retry.SOON, BY_ITSELF, by_hand=_TRY_AGAIN),
        "tls": Meaning(Retry.SLOW, BY_ITSELF, _OWNER, by_hand=_TRY_AGAIN),
        "unauthorized": Meaning(
            Retry.SLOW,
            "Check that the CNAME still points into the tech zone. If it is about the account, look at the CA profile.",
            by_hand="Look at the CA profile: its account, and the EAB key id and HMAC key where the CA wants them.",
        ),
        "unsupportedContact": Meaning(Retry.NEVER, "Correct the account e-mail in the CA profile."),
        "unsupportedIdentifier": Meaning(Retry.NEVER, "Remove the name from the certificate, or use another CA."),
        "userActionRequired": Meaning(
            Retry.NEVER, "Visit the CA's page, then check again.", by_hand="Visit the CA's page, then try again."
        ),
    }
)
_WANTS_A_CONTACT: Final = Meaning(Retry.SLOW, "Enter an account e-mail in the CA profile: this CA wants one.")


def meaning_of(problem: Problem, status: int) -> Meaning | None:
    """What a refusal means by its type and HTTP status; None for a type that nobody knows."""
    if status == TOO_MANY:
        return MEANINGS["rateLimited"]
    if problem.acme_type == "malformed" and _NO_CONTACT.search(problem.detail):
        return _WANTS_A_CONTACT
    return MEANINGS.get(problem.acme_type)


def advice_by_hand(problem: Problem, status: int) -> str:
    """What somebody can do who has asked by hand, where the refusal itself holds no advice."""
    if status in GONE and problem.acme_type in ("", "malformed"):
        return "Check the directory URL in the CA profile, and try again: the CA may have moved."
    meaning = meaning_of(problem, status)
    if meaning is None:
        return _TRY_AGAIN if status >= SERVER_ERROR else ""
    return meaning.by_hand or meaning.advice
