"""Revocation: by the account that issued, else by the certificate's own key (RFC 8555 section 7.6)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.model.issuance import Issuance
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.accounts import Accounts
from certcore_puq_acme.acme_errors import AcmeProblem
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.jose import load_account_key
from certcore_puq_acme.transport import Http

__all__ = ["revoke"]

#: What a CA says of an account that did not issue the certificate, or that cannot be used any more.
_ANOTHER_ACCOUNT: Final = frozenset(
    {"unauthorized", "accountDoesNotExist", "userActionRequired", "externalAccountRequired"}
)


def revoke(
    issuance: Issuance,
    reason: RevocationReason,
    private_key: Callable[[], Secret | None],
    context: ModuleContext,
    accounts: Accounts,
) -> None:
    """Revoke a leaf; one that is revoked already counts as done.

    Args:
        issuance: With the leaf.
        reason: Sent as its code; left out for `RevocationReason.UNSPECIFIED` (RFC 5280 section 5.3.1 says SHOULD).
        private_key: Opens the leaf's key, asked only when the account may not revoke; None when it is not here.
        context: The CA profile.
        accounts: The accounts of this process.

    Raises:
        AcmeError: The CA refused, or cannot be talked to.
    """
    leaf = x509.load_pem_x509_certificate((issuance.leaf_pem or "").encode()).public_bytes(Encoding.DER)
    code = None if reason is RevocationReason.UNSPECIFIED else reason.code
    try:
        try:
            accounts.client(context).revoke(leaf, reason=code)
        except AcmeProblem as error:
            key = private_key() if error.acme_type in _ANOTHER_ACCOUNT else None
            if key is None:
                raise
            _by_key(leaf, code, key, context)
    except AcmeProblem as error:
        if error.acme_type != "alreadyRevoked":
            raise


def _by_key(leaf: bytes, code: int | None, key: Secret, context: ModuleContext) -> None:
    profile = context.profile
    with closing(Http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots)) as http:
        client = AcmeClient(
            profile.directory, key=load_account_key(key.reveal()), http=http, now=context.environment.now
        )
        client.revoke(leaf, reason=code, by_key=True)
