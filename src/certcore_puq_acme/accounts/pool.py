"""The ACME clients of a process, one per account: opened on first use, found by key after a restore."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import CertCoreError
from certcore.forks import renew_after_fork
from certcore.messages import Message
from certcore_puq_acme.accounts.known_clock import note_clock
from certcore_puq_acme.accounts.known_directory import keep_directory
from certcore_puq_acme.accounts.lookup import (
    AccountClosedError,
    KeyState,
    standing,
)
from certcore_puq_acme.accounts.records import AccountRecord, AccountRef, Replaced, own_account, read_record
from certcore_puq_acme.accounts.registration import closed_record, register, save_record, with_contact
from certcore_puq_acme.moments import CLOCKS_APART
from certcore_puq_acme.profile.settings import AcmeContext, PuqAcmeProfile
from certcore_puq_acme.protocol.account_key_types import AccountKeyType
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeError
from certcore_puq_acme.protocol.http import host_of
from certcore_puq_acme.protocol.http_port import HttpOpener, HttpPort
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key
from certcore_puq_acme.protocol.resources import Directory

__all__ = ["Accounts", "Opened"]

#: A directory is fetched again after this time, because its terms and features may change.
_DIRECTORY_LIFE: Final = timedelta(days=1)


@frozen(kw_only=True)
class Opened:
    """An existing account with its client."""

    ref: AccountRef
    profile: PuqAcmeProfile
    record: AccountRecord
    client: AcmeClient
    #: When the CA's directory was fetched.
    directory_at: datetime

    def speaks_for(self, ref: AccountRef, profile: PuqAcmeProfile, record: AccountRecord, now: datetime) -> bool:
        """Whether the settings and the record from which this client was made are unchanged."""
        return (
            self.profile == profile
            and self.ref.contact == ref.contact
            and (record.url, record.key, record.is_closed) == (self.record.url, self.record.key, False)
            and (record.next_key is None or record.is_rolling(now))
        )


@frozen(eq=False)
class Accounts:
    """The ACME clients of this process, one per account, with their connections and nonces."""

    #: Opens connections to a CA.
    network: HttpOpener
    _opened: dict[str, Opened] = field(factory=dict, init=False, repr=False)
    #: Clients without an account, for renewal information, and when each fetched its directory.
    _readers: dict[tuple[str, str], tuple[AcmeClient, datetime]] = field(factory=dict, init=False, repr=False)
    #: When the CA was asked about each account for a preflight.
    _checked_at: dict[str, datetime] = field(factory=dict, init=False, repr=False)
    #: The CA profiles whose clock differed from ours at the last answer.
    _differing: set[str] = field(factory=set, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`. The clients renew their connections and nonces themselves."""
        object.__setattr__(self, "_lock", threading.Lock())

    def client(self, context: AcmeContext, ref: AccountRef | None = None) -> AcmeClient:
        """The client of an existing account; see `opened`."""
        return self.opened(context, ref).client

    def opened(self, context: AcmeContext, ref: AccountRef | None = None) -> Opened:
        """An existing account and its client; an unknown account is found by its key, or created.

        A change of the account by another process (a rollover, closing it) is noticed at the next call.

        Args:
            context: The CA profile.
            ref: Which account; the profile's own when None.

        Raises:
            AcmeProblemError: The CA refused; `TermsNotAgreedError` when its terms were not agreed to,
                `AccountClosedError`.
            AcmeError: The CA cannot be reached.
        """
        account_ref = ref or own_account(context)
        profile = context.profile
        record = read_record(context.documents, account_ref.key)
        with self._lock:
            known = self._opened.get(account_ref.key)
        if known is not None and known.speaks_for(account_ref, profile, record, context.environment.now()):
            return self._fresh(context, known)
        opened = self._open(context, account_ref, record)
        with self._lock:
            self._opened[account_ref.key] = opened
        return opened

    def last_opened(self, ref: AccountRef) -> Opened | None:
        """The account as this process used it last; no request is sent."""
        with self._lock:
            return self._opened.get(ref.key)

    def find(self, context: AcmeContext, key: str) -> AcmeClient | None:
        """A client for the account with this document key; None if the account is missing or closed.

        The CA profile to which the account belonged may have been deleted.
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

    def has_changed(self, context: AcmeContext, opened: Opened) -> bool:
        """Whether an account has changed since this process opened it; called after a refusal of the CA.

        Another process may have changed its key, the CA may have moved it to another URL or have lost it, and another
        client may have closed it.

        Raises:
            AcmeError: The CA cannot be reached.
        """
        context.documents.refresh()
        record = self.checked(context, read_record(context.documents, opened.ref.key))
        return not opened.speaks_for(opened.ref, opened.profile, record, context.environment.now())

    def checked(self, context: AcmeContext, record: AccountRecord) -> AccountRecord:
        """Ask the CA whether an account is closed, moved or lost, and return its updated record.

        Raises:
            AcmeError: The CA cannot be reached.
        """
        record = self.settle(context, record)
        client = self._with_key(context, record, record.key) if record.url and not record.is_closed else None
        if client is None:
            return record
        account_standing = standing(client, record.url)
        now = context.environment.now()
        if account_standing.state is KeyState.UNCLEAR:
            return record
        if not account_standing.is_certain and not record.is_disowned(now):
            doubted = record.doubted(now)
            return record if doubted == record else save_record(context, doubted)
        if account_standing.state is KeyState.CLOSED:
            return save_record(context, closed_record(context, record))
        if account_standing.url == record.url:
            return record if record.doubted_at is None else save_record(context, evolve(record, doubted_at=None))
        unknown = account_standing.state is KeyState.UNKNOWN
        change = (
            "The CA did not know the account any more."
            if unknown
            else f"The CA has moved the account to {account_standing.url}"
        )
        if unknown:
            return save_record(context, record.without_account(Replaced.UNKNOWN).noted(change, "engine", now))
        moved = evolve(record, url=account_standing.url, doubted_at=None).in_place_of(record.url, Replaced.MOVED, now)
        return save_record(context, moved.noted(change, "engine", now))

    def checked_daily(self, context: AcmeContext, record: AccountRecord) -> AccountRecord:
        """Like `checked`, but at most once a day per process and account, and with a new fetch of the CA's directory.

        Raises:
            AcmeError: The CA cannot be reached.
        """
        now = context.environment.now()
        with self._lock:
            last = self._checked_at.get(record.document)
        if last is not None and _is_fresh(last, now):
            return record
        self.read_directory(context)
        record = self.checked(context, record)
        with self._lock:
            self._checked_at[record.document] = now
        return record

    def forget(self, key: str) -> None:
        """Drop a client with its connections; the next call fetches the directory again."""
        with self._lock:
            self._opened.pop(key, None)

    def reader(self, context: AcmeContext) -> AcmeClient:
        """A client without an account for unsigned requests, cached with its directory for a day."""
        profile = context.profile
        now = context.environment.now()
        key = (profile.directory, profile.trusted_roots)
        with self._lock:
            client, since = self._readers.get(key, (None, now))
        if client is None or not _is_fresh(since, now):
            client = self.anonymous(context)
            client.directory()
            with self._lock:
                self._readers[key] = (client, now)
        return client

    def anonymous(self, context: AcmeContext) -> AcmeClient:
        """A new client without an account, for example to fetch the directory."""
        profile = context.profile
        return AcmeClient(profile.directory, http=self.http(profile), now=context.environment.now)

    def read_directory(self, context: AcmeContext, client: AcmeClient | None = None) -> Directory:
        """Fetch the directory again, and store the parts that pages show."""
        asking_client = client or self.anonymous(context)
        directory = asking_client.directory(refresh=True)
        keep_directory(context, directory)
        self.look_at_clock(context, asking_client)
        return directory

    def look_at_clock(self, context: AcmeContext, client: AcmeClient | None = None) -> None:
        """Store for the pages whether our clock differs from the CA's, according to each client's last answer.

        Args:
            context: The CA profile.
            client: The client that received the answer; None for the clients of all accounts of the CA profile.
        """
        sights = (
            [client.clock] if client is not None else [pooled.client.clock for pooled in self._of(context.authority_id)]
        )
        for sight in sights:
            # The document is read only if there may be something to write: at every fetch of the directory, and when
            # the clocks have begun or ceased to differ.
            if sight is not None and (client is not None or sight.differs != (context.authority_id in self._differing)):
                note_clock(context, sight)
                if sight.differs:
                    self._differing.add(context.authority_id)
                else:
                    self._differing.discard(context.authority_id)

    def _of(self, authority_id: str) -> list[Opened]:
        with self._lock:
            return [pooled for pooled in self._opened.values() if pooled.ref.authority_id == authority_id]

    def settle(self, context: AcmeContext, record: AccountRecord) -> AccountRecord:
        """After a rollover that may have been interrupted: ask the CA which key is in use, and continue with that key.

        A key is destroyed only after the CA has replaced it. While one of the account's keys is missing from the store,
        the account is not abandoned.

        Raises:
            AcmeError: The CA cannot be reached.
        """
        if (record.next_key is None and not record.spare_keys) or not record.url or record.is_closed:
            return record
        candidates = (*(() if record.next_key is None else (record.next_key,)), record.key, *record.spare_keys)
        is_closed = False
        moved: tuple[str, int, str] | None = None
        for number in candidates:
            if record.is_rolling(context.environment.now()) and number != record.next_key:
                return record  # not confirmed yet, and the process of the rollover may still be running
            client = self._with_key(context, record, number)
            if client is None:
                continue
            account_standing = standing(client, record.url)
            if account_standing.state is KeyState.IN_USE and account_standing.url == record.url:
                return self._keep_to(context, record, number, client.thumbprint)
            is_closed = is_closed or (account_standing.state is KeyState.CLOSED and account_standing.url == record.url)
            if account_standing.state is KeyState.IN_USE and number not in record.spare_keys:
                moved = moved or (account_standing.url, number, client.thumbprint)
        if moved is not None:
            url, number, thumbprint = moved
            return self._keep_to(context, evolve(record, url=url), number, thumbprint)
        if is_closed:
            return save_record(context, closed_record(context, record))
        if context.documents.unseal(record.key_name) is None:
            return record
        kept = () if record.next_key is None else (record.next_key,)
        spare = tuple(sorted({*record.spare_keys, *kept}))
        now = context.environment.now()
        if not record.is_disowned(now):
            return save_record(context, record.doubted(now))
        lost = evolve(record, next_key=None, rolling_at=None, spare_keys=spare).without_account(Replaced.UNKNOWN)
        change = f"The CA knows none of the keys of {record.url}"
        return save_record(context, lost.noted(change, "engine", now))

    def _keep_to(self, context: AcmeContext, record: AccountRecord, number: int, thumbprint: str) -> AccountRecord:
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
        saved = save_record(context, kept)
        if number != record.key and saved.key == number:
            context.documents.delete_secret(record.sealed(record.key))
        return saved

    def _fresh(self, context: AcmeContext, opened: Opened) -> Opened:
        """Refresh the directory daily; keep the cached one if the fetch fails."""
        now = context.environment.now()
        if _is_fresh(opened.directory_at, now):
            return opened
        try:
            self.read_directory(context, opened.client)
            record = read_record(context.documents, opened.ref.key)
            record = with_contact(context, opened.ref, record, opened.client)
        except CertCoreError:
            return opened
        fresh = evolve(opened, record=record, directory_at=now)
        with self._lock:
            self._opened[opened.ref.key] = fresh
        return fresh

    def _open(self, context: AcmeContext, ref: AccountRef, record: AccountRecord) -> Opened:
        profile = context.profile
        if record.is_closed:
            raise AccountClosedError(record.url, host_of(profile.directory))
        if record.next_key is not None and not record.is_rolling(context.environment.now()):
            record = self.settle(context, record)
            if record.is_closed:
                raise AccountClosedError(record.url, host_of(profile.directory))
        # If the key of an existing account is lost, no other account is opened: there may be a backup of the key.
        is_new = not record.url and self._seal_key(context, record)
        client = self._with_key(context, record, record.key)
        if client is None:
            raise AcmeError(
                Message(
                    "puq_acme.account.key_missing",
                    "The key of the ACME account {url} is not in the store.",
                    {"url": record.url or record.directory},
                ),
                host=host_of(profile.directory),
                advice=Message(
                    "puq_acme.account.key_missing.advice",
                    "Restore it from a backup, or run the profile's action open_account for a new account.",
                ),
            )
        directory = self.read_directory(context, client)
        if not record.url:
            record = register(context, ref, record, client, directory, http=self.http, is_new=is_new)
        else:
            record = with_contact(context, ref, record, client)
        now = context.environment.now()
        return Opened(ref=ref, profile=profile, record=record, client=client, directory_at=now)

    def _seal_key(self, context: AcmeContext, record: AccountRecord) -> bool:
        """Generate the account's key unless there is one; True if it was generated."""
        if context.documents.unseal(record.key_name) is not None:
            return False
        kind = AccountKeyType(context.profile.account_key_type)
        return context.documents.seal(record.key_name, generate_account_key(kind))

    def _with_key(self, context: AcmeContext, record: AccountRecord, number: int) -> AcmeClient | None:
        # If another process was faster, this is its key.
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

    def http(self, profile: PuqAcmeProfile) -> HttpPort:
        """Connections to the CA of a profile."""
        return self.network.http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots)


def _is_fresh(fetched_at: datetime, now: datetime) -> bool:
    """Whether a directory was fetched within the last day, by a clock that was not ahead."""
    return -CLOCKS_APART <= now - fetched_at < _DIRECTORY_LIFE
