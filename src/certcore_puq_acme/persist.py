"""dns-persist-01: one TXT record at ``_validation-persist.<domain>`` that the owner sets once.

draft-ietf-acme-dns-persist. The record names the CA and the account, and stays. Two forms of the account's name are in
use: its URL (drafts 00 and 01), and a hash of domain, key and URL under a prefix that the directory tells (draft 02).
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.model.hints import RecordState
from certcore_puq_acme.account_records import AccountRecord
from certcore_puq_acme.directory_records import KnownDirectory

__all__ = [
    "PERSIST_LABEL",
    "PersistRecord",
    "account_uris",
    "expected_record",
    "judge",
    "persist_name",
    "until_for",
]

PERSIST_LABEL: Final = "_validation-persist"
_HASH: Final = "sha-256"
_ANY_DOMAIN: Final = "*"
_TAG: Final = re.compile(r"[A-Za-z0-9]+")
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@frozen(kw_only=True)
class PersistRecord:
    """The content of such a record: an issue-value of RFC 8659 section 4.2."""

    issuer: str
    account_uri: str
    #: It also covers ``*.domain``.
    wildcard: bool = False
    #: Not to be used after this moment; None for ever.
    until: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> PersistRecord | None:
        """Read a TXT value; None where it is no such record. Parameters that are unknown do not matter."""
        issuer, *rest = (part.strip() for part in text.split(";"))
        parameters: dict[str, str] = {}
        for part in filter(None, rest):
            tag, separator, value = part.partition("=")
            name = tag.strip().lower()
            if not separator or not _TAG.fullmatch(name) or name in parameters:
                return None
            parameters[name] = value.strip()
        until: datetime | None = None
        if (number := parameters.get("persistuntil")) is not None:
            if not _NUMBER.fullmatch(number):
                return None
            until = _moment(int(number))
        if not issuer or "accounturi" not in parameters:
            return None
        return cls(
            issuer=issuer.lower().removesuffix("."),
            account_uri=parameters["accounturi"],
            wildcard=parameters.get("policy", "").lower() == "wildcard",
            until=until,
        )

    def __str__(self) -> str:
        parts = [self.issuer, f"accounturi={self.account_uri}"]
        if self.wildcard:
            parts.append("policy=wildcard")
        if self.until is not None:
            parts.append(f"persistUntil={int(self.until.timestamp())}")
        return "; ".join(parts)


def persist_name(base: str) -> str:
    """Where the record of a name stands."""
    return f"{PERSIST_LABEL}.{base}"


def account_uris(base: str, account: AccountRecord, directory: KnownDirectory) -> tuple[str, ...]:
    """What a record for this name may hold as the account, the form to be set first.

    Args:
        base: The name, A-labels.
        account: With its URL and the thumbprints of its keys, those before a rollover included.
        directory: What the CA said of the form.
    """
    if not directory.account_hash_prefix:
        return (account.url,)
    return tuple(
        f"{directory.account_hash_prefix}{_HASH}/{_hashed(domain, thumbprint, account.url)}"
        for domain in (base, _ANY_DOMAIN)
        for thumbprint in account.thumbprints
    )


def expected_record(
    base: str,
    *,
    issuer: str,
    account: AccountRecord,
    directory: KnownDirectory,
    wildcard: bool,
    until: datetime | None,
) -> PersistRecord:
    """The record that the owner of a name is to set."""
    uri = account_uris(base, account, directory)[0]
    return PersistRecord(issuer=issuer, account_uri=uri, wildcard=wildcard, until=until)


def until_for(days: int, since: datetime, now: datetime) -> datetime | None:
    """Until when a record is to last; it stays the same until half of its time is over.

    Args:
        days: How long; 0 for ever.
        since: From when on it is counted, the same at each call.
        now: The present moment.
    """
    if not days:
        return None
    life = timedelta(days=days)
    whole = max(0, -(-(now + life / 2 - since) // life))
    return (since + life * max(1, whole)).replace(microsecond=0)


def judge(
    values: Sequence[str], *, issuers: Iterable[str], uris: Iterable[str], wildcard: bool, now: datetime
) -> tuple[RecordState, str, datetime | None]:
    """What the TXT values at a name are worth: the state, why not in words, and until when a good one lasts.

    Args:
        values: The values that are there.
        issuers: The names of the CA, of which a record begins with one.
        uris: What it may hold as the account.
        wildcard: Whether it has to cover ``*.domain``.
        now: The present moment.
    """
    names, accounts = set(issuers), set(uris)
    found = [record for record in map(PersistRecord.parse, values) if record is not None]
    ours = [one for one in found if one.issuer in names]
    if not ours:
        return RecordState.MISSING, "records of other CAs only" if found else "", None
    of_account = [one for one in ours if one.account_uri in accounts]
    if not of_account:
        return RecordState.WRONG, f"for another account: {ours[0].account_uri}", None
    covering = [one for one in of_account if one.wildcard or not wildcard]
    if not covering:
        return RecordState.WRONG, "policy=wildcard is missing", None
    lasting = [one for one in covering if one.until is None or one.until > now]
    if not lasting:
        return RecordState.WRONG, "its persistUntil has passed", None
    best = max(lasting, key=lambda one: one.until or _LAST)
    return RecordState.CORRECT, str(best), best.until


def _moment(number: int) -> datetime:
    try:
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST


def _hashed(domain: str, thumbprint: str, url: str) -> str:
    data = bytes([len(domain)]) + f"{domain}{thumbprint}{url}".encode()
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
