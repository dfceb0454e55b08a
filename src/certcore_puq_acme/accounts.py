"""ACME accounts: one per CA profile and directory, found again after a restart."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from attrs import field, frozen

from certcore.model.problem import Problem
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.acme_errors import AcmeProblem
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.jose import ExternalAccountBinding, generate_account_key, load_account_key
from certcore_puq_acme.messages import Directory
from certcore_puq_acme.settings import PuqAcmeProfile
from certcore_puq_acme.transport import Http

__all__ = ["Accounts", "TermsNotAgreed", "directory_document"]


class TermsNotAgreed(AcmeProblem):
    """The CA has terms of service, and nobody agreed to them yet."""

    def __init__(self, url: str, host: str) -> None:
        problem = Problem(
            type="urn:ietf:params:acme:error:userActionRequired",
            detail=f"Terms of service: {url}",
            instance=url,
            advice=f"Read {url} and set terms_agreed to yes in the CA profile.",
        )
        super().__init__(problem, status=403, host=host)


@frozen(kw_only=True)
class _Opened:
    profile: PuqAcmeProfile
    client: AcmeClient


def directory_document(authority_id: str) -> str:
    """The key of the document that remembers what the directory of a CA profile said."""
    return f"directory/{authority_id}"


@frozen(eq=False)
class Accounts:
    """The ACME clients of this process, one per CA profile, with their connections and nonces."""

    _clients: dict[str, _Opened] = field(factory=dict, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def client(self, context: ModuleContext) -> AcmeClient:
        """A client whose account exists; it is created or found when this process needs it first.

        Raises:
            AcmeProblem: The CA refused; `TermsNotAgreed` when its terms were not agreed to.
            AcmeError: The CA cannot be talked to.
        """
        profile: PuqAcmeProfile = context.profile
        with self._lock:
            opened = self._clients.get(context.authority_id)
        if opened is not None and opened.profile == profile and opened.client.account_url:
            return opened.client
        client = self._connect(context, profile)
        if not client.account_url:
            self._open_account(context, profile, client)
        with self._lock:
            self._clients[context.authority_id] = _Opened(profile=profile, client=client)
        return client

    def forget(self, context: ModuleContext, *, account_too: bool = False) -> None:
        """Drop the client, and with ``account_too`` the account's URL: the CA does not know it any more."""
        with self._lock:
            self._clients.pop(context.authority_id, None)
        if account_too:
            context.documents.delete(_account_key(context.authority_id, context.profile))

    def read_directory(self, context: ModuleContext, client: AcmeClient | None = None) -> Directory:
        """Fetch the directory afresh and remember what the right column shows of it."""
        fresh = client or self.anonymous(context.profile)
        directory = fresh.directory(refresh=True)
        context.documents.put(
            directory_document(context.authority_id),
            {
                "url": context.profile.directory,
                "terms_of_service": directory.terms_of_service,
                "website": directory.website,
                "external_account_required": directory.external_account_required,
                "fetched_at": context.environment.now().isoformat(),
            },
        )
        return directory

    def anonymous(self, profile: PuqAcmeProfile) -> AcmeClient:
        """A client without an account: enough for the directory."""
        http = Http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots)
        return AcmeClient(profile.directory, http=http)

    def _connect(self, context: ModuleContext, profile: PuqAcmeProfile) -> AcmeClient:
        key_name = f"{_account_key(context.authority_id, profile)}/key"
        pem = context.documents.unseal(key_name)
        if pem is None:
            context.documents.seal(key_name, generate_account_key())
            pem = context.documents.unseal(key_name)  # ours, or that of another process that was faster
        stored = context.documents.get(_account_key(context.authority_id, profile))
        return AcmeClient(
            profile.directory,
            key=load_account_key(pem or b""),
            http=Http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots),
            account_url=str(stored.value.get("url", "")) if stored else "",
            now=context.environment.now,
        )

    def _open_account(self, context: ModuleContext, profile: PuqAcmeProfile, client: AcmeClient) -> None:
        directory = self.read_directory(context, client)
        if directory.terms_of_service and not profile.terms_agreed:
            raise TermsNotAgreed(directory.terms_of_service, profile.directory.split("/")[2])
        secret = profile.eab_hmac_key
        eab = ExternalAccountBinding(kid=profile.eab_kid, hmac_key=secret.reveal_text()) if secret else None
        account = client.new_account(
            [profile.email] if profile.email else [], terms_agreed=profile.terms_agreed, eab=eab
        )
        context.documents.put(
            _account_key(context.authority_id, profile),
            {
                "url": account.url,
                "directory": profile.directory,
                "email": profile.email,
                "terms_of_service": directory.terms_of_service,
                "terms_agreed_at": context.environment.now().isoformat() if profile.terms_agreed else None,
            },
        )


def _account_key(authority_id: str, profile: PuqAcmeProfile) -> str:
    # Another directory is another CA, which knows nothing of this account.
    directory = hashlib.sha256(profile.directory.encode()).hexdigest()[:16]
    return f"account/{authority_id}/{directory}"
