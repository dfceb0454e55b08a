"""The DNS records that a domain's owner sets, with what was last seen of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import evolve

from certcore.errors import InvalidInput
from certcore.model.form import structure
from certcore.model.hints import DnsRecord, DnsRecords, Hint, Level, Message, Notice, RecordState
from certcore.model.issuance import Issuance
from certcore.model.views import CertificateView
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import account_of, read_record
from certcore_puq_acme.delegation import delegation_key, delegations
from certcore_puq_acme.directory_records import KnownDirectory, known_directory
from certcore_puq_acme.foreign_text import printable
from certcore_puq_acme.network import NetworkPort
from certcore_puq_acme.persist import account_uris, expected_record, judge, persist_name, until_for
from certcore_puq_acme.settings import ChallengeType, PuqAcmeProfile, PuqAcmeSettings

__all__ = [
    "lasting_records_end",
    "own_settings",
    "owner_records",
    "records_beside_leaf",
    "seen_records",
    "with_lasting_records",
]

#: An owner is told so long before a dns-persist-01 record ends.
_WARN: Final = timedelta(days=30)
#: Seconds for one question to a DNS server while somebody waits for a page.
_BRIEFLY: Final = 2
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def owner_records(view: CertificateView, context: ModuleContext, settings: PuqAcmeSettings) -> list[Hint]:
    """What the owner has to set, and what was seen of it; above it, in words, what these records are."""
    profile: PuqAcmeProfile = context.profile
    if settings.challenge_type(profile) is ChallengeType.DNS_PERSIST:
        hints = _lasting(view, context, settings)
    else:
        hints = [DnsRecords(tuple(_cnames(view, context)))]
    forbidding = [
        _row(view, name, "CAA", found["target"], found)
        for name, found in seen_records(view.issuance).items()
        if found.get("type") == "CAA"
    ]
    if forbidding:
        text = (
            "A CAA record forbids this CA to issue. Add the record below beside the present ones, or remove those; "
            "issuance goes on by itself."
        )
        hints += [Notice(Level.WARNING, _message("caa", text)), DnsRecords(tuple(forbidding))]
    return hints


def records_beside_leaf(view: CertificateView, context: ModuleContext) -> list[Hint]:
    """What the owner has to set for the attempt beside the leaf in service, or else for the next one."""
    settings = own_settings(view)
    seen = seen_records(view.issuance)
    if any(row.get("state") != RecordState.CORRECT for row in seen.values()):
        return owner_records(view, context, settings)
    if seen or not _needs_more(view, context, settings):
        return []
    if view.under_way:
        key = "renewal.owner"
        text = "The owner sets the DNS records below, unless they are there already; issuance then goes on by itself."
    else:
        key = "first"
        text = (
            "The next issuance is the first that is validated here: the owner sets the DNS records below before it "
            "begins."
        )
    return [Notice(Level.WARNING, _message(key, text)), *owner_records(view, context, settings)]


def _needs_more(view: CertificateView, context: ModuleContext, settings: PuqAcmeSettings) -> bool:
    """Whether the attempt under way, or the next, needs records that the leaf in service was not validated with."""
    active, certificate = view.active, view.certificate
    if active is None:
        return False
    names = view.issuance.names if view.issuance is not None and view.under_way else certificate.names
    state = active.module_state or {}
    if settings.challenge_type(context.profile) is ChallengeType.DNS_PERSIST:
        is_same = active.authority_id == certificate.authority_id and set(names) <= set(active.names)
        return not is_same or state.get("challenge") != ChallengeType.DNS_PERSIST
    targets = state.get("targets") or {}  # none for a leaf from elsewhere
    key, zone = delegation_key(context.documents), context.profile.tech_zone.ascii
    return any(targets.get(one.base) != one.target for one in delegations(key, certificate.owner, names, zone))


def own_settings(view: CertificateView) -> PuqAcmeSettings:
    """The certificate's own settings; those that are not valid any more count as not given."""
    try:
        return structure(PuqAcmeSettings, view.certificate.module_data)
    except InvalidInput:
        return PuqAcmeSettings()


def seen_records(issuance: Issuance | None) -> dict[str, Mapping[str, Any]]:
    """What the last look found, by the record's name."""
    findings = (issuance.findings if issuance else None) or {}
    return {str(row["name"]): row for row in findings.get("records", [])}


def with_lasting_records(view: CertificateView, context: ModuleContext, network: NetworkPort) -> CertificateView:
    """The same view, after another look at the lasting records of the leaf in service that end soon.

    What was seen of them is of the last issuance; the owner may have set new ones since. Each gets the content that it
    is to have next. The DNS is asked only about these, with a short timeout, and not on after one question in vain.
    """
    active = view.active
    ending = {str(row["name"]) for row, _ in _ending(view)}
    certificate = view.certificate
    if active is None or not ending or active.authority_id != certificate.authority_id:
        return view
    from certcore_puq_acme.propagation import Resolvers  # noqa: PLC0415 - dnspython costs 0.1 s

    profile: PuqAcmeProfile = context.profile
    directory = known_directory(context)
    account = read_record(context.documents, account_of(context, own_settings(view), certificate.owner).key)
    issuers = _issuers(directory)
    if directory is None or not account.url or not issuers:
        return view
    resolvers = Resolvers.of(profile.dns_servers, min(profile.api_timeout, _BRIEFLY), network.dns())
    rows: list[Mapping[str, Any]] = []
    asks = True
    for row in (active.findings or {}).get("records", []):
        if str(row["name"]) not in ending:
            rows.append(row)
            continue
        base = str(row["base"])
        wildcard = any(name.is_wildcard and name.base.ascii == base for name in certificate.names)
        after = max(view.now, view.renews_at or view.now, datetime.fromisoformat(str(row["until"])))
        until = until_for(profile.persist_days, certificate.created_at, after)
        wanted = expected_record(
            base, issuer=issuers[0], account=account, directory=directory, wildcard=wildcard, until=until
        )
        fresh = {**row, "target": str(wanted)}
        values, failure = resolvers.txt_values(str(row["name"])) if asks else ([], "")
        asks = asks and not failure
        uris = account_uris(base, account, directory)
        found = [judge(one, issuers=issuers, uris=uris, wildcard=wildcard, now=view.now) for one in values]
        if found and all(state is RecordState.CORRECT for state, _, _ in found):
            # All servers have to show it: the one that ends first counts.
            _, seen, ends = min(found, key=lambda one: one[2] or _NEVER)
            fresh |= {"seen": printable(seen), "until": ends.isoformat() if ends else ""}
        rows.append(fresh)
    findings = {**(active.findings or {}), "records": rows}
    return evolve(view, active=evolve(active, findings=findings))


def lasting_records_end(view: CertificateView) -> list[Hint]:
    """A warning for each lasting record of the leaf in service that ends soon, or before the next renewal.

    With the records to be set, as `with_lasting_records` has worked them out.
    """
    hints: list[Hint] = []
    rows: list[DnsRecord] = []
    for found, until in _ending(view):
        text = (
            "The TXT record {name} cannot be used after {date}, by its own persistUntil: the owner has to set it anew "
            "before the certificate can be renewed after that day."
        )
        name = str(found["name"])
        level = Level.ERROR if until <= view.now else Level.WARNING
        hints.append(Notice(level, _message("persist_ends", text, name=name, date=f"{until:%Y-%m-%d}")))
        rows.append(
            DnsRecord(
                name=name,
                type="TXT",
                value=str(found["target"]),
                state=RecordState.MISSING,
                seen=str(found.get("seen", "")),
            )
        )
    return [*hints, DnsRecords(tuple(rows))] if rows else []


def _ending(view: CertificateView) -> list[tuple[Mapping[str, Any], datetime]]:
    """The lasting records of the leaf in service that end soon, or before the next renewal, as they were seen."""
    found = [row for row in seen_records(view.active).values() if row.get("until")]
    ends = [(row, datetime.fromisoformat(str(row["until"]))) for row in found]
    soon = max(view.now + _WARN, view.renews_at or view.now)
    return [(row, until) for row, until in ends if until <= soon]


def _issuers(directory: KnownDirectory | None) -> tuple[str, ...]:
    return (directory.issuer_names or directory.caa_identities) if directory else ()


def _cnames(view: CertificateView, context: ModuleContext) -> list[DnsRecord]:
    certificate = view.certificate
    key = delegation_key(context.documents)
    zone = context.profile.tech_zone.ascii
    seen = seen_records(view.issuance)
    return [
        _row(view, one.name, "CNAME", one.target, seen.get(one.name, {}))
        for one in delegations(key, certificate.owner, certificate.names, zone)
    ]


def _lasting(view: CertificateView, context: ModuleContext, settings: PuqAcmeSettings) -> list[Hint]:
    certificate = view.certificate
    profile: PuqAcmeProfile = context.profile
    account = read_record(context.documents, account_of(context, settings, certificate.owner).key)
    directory = known_directory(context)
    issuers = _issuers(directory)
    if directory is None or not account.url or not issuers:
        text = (
            "This certificate is validated with one lasting TXT record per name. What it holds is known as soon as the "
            "account at the CA is open: generate the CSR."
        )
        return [Notice(Level.INFO, _message("persist_later", text))]
    seen = seen_records(view.issuance)
    rows = []
    for base in dict.fromkeys(name.base.ascii for name in certificate.names):
        wildcard = any(name.is_wildcard and name.base.ascii == base for name in certificate.names)
        wanted = expected_record(
            base,
            issuer=issuers[0],
            account=account,
            directory=directory,
            wildcard=wildcard,
            until=until_for(profile.persist_days, certificate.created_at, view.now),
        )
        name = persist_name(base)
        rows.append(_row(view, name, "TXT", str(wanted), seen.get(name, {})))
    text = (
        "Set the TXT records below once, and leave them: they let this account at the CA, and no other, obtain "
        "certificates for the names. Nothing has to be changed at renewals."
    )
    return [Notice(Level.INFO, _message("persist", text)), DnsRecords(tuple(rows))]


def _row(view: CertificateView, name: str, kind: str, value: str, found: Mapping[str, Any]) -> DnsRecord:
    checked = ((view.issuance.findings if view.issuance else None) or {}).get("checked_at")
    return DnsRecord(
        name=name,
        type=kind,
        value=value,
        state=RecordState(found.get("state", RecordState.UNKNOWN)),
        seen=str(found.get("seen", "")),
        checked_at=datetime.fromisoformat(checked) if checked and found else None,
    )


def _message(key: str, text: str, **params: Any) -> Message:
    return Message(f"puq_acme.{key}", text, params)
