"""ACME accounts: opened when they are needed first, found by their key after a restore, followed when they change."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import CertCoreError, StaleWrite
from certcore.ports.ca_module import ModuleContext
from certcore.ports.forks import renew_after_fork
from certcore_puq_acme.account_keys import AccountKeyType
from certcore_puq_acme.account_records import AccountRecord, AccountRef, own_account, read_record
from certcore_puq_acme.account_standing import (
    CLOSED,
    AccountClosed,
    KeyState,
    existing,
    is_refusal,
    standing,
)
from certcore_puq_acme.account_terms import check_agreement
from certcore_puq_acme.acme_errors import AcmeError, AcmeProblem
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.directory_records import keep_directory
from certcore_puq_acme.eab import credentials, forget_credentials
from certcore_puq_acme.jose import generate_account_key, load_account_key
from certcore_puq_acme.meanings import MEANINGS, meaning_of
from certcore_puq_acme.messages import Directory
from certcore_puq_acme.network import HttpPort, Network, NetworkPort
from certcore_puq_acme.settings import PuqAcmeProfile
from certcore_puq_acme.transport import host_of

__all__ = ["Accounts", "Opened"]

#: A directory is fetched again after this time: its terms and its offers change now and then.
_DIRECTORY_LIFE: Final = timedelta(days=1)
#: What a CA says of a contact that it will not take (RFC 8555 sections 6.7 and 7.3).
_CONTACT_REFUSED: Final = frozenset({"invalidContact", "unsupportedContact", "malformed"})
#: What CAs say of an HMAC key that is too short for HS256.
_PRIMITIVE: Final = re.compile(
    r"cryptographic primitive|invalid key (size|length)|key (is )?too (short|small)", re.IGNORECASE
)
_SHORT_KEY: Final = (
    "The EAB HMAC key has {length} bytes, and this CA takes no key of fewer than 32 (RFC 7518 section 3.2). Create new "
    "EAB credentials on the CA's site and put both values into the CA profile."
)
#: What CAs say of an external account binding that is not right.
_BINDING_REFUSED: Final = (MEANINGS["unauthorized"], MEANINGS["malformed"])


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

    #: How a CA is reached.
    network: NetworkPort = field(factory=Network)
    _opened: dict[str, Opened] = field(factory=dict, init=False, repr=False)
    #: Clients without an account, for renewal information, and when each fetched its directory.
    _readers: dict[tuple[str, str], tuple[AcmeClient, datetime]] = field(factory=dict, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Their connections and nonces are renewed where they are kept; see `certcore.ports.forks`."""
        object.__setattr__(self, "_lock", threading.Lock())

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

    def last_opened(self, ref: AccountRef) -> Opened | None:
        """An account as this process has used it last; nothing is asked."""
        with self._lock:
            return self._opened.get(ref.key)

    def find(self, context: ModuleContext, key: str) -> AcmeClient | None:
        """A client for an account that is known by its document's key; None when it is not there, or is closed.

        It works without the profile that the account belonged to.
        """
        record = read_record(context.documents, key)
        pem = context.documents.unseal(record.key_name) if record.url and not record.is_closed else None
        if pem is None:
            return None
        http = self.network.http(timeout=context.profile.api_timeout, extra_roots=record.trusted_roots)
        return AcmeClient(
            record.directory,
            key=load_account_key(pem),
            http=http,
            account_url=record.url,
            now=context.environment.now,
        )

    def has_changed(self, context: ModuleContext, opened: Opened) -> bool:
        """After a refusal: whether the account is another one than it was when it was opened.

        Another process may have rolled its key over; the CA may have moved it to another URL, or have lost it; and
        somebody may have closed it elsewhere.

        Raises:
            AcmeError: The CA cannot be asked.
        """
        record = self.checked(context, read_record(context.documents, opened.ref.key))
        return not opened.speaks_for(opened.ref, opened.profile, record, context.environment.now())

    def checked(self, context: ModuleContext, record: AccountRecord) -> AccountRecord:
        """The record after the CA was asked: settled, and found closed, moved or lost where the account is.

        Raises:
            AcmeError: The CA cannot be asked.
        """
        record = self.settle(context, record)
        client = self._with_key(context, record, record.key) if record.url and not record.is_closed else None
        if client is None:
            return record
        found = standing(client, record.url)
        now = context.environment.now()
        if found.state is KeyState.UNCLEAR:
            return record
        if not found.is_certain and not record.is_disowned(now):
            doubted = record.doubted(now)
            return record if doubted == record else _save(context, doubted)
        if found.state is KeyState.CLOSED:
            return _save(context, self._closed(context, record))
        if found.url == record.url:
            return record if record.doubted_at is None else _save(context, evolve(record, doubted_at=None))
        unknown = found.state is KeyState.UNKNOWN
        what = (
            "The CA did not know the account any more." if unknown else f"The CA has moved the account to {found.url}"
        )
        return _save(context, evolve(record, url=found.url, doubted_at=None).noted(what, "engine", now))

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
        return AcmeClient(profile.directory, http=self.http(profile))

    def read_directory(self, context: ModuleContext, client: AcmeClient | None = None) -> Directory:
        """Fetch the directory afresh and remember what pages show of it."""
        directory = (client or self.anonymous(context.profile)).directory(refresh=True)
        keep_directory(context, directory)
        return directory

    def settle(self, context: ModuleContext, record: AccountRecord) -> AccountRecord:
        """After a rollover that was cut off, or may have been: ask the CA which key is in use, and keep to that one.

        No key is destroyed but one that the CA has replaced by another, and no account is given up while one of its
        keys is missing here.

        Raises:
            AcmeError: The CA cannot be asked.
        """
        if (record.next_key is None and not record.spare_keys) or not record.url or record.is_closed:
            return record
        candidates = (*(() if record.next_key is None else (record.next_key,)), record.key, *record.spare_keys)
        is_closed = False
        moved: tuple[str, int, str] | None = None
        for number in candidates:
            if record.is_rolling(context.environment.now()) and number != record.next_key:
                return record  # not confirmed yet; whoever does it is at it
            client = self._with_key(context, record, number)
            if client is None:
                continue
            found = standing(client, record.url)
            if found.state is KeyState.IN_USE and found.url == record.url:
                return self._keep_to(context, record, number, client.thumbprint)
            is_closed = is_closed or (found.state is KeyState.CLOSED and found.url == record.url)
            if found.state is KeyState.IN_USE and number not in record.spare_keys:
                moved = moved or (found.url, number, client.thumbprint)
        if moved is not None:
            url, number, thumbprint = moved
            return self._keep_to(context, evolve(record, url=url), number, thumbprint)
        if is_closed:
            return _save(context, self._closed(context, record))
        if context.documents.unseal(record.key_name) is None:
            return record
        kept = () if record.next_key is None else (record.next_key,)
        spare = tuple(sorted({*record.spare_keys, *kept}))
        now = context.environment.now()
        if not record.is_disowned(now):
            return _save(context, record.doubted(now))
        lost = evolve(record, url="", next_key=None, rolling_at=None, spare_keys=spare, doubted_at=None)
        what = f"The CA knows none of the keys of {record.url}"
        return _save(context, lost.noted(what, "engine", now))

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

    @staticmethod
    def _closed(context: ModuleContext, record: AccountRecord) -> AccountRecord:
        """The record of an account that was closed by somebody else, or by a process that did not live to say so."""
        closed = evolve(record, status="deactivated", next_key=None, rolling_at=None, doubted_at=None)
        return closed.noted("The CA says that the account is deactivated.", "engine", context.environment.now())

    def _fresh(self, context: ModuleContext, opened: Opened) -> Opened:
        """The same; its directory is fetched again once a day, and a CA that does not give it is none the worse."""
        now = context.environment.now()
        if now - opened.directory_at < _DIRECTORY_LIFE:
            return opened
        try:
            self.read_directory(context, opened.client)
            record = read_record(context.documents, opened.ref.key)
            record = _with_contact(context, opened.ref, record, opened.client)
        except CertCoreError:
            return opened
        fresh = evolve(opened, record=record, directory_at=now)
        with self._lock:
            self._opened[opened.ref.key] = fresh
        return fresh

    def _open(self, context: ModuleContext, ref: AccountRef, record: AccountRecord) -> Opened:
        profile: PuqAcmeProfile = context.profile
        if record.is_closed:
            raise AccountClosed(record.url, host_of(profile.directory))
        if record.next_key is not None and not record.is_rolling(context.environment.now()):
            record = self.settle(context, record)
            if record.is_closed:
                raise AccountClosed(record.url, host_of(profile.directory))
        # Without its key an account that exists is no reason for another one: somebody may have a backup.
        is_new = not record.url and self._seal_key(context, record)
        client = self._with_key(context, record, record.key)
        if client is None:
            raise AcmeError(
                f"The key of the ACME account {record.url or record.directory} is not in the store.",
                host=host_of(profile.directory),
                advice="Restore it from a backup, or run the profile's action open_account for a new account.",
            )
        directory = self.read_directory(context, client)
        if not record.url:
            record = self._register(context, ref, record, client, directory, is_new=is_new)
        else:
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
        elsewhere = record.directory not in ("", context.profile.directory)  # the profile was set to another CA
        roots = record.trusted_roots if elsewhere else context.profile.trusted_roots
        return AcmeClient(
            record.directory if elsewhere else context.profile.directory,
            key=load_account_key(pem),
            http=self.network.http(timeout=context.profile.api_timeout, extra_roots=roots),
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
        account = None if is_new else existing(client)
        if account is not None and account.status in CLOSED:
            _save(context, self._closed(context, evolve(record, url=account.url, directory=profile.directory)))
            raise AccountClosed(account.url, host_of(profile.directory))
        if account is None:
            check_agreement(context, ref, directory)
            with closing(self.http(profile)) as http:
                eab = credentials(context, ref, http, required=directory.external_account_required)
            try:
                account = client.new_account(contact, terms_agreed=ref.terms_agreed, eab=eab)
            except AcmeProblem as problem:
                if is_refusal(problem):
                    forget_credentials(context, ref)  # they may be the reason; the next attempt asks for others
                if profile.short_hmac_key and _PRIMITIVE.search(problem.detail):
                    raise problem.with_advice(_SHORT_KEY.format(length=profile.short_hmac_key)) from None
                if profile.eab_hmac_key and meaning_of(problem.problem, problem.status) in _BINDING_REFUSED:
                    raise problem.with_advice(MEANINGS["externalAccountRequired"].advice) from None
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

    def http(self, profile: PuqAcmeProfile) -> HttpPort:
        """Connections to the CA of a profile."""
        return self.network.http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots)


def _with_contact(context: ModuleContext, ref: AccountRef, record: AccountRecord, client: AcmeClient) -> AccountRecord:
    """Tell the CA the new contact. One that it refuses is remembered and shown; no certificate waits for it.

    A failure that passes is not remembered: it is told again at a later use.
    """
    if ref.contact in (record.contact, record.contact_refused) or (record.contact_found and not ref.contact):
        return record
    now = context.environment.now()
    try:
        client.update_contact([ref.contact] if ref.contact else [])
    except AcmeProblem as problem:
        if not is_refusal(problem) or problem.acme_type not in _CONTACT_REFUSED:
            return record
        return _save(context, evolve(record, contact_refused=ref.contact, contact_problem=str(problem.problem)))
    changed = evolve(record, contact=ref.contact, contact_found=False, contact_refused=None, contact_problem="")
    return _save(context, changed.noted("The contact was changed.", "engine", now))


def _save(context: ModuleContext, record: AccountRecord) -> AccountRecord:
    """Store it; where another process was faster, what that one stored counts."""
    try:
        return record.save(context.documents)
    except StaleWrite:
        return read_record(context.documents, record.document)
