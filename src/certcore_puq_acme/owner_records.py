"""The DNS records that a domain's owner sets, with what was last seen of each; without touching the network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from certcore.model.hints import DnsRecord, DnsRecords, Hint, Level, Message, Notice, RecordState
from certcore.model.issuance import Issuance
from certcore.model.views import CertificateView
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import account_of, read_record
from certcore_puq_acme.delegation import delegation_key, delegations
from certcore_puq_acme.directory_records import known_directory
from certcore_puq_acme.persist import expected_record, persist_name, until_for
from certcore_puq_acme.settings import ChallengeType, PuqAcmeProfile, PuqAcmeSettings

__all__ = ["lasting_records_end", "owner_records", "seen_records"]

#: An owner is told so long before a dns-persist-01 record ends.
_WARN: Final = timedelta(days=30)


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


def seen_records(issuance: Issuance | None) -> dict[str, Mapping[str, Any]]:
    """What the last look found, by the record's name."""
    findings = (issuance.findings if issuance else None) or {}
    return {str(row["name"]): row for row in findings.get("records", [])}


def lasting_records_end(view: CertificateView) -> list[Hint]:
    """A warning for each lasting record of the leaf in service that ends soon, or before the next renewal."""
    hints: list[Hint] = []
    for name, found in seen_records(view.active).items():
        if not found.get("until"):
            continue
        until = datetime.fromisoformat(str(found["until"]))
        renews_at = view.renews_at or view.now
        if until > view.now + _WARN and until > renews_at:
            continue
        text = (
            "The TXT record {name} cannot be used after {date}, by its own persistUntil: the owner has to set it anew "
            "before the certificate can be renewed after that day."
        )
        ended = until <= view.now
        hints.append(
            Notice(
                Level.ERROR if ended else Level.WARNING,
                _message("persist_ends", text, name=name, date=f"{until:%Y-%m-%d}"),
            )
        )
    return hints


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
    issuers = (directory.issuer_names or directory.caa_identities) if directory else ()
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
