"""ACME accounts and their stored records: one per CA directory, e-mail and external account binding."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from attrs import asdict, evolve, field, fields, frozen

from certcore.errors import CertCoreError
from certcore.messages import Message
from certcore.ports.ca_module import (
    Documents,
)
from certcore.ports.storage import Document
from certcore_puq_acme.moments import DOUBT, is_ahead, moment_before
from certcore_puq_acme.profile.settings import AcmeContext, ChallengeType, PuqAcmeSettings

__all__ = [
    "AccountRecord",
    "AccountRef",
    "Replaced",
    "account_of",
    "has_lost_its_key",
    "own_account",
    "read_record",
    "records_of",
    "terms_have_changed",
    "with_other_terms",
]

_HISTORY: Final = 50
#: How long a page shows that an account has replaced another one.
_TOLD: Final = timedelta(days=90)
#: A rollover takes a moment, and at most the longest timeout of a profile.
_ROLLOVER: Final = timedelta(minutes=10)


class Replaced(StrEnum):
    """Why another account is used now."""

    #: The CA did not know the account, or its key, any more: after a rollover elsewhere, or a restore.
    UNKNOWN = "unknown"
    #: The CA names another URL for the account's key.
    MOVED = "moved"
    #: The account was closed, or its key was lost, and somebody has opened another one.
    OPENED = "opened"
    #: The account of another client was imported.
    IMPORTED = "imported"
    #: The profile was set to another CA, or to other EAB credentials.
    SETTINGS = "settings"

    @property
    def is_wanted(self) -> bool:
        """Whether it was requested by a person."""
        return self not in (Replaced.UNKNOWN, Replaced.MOVED)

    @property
    def reason(self) -> Message:
        """The reason as a clause, for people."""
        return _REASONS[self]


_REASONS: Final = MappingProxyType(
    {
        Replaced.UNKNOWN: Message(
            "puq_acme.replaced.unknown",
            ("the CA no longer knew the former account or its key, for example after a restore of an older database"),
        ),
        Replaced.MOVED: Message("puq_acme.replaced.moved", "the CA names it so now"),
        Replaced.OPENED: Message(
            "puq_acme.replaced.opened", "it was opened because the former account was closed or its key was lost"
        ),
        Replaced.IMPORTED: Message("puq_acme.replaced.imported", "it was imported from another client"),
        Replaced.SETTINGS: Message(
            "puq_acme.replaced.settings", "the CA profile was set to another CA, or to other EAB credentials"
        ),
    }
)


@frozen(kw_only=True)
class AccountRef:
    """Identifies an account of a CA profile, which need not exist yet."""

    authority_id: str
    directory: str
    eab_kid: str = ""
    #: The e-mail that a certificate asks for instead of the profile's; empty for the profile's own account.
    email: str = ""
    #: The tenant, if only this tenant may use the account: because it has the tenant's own e-mail; or because a
    #: dns-persist-01 record authorises it. With one account for all, the record of one tenant would authorise all other
    #: tenants, too.
    owner: str = ""
    #: The contact that the account should have.
    contact: str = field(default="", eq=False)
    #: Whether somebody agreed to the terms of service.
    terms_agreed: bool = field(default=False, eq=False)

    @property
    def key(self) -> str:
        """The key of the account's document."""
        return _key(self.authority_id, self.directory, self.eab_kid, self.email, self.owner)


@frozen(kw_only=True)
class AccountRecord:
    """The stored record of an account. Its private keys are sealed elsewhere, under `key_name`."""

    #: The document's key and version; version 0 when there is none yet.
    document: str
    version: int = 0
    #: The account URL; empty while the CA has not confirmed one.
    url: str = ""
    directory: str = ""
    #: Which tenant it is for; empty for the profile's common account.
    owner: str = ""
    contact: str = ""
    #: The e-mail of the certificates that it is for; empty for an account of the profile or of an owner.
    email: str = ""
    #: For whose certificate it was opened, where it is for certificates with this e-mail.
    opened_for: str = ""
    #: The previous account, which is no longer used: its URL, and why. None once another account is open.
    lost: Mapping[str, str] | None = None
    #: The account that this one has replaced: its URL, why, and when; None when that need not be shown.
    replaced: Mapping[str, str] | None = None
    #: The contact at the CA when the account was imported; it was not set here.
    contact_found: bool = False
    #: Why the CA refused the last contact, and that contact.
    contact_refused: str | None = None
    contact_problem: str = ""
    #: ``valid``, or ``deactivated`` when somebody closed it.
    status: str = "valid"
    #: The number of the key in use, and of the one that a rollover is about to put in its place.
    key: int = 0
    next_key: int | None = None
    #: When that rollover began.
    rolling_at: str | None = None
    #: Keys of abandoned rollovers. They are kept: a process that was suspended may still send its request.
    spare_keys: tuple[int, ...] = ()
    #: The JWK thumbprints (RFC 7638) of the key in use and of those before it, the newest first.
    thumbprints: tuple[str, ...] = ()
    #: The terms of service that were agreed to, and when.
    terms_of_service: str = ""
    terms_agreed_at: str | None = None
    opened_at: str | None = None
    #: Since when the CA says that it does not know this account, or that it is closed; None while it does not.
    doubted_at: str | None = None
    #: Roots that the CA's own server needs, so that the account can be used when its profile is gone.
    trusted_roots: str = field(default="", repr=False)
    #: The history of actions: when, what and by whom.
    history: tuple[Mapping[str, str], ...] = ()

    @property
    def key_name(self) -> str:
        """Where the key in use is sealed."""
        return self.sealed(self.key)

    @property
    def next_number(self) -> int:
        """A number that no key of this account has had."""
        return 1 + max(self.key, self.next_key or 0, *self.spare_keys, 0)

    def sealed(self, number: int) -> str:
        """Where a key of this account is sealed."""
        return f"{self.document}/key" if number == 0 else f"{self.document}/key/{number}"

    def is_rolling(self, now: datetime) -> bool:
        """Whether a rollover is under way; one that was begun long ago was cut off instead."""
        since = self.rolling_at
        if self.next_key is None or since is None or is_ahead(since, now):
            return False
        return now - datetime.fromisoformat(since) < _ROLLOVER

    def is_disowned(self, now: datetime) -> bool:
        """Whether the CA has not known this account for over a minute: a lagging replica may not know it at once."""
        return self.doubted_at is not None and now - moment_before(self.doubted_at, now) >= DOUBT

    def doubted(self, now: datetime) -> AccountRecord:
        """The same while the CA says once that it does not know the account; a doubt from a wrong clock begins anew."""
        since = moment_before(self.doubted_at, now)
        return evolve(self, doubted_at=since.isoformat())

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.status == "deactivated"

    def has_other_terms(self, directory: str, terms: str) -> bool:
        """Whether it is in use at the CA with this directory, and other terms of service were agreed to, or none."""
        return self.is_in_use(directory) and self.terms_of_service != terms

    def is_in_use(self, directory: str) -> bool:
        """Whether it is open at the CA with this directory."""
        return bool(self.url) and not self.is_closed and self.directory == directory

    def without_account(self, why: Replaced) -> AccountRecord:
        """The record without its account: a new account is opened and reported at the next use."""
        lost = {"url": self.url, "why": str(why)} if self.url else self.lost
        return evolve(self, url="", lost=lost, doubted_at=None)

    def in_place_of(self, url: str, why: str, at: datetime) -> AccountRecord:
        """The same as the account that has taken the place of another one."""
        return evolve(self, lost=None, replaced={"url": url, "why": why, "at": at.isoformat()})

    def told_replaced(self, now: datetime) -> tuple[str, Replaced, datetime] | None:
        """The account that it has replaced, why and when; None if that is long ago or was acknowledged."""
        if self.replaced is None:
            return None
        at = moment_before(self.replaced.get("at"), now)
        why = self.replaced.get("why", "")
        reason = Replaced(why) if why in list(Replaced) else Replaced.UNKNOWN
        return (self.replaced.get("url", ""), reason, at) if now - at < _TOLD else None

    def noted(self, change: str, actor: str, at: datetime) -> AccountRecord:
        """The same with one more line in its history."""
        line = {"at": at.isoformat(), "what": change, "actor": actor}
        return evolve(self, history=(*self.history, line)[-_HISTORY:])

    def save(self, documents: Documents) -> AccountRecord:
        """Store it, if it was not changed since it was read.

        Raises:
            StaleWriteError: It was changed.
        """
        value = {name: value for name, value in asdict(self).items() if name not in ("document", "version")}
        stored = documents.put(self.document, value, version=self.version)
        return evolve(self, version=stored.version)


@lru_cache(maxsize=64)
def _key(authority_id: str, *parts: str) -> str:
    used = list(parts)
    while used and not used[-1]:
        used.pop()  # what was stored before there were further parts keeps its name
    digest = hashlib.sha256("\0".join(used).encode()).hexdigest()[:16]
    return f"account/{authority_id}/{digest}"


#: The fields of a record; older versions have stored others.
_FIELDS: Final = frozenset(field.name for field in fields(AccountRecord))


def own_account(context: AcmeContext) -> AccountRef:
    """The account of a CA profile itself."""
    profile = context.profile
    return AccountRef(
        authority_id=context.authority_id,
        directory=profile.directory,
        eab_kid=profile.eab_kid,
        contact=profile.email,
        terms_agreed=profile.terms_agreed,
    )


def account_of(context: AcmeContext, settings: PuqAcmeSettings, owner: str) -> AccountRef:
    """The account for a certificate: the profile's, unless the certificate, or its way of validation, wants another."""
    profile = context.profile
    ref = own_account(context)
    if settings.account_email and settings.account_email != profile.email:
        ref = evolve(ref, email=settings.account_email, contact=settings.account_email)
        if not _is_open_to(read_record(context.documents, ref.key), owner):
            ref = evolve(ref, owner=owner)
    if settings.challenge_type(profile) is ChallengeType.DNS_PERSIST:
        ref = evolve(ref, owner=owner)
    return evolve(ref, terms_agreed=ref.terms_agreed or settings.terms_agreed)


def _is_open_to(common: AccountRecord, owner: str) -> bool:
    """Whether an owner's certificates go on using an account that is kept under its e-mail alone.

    Earlier versions kept all accounts like that and did not record the owner: these are used as before. Others are only
    for their owner: knowing an e-mail must not allow using up another owner's account, or finding out that it exists.
    """
    return bool(common.version) and (not common.email or common.opened_for == owner)


def read_record(documents: Documents, key: str) -> AccountRecord:
    """The record of an account; an empty one if none is stored."""
    document = documents.get(key)
    return AccountRecord(document=key) if document is None else _record(document)


def records_of(documents: Documents, authority_id: str) -> list[AccountRecord]:
    """The accounts of a CA profile, at all the CAs that it was ever set to."""
    return [_record(document) for document in documents.list(f"account/{authority_id}/")]


def with_other_terms(context: AcmeContext, terms: str) -> list[AccountRecord]:
    """The accounts at the profile's CA for which other terms of service were agreed to, or none."""
    records = records_of(context.documents, context.authority_id)
    return [record for record in records if record.has_other_terms(context.profile.directory, terms)]


def terms_have_changed(context: AcmeContext, terms: str) -> bool:
    """Whether the profile's consent was for other terms of service than these: for those that its accounts agreed to.

    If one account has agreed to these, the consent was renewed. An account without its key cannot agree to anything.
    """
    records = records_of(context.documents, context.authority_id)
    agreed = [record for record in records if record.is_in_use(context.profile.directory) and record.terms_of_service]
    if any(record.terms_of_service == terms for record in agreed):
        return False
    return not all(has_lost_its_key(context.documents, record) for record in agreed)


def has_lost_its_key(documents: Documents, record: AccountRecord) -> bool:
    """Whether an account cannot be used because its sealed key is gone; one that does not open may open again."""
    try:
        return bool(record.url) and documents.unseal(record.key_name) is None
    except CertCoreError:
        return False


def _record(document: Document) -> AccountRecord:
    values: dict[str, Any] = {name: value for name, value in document.value.items() if name in _FIELDS}
    # The earlier name of the contact in the record.
    if "email" in document.value:
        values.setdefault("contact", document.value["email"])
    values["thumbprints"] = tuple(values.get("thumbprints", ()))
    values["spare_keys"] = tuple(values.get("spare_keys", ()))
    values["history"] = tuple(values.get("history", ()))
    return AccountRecord(**{**values, "document": document.key, "version": document.version})
