"""Revocation: by the account that ordered the leaf, else by the leaf's own key (RFC 8555 section 7.6).

Tenants share an account, and a CA revokes every leaf that the account has ordered. So certcore signs with the account
only if the account has ordered the leaf for this certificate. The import of a leaf does not prove that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.errors import CAError
from certcore.messages import Message
from certcore.model.issuance import Issuance, Purpose
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.net.foreign_text import printable
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.accounts.records import own_account, read_record
from certcore_puq_acme.orders.state import OrderState
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.error_types import CLIENT_ERRORS
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.jws import load_account_key

__all__ = ["revoke"]

#: Error types that concern the certificate, whichever account asks. Any other refusal may concern the account: it did
#: not order the certificate, is closed, or no longer exists; CAs use many error types for that.
_OF_THE_CERTIFICATE: Final = frozenset({"alreadyRevoked", "badRevocationReason"})
#: Error types of CAs for a leaf that they have not issued; some CAs send no type.
_UNKNOWN_LEAF: Final = frozenset({"", "malformed", "unauthorized"})


def revoke(
    issuance: Issuance,
    reason: RevocationReason,
    private_key: Callable[[], Secret | None],
    context: AcmeContext,
    accounts: Accounts,
) -> None:
    """Revoke a leaf. A leaf that the CA has already revoked is no error.

    Args:
        issuance: The issuance with the leaf.
        reason: Sent as its code; `RevocationReason.UNSPECIFIED` is not sent (RFC 5280 section 5.3.1: SHOULD be absent).
        private_key: Returns the leaf's key, or None if it is not stored; called only if no account may revoke.
        context: The CA profile.
        accounts: The accounts of this process.

    Raises:
        AcmeError: The CA refused, or cannot be reached.
        CAError: Neither an account that may revoke the leaf nor the leaf's key is stored.
    """
    try:
        _revoke(issuance, reason, private_key, context, accounts)
    except AcmeProblemError as error:
        if error.acme_type != "alreadyRevoked":
            raise


def _revoke(
    issuance: Issuance,
    reason: RevocationReason,
    private_key: Callable[[], Secret | None],
    context: AcmeContext,
    accounts: Accounts,
) -> None:
    leaf = x509.load_pem_x509_certificate((issuance.leaf_pem or "").encode())
    code = None if reason is RevocationReason.UNSPECIFIED else reason.code
    state = OrderState.of(issuance)
    refusal: CAError = CAError(
        Message(
            "puq_acme.revocation.no_key",
            ("Revocation needs an account of this CA or the certificate's private key; neither is stored here."),
        ),
        advice=Message(
            "puq_acme.revocation.no_key.advice",
            "Choose a CA profile with the account that issued it, or revoke it on the CA's own page.",
        ),
    )
    try:
        client = _orderer(issuance, context, accounts)
        if client is not None:
            client.revoke(leaf.public_bytes(Encoding.DER), reason=code)
            return
    except AcmeProblemError as problem:
        if problem.acme_type in _OF_THE_CERTIFICATE or problem.status not in CLIENT_ERRORS:
            raise
        refusal = problem
    key = private_key()
    if key is None:
        raise refusal
    try:
        directory = state.directory or context.profile.directory
        _by_key(accounts, leaf.public_bytes(Encoding.DER), code, key, context, directory)
    except AcmeProblemError as problem:
        raise (_not_of_this_ca(problem, leaf) if problem.acme_type in _UNKNOWN_LEAF else problem) from None


def _not_of_this_ca(problem: AcmeProblemError, leaf: x509.Certificate) -> AcmeProblemError:
    """The error for a refusal although the leaf's own key has signed: most likely another CA has issued the leaf."""
    issuer = printable(leaf.issuer.rfc4514_string())
    return AcmeProblemError(
        problem.problem,
        status=problem.status,
        host=problem.host,
        retry_after=problem.retry_after,
        title=Message(
            "puq_acme.revocation.other_ca",
            "The CA at {host} did not revoke the leaf, whose issuer is {issuer}.",
            {"host": problem.host, "issuer": issuer},
        ),
        advice=Message(
            "puq_acme.revocation.other_ca.advice",
            "If that is another CA, name a CA profile of that CA, or revoke the leaf on the CA's own page.",
        ),
    ).at(problem.url)


def _orderer(issuance: Issuance, context: AcmeContext, accounts: Accounts) -> AcmeClient | None:
    """The account that ordered the leaf for this certificate, even if its CA profile is deleted; None if not stored."""
    state = OrderState.of(issuance)
    if issuance.purpose is Purpose.IMPORT or not state.order:
        return None
    client = _usable(context, accounts, state.account)
    if client is not None:
        return client
    # The same account may meanwhile be stored under another key, for example after a change of the profile's settings.
    own = read_record(context.documents, own_account(context).key)
    # The account URL alone proves nothing: another CA may have given the same URL to its account.
    is_same_ca = state.directory in ("", own.directory)
    is_same = bool(own.url) and is_same_ca and own.url == state.account_url
    return _usable(context, accounts, own.document) if is_same else None


def _usable(context: AcmeContext, accounts: Accounts, key: str) -> AcmeClient | None:
    """The account with this document key if it can be used; no new account is opened to revoke a certificate."""
    record = accounts.settle(context, read_record(context.documents, key))
    return accounts.find(context, record.document)


def _by_key(
    accounts: Accounts, leaf: bytes, code: int | None, key: Secret, context: AcmeContext, directory: str
) -> None:
    profile = context.profile
    with closing(accounts.http(profile)) as http:
        client = AcmeClient(directory, key=load_account_key(key.reveal()), http=http, now=context.environment.now)
        client.revoke(leaf, reason=code, by_key=True)
