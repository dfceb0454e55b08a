"""The DNS records that a domain's owner has to set, each with its last seen state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from attrs import evolve

from certcore.errors import InvalidInputError
from certcore.messages import shown_moment
from certcore.model.finding import Change
from certcore.model.form import structure
from certcore.model.hints import DnsRecord, DnsRecords, Hint, Level, Message, Notice, RecordState
from certcore.model.views import CertificateView
from certcore_puq_acme.accounts.known_directory import known_directory
from certcore_puq_acme.accounts.records import account_of, read_record
from certcore_puq_acme.dns.delegation import delegations
from certcore_puq_acme.dns.persist_records import (
    expected_record,
    expected_records,
    persist_name,
    until_for,
)
from certcore_puq_acme.hints.recent_looks import RecentLooks
from certcore_puq_acme.orders.state import Findings, HostedState, OrderState, SeenRecord
from certcore_puq_acme.orders.stored_fields import words
from certcore_puq_acme.profile.settings import AcmeContext, ChallengeType, PuqAcmeSettings

__all__ = [
    "lasting_records_end",
    "own_settings",
    "owner_records",
    "records_beside_leaf",
    "with_lasting_records",
]

#: How long before its end an owner is warned about a dns-persist-01 record.
_WARN: Final = timedelta(days=30)
#: The timeout in seconds of one DNS query while a user waits for the page.
_BRIEFLY: Final = 2


def owner_records(view: CertificateView, context: AcmeContext, settings: PuqAcmeSettings) -> list[Hint]:
    """The records that the owner has to set with their state, after a text that explains them."""
    profile = context.profile
    if settings.challenge_type(profile) is ChallengeType.DNS_PERSIST:
        hints = _lasting(view, context, settings)
    else:
        hints = [*_hosted(view, context), DnsRecords(tuple(_cnames(view, context)))]
    findings = Findings.of(view.issuance)
    forbidding = [record for record in findings.records if record.type == "CAA"]
    for record in forbidding:
        hints += _of_caa(view, record, findings.checked_at)
    for stored_finding in findings.zone:
        finding = stored_finding.finding(_next_look(view))
        text = "{cause} {advice} No order is placed before that. The next check is at {next_look}."
        params = {
            "cause": finding.cause,
            "advice": finding.advice,
            "next_look": shown_moment(finding.next_look) or _message("next_step", "the next step"),
        }
        hints.insert(0, Notice(Level.ERROR, _message("tech_zone", text, **params)))
    return hints


def _hosted(view: CertificateView, context: AcmeContext) -> list[Hint]:
    """The CNAMEs that the panel has set for domains that it hosts, or why it could not."""
    seen_at_server = Findings.of(view.issuance).hosted
    hints: list[Hint] = []
    names = [cname.name for cname in seen_at_server if cname.state is HostedState.SET]
    if names:
        text = (
            "The panel has set {count} of the CNAMEs below, and keeps them while the certificate exists. No action is "
            "needed for {names}."
        )
        hints.append(Notice(Level.SUCCESS, _message("hosted.set", text, count=len(names), names=", ".join(names))))
    elif view.issuance is None and context.profile.set_cnames:
        text = "For domains that the panel hosts, it sets the CNAME when the CSR is generated."
        hints.append(Notice(Level.INFO, _message("hosted.later", text)))
    for cname in seen_at_server:
        match cname.state:
            case HostedState.OCCUPIED:
                text = (
                    "The panel does not set the CNAME {name}, because another record exists there ({seen}). Replace it "
                    "by the CNAME below, or remove it."
                )
                params = {"name": cname.name, "seen": str(cname.said) or "-"}
                hints.append(Notice(Level.WARNING, _message("hosted.occupied", text, **params)))
            case HostedState.UNWRITTEN:
                text = "The panel could not set the CNAME {name}, and will try again: {problem} {advice}"
                unwritten = _message("hosted.unwritten", text, name=cname.name, problem=cname.said, advice=cname.advice)
                hints.append(Notice(Level.WARNING, unwritten))
            case HostedState.DENIED:
                text = (
                    "The panel no longer confirms that the certificate's owner controls the domain of {name}: the "
                    "CNAME that it had set there is removed."
                )
                hints.append(Notice(Level.WARNING, _message("hosted.denied", text, name=cname.name)))
            case HostedState.UNANSWERED:
                text = "The panel could not say who controls the domain of {name}, so its CNAME is not set: {problem}"
                unanswered = _message("hosted.unanswered", text, name=cname.name, problem=cname.said)
                hints.append(Notice(Level.WARNING, unanswered))
            case HostedState.REFUSED:
                text = "The panel says that the certificate's owner does not control the domain of {name}."
                hints.append(Notice(Level.ERROR, _message("bound.refused", text, name=cname.name)))
            case HostedState.TAKEN:
                text = (
                    "The domain of {name} was validated for another owner first, so no order is placed for it here. If "
                    "it now belongs to this owner, an administrator can release it with the action of the CA profile."
                )
                hints.append(Notice(Level.ERROR, _message("bound.taken", text, name=cname.name)))
            case HostedState.CLAIMED:
                text = (
                    "Another owner is having the domain of {name} validated at this moment. If that fails, it is tried "
                    "again here."
                )
                hints.append(Notice(Level.WARNING, _message("bound.claimed", text, name=cname.name)))
            case HostedState.SET | HostedState.BUSY:
                pass
            case _:
                assert_never(cname.state)
    return hints


def _of_caa(view: CertificateView, record: SeenRecord, checked_at: datetime | None) -> list[Hint]:
    """Why CAA records forbid the certificate, and the record that permits it."""
    if not record.findings:  # stored by an older version
        text = (
            "A CAA record forbids this CA to issue. Add the record below to the existing ones, or remove those; "
            "issuance continues automatically."
        )
        row = _row(view, record.name, "CAA", record.target, record, checked_at)
        return [Notice(Level.WARNING, _message("caa", text)), DnsRecords((row,))]
    finding = record.findings[0].finding()
    text = "{cause} {advice} Issuance continues automatically."
    hints: list[Hint] = [Notice(Level.WARNING, _message("caa.found", text, cause=finding.cause, advice=finding.advice))]
    rows = tuple(
        _row(view, change.name, change.type, change.value, record, checked_at)
        for change in finding.remedy
        if change.change is Change.SET
    )
    removed = [str(change) for change in finding.remedy if change.change is Change.REMOVE]
    if removed:
        hints.append(Notice(Level.WARNING, _message("remove", "To do: {records}", records="; ".join(removed))))
    return [*hints, DnsRecords(rows)] if rows else hints


def records_beside_leaf(view: CertificateView, context: AcmeContext) -> list[Hint]:
    """The records that the owner has to set for the renewal in progress, or for the next one."""
    settings = own_settings(view)
    records = Findings.of(view.issuance).records
    if not all(record.is_correct for record in records):
        return owner_records(view, context, settings)
    if records or not _needs_more(view, context, settings):
        return []
    if view.under_way:
        text = "The owner sets the DNS records below, unless they exist; issuance then continues automatically."
        message = _message("renewal.owner", text)
    else:
        text = (
            "The next issuance is the first that is validated here: the owner sets the DNS records below before it "
            "begins."
        )
        message = _message("first", text)
    return [Notice(Level.WARNING, message), *owner_records(view, context, settings)]


def _needs_more(view: CertificateView, context: AcmeContext, settings: PuqAcmeSettings) -> bool:
    """Whether the renewal in progress, or the next one, needs other records than those of the leaf in service."""
    active, certificate = view.active, view.certificate
    if active is None:
        return False
    names = view.issuance.names if view.issuance is not None and view.under_way else certificate.names
    state = OrderState.of(active)
    if settings.challenge_type(context.profile) is ChallengeType.DNS_PERSIST:
        is_same = active.authority_id == certificate.authority_id and set(names) <= set(active.names)
        return not is_same or state.challenge is not ChallengeType.DNS_PERSIST
    cnames = delegations(context.profile, context.documents, certificate.owner, names)
    return any(state.targets.get(cname.base) != cname.target for cname in cnames)


def own_settings(view: CertificateView) -> PuqAcmeSettings:
    """The certificate's own settings; settings that are no longer valid are ignored."""
    try:
        return structure(PuqAcmeSettings, view.certificate.module_data)
    except InvalidInputError:
        return PuqAcmeSettings()


def with_lasting_records(
    view: CertificateView, context: AcmeContext, dns: Callable[[], Any], looks: RecentLooks
) -> CertificateView:
    """Check those lasting records of the leaf in service that end soon again, and return the view with their new state.

    The stored state is from the last issuance; the owner may have set new records since. Each record gets the content
    that it must have next. Only these records are queried, with a short timeout, once a minute for all viewers of the
    page, and again after an event of the certificate, such as a check that a user requested.

    Args:
        view: The certificate.
        context: The CA profile.
        dns: Returns the `certcore_puq_acme.dns.checks.DnsAccess`.
        looks: The cache of recent results.
    """
    active = view.active
    ending = {record.name for record, _ in _ending(view)}
    certificate = view.certificate
    if active is None or not ending or active.authority_id != certificate.authority_id:
        return view
    from certcore_puq_acme.dns.checks import DnsChecks  # noqa: PLC0415 - dnspython costs 0.1 s
    from certcore_puq_acme.dns.persist_checks import checked_lasting_record  # noqa: PLC0415 - see DnsChecks

    profile = context.profile
    directory = known_directory(context)
    account = read_record(context.documents, account_of(context, own_settings(view), certificate.owner).key)
    issuers = directory.record_issuers if directory else ()
    if directory is None or not account.url or not issuers:
        return view
    checks = DnsChecks.of(profile, dns(), timeout=min(profile.api_timeout, _BRIEFLY))
    latest = view.events[-1].number if view.events else 0
    shown = looks.get((certificate.id, latest, *sorted(ending)), view.now, lambda: checks.txt_values(ending))
    findings = Findings.of(active)
    records: list[SeenRecord] = []
    for record in findings.records:
        if record.name not in ending:
            records.append(record)
            continue
        base = record.base
        wildcard = any(name.is_wildcard and name.base.ascii == base for name in certificate.names)
        after = max(view.now, view.renews_at or view.now, record.until or view.now)
        until = until_for(profile.persist_days, certificate.created_at, after)
        expected = expected_record(
            base, issuer=issuers[0], account=account, directory=directory, wildcard=wildcard, until=until
        )
        fresh = evolve(record, target=str(expected))
        checked = checked_lasting_record(
            base, expected, shown[record.name], account=account, directory=directory, now=view.now
        )
        if checked.record.state is RecordState.CORRECT:
            fresh = evolve(fresh, seen=words()(checked.record.seen) or "", until=checked.until)
        records.append(fresh)
    findings = evolve(findings, records=tuple(records))
    return evolve(view, active=evolve(active, findings=findings.to_json()))


def lasting_records_end(view: CertificateView) -> list[Hint]:
    """A warning for each lasting record of the leaf in service that ends soon, or before the next renewal.

    The hints include the records to set, as determined by `with_lasting_records`.
    """
    hints: list[Hint] = []
    rows: list[DnsRecord] = []
    for record, until in _ending(view):
        text = (
            "The TXT record {name} is valid until {date} (persistUntil). The owner has to set it again before the "
            "certificate can be renewed after that day."
        )
        level = Level.ERROR if until <= view.now else Level.WARNING
        hints.append(Notice(level, _message("persist_ends", text, name=record.name, date=f"{until:%Y-%m-%d}")))
        row = DnsRecord(name=record.name, type="TXT", value=record.target, state=RecordState.MISSING, seen=record.seen)
        rows.append(row)
    return [*hints, DnsRecords(tuple(rows))] if rows else []


def _ending(view: CertificateView) -> list[tuple[SeenRecord, datetime]]:
    """The lasting records of the leaf in service that end soon, or before the next renewal, as they were seen."""
    soon = max(view.now + _WARN, view.renews_at or view.now)
    records = Findings.of(view.active).records
    return [(record, record.until) for record in records if record.until is not None and record.until <= soon]


def _cnames(view: CertificateView, context: AcmeContext) -> list[DnsRecord]:
    certificate = view.certificate
    findings = Findings.of(view.issuance)
    records_by_name = findings.by_name
    return [
        _row(view, cname.name, "CNAME", cname.target, records_by_name.get(cname.name), findings.checked_at)
        for cname in delegations(context.profile, context.documents, certificate.owner, certificate.names)
    ]


def _lasting(view: CertificateView, context: AcmeContext, settings: PuqAcmeSettings) -> list[Hint]:
    certificate = view.certificate
    profile = context.profile
    account = read_record(context.documents, account_of(context, settings, certificate.owner).key)
    directory = known_directory(context)
    issuers = directory.record_issuers if directory else ()
    if directory is None or not account.url or not issuers:
        text = (
            "This certificate is validated with one lasting TXT record per name. Its value is known when the account "
            "at the CA is open: generate the CSR."
        )
        return [Notice(Level.INFO, _message("persist_later", text))]
    until = until_for(profile.persist_days, certificate.created_at, view.now)
    expected_rows = expected_records(
        certificate.names, issuer=issuers[0], account=account, directory=directory, until=until
    )
    findings = Findings.of(view.issuance)
    records_by_name = findings.by_name
    rows = []
    for base, expected in expected_rows:
        name = persist_name(base)
        rows.append(_row(view, name, "TXT", str(expected), records_by_name.get(name), findings.checked_at))
    text = (
        "Set the TXT records below once, and leave them: they allow only this account at the CA to obtain certificates "
        "for the names. Renewals need no changes."
    )
    return [Notice(Level.INFO, _message("persist", text)), DnsRecords(tuple(rows))]


def _row(
    view: CertificateView, name: str, kind: str, value: str, record: SeenRecord | None, checked_at: datetime | None
) -> DnsRecord:
    if record is None:
        return DnsRecord(name=name, type=kind, value=value, state=RecordState.UNKNOWN)
    next_look = None if record.is_correct else _next_look(view)
    return DnsRecord(
        name=name,
        type=kind,
        value=value,
        state=record.state,
        seen=record.seen,
        checked_at=checked_at,
        findings=tuple(stored_finding.finding(next_look) for stored_finding in record.findings),
    )


def _next_look(view: CertificateView) -> datetime | None:
    return view.schedule.due_at if view.schedule else None


def _message(key: str, text: str, **params: Any) -> Message:
    return Message(f"puq_acme.{key}", text, params)
