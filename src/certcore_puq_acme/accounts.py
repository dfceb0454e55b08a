"""ACME accounts: opened when they are needed first, found by their key after a restore, followed when they change."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import CertCoreError
from certcore.ports.ca_module import ModuleContext
from certcore.ports.forks import renew_after_fork
from certcore_puq_acme.account_keys import AccountKeyType
from certcore_puq_acme.account_records import AccountRecord, AccountRef, Replaced, own_account, read_record
from certcore_puq_acme.account_standing import (
    AccountClosed,
    KeyState,
    standing,
)
from certcore_puq_acme.acme_errors import AcmeError
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.clock_records import note_clock
from certcore_puq_acme.directory_records import keep_directory
from certcore_puq_acme.jose import generate_account_key, load_account_key
from certcore_puq_acme.messages import Directory
from certcore_puq_acme.network import HttpPort, Network, NetworkPort
from certcore_puq_acme.patience import CLOCKS_APART
from certcore_puq_acme.registration import closed_record, register, save_record, with_contact
from certcore_puq_acme.settings import PuqAcmeProfile
from certcore_puq_acme.transport import host_of

__all__ = ["Accounts", "Opened"]

#: A directory is fetched again after this time: its terms and its offers change now and then.
_DIRECTORY_LIFE: Final = timedelta(days=1)


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
    #: The CA profiles whose clock differed from ours at the last answer.
    _differing: set[str] = field(factory=set, init=False, repr=False)
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
            return record if doubted == record else save_record(context, doubted)
        if found.state is KeyState.CLOSED:
            return save_record(context, closed_record(context, record))
        if found.url == record.url:
            return record if record.doubted_at is None else save_record(context, evolve(record, doubted_at=None))
        unknown = found.state is KeyState.UNKNOWN
        what = (
            "The CA did not know the account any more." if unknown else f"The CA has moved the account to {found.url}"
        )
        if unknown:
            return save_record(context, record.without_account(Replaced.UNKNOWN).noted(what, "engine", now))
        moved = evolve(record, url=found.url, doubted_at=None).in_place_of(record.url, Replaced.MOVED, now)
        return save_record(context, moved.noted(what, "engine", now))

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
        if client is None or not _is_fresh(since, now):
            client = self.anonymous(context)
            client.directory()
            with self._lock:
                self._readers[key] = (client, now)
        return client

    def anonymous(self, context: ModuleContext) -> AcmeClient:
        """A client without an account: enough for the directory."""
        profile: PuqAcmeProfile = context.profile
        return AcmeClient(profile.directory, http=self.http(profile), now=context.environment.now)

    def read_directory(self, context: ModuleContext, client: AcmeClient | None = None) -> Directory:
        """Fetch the directory afresh and remember what pages show of it."""
        asked = client or self.anonymous(context)
        directory = asked.directory(refresh=True)
        keep_directory(context, directory)
        self.look_at_clock(context, asked)
        return directory

    def look_at_clock(self, context: ModuleContext, client: AcmeClient | None = None) -> None:
        """Remember for the pages whether our clock differs from the CA's, as its last answer showed it.

        Args:
            context: The CA profile.
            client: Which client was answered; None for that of the account in ``context.authority_id`` used last.
        """
        sights = [client.clock] if client is not None else [one.client.clock for one in self._of(context.authority_id)]
        for sight in sights:
            # The document is read only where there may be something to write: at every fetch of the directory, and
            # when the answer of a step shows another time than the one before.
            if sight is not None and (client is not None or sight.differs != (context.authority_id in self._differing)):
                note_clock(context, sight)
                if sight.differs:
                    self._differing.add(context.authority_id)
                else:
                    self._differing.discard(context.authority_id)

    def _of(self, authority_id: str) -> list[Opened]:
        with self._lock:
            return [one for one in self._opened.values() if one.ref.authority_id == authority_id]

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
            return save_record(context, closed_record(context, record))
        if context.documents.unseal(record.key_name) is None:
            return record
        kept = () if record.next_key is None else (record.next_key,)
        spare = tuple(sorted({*record.spare_keys, *kept}))
        now = context.environment.now()
        if not record.is_disowned(now):
            return save_record(context, record.doubted(now))
        lost = evolve(record, next_key=None, rolling_at=None, spare_keys=spare).without_account(Replaced.UNKNOWN)
        what = f"The CA knows none of the keys of {record.url}"
        return save_record(context, lost.noted(what, "engine", now))

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
        saved = save_record(context, kept)
        if number != record.key and saved.key == number:
            context.documents.delete_secret(record.sealed(record.key))
        return saved

    def _fresh(self, context: ModuleContext, opened: Opened) -> Opened:
        """The same; its directory is fetched again once a day, and a CA that does not give it is none the worse."""
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
            record = register(context, ref, record, client, directory, http=self.http, is_new=is_new)
        else:
            record = with_contact(context, ref, record, client)
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

    def http(self, profile: PuqAcmeProfile) -> HttpPort:
        """Connections to the CA of a profile."""
        return self.network.http(timeout=profile.api_timeout, extra_roots=profile.trusted_roots)


def _is_fresh(fetched_at: datetime, now: datetime) -> bool:
    """Whether a directory need not be fetched again: within a day, by a clock that was not ahead."""
    return -CLOCKS_APART <= now - fetched_at < _DIRECTORY_LIFE
