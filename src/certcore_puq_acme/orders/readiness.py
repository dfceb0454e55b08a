"""Find everything that would make the renewal of a certificate in service fail now.

Nothing is ordered. The CA is asked about the account once a day in each process. Once a day a check value is written to
the tech zone; issuances use the same value. Resolvers are not asked for records that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from attrs import evolve

from certcore.messages import Message, shown_moment
from certcore.model.finding import Finding, Severity
from certcore.model.issuance import Issuance
from certcore.model.preflight import comes_too_late
from certcore.model.readiness import Obstacle, Readiness, WhoseTurn
from certcore_puq_acme.accounts.known_directory import KnownDirectory, known_directory
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.accounts.records import AccountRecord, has_lost_its_key, read_record
from certcore_puq_acme.dns.checks import DnsAccess
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.links import asks_for_a_visit
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.check_value import check_value
from certcore_puq_acme.orders.doctor import diagnose
from certcore_puq_acme.orders.hosted_names import denied_names
from certcore_puq_acme.orders.priority import goes_first, is_near_its_end
from certcore_puq_acme.orders.renewal_info import is_of_directory
from certcore_puq_acme.orders.state import OrderState
from certcore_puq_acme.profile.settings import AcmeWork, ChallengeType
from certcore_puq_acme.protocol.errors import AcmeError
from certcore_puq_acme.rate_limits.limiter import OrderRequest, Turn, Why

__all__ = ["readiness"]

#: Findings that only the operator of the panel can repair; the owner of the domain repairs the others.
_OF_ADMINISTRATOR: Final = frozenset(
    {
        DnsCode.WILDCARD_FORBIDDEN,
        DnsCode.RESOLVER_SILENT,
        DnsCode.RESOLVER_FAILS,
        DnsCode.RESOLVER_REWRITES,
        DnsCode.RESOLVER_DIFFERS,
        DnsCode.TECH_ZONE_NOT_DELEGATED,
        DnsCode.TECH_ZONE_UNREACHABLE,
        DnsCode.TECH_ZONE_OLD_SERVER,
        DnsCode.TECH_ZONE_WITHOUT_ADDRESS,
        DnsCode.TXT_MISSING,
        DnsCode.TXT_FOREIGN,
    }
)
#: Findings that may disappear on their own: a server or the route to it may fail for a moment, or a server may lag.
_MAY_PASS: Final = frozenset(
    {
        DnsCode.SERVER_LAME,
        DnsCode.SERVER_SILENT,
        DnsCode.SERVER_FAILS,
        DnsCode.SERVERS_DISAGREE,
        DnsCode.CNAME_ON_SOME_SERVERS,
        DnsCode.RESOLVER_SILENT,
        DnsCode.RESOLVER_FAILS,
        DnsCode.RESOLVER_DIFFERS,
        DnsCode.TECH_ZONE_UNREACHABLE,
        DnsCode.TECH_ZONE_OLD_SERVER,
        DnsCode.PERSIST_ON_SOME_SERVERS,
        DnsCode.PERSIST_UNREACHABLE,
        DnsCode.CAA_LOOKUP_FAILS,
        DnsCode.PERSIST_ON_SOME_SERVERS,
        DnsCode.PERSIST_UNREACHABLE,
    }
)


def readiness(work: AcmeWork, accounts: Accounts, dns: DnsAccess) -> Readiness:
    """The obstacles of a renewal now.

    Args:
        work: The certificate; its ``issuance`` is the one in service.
        accounts: The ACME clients.
        dns: The access to the DNS.
    """
    # The state with which the issuance of a renewal begins.
    begun = evolve(work.issuance, names=work.certificate.names, module_state=None, findings=None)
    attempt = Attempt.of(evolve(work, issuance=begun), accounts, dns)
    obstacles = [*_of_ca(attempt, work.issuance), *_of_zone_writer(attempt), *_of_dns(attempt), *_of_panel(attempt)]
    return Readiness.of(obstacles)


def _of_ca(attempt: Attempt, active: Issuance) -> Iterator[Obstacle]:
    """The account, what the CA offers, and its limits."""
    record = read_record(attempt.work.documents, attempt.ref.key)
    pause = attempt.paused()
    if pause is None:
        try:
            record = attempt.accounts.checked_daily(attempt.work, record)
        except AcmeError as error:
            yield _unreachable(attempt, error)
    directory = known_directory(attempt.work) or KnownDirectory()
    yield from _of_account(attempt, record, directory)
    yield from _of_offers(attempt, directory)
    yield from _of_limits(attempt, active, record, directory)


def _unreachable(attempt: Attempt, error: AcmeError) -> Obstacle:
    params = {"url": attempt.profile.directory, "reason": error.text}
    return _obstacle(
        attempt,
        "ca_unreachable",
        cause=Message("puq_acme.preflight.ca_unreachable.cause", "The CA {url} could not be asked: {reason}", params),
        advice=Message(
            "puq_acme.preflight.ca_unreachable.advice",
            "No action is needed unless it persists: then test the CA profile on its page.",
        ),
        whose_turn=WhoseTurn.NOBODY,
        severity=Severity.WARNING,
    )


def _of_account(attempt: Attempt, record: AccountRecord, directory: KnownDirectory) -> Iterator[Obstacle]:
    if record.is_closed:
        yield _obstacle(
            attempt,
            "account_closed",
            cause=Message("puq_acme.preflight.account_closed.cause", "The account at the CA is deactivated."),
            advice=Message(
                "puq_acme.preflight.account_closed.advice",
                "Open another account with the action open_account of the CA profile.",
            ),
        )
    elif has_lost_its_key(attempt.work.documents, record):
        yield _obstacle(
            attempt,
            "account_key_missing",
            cause=Message(
                "puq_acme.preflight.account_key_missing.cause", "The key of the account at the CA is not in the store."
            ),
            advice=Message(
                "puq_acme.preflight.account_key_missing.advice",
                "Restore the database with it, or open another account with the action open_account of the CA profile.",
            ),
        )
    elif not record.url and directory.terms_of_service and not attempt.ref.terms_agreed:
        yield _obstacle(
            attempt,
            "terms_not_agreed",
            cause=Message(
                "puq_acme.preflight.terms_not_agreed.cause",
                "There is no account at the CA yet, and its terms of service were not agreed to: {url}",
                {"url": directory.terms_of_service},
            ),
            advice=Message(
                "puq_acme.preflight.terms_not_agreed.advice", "Read them, and set terms_agreed in the CA profile."
            ),
        )


def _of_offers(attempt: Attempt, directory: KnownDirectory) -> Iterator[Obstacle]:
    """Settings of the certificate that the CA no longer offers; none while the CA's directory is not known."""
    if directory == KnownDirectory():
        return
    profile_name = attempt.settings.certificate_profile or attempt.profile.certificate_profile
    if profile_name and profile_name not in directory.profiles:
        params = {"wanted": profile_name, "offered": ", ".join(directory.profiles) or "none"}
        yield _obstacle(
            attempt,
            "certificate_profile_unknown",
            cause=Message(
                "puq_acme.preflight.certificate_profile_unknown.cause",
                "The CA does not offer the certificate profile {wanted}.",
                params,
            ),
            advice=Message(
                "puq_acme.preflight.certificate_profile_unknown.advice",
                "Choose one that it offers ({offered}), or leave the certificate profile empty.",
                params,
            ),
        )
    if attempt.challenge is ChallengeType.DNS_PERSIST and not directory.record_issuers:
        yield _obstacle(
            attempt,
            "persist_not_offered",
            cause=Message(
                "puq_acme.preflight.persist_not_offered.cause", "The CA does not offer the validation dns-persist-01."
            ),
            advice=Message(
                "puq_acme.preflight.persist_not_offered.advice", "Use dns-01 for this certificate, or ask the CA."
            ),
        )


def _of_limits(
    attempt: Attempt, active: Issuance, record: AccountRecord, directory: KnownDirectory
) -> Iterator[Obstacle]:
    """Limits that an order would wait for, if the renewal would then be too late for the leaf in service."""
    work, leaf = attempt.work, active.leaf
    is_of_ca = is_of_directory(active, attempt.profile.directory)
    is_same = leaf is not None and set(leaf.names) == set(attempt.names)
    is_of_account = OrderState.of(active).account_url in ("", record.url)
    request = OrderRequest(
        issuance_id=f"preflight-{work.certificate.id}",
        owner=work.certificate.owner,
        names=tuple(attempt.names),
        renewal=is_of_ca and is_same,
        ari=is_of_ca and is_of_account and bool(directory.renewal_info),
        urgent=is_near_its_end(work),
        near_end=goes_first(work),
        ends=None if leaf is None else leaf.not_after,
        patience=attempt.patience,
    )
    turn = attempt.budget.preview(request, attempt.now)
    if turn.why is None or turn.until is None:
        return
    is_late = comes_too_late(work.certificate, active, turn.until, attempt.now)
    if turn.why is Why.PAUSE:
        yield _pause(attempt, turn, turn.until, is_late=is_late)
        return
    params = {"limit": str(turn.limit), "about": turn.about or "the account", "until": shown_moment(turn.until)}
    yield _obstacle(
        attempt,
        "limit_used_up",
        cause=Message(
            "puq_acme.preflight.limit_used_up.cause",
            "The CA's limit {limit} is used up for {about}: an order is placed at about {until}.",
            params,
        ),
        advice=Message(
            "puq_acme.preflight.limit_used_up.advice",
            "Ask the CA for a higher limit and set it in the CA profile, or renew other certificates at another CA.",
        )
        if is_late
        else Message("puq_acme.preflight.limit_used_up.waits", "No action is needed: a renewal waits for its turn."),
        whose_turn=WhoseTurn.ADMINISTRATOR if is_late else WhoseTurn.NOBODY,
        severity=Severity.ERROR if is_late else Severity.INFO,
        next_look=turn.until,
    )


def _pause(attempt: Attempt, turn: Turn, until: datetime, *, is_late: bool) -> Obstacle:
    wants_a_visit = asks_for_a_visit(turn.detail)
    params = {"until": shown_moment(until), "detail": turn.detail}
    return _obstacle(
        attempt,
        "ca_pause",
        cause=Message(
            "puq_acme.preflight.ca_pause.cause",
            "The CA has asked for a pause; the next request is sent at {until}. The CA's text: {detail}",
            params,
        ),
        advice=Message("puq_acme.preflight.ca_pause.visit", "Visit the CA's page in this text.")
        if wants_a_visit
        else Message("puq_acme.preflight.ca_pause.waits", "No action is needed: a renewal waits for its turn."),
        whose_turn=WhoseTurn.ADMINISTRATOR if wants_a_visit or is_late else WhoseTurn.NOBODY,
        severity=Severity.ERROR if wants_a_visit or is_late else Severity.INFO,
        next_look=until,
    )


def _of_zone_writer(attempt: Attempt) -> Iterator[Obstacle]:
    """Write the check value of the day to the tech zone, unless that was done, and report if the server refuses it."""
    publication = attempt.publication
    if attempt.challenge is not ChallengeType.DNS or (publication is None and not attempt.checks.asks_directly()):
        return
    zone = attempt.profile.tech_zone.ascii
    check = check_value(attempt.records, zone, attempt.now, attempt.work.environment.new_id)
    unwritten = None if publication is None else publication.update([check.name])
    if unwritten is None or unwritten.is_busy:
        return
    unsure = _obstacle(
        attempt,
        "tech_zone_not_written",
        cause=Message(
            "puq_acme.preflight.tech_zone_not_written.cause",
            "The tech zone {zone} could not be written: {said}",
            {"zone": zone, "said": unwritten.said},
        ),
        advice=Message(
            "puq_acme.preflight.tech_zone_not_written.advice",
            "Test the CA profile on its page. {advice}",
            {"advice": unwritten.advice},
        ),
    )
    yield evolve(unsure, is_certain=False)


def _of_dns(attempt: Attempt) -> Iterator[Obstacle]:
    """The owner's records, CAA records, and the tech zone as its servers show it."""
    work = attempt.work
    names = work.certificate.names
    findings = diagnose(names, work, attempt.checks.access, thorough=False, settings=attempt.settings)
    for finding in findings:
        yield Obstacle(
            finding=finding,
            whose_turn=WhoseTurn.ADMINISTRATOR if finding.code in _OF_ADMINISTRATOR else WhoseTurn.OWNER,
            is_certain=finding.code not in _MAY_PASS,
        )


def _of_panel(attempt: Attempt) -> Iterator[Obstacle]:
    """Names that the panel does not confirm, for CNAMEs that prove nothing without its confirmation."""
    for base, is_certain in denied_names(attempt):
        denied = _obstacle(
            attempt,
            "name_not_controlled",
            cause=Message(
                "puq_acme.preflight.name_not_controlled.cause",
                "The panel has set the CNAME for {name}, but does not confirm that the certificate's owner controls "
                "the name.",
                {"name": base},
            ),
            advice=Message(
                "puq_acme.preflight.name_not_controlled.advice",
                "If the domain has moved to another owner, delete the certificate; otherwise correct the panel's table "
                "of domains.",
            ),
        )
        yield evolve(denied, is_certain=is_certain)


def _obstacle(
    attempt: Attempt,
    code: str,
    *,
    cause: Message,
    advice: Message,
    whose_turn: WhoseTurn = WhoseTurn.ADMINISTRATOR,
    severity: Severity = Severity.ERROR,
    next_look: datetime | None = None,
) -> Obstacle:
    """An obstacle that is about the whole certificate."""
    domain = attempt.work.certificate.domain.ascii
    finding = Finding(code=code, severity=severity, name=domain, cause=cause, advice=advice, next_look=next_look)
    return Obstacle(finding=finding, whose_turn=whose_turn)
