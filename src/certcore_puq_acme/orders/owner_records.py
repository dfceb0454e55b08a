"""The owner's DNS records, checked from here: CNAMEs, lasting TXT records, and the CAA records that forbid this CA."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from certcore.model.finding import Severity, most_severe
from certcore.model.hints import RecordState
from certcore.net.foreign_text import printable
from certcore_puq_acme.accounts.known_directory import KnownDirectory, known_directory
from certcore_puq_acme.accounts.records import AccountRecord
from certcore_puq_acme.dns.caa import CaaPolicy, caa_finding
from certcore_puq_acme.dns.classification import CheckedRecord
from certcore_puq_acme.dns.persist_checks import check_lasting_records
from certcore_puq_acme.dns.persist_records import expected_records, until_for
from certcore_puq_acme.moments import moment_before
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.state import SeenFinding, SeenRecord
from certcore_puq_acme.orders.stored_fields import words
from certcore_puq_acme.profile.settings import ChallengeType

__all__ = [
    "are_correct",
    "are_known_correct",
    "checked_for",
    "cname_records",
    "forbidding_records",
    "incorrect_records",
    "lasting_records",
    "waits_since",
]

#: Resolvers keep an answer that there is no such record: for this time after the owner's last action they are not asked
#: for records that the authoritative servers do not show.
_NOT_RESOLVERS: Final = timedelta(minutes=10)
#: A look that is earlier than planned by more than this was requested by a user.
_EARLY: Final = timedelta(seconds=2)
#: How long correct records are not checked again while their order waits for a place in flight.
_CORRECT_FOR: Final = timedelta(minutes=1)


def are_correct(records: Iterable[SeenRecord]) -> bool:
    """Whether all records are correct."""
    return all(record.is_correct for record in records)


def are_known_correct(attempt: Attempt) -> bool:
    """Whether the records were correct a moment ago, and the order has only waited for a place in flight since then.

    Hundreds of renewals may wait for a place, and look for one every few seconds. A look before the planned time was
    requested by a user: it checks the records again.
    """
    findings, turn = attempt.findings, attempt.findings.turn
    if not attempt.state.looks_for_place or findings.checked_at is None or turn is None or turn.until is None:
        return False
    if findings.checked_for != checked_for(attempt):
        return False
    if attempt.now < turn.until - _EARLY or not timedelta(0) <= attempt.now - findings.checked_at < _CORRECT_FOR:
        return False
    known = {(record.name, record.target) for record in findings.records if record.is_correct}
    return are_correct(findings.records) and all((each.name, each.target) in known for each in attempt.delegations)


def checked_for(attempt: Attempt) -> str:
    """The challenge type and the account, which determine what the records have to be: settings may be changed."""
    return f"{attempt.challenge} {attempt.ref.key}"


def waits_since(attempt: Attempt) -> datetime:
    """When the certificate's owner or another user was last active.

    A look before the planned time was requested by a user.
    """
    certificate, issuance, state = attempt.work.certificate, attempt.work.issuance, attempt.state
    if state.next_look is not None and attempt.now < state.next_look - _EARLY:
        return attempt.now
    moments = [certificate.updated_at, issuance.created_at, *([state.asked_at] if state.asked_at else ())]
    return max(moment_before(moment, attempt.now) for moment in moments)


def cname_records(attempt: Attempt) -> tuple[SeenRecord, ...]:
    """The owner's CNAMEs; empty if the certificate's challenge type needs no CNAME."""
    if not attempt.delegations:
        return ()
    with_resolvers = attempt.now - waits_since(attempt) > _NOT_RESOLVERS
    checked = attempt.checks.cnames(attempt.delegations, attempt.now, with_resolvers=with_resolvers)
    return tuple(_seen(record, "CNAME") for record in checked)


def lasting_records(attempt: Attempt, account: AccountRecord, directory: KnownDirectory) -> tuple[SeenRecord, ...]:
    """The lasting TXT records (dns-persist-01); empty if the CA does not name the issuer that they begin with."""
    issuers = directory.record_issuers
    if not issuers:
        return ()
    until = until_for(attempt.profile.persist_days, attempt.work.certificate.created_at, attempt.now)
    expected = expected_records(
        attempt.work.issuance.names, issuer=issuers[0], account=account, directory=directory, until=until
    )
    checked = check_lasting_records(expected, attempt.checks, account=account, directory=directory, now=attempt.now)
    return tuple(_seen(lasting.record, "TXT", lasting.until) for lasting in checked)


def forbidding_records(attempt: Attempt, account: AccountRecord, directory: KnownDirectory) -> tuple[SeenRecord, ...]:
    """The CAA records that forbid this CA to issue, each with the record that would permit it."""
    if not attempt.profile.check_caa or not directory.caa_identities:
        return ()
    policy = CaaPolicy.of(directory.caa_identities, account.url, str(attempt.challenge))
    records: dict[tuple[str, str], SeenRecord] = {}
    answers = attempt.checks.caa_records(dict.fromkeys(name.base.ascii for name in attempt.work.issuance.names))
    for name in attempt.work.issuance.names:
        base = name.base.ascii
        caa = answers[base]
        forbidding = caa_finding(base, caa, policy, wildcard=name.is_wildcard)
        at = caa.name or base
        if forbidding is None or forbidding.severity is not Severity.ERROR or (at, forbidding.code) in records:
            continue
        checked = CheckedRecord(
            base=base,
            name=at,
            target=forbidding.remedy[0].value if forbidding.remedy else "",
            state=RecordState.UNREACHABLE if caa.failure else RecordState.WRONG,
            seen=caa.failure or "; ".join(caa.records)[:300],
            findings=(forbidding,),
        )
        records[at, forbidding.code] = _seen(checked, "CAA")
    return tuple(records.values())


def incorrect_records(attempt: Attempt) -> tuple[SeenRecord, ...]:
    """The owner's records that are missing or wrong according to our own DNS checks, after a failed validation."""
    account = attempt.opened().record
    directory = known_directory(attempt.work) or KnownDirectory()
    records = [*cname_records(attempt)]
    if attempt.challenge is ChallengeType.DNS_PERSIST:
        records += lasting_records(attempt, account, directory)
    records += forbidding_records(attempt, account, directory)
    return tuple(record for record in records if record.state in (RecordState.MISSING, RecordState.WRONG))


def _seen(checked: CheckedRecord, kind: str, until: datetime | None = None) -> SeenRecord:
    """A checked record as it is stored: foreign text is made printable and shortened."""
    return SeenRecord(
        base=printable(checked.base),
        name=printable(checked.name),
        target=printable(checked.target),
        state=checked.state,
        seen=words()(checked.seen) or "",
        type=kind,
        until=until,
        findings=SeenFinding.first_of(most_severe(checked.findings)),
    )
