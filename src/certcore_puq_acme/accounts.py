"""ACME accounts: opened when they are needed first, found by their key after a restore, followed when they change."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import CertCoreError, StaleWrite
from certcore.model.problem import Problem
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_keys import AccountKeyType
from certcore_puq_acme.account_records import AccountRecord, AccountRef, own_account, read_record
from certcore_puq_acme.acme_errors import AcmeProblem
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.directory_records import keep_directory
from certcore_puq_acme.eab import credentials, forget_credentials
from certcore_puq_acme.jose import generate_account_key, load_account_key
from certcore_puq_acme.messages import Account, Directory
from certcore_puq_acme.settings import PuqAcmeProfile
from certcore_puq_acme.transport import Http

__all__ = ["AccountClosed", "Accounts", "Opened", "TermsNotAgreed"]

#: A directory is fetched again after this time: its terms and its offers change now and then.
_DIRECTORY_LIFE: Final = timedelta(days=1)
_USER_ACTION: Final = "urn:ietf:params:acme:error:userActionRequired"
_FORBIDDEN: Final = 403
_DISLIKED: Final = frozenset({"unauthorized", "malformed"})


class TermsNotAgreed(AcmeProblem):
    """The CA has terms of service, and nobody agreed to them yet."""

    def __init__(self, url: str, host: str) -> None:
        problem = Problem(
            type=_USER_ACTION,
            detail=f"Terms of service: {url}",
            instance=url,
            advice=f"Read {url} and set terms_agreed to yes in the CA profile.",
        )
        super().__init__(problem, status=_FORBIDDEN, host=host)


class AccountClosed(AcmeProblem):
    """Somebody has closed the account for ever (RFC 8555 section 7.3.6); nobody opens another one unasked."""

    def __init__(self, url: str, host: str) -> None:
        problem = Problem(
            type=_USER_ACTION,
            detail=f"The account {url} was deactivated.",
            advice="Run the profile's action open_account to open a new one, or use another CA profile.",
        )
        super().__init__(problem, status=_FORBIDDEN, host=host)


@frozen(kw_only=True)
class Opened:
    """An account that exists, with the client that speaks for it."""

    ref: AccountRef
    profile: PuqAcmeProfile
    record: AccountRecord
    client: AcmeClient
    #: When its directory was fetched.
    directory_at: datetime

    def speaks_for(self, ref: AccountRef, profile: PuqAcmeProfile, record: AccountRecord, now: datetime) -> bool:
        """Whether this client can still be used: nothing that it was made from has changed since."""
        return (
            self.profile == profile
            and self.ref.contact == ref.contact
            and (record.url, record.key, record.is_closed) == (self.record.url, self.record.key, False)
            and (record.next_key is None or record.is_rolling(now))
        )


@frozen(eq=False)
class Accounts:
    """The ACME clients of this process, one per account, with their connections and nonces."""

    _opened: dict[str, Opened] = field(factory=dict, init=False, repr=False)
    #: Clients without an account, for renewal information, and when each fetched its directory.
    _readers: dict[tuple[str, str], tuple[AcmeClient, datetime]] = field(factory=dict, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def client(self, context: ModuleContext, ref: AccountRef | None = None) -> AcmeClient:
        """A client whose account exists; see `opened`."""
        return self.opened(context, ref).client

    def opened(self, context: ModuleContext, ref: AccountRef | None = None) -> Opened:
        """An account that exists, and its client; the account is created, or found by its key, when it is not known.

        What another process has done to the account (a rollover, closing it) is seen at the next call.

        Args:
            context: The CA profile.
            ref: Which account; the profile's own when None.

        Raises:
            AcmeProblem: The CA refused; `TermsNotAgreed` when its terms were not agreed to, `AccountClosed`.
            AcmeError: The CA cannot be talked to.
        """
        wanted = ref or own_account(context)
        profile: PuqAcmeProfile = context.profile
        record = read_record(context.documents, wanted.key)
        with self._lock:
            known = self._opened.get(wanted.key)
        if known is not None and known.speaks_for(wanted, profile, record, context.environment.now()):
            return self._fresh(context, known)
        opened = self._open(context, wanted, record)
        with self._lock:
            self._opened[wanted.key] = opened
        return opened

    def find(self, context: ModuleContext, key: str) -> AcmeClient | None:
        """A client for an account that is known by its document's key; None when it is not there, or is closed.

        It works without the profile that the account belonged to.
        """
        record = read_record(context.documents, key)
        pem = context.documents.unseal(record.key_name) if record.url and not record.is_closed else None
        if pem is None:
            return None
        http = Http(timeout=context.profile.api_timeout, extra_roots=record.trusted_roots)
        return AcmeClient(
            record.directory,
            key=load_account_key(pem),
            http=http,
            account_url=record.url,
            now=context.environment.now,
        )

    def has_changed(self, context: ModuleContext, opened: Opened) -> bool:
        """After a refusal: whether the account is another one than it was when it was opened.

        Another process may have rolled its key over; the CA may have moved it to another URL, or have lost it.

        Raises:
            AcmeError: The CA cannot be asked.
        """
        record = self.settle(context, read_record(context.documents, opened.ref.key))
        if not opened.speaks_for(opened.ref, opened.profile, record, context.environment.now()):
            return True
        client = self._with_key(context, record, record.key)
        found = None if client is None else _existing(client)
        if client is None or (found is not None and found.url == record.url):
            return False
        self.forget(opened.ref.key)
        if found is None:
            what, url = "The CA did not know the account any more.", ""
        else:
            what, url = f"The CA has moved the account to {found.url}", found.url
        _save(context, evolve(record, url=url).noted(what, "engine", context.environment.now()))
        return True

    def forget(self, key: str) -> None:
        """Drop a client with its connections: the next call begins anew, with the directory."""
        with self._lock:
            self._opened.pop(key, None)

    def reader(self, context: ModuleContext) -> AcmeClient:
        """A client without an account, kept with its directory for a day: for what needs no signature."""
        profile: PuqAcmeProfile = context.profile
        now = context.environment.now()
        key = (profile.directory, profile.trusted_roots)
        with self._lock:
            client, since = self._readers.get(key, (None, now))
        if client is None or now - since >= _DIRECTORY_LIFE:
            client = self.anonymous(profile)
            client.directory()
            with self._lock:
                self._readers[key] = (client, now)
        return client

    def anonymous(self, profile: PuqAcmeProfile) -> AcmeClient:
        """A client without an account: enough for the directory."""
        return AcmeClient(profile.directory, http=self._http(profile))

    def read_directory(self, context: ModuleContext, client: AcmeClient | None = None) -> Directory:
        """Fetch the directory afresh and remember what pages show of it."""
        directory = (client or self.anonymous(context.profile)).directory(refresh=True)
        keep_directory(context, directory)
        return directory

    def settle(self, context: ModuleContext, record: AccountRecord) -> AccountRecord:
        """After a rollover that was cut off, or may have been: ask the CA which key is in use, and keep to that one.

        No key is destroyed but one that the CA has replaced by another.

        Raises:
            AcmeError: The CA cannot be asked.
        """
        if record.next_key is None and not record.spare_keys:
            return record
        candidates = (*(() if record.next_key is None else (record.next_key,)), record.key, *record.spare_keys)
        for number in candidates:
            if record.is_rolling(context.environment.now()) and number != record.next_key:
                return record  # not confirmed yet; whoever does it is at it
            client = self._with_key(context, record, number)
            found = None if client is None else _existing(client, or_none=True)
            if found is not None and client is not None and found.url == record.url:
                return self._keep_to(context, record, number, client.thumbprint)
        return _save(context, evolve(record, url="", next_key=None, rolling_at=None))

    def _keep_to(self, context: ModuleContext, record: AccountRecord, number: int, thumbprint: str) -> AccountRecord:
        spare = {*record.spare_keys, *(() if record.next_key is None else (record.next_key,))} - {number}
        kept = evolve(
            record,
            key=number,
            next_key=None,
            rolling_at=None,
            spare_keys=tuple(sorted(spare)),
            thumbprints=tuple(dict.fromkeys((thumbprint, *record.thumbprints))),
        )
        if number != record.key:
            kept = kept.noted("The key was rolled over.", "engine", context.environment.now())
        saved = _save(context, kept)
        if number != record.key and saved.key == number:
            context.documents.delete_secret(record.sealed(record.key))
        return saved

    def _fresh(self, context: ModuleContext, opened: Opened) -> Opened:
        """The same; its directory is fetched again once a day, and a CA that does not give it is none the worse."""
        now = context.environment.now()
        if now - opened.directory_at < _DIRECTORY_LIFE:
            return opened
        try:
            self.read_directory(context, opened.client)
        except CertCoreError:
            return opened
        fresh = evolve(opened, directory_at=now)
        with self._lock:
            self._opened[opened.ref.key] = fresh
        return fresh

    def _open(self, context: ModuleContext, ref: AccountRef, record: AccountRecord) -> Opened:
        profile: PuqAcmeProfile = context.profile
        if record.is_closed:
            raise AccountClosed(record.url, profile.directory.split("/")[2])
        if record.next_key is not None and not record.is_rolling(context.environment.now()):
            record = self.settle(context, record)
        is_new = self._seal_key(context, record)
        client = self._with_key(context, record, record.key)
        if client is None:
            raise CertCoreError(
                f"The key of the ACME account {record.url or record.directory} is not in the store.",
                advice="Restore it from a backup, or run the profile's action open_account.",
            )
        directory = self.read_directory(context, client)
        if not record.url:
            record = self._register(context, ref, record, client, directory, is_new=is_new)
        elif ref.contact not in (record.contact, record.contact_refused):
            record = _with_contact(context, ref, record, client)
        now = context.environment.now()
        return Opened(ref=ref, profile=profile, record=record, client=client, directory_at=now)

    def _seal_key(self, context: ModuleContext, record: AccountRecord) -> bool:
        """Make the account's key unless there is one; whether it was made now."""
        if context.documents.unseal(record.key_name) is not None:
            return False
        kind = AccountKeyType(context.profile.account_key_type)
        return context.documents.seal(record.key_name, generate_account_key(kind))

    def _with_key(self, context: ModuleContext, record: AccountRecord, number: int) -> AcmeClient | None:
        # It may be that of another process which was faster.
        pem = context.documents.unseal(record.sealed(number))
        if pem is None:
            return None
        return AcmeClient(
            context.profile.directory,
            key=load_account_key(pem),
            http=self._http(context.profile),
            account_url=record.url,
            now=context.environment.now,
        )

    def _register(
        self,
        context: ModuleContext,
        ref: AccountRef,
        record: AccountRecord,
        client: AcmeClient,
        directory: Directory,
        *,
        is_new: bool,
    ) -> AccountRecord:
        """Create the account, or find the one that this key has already (after a restore, say)."""
        profile: PuqAcmeProfile = context.profile
        contact = [ref.contact] if ref.contact else []
        account = None if is_new else _existing(client, or_none=True)
        if account is None:
            if directory.terms_of_service and not ref.terms_agreed:
                raise TermsNotAgreed(directory.terms_of_service, profile.directory.split("/")[2])
            with closing(self._http(profile)) as http:
                eab = credentials(context, ref, http, required=directory.external_account_required)
            try:
                account = client.new_account(contact, terms_agreed=ref.terms_agreed, eab=eab)
            except AcmeProblem:
                forget_credentials(context, ref)  # they may be the reason; the next attempt asks for others
                raise
        now = context.environment.now()
        opened = evolve(
            record,
            url=account.url,
            directory=profile.directory,
            owner=ref.owner,
            contact=ref.contact,
            thumbprints=tuple(dict.fromkeys((client.thumbprint, *record.thumbprints))),
            terms_of_service=directory.terms_of_service if ref.terms_agreed else record.terms_of_service,
            terms_agreed_at=now.isoformat() if ref.terms_agreed else record.terms_agreed_at,
            opened_at=record.opened_at or now.isoformat(),
            trusted_roots=profile.trusted_roots,
        ).noted(f"Opened or found: {account.url}", "engine", now)
        return _save(context, opened)

    @staticmethod
    def _http(profile: PuqAcmeProfile) -> Http:
        return Http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots)


def _existing(client: AcmeClient, *, or_none: bool = False) -> Account | None:
    """The account that the client's key has already (RFC 8555 section 7.3.1); None when it has none.

    With ``or_none`` a refusal counts as none, too: some CAs do not like the question.
    """
    try:
        return client.new_account(only_return_existing=True)
    except AcmeProblem as problem:
        if problem.acme_type == "accountDoesNotExist" or (or_none and problem.acme_type in _DISLIKED):
            return None
        raise


def _with_contact(context: ModuleContext, ref: AccountRef, record: AccountRecord, client: AcmeClient) -> AccountRecord:
    """Tell the CA the new contact. One that it refuses is remembered and shown; no certificate waits for it."""
    now = context.environment.now()
    try:
        client.update_contact([ref.contact] if ref.contact else [])
    except AcmeProblem as problem:
        return _save(context, evolve(record, contact_refused=ref.contact, contact_problem=str(problem.problem)))
    changed = evolve(record, contact=ref.contact, contact_refused=None, contact_problem="")
    return _save(context, changed.noted("The contact was changed.", "engine", now))


def _save(context: ModuleContext, record: AccountRecord) -> AccountRecord:
    """Store it; where another process was faster, what that one stored counts."""
    try:
        return record.save(context.documents)
    except StaleWrite:
        return read_record(context.documents, record.document)
