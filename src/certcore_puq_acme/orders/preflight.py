"""Check the owner's records before the CA gets a request."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from attrs import evolve

from certcore.model.finding import Severity
from certcore.ports.ca_module import WaitingFor
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.moments import moment_before
from certcore_puq_acme.orders.attempt import WRITE_AGAIN, Attempt
from certcore_puq_acme.orders.bound_names import claim_names
from certcore_puq_acme.orders.check_value import check_value
from certcore_puq_acme.orders.hosted_names import denied_names, set_hosted_cnames, without_denied
from certcore_puq_acme.orders.owner_records import are_correct, are_known_correct, cname_records, waits_since
from certcore_puq_acme.orders.results import LookAgain, NextStage
from certcore_puq_acme.orders.state import (
    Findings,
    HostedState,
    OrderState,
    SeenFinding,
    SeenRecord,
    Stage,
    UnwrittenValues,
)
from certcore_puq_acme.profile.settings import ChallengeType
from certcore_puq_acme.techzone.publication import Unwritten

__all__ = ["check_cnames", "wait_for_owner"]

#: Seconds between two looks while the owner is active, for how long the owner counts as active, and the longest pause.
_SHORTEST: Final = 12.0
_AT_WORK: Final = 3600.0
_LONGEST: Final = 600.0
#: Seconds to the next look for a value that was published just now.
_SOON: Final = 2.0
#: How many looks for such a value follow each other after `_SOON`.
_SOON_LOOKS: Final = 10


def check_cnames(attempt: Attempt) -> LookAgain | NextStage:
    """Check the CNAMEs before an account is opened: no CA gets a request before the domain's owner has set them."""
    attempt.withdraw()  # values that an abandoned order may have left
    findings = attempt.findings
    if attempt.challenge is ChallengeType.DNS and not _are_still_correct(attempt):
        hosted = set_hosted_cnames(attempt)  # first, so that no resolver caches that there is no CNAME
        attempt = evolve(attempt, findings=evolve(findings, hosted=hosted))
        records = without_denied(cname_records(attempt), hosted)
        if not are_correct(records):
            return _wait_for_records(attempt, records)
        if claims := claim_names(attempt):
            hosted = (*hosted, *claims)
            attempt = evolve(attempt, findings=evolve(attempt.findings, hosted=hosted))
            return wait_for_owner(attempt, without_denied(records, claims))
        if (waits := _wait_for_tech_zone(attempt, records)) is not None:
            return waits
        findings = Findings(checked_at=attempt.now, records=records, hosted=hosted)
    return NextStage(state=evolve(attempt.state, stage=Stage.ORDERING), findings=findings)


def _are_still_correct(attempt: Attempt) -> bool:
    """Whether the records were correct a moment ago, and are still the owner's: the panel is asked for each order."""
    return are_known_correct(attempt) and not any(denied_names(attempt)) and not claim_names(attempt)


def _wait_for_records(attempt: Attempt, records: tuple[SeenRecord, ...]) -> LookAgain:
    """Wait for the owner; only briefly if all missing records were just set on the panel's own servers."""
    waits = wait_for_owner(attempt, records)
    here = {cname.name for cname in attempt.findings.hosted if cname.state in (HostedState.SET, HostedState.BUSY)}
    lacking = {record.name for record in records if not record.is_correct}
    is_soon = attempt.state.looks < _SOON_LOOKS and lacking <= here
    return _soon(waits, attempt) if is_soon else waits


def _wait_for_tech_zone(attempt: Attempt, records: tuple[SeenRecord, ...]) -> LookAgain | None:
    """Wait while names cannot be validated through the tech zone, so that no order is wasted; None if they can."""
    checks = attempt.checks
    if not attempt.delegations or not checks.asks_directly():
        return None  # the values of the order are looked for through the resolvers
    zone = attempt.delegations[0].zone
    check = check_value(attempt.records, zone, attempt.now, attempt.work.environment.new_id)
    if (publication := attempt.publication) is not None:
        # A server may have lost a value that it had confirmed: the value is written again.
        is_again = attempt.state.looks % WRITE_AGAIN == WRITE_AGAIN - 1
        if (unwritten := publication.update([check.name], force=is_again)) is not None:
            return _wait_for_writer(attempt, records, unwritten)
        zone = publication.zone
    findings = [
        finding for finding in checks.tech_zone(zone, check.value, check.name) if finding.severity is Severity.ERROR
    ]
    if not findings:
        return None
    waits = wait_for_owner(attempt, records)
    waits = evolve(waits, findings=evolve(waits.findings, zone=SeenFinding.first_of(findings)))
    is_late = check.is_young and all(finding.code == DnsCode.TECH_ZONE_OLD_SERVER for finding in findings)
    return _soon(waits, attempt) if is_late else waits


def _wait_for_writer(attempt: Attempt, records: tuple[SeenRecord, ...], unwritten: Unwritten) -> LookAgain:
    """Wait for the tech zone's server, or for another process that writes to it."""
    waits = wait_for_owner(attempt, records)
    if unwritten.is_busy:
        return _soon(waits, attempt)
    before = attempt.findings.unwritten
    since = attempt.now if before is None or before.since is None else moment_before(before.since, attempt.now)
    unwritten_values = UnwrittenValues.of(unwritten.said, unwritten.advice, since=since)
    return evolve(waits, findings=evolve(waits.findings, unwritten=unwritten_values))


def _soon(waits: LookAgain, attempt: Attempt) -> LookAgain:
    """The same wait with an end after `_SOON` seconds."""
    until = attempt.now + timedelta(seconds=_SOON)
    return evolve(waits, state=evolve(waits.state, next_look=until), until=until)


def wait_for_owner(attempt: Attempt, records: Iterable[SeenRecord]) -> LookAgain:
    """Wait until the owner has set these records."""
    since = waits_since(attempt)
    until = attempt.now + timedelta(seconds=_pause(attempt.now - since))
    state = OrderState(looks=attempt.state.looks + 1, unclear=attempt.state.unclear, next_look=until, asked_at=since)
    return LookAgain(
        state=state,
        findings=Findings(checked_at=attempt.now, records=tuple(records), hosted=attempt.findings.hosted),
        until=until,
        waiting_for=WaitingFor.OWNER,
    )


def _pause(waited: timedelta) -> float:
    """Seconds to the next look for the records that the owner has to set.

    The pause is short for an hour after the last activity for the certificate, because the owner should see the result
    of a change within 20 seconds. Then the pause grows, to 10 minutes after two hours.
    """
    return min(max(_SHORTEST, (waited.total_seconds() - _AT_WORK) / 6), _LONGEST)
