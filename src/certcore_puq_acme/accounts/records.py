"""ACME accounts and their stored records, one for each CA directory, e-mail and external account binding."""

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
#: The longest duration of a key rollover, which is limited by the longest timeout of a CA profile.
_ROLLOVER: Final = timedelta(minutes=10)


class Replaced(StrEnum):
    """Why another account is used."""

    #: The CA no longer knew the account or its key, for example after a rollover elsewhere or a restore.
    UNKNOWN = "unknown"
    #: The CA returned another URL for the account's key.
    MOVED = "moved"
    #: The account was closed, or its key was lost, and a user opened another account.
    OPENED = "opened"
    #: The account of another client was imported.
    IMPORTED = "imported"
    #: The CA profile was changed to another CA, or to other EAB credentials.
    SETTINGS = "settings"

    @property
    def is_wanted(self) -> bool:
        """Whether a user requested it."""
        return self not in (Replaced.UNKNOWN, Replaced.MOVED)

    @property
    def reason(self) -> Message:
        """The reason as a clause."""
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
    """Identifies an account of a CA profile. The account may not exist yet."""

    authority_id: str
    directory: str
    eab_kid: str = ""
    #: The e-mail of a certificate that replaces that of the CA profile; empty for the CA profile's own account.
    email: str = ""
    #: The only tenant that may use the account, because the account has the tenant's own e-mail, or is used for
    #: dns-persist-01; empty for all tenants. A dns-persist-01 record authorises an account, so a shared account would
    #: let each tenant use the records of all others.
    owner: str = ""
    #: The contact that the account should have.
    contact: str = field(default="", eq=False)
    #: Whether a user has agreed to the terms of service.
    terms_agreed: bool = field(default=False, eq=False)

    @property
    def key(self) -> str:
        """The key of the account's document."""
        return _key(self.authority_id, self.directory, self.eab_kid, self.email, self.owner)


@frozen(kw_only=True)
class AccountRecord:
    """The stored record of an account. Its private keys are sealed under `key_name`."""

    #: The document's key and version; version 0 if there is no document yet.
    document: str
    version: int = 0
    #: The account URL; empty while the CA has not confirmed one.
    url: str = ""
    directory: str = ""
    #: The only tenant that may use it; empty for all tenants.
    owner: str = ""
    #: The contact that was set at the CA.
    contact: str = ""
    #: The e-mail of the certificates that use it; empty for an account of the CA profile or of an owner.
    email: str = ""
    #: The owner for whose certificate an account with such an e-mail was opened.
    opened_for: str = ""
    #: The URL of the previous account, which is no longer used, and the reason. None after another account was opened.
    lost: Mapping[str, str] | None = None
    #: The URL of the replaced account, the reason and the time; None if this need not be shown.
    replaced: Mapping[str, str] | None = None
    #: Whether the contact was already set at the CA when the account was imported.
    contact_found: bool = False
    #: The last contact that the CA refused, and its reason.
    contact_refused: str | None = None
    contact_problem: str = ""
    #: ``valid``, or ``deactivated`` if a user closed the account.
    status: str = "valid"
    #: The number of the key in use, and the number of the new key of a rollover.
    key: int = 0
    next_key: int | None = None
    #: When the rollover began.
    rolling_at: str | None = None
    #: The numbers of the keys of abandoned rollovers. They are kept, because a suspended process may still send its
    #: request.
    spare_keys: tuple[int, ...] = ()
    #: The JWK thumbprints (RFC 7638) of the key in use and of its predecessors, the newest first.
    thumbprints: tuple[str, ...] = ()
    #: The terms of service that were agreed to, and when.
    terms_of_service: str = ""
    terms_agreed_at: str | None = None
    opened_at: str | None = None
    #: Since when the CA reports that the account is unknown or closed; None if it does not.
    doubted_at: str | None = None
    #: The trusted roots of the CA's server, so that the account can be used after its CA profile was deleted.
    trusted_roots: str = field(default="", repr=False)
    #: The history of actions: when, what and by whom.
    history: tuple[Mapping[str, str], ...] = ()

    @property
    def key_name(self) -> str:
        """The name under which the key in use is sealed."""
        return self.sealed(self.key)

    @property
    def next_number(self) -> int:
        """An unused number for a new key of this account."""
        return 1 + max(self.key, self.next_key or 0, *self.spare_keys, 0)

    def sealed(self, number: int) -> str:
        """The name under which a key of this account is sealed."""
        return f"{self.document}/key" if number == 0 else f"{self.document}/key/{number}"

    def is_rolling(self, now: datetime) -> bool:
        """Whether a rollover is under way. A rollover that began long ago has crashed."""
        since = self.rolling_at
        if self.next_key is None or since is None or is_ahead(since, now):
            return False
        return now - datetime.fromisoformat(since) < _ROLLOVER

    def is_disowned(self, now: datetime) -> bool:
        """Whether the CA has not known this account for over a minute, so that a lagging replica is not the reason."""
        return self.doubted_at is not None and now - moment_before(self.doubted_at, now) >= DOUBT

    def doubted(self, now: datetime) -> AccountRecord:
        """A copy after the CA has reported the account as unknown. A doubt from a wrong clock begins again."""
        since = moment_before(self.doubted_at, now)
        return evolve(self, doubted_at=since.isoformat())

    @property
    def is_closed(self) -> bool:
        """Whether the account was closed."""
        return self.status == "deactivated"

    def has_other_terms(self, directory: str, terms: str) -> bool:
        """Whether it is in use at the CA with this directory, but no consent to these terms of service was given."""
        return self.is_in_use(directory) and self.terms_of_service != terms

    def is_in_use(self, directory: str) -> bool:
        """Whether it is open at the CA with this directory."""
        return bool(self.url) and not self.is_closed and self.directory == directory

    def without_account(self, why: Replaced) -> AccountRecord:
        """The record without its account: a new account is opened and reported at the next use."""
        lost = {"url": self.url, "why": str(why)} if self.url else self.lost
        return evolve(self, url="", lost=lost, doubted_at=None)

    def in_place_of(self, url: str, why: str, at: datetime) -> AccountRecord:
        """A copy that replaces another account."""
        return evolve(self, lost=None, replaced={"url": url, "why": why, "at": at.isoformat()})

    def told_replaced(self, now: datetime) -> tuple[str, Replaced, datetime] | None:
        """The URL of the replaced account, the reason and the time; None if that is long ago or was acknowledged."""
        if self.replaced is None:
            return None
        at = moment_before(self.replaced.get("at"), now)
        why = self.replaced.get("why", "")
        reason = Replaced(why) if why in list(Replaced) else Replaced.UNKNOWN
        return (self.replaced.get("url", ""), reason, at) if now - at < _TOLD else None

    def noted(self, change: str, actor: str, at: datetime) -> AccountRecord:
        """A copy with one more entry in its history."""
        line = {"at": at.isoformat(), "what": change, "actor": actor}
        return evolve(self, history=(*self.history, line)[-_HISTORY:])

    def save(self, documents: Documents) -> AccountRecord:
        """Store the record, if it was not changed since it was read.

        Raises:
            StaleWriteError: The record was changed.
        """
        value = {name: value for name, value in asdict(self).items() if name not in ("document", "version")}
        stored = documents.put(self.document, value, version=self.version)
        return evolve(self, version=stored.version)


@lru_cache(maxsize=64)
def _key(authority_id: str, *parts: str) -> str:
    used = list(parts)
    while used and not used[-1]:
        used.pop()  # records of earlier versions have keys without the further parts
    digest = hashlib.sha256("\0".join(used).encode()).hexdigest()[:16]
    return f"account/{authority_id}/{digest}"


#: The fields of a record. Earlier versions have stored other fields, too.
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
    """The account for a certificate: that of the CA profile, unless its e-mail or its challenge type needs another."""
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
    """Whether an owner's certificates continue to use an account that is stored under its e-mail only.

    Earlier versions stored all accounts like that, without the owner; these are used as before. Other accounts are only
    for their owner: knowing an e-mail must neither allow using another owner's account, nor reveal that it exists.
    """
    return bool(common.version) and (not common.email or common.opened_for == owner)


def read_record(documents: Documents, key: str) -> AccountRecord:
    """The record of an account; an empty one if none is stored."""
    document = documents.get(key)
    return AccountRecord(document=key) if document is None else _record(document)


def records_of(documents: Documents, authority_id: str) -> list[AccountRecord]:
    """The accounts of a CA profile, at all CAs that it has ever used."""
    return [_record(document) for document in documents.list(f"account/{authority_id}/")]


def with_other_terms(context: AcmeContext, terms: str) -> list[AccountRecord]:
    """The accounts at the CA profile's CA without a consent to these terms of service."""
    records = records_of(context.documents, context.authority_id)
    return [record for record in records if record.has_other_terms(context.profile.directory, terms)]


def terms_have_changed(context: AcmeContext, terms: str) -> bool:
    """Whether the CA profile's consent was given for other terms of service, those of its accounts.

    If one account has agreed to these terms, the consent was renewed. Accounts without a key are ignored, because they
    cannot agree.
    """
    records = records_of(context.documents, context.authority_id)
    agreed = [record for record in records if record.is_in_use(context.profile.directory) and record.terms_of_service]
    if any(record.terms_of_service == terms for record in agreed):
        return False
    return not all(has_lost_its_key(context.documents, record) for record in agreed)


def has_lost_its_key(documents: Documents, record: AccountRecord) -> bool:
    """Whether an account is unusable because its key is missing. A key that cannot be opened now may be later."""
    try:
        return bool(record.url) and documents.unseal(record.key_name) is None
    except CertCoreError:
        return False


def _record(document: Document) -> AccountRecord:
    values: dict[str, Any] = {name: value for name, value in document.value.items() if name in _FIELDS}
    # Earlier versions stored the contact as "email".
    if "email" in document.value:
        values.setdefault("contact", document.value["email"])
    values["thumbprints"] = tuple(values.get("thumbprints", ()))
    values["spare_keys"] = tuple(values.get("spare_keys", ()))
    values["history"] = tuple(values.get("history", ()))
    return AccountRecord(**{**values, "document": document.key, "version": document.version})
