"""Check an owner's lasting TXT records (dns-persist-01), and make findings about them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

from certcore.model.finding import Finding, RecordChange
from certcore.model.hints import RecordState
from certcore_puq_acme.accounts.known_directory import KnownDirectory
from certcore_puq_acme.accounts.records import AccountRecord
from certcore_puq_acme.dns.checks import DnsChecks, ShownText
from certcore_puq_acme.dns.classification import CheckedRecord
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.dns.persist_records import PersistRecord, Verdict, account_uris, judge, persist_name

__all__ = ["CheckedLastingRecord", "check_lasting_records", "checked_lasting_record"]

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_STATES: Final = {
    None: RecordState.CORRECT,
    DnsCode.PERSIST_MISSING: RecordState.MISSING,
    DnsCode.PERSIST_UNREACHABLE: RecordState.UNREACHABLE,
}


@frozen(kw_only=True)
class CheckedLastingRecord:
    """The state of one lasting record."""

    record: CheckedRecord
    #: When the record expires; None if it does not expire or is not correct.
    until: datetime | None = None


def check_lasting_records(
    expected_records: Iterable[tuple[str, PersistRecord]],
    checks: DnsChecks,
    *,
    account: AccountRecord,
    directory: KnownDirectory,
    now: datetime,
) -> list[CheckedLastingRecord]:
    """Look up the lasting records and compare them to the expected ones.

    Args:
        expected_records: The expected records, each with its domain (A-labels).
        checks: The access to the DNS.
        account: The account that the records have to name.
        directory: The CA's directory.
        now: The current time.
    """
    listed = list(expected_records)
    shown = checks.txt_values(persist_name(base) for base, _ in listed)
    return [
        checked_lasting_record(base, expected, shown[persist_name(base)], account=account, directory=directory, now=now)
        for base, expected in listed
    ]


def checked_lasting_record(
    base: str,
    expected: PersistRecord,
    shown: ShownText,
    *,
    account: AccountRecord,
    directory: KnownDirectory,
    now: datetime,
) -> CheckedLastingRecord:
    """Compare what the servers show to the expected record: every server has to show a correct one.

    Args:
        base: The domain, in A-labels.
        expected: The record that the owner has to set.
        shown: The TXT values that each server shows.
        account: The account that the record has to name.
        directory: The CA's directory.
        now: The current time.
    """
    name = persist_name(base)
    uris = account_uris(base, account, directory)
    verdicts = [
        (server, judge(values, issuers=directory.record_issuers, uris=uris, wildcard=expected.wildcard, now=now))
        for server, values in shown.servers
    ]
    if not verdicts:
        verdicts = [("", Verdict(code=DnsCode.PERSIST_UNREACHABLE, seen=shown.failure))]
    # The worst record counts; of correct records, the one that ends first.
    worst = min(
        (verdict for _, verdict in verdicts), key=lambda verdict: (verdict.code is None, verdict.until or _NEVER)
    )
    some_are_good = any(verdict.code is None for _, verdict in verdicts)
    findings: list[Finding] = []
    for server, verdict in verdicts:
        if verdict.code is None or (findings and not some_are_good):
            continue  # a fault that all servers show is reported once
        code = DnsCode.PERSIST_ON_SOME_SERVERS if some_are_good else verdict.code
        can_be_set = not some_are_good and code is not DnsCode.PERSIST_UNREACHABLE
        remedy = [_to_set(name, expected)] if can_be_set else []
        findings.append(
            finding(code, name=name, server=server, expected=str(expected), seen=verdict.seen, remedy=remedy)
        )
    record = CheckedRecord(
        base=base,
        name=name,
        target=str(expected),
        state=_STATES.get(worst.code, RecordState.WRONG),
        seen=worst.seen,
        findings=tuple(findings),
    )
    return CheckedLastingRecord(record=record, until=worst.until)


def _to_set(name: str, expected: PersistRecord) -> RecordChange:
    return RecordChange(name=name, type="TXT", value=f'"{expected}"')
