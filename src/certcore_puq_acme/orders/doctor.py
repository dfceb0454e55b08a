"""Find everything that would make the validation of names fail: the checks before an order, without a certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from certcore.errors import CertCoreError
from certcore.model.finding import Finding, Severity, most_severe
from certcore.model.names import DnsName
from certcore_puq_acme.accounts.known_directory import known_directory
from certcore_puq_acme.accounts.records import account_of, read_record
from certcore_puq_acme.dns.caa import CaaPolicy, caa_finding
from certcore_puq_acme.dns.checks import DnsAccess, DnsChecks
from certcore_puq_acme.dns.classification import CheckedRecord
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.delegation import Delegation, delegations
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.dns.persist_checks import check_lasting_records
from certcore_puq_acme.dns.persist_records import expected_records, until_for
from certcore_puq_acme.orders.check_value import known_check_value
from certcore_puq_acme.orders.zone_values import known_values
from certcore_puq_acme.profile.limits import is_public_suffix
from certcore_puq_acme.profile.settings import AcmeContext, ChallengeType, PuqAcmeSettings, ZoneWriterKind
from certcore_puq_acme.profile.zone_writer import hosted_cnames_of, publication_of
from certcore_puq_acme.techzone.records import TechZoneRecords

__all__ = ["diagnose"]

#: How long servers may take to show a change of the tech zone.
_COPIED_WITHIN: Final = timedelta(minutes=10)

#: Findings about a name after which its other records do not matter, or cannot be seen.
_ENDS: Final = frozenset(
    {
        DnsCode.PUBLIC_SUFFIX,
        DnsCode.DOMAIN_NOT_REGISTERED,
        DnsCode.DOMAIN_NOT_DELEGATED,
        DnsCode.DNSSEC_BOGUS,
        DnsCode.SERVER_LAME,
        DnsCode.SERVER_SILENT,
        DnsCode.SERVER_FAILS,
        DnsCode.SERVER_WITHOUT_ADDRESS,
    }
)


def diagnose(
    names: Sequence[DnsName],
    context: AcmeContext,
    dns: DnsAccess,
    *,
    thorough: bool,
    settings: PuqAcmeSettings | None = None,
) -> tuple[Finding, ...]:
    """Everything that would make the validation of these names fail now.

    Args:
        names: The names of a certificate.
        context: The CA profile, and the owner of the certificate.
        dns: The access to the DNS.
        thorough: Whether resolvers may be asked for records that do not exist; they remember such answers.
        settings: The settings of the certificate; None without a certificate.
    """
    settings = settings or PuqAcmeSettings()
    profile, now = context.profile, context.environment.now()
    checks = DnsChecks.of(profile, dns)
    findings = [
        finding(DnsCode.WILDCARD_FORBIDDEN, name=name.ascii)
        for name in names
        if name.is_wildcard and not profile.allow_wildcard
    ]
    ended: set[str] = set()
    if settings.challenge_type(profile) is ChallengeType.DNS:
        findings += _of_tech_zone(context, checks)
        expected = delegations(profile, context.documents, context.owner, names)
        for record in checks.cnames(expected, now, with_resolvers=thorough):
            missing = {DnsCode.CNAME_MISSING} if _is_set_by_panel(record, context, dns) else set()
            findings += [each for each in record.findings if each.code not in missing]
            if any(each.code in _ENDS and each.severity is Severity.ERROR for each in record.findings):
                ended.add(record.base)
        findings += _of_foreign_values(expected, context, checks)
    else:
        suffixes = [name.base.ascii for name in names if is_public_suffix(name.base.ascii)]
        findings += [finding(DnsCode.PUBLIC_SUFFIX, name=suffix) for suffix in suffixes]
        ended.update(suffixes)
        lasting = [name for name in names if name.base.ascii not in ended]
        findings += _of_lasting_records(lasting, context, checks, settings)
    findings += _of_caa([name for name in names if name.base.ascii not in ended], context, checks, settings)
    return most_severe(findings)


def _is_set_by_panel(record: CheckedRecord, context: AcmeContext, dns: DnsAccess) -> bool:
    """Whether the panel will set a CNAME that is missing, because it hosts the domain for this owner."""
    hosted = hosted_cnames_of(context, dns.connections)
    if not hosted.is_on or not any(each.code == DnsCode.CNAME_MISSING for each in record.findings):
        return False
    try:
        return context.controls_name(context.owner, record.base) is True and hosted.has_zone_of(record.name)
    except CertCoreError:
        return False  # the record counts as missing


def _of_tech_zone(context: AcmeContext, checks: DnsChecks) -> tuple[Finding, ...]:
    """The faults of the tech zone; the check value of today is looked for if there is one."""
    profile = context.profile
    known = known_check_value(TechZoneRecords(context.documents), profile.tech_zone.ascii, context.environment.now())
    # Servers that copy the zone may not have it yet; certcore's own have it at once.
    is_copied = profile.zone_writer != ZoneWriterKind.EMBEDDED or bool(profile.tech_zone_secondaries)
    if known is None or (known.is_young and is_copied):
        return checks.tech_zone(profile.written_zone.ascii)
    return checks.tech_zone(profile.written_zone.ascii, known.value, known.name)


def _of_foreign_values(expected: Sequence[Delegation], context: AcmeContext, checks: DnsChecks) -> tuple[Finding, ...]:
    """Values at the owner's labels of the tech zone that are not ours."""
    records, publication = TechZoneRecords(context.documents), publication_of(context, checks.access.connections)
    since = context.environment.now() - _COPIED_WITHIN
    # A server that copies the zone may still show values that were removed a moment ago.
    return checks.foreign_values(
        [delegation for delegation in expected if not records.changed_since(delegation.target, since)],
        lambda name: known_values(records, publication, name),
    )


def _of_lasting_records(
    names: Sequence[DnsName], context: AcmeContext, checks: DnsChecks, settings: PuqAcmeSettings
) -> Iterator[Finding]:
    """The faults of the lasting TXT records; empty while their content is not known."""
    directory = known_directory(context)
    account = read_record(context.documents, account_of(context, settings, context.owner).key)
    if directory is None or not directory.record_issuers or not account.url:
        return
    now = context.environment.now()
    until = until_for(context.profile.persist_days, now, now)
    issuer = directory.record_issuers[0]
    expected = expected_records(names, issuer=issuer, account=account, directory=directory, until=until)
    for lasting in check_lasting_records(expected, checks, account=account, directory=directory, now=now):
        yield from lasting.record.findings


def _of_caa(
    names: Sequence[DnsName], context: AcmeContext, checks: DnsChecks, settings: PuqAcmeSettings
) -> Iterator[Finding]:
    directory = known_directory(context)
    if not context.profile.check_caa or directory is None or not directory.caa_identities:
        return
    account = read_record(context.documents, account_of(context, settings, context.owner).key)
    challenge = settings.challenge_type(context.profile)
    policy = CaaPolicy.of(directory.caa_identities, account.url, str(challenge))
    answers = checks.caa_records(dict.fromkeys(name.base.ascii for name in names))
    reported: set[tuple[str, str]] = set()
    for name in names:
        forbidding = caa_finding(name.base.ascii, answers[name.base.ascii], policy, wildcard=name.is_wildcard)
        if forbidding is not None and (forbidding.name, forbidding.code) not in reported:
            reported.add((forbidding.name, forbidding.code))
            yield forbidding
