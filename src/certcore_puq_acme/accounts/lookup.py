"""Look up the account of a key at the CA, and whether the account is closed."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from certcore.messages import Message
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.error_types import BUSY, CLIENT_ERRORS
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn
from certcore_puq_acme.protocol.resources import Account

__all__ = ["CLOSED", "AccountClosedError", "KeyState", "Standing", "existing", "is_refusal", "standing"]

#: The states of an account that can no longer be used (RFC 8555 section 7.1.6).
CLOSED: Final = frozenset({"deactivated", "revoked"})
_FORBIDDEN: Final = 403
_UNKNOWN: Final = "accountDoesNotExist"
_UNAUTHORIZED: Final = "unauthorized"
#: Error types of CAs for an unknown key or account, or for a lookup that they refuse.
_ABOUT_THE_KEY: Final = frozenset({"", _UNAUTHORIZED, "malformed", _UNKNOWN, "externalAccountRequired"})
_SAYS_CLOSED: Final = re.compile(r"deactivated|\bclosed\b|\brevoked\b|suspended|not valid, has status", re.IGNORECASE)


class AccountClosedError(AcmeProblemError):
    """The account is deactivated (RFC 8555 section 7.3.6). Another one is opened only on request."""

    code = "acme_account_closed"

    def __init__(self, url: str, host: str) -> None:
        super().__init__(
            ProblemDocument(type=error_urn("userActionRequired")),
            status=_FORBIDDEN,
            host=host,
            title=_deactivated(url, host),
            advice=Message(
                "puq_acme.account.deactivated.advice",
                "Run the profile's action open_account to open a new one, or use another CA profile.",
            ),
        )


def _deactivated(url: str, host: str) -> Message:
    params = {"url": url, "host": host}
    if url:
        return Message("puq_acme.account.deactivated", "The account {url} at the CA {host} is deactivated.", params)
    text = "The account of this key at the CA {host} is deactivated."
    return Message("puq_acme.account.of_key_deactivated", text, params)


class KeyState(StrEnum):
    """The relation of a key to an account."""

    #: The key is the account's key.
    IN_USE = "in_use"
    #: The key was the account's key, and the account is closed.
    CLOSED = "closed"
    #: The CA says that this key has no account.
    UNKNOWN = "unknown"
    #: The CA refuses the key without a reliable reason.
    UNCLEAR = "unclear"


@frozen
class Standing:
    """The state of a key, and its account."""

    state: KeyState
    #: The URL of the key's account, which may differ from the given one; empty if there is no account.
    url: str = ""
    #: Whether the answer is reliable: a lagging replica may not know an account yet.
    is_certain: bool = True


def is_refusal(problem: AcmeProblemError) -> bool:
    """Whether the CA refused the request; after a 5xx status or from a busy server, it may have carried it out."""
    return problem.status in CLIENT_ERRORS and problem.status not in BUSY and problem.acme_type != "rateLimited"


def standing(client: AcmeClient, url: str) -> Standing:
    """Query the account itself (RFC 8555 section 7.3.2), then the account of the key (section 7.3.1).

    Args:
        client: A client with the key and the account's URL.
        url: The account's URL.

    Raises:
        AcmeError: The CA cannot be reached, or its refusal does not concern the key or the account.
    """
    try:
        account = client.account()
    except AcmeProblemError as problem:
        if not _is_about_the_key(problem):
            raise
        refusal = problem
    else:
        return Standing(KeyState.CLOSED if account.status in CLOSED else KeyState.IN_USE, url)
    closed = Standing(KeyState.CLOSED, url)
    is_unauthorized = refusal.acme_type == _UNAUTHORIZED
    try:
        account = client.new_account(only_return_existing=True)
    except AcmeProblemError as problem:
        if not _is_about_the_key(problem):
            raise
        # Section 7.3.6 requires "unauthorized" for a closed account; some CAs also answer so to a bad signature.
        if is_unauthorized and (problem.acme_type == _UNAUTHORIZED or _SAYS_CLOSED.search(refusal.detail)):
            return evolve(closed, is_certain=_SAYS_CLOSED.search(refusal.detail) is not None)
        return Standing(KeyState.UNKNOWN if problem.acme_type == _UNKNOWN else KeyState.UNCLEAR, is_certain=False)
    if account.status in CLOSED:
        return Standing(KeyState.CLOSED, account.url)
    return Standing(KeyState.IN_USE, account.url)


def existing(client: AcmeClient) -> Account | None:
    """The existing account of the client's key (RFC 8555 section 7.3.1); None if it does not exist.

    A refusal counts as no account, because some CAs refuse the lookup. If the CA reports a closed account, that account
    is returned, without a URL if the CA does not name it.

    Raises:
        AcmeError: The CA cannot be reached.
    """
    try:
        return client.new_account(only_return_existing=True)
    except AcmeProblemError as problem:
        if not _is_about_the_key(problem):
            raise
        if problem.acme_type == _UNAUTHORIZED and _SAYS_CLOSED.search(problem.detail):
            return Account(url=problem.location, status="deactivated")
        return None


def _is_about_the_key(problem: AcmeProblemError) -> bool:
    return is_refusal(problem) and problem.acme_type in _ABOUT_THE_KEY
