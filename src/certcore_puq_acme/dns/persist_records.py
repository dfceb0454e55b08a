"""dns-persist-01: one TXT record at ``_validation-persist.<domain>`` that the owner sets once.

See draft-ietf-acme-dns-persist. The record names the CA and the account, and is not removed. The account is named
either by its URL (drafts 00 and 01) or by a hash of domain, key and URL after a prefix from the directory (draft 02).
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.messages import Message, shown_moment
from certcore.model.names import DnsName
from certcore_puq_acme.accounts.known_directory import KnownDirectory
from certcore_puq_acme.accounts.records import AccountRecord
from certcore_puq_acme.dns.codes import DnsCode

__all__ = [
    "PERSIST_LABEL",
    "PersistRecord",
    "Verdict",
    "account_uris",
    "expected_record",
    "expected_records",
    "judge",
    "persist_name",
    "until_for",
]

PERSIST_LABEL: Final = "_validation-persist"
_OF_OTHERS: Final = Message("puq_acme.dns.other_cas", "records of other CAs only")
_HASH: Final = "sha-256"
_ANY_DOMAIN: Final = "*"
_TAG: Final = re.compile(r"[A-Za-z0-9]+")
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@frozen(kw_only=True)
class PersistRecord:
    """The value of a dns-persist-01 record: an issue-value of RFC 8659 section 4.2."""

    issuer: str
    account_uri: str
    #: Whether it also covers ``*.domain``.
    wildcard: bool = False
    #: When it expires; None for never.
    until: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> PersistRecord | None:
        """Read a TXT value; None if it is not such a record. Unknown parameters are ignored."""
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


@frozen(kw_only=True)
class Verdict:
    """The judgement of the TXT values that one server shows."""

    #: The fault; None for a correct record.
    code: DnsCode | None = None
    #: The observed value; the correct record if there is no fault.
    seen: Message | str = ""
    #: When a good record expires; None for never.
    until: datetime | None = None


def persist_name(base: str) -> str:
    """The name of the TXT record for a domain."""
    return f"{PERSIST_LABEL}.{base}"


def account_uris(base: str, account: AccountRecord, directory: KnownDirectory) -> tuple[str, ...]:
    """The account URIs that a record for this domain may contain; the first is the one to set.

    Args:
        base: The domain, in A-labels.
        account: The account, with the thumbprints of its keys, those before a rollover included.
        directory: The CA's directory, which decides the form.
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
    """The record that the domain's owner has to set."""
    uri = account_uris(base, account, directory)[0]
    return PersistRecord(issuer=issuer, account_uri=uri, wildcard=wildcard, until=until)


def expected_records(
    names: Sequence[DnsName],
    *,
    issuer: str,
    account: AccountRecord,
    directory: KnownDirectory,
    until: datetime | None,
) -> Iterator[tuple[str, PersistRecord]]:
    """The records that the owner of several names has to set, one for each domain, with the domain (A-labels)."""
    with_wildcard = {name.base.ascii for name in names if name.is_wildcard}
    for base in dict.fromkeys(name.base.ascii for name in names):
        yield (
            base,
            expected_record(
                base,
                issuer=issuer,
                account=account,
                directory=directory,
                wildcard=base in with_wildcard,
                until=until,
            ),
        )


def until_for(days: int, since: datetime, now: datetime) -> datetime | None:
    """When a record should expire. The moment stays the same until half of the time is over.

    Args:
        days: The lifetime in days; 0 for no end.
        since: The start of the count, the same at each call.
        now: The current time.
    """
    if not days:
        return None
    life = timedelta(days=days)
    whole = max(0, -(-(now + life / 2 - since) // life))
    return (since + life * max(1, whole)).replace(microsecond=0)


def judge(
    values: Sequence[str], *, issuers: Iterable[str], uris: Iterable[str], wildcard: bool, now: datetime
) -> Verdict:
    """Judge the TXT values at the name of a dns-persist-01 record.

    Args:
        values: The TXT values at the name.
        issuers: The CA's issuer names.
        uris: The account URIs that are accepted.
        wildcard: Whether it must cover ``*.domain``.
        now: The current time.
    """
    names, accounts = set(issuers), set(uris)
    records = [record for record in map(PersistRecord.parse, values) if record is not None]
    ours = [record for record in records if record.issuer in names]
    if not ours:
        return Verdict(code=DnsCode.PERSIST_MISSING, seen=_OF_OTHERS if records else "")
    of_account = [record for record in ours if record.account_uri in accounts]
    if not of_account:
        return Verdict(code=DnsCode.PERSIST_OTHER_ACCOUNT, seen=ours[0].account_uri)
    covering = [record for record in of_account if record.wildcard or not wildcard]
    if not covering:
        return Verdict(code=DnsCode.PERSIST_WITHOUT_WILDCARD, seen=str(of_account[0]))
    best = max(covering, key=lambda record: record.until or _LAST)
    if best.until is not None and best.until <= now:
        return Verdict(code=DnsCode.PERSIST_EXPIRED, seen=shown_moment(best.until))
    return Verdict(seen=str(best), until=best.until)


def _moment(number: int) -> datetime:
    try:
        return datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST


def _hashed(domain: str, thumbprint: str, url: str) -> str:
    data = bytes([len(domain)]) + f"{domain}{thumbprint}{url}".encode()
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
