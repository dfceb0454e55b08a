"""The right column of a CA profile: its accounts, the terms, what the CA offers, and how much of its limits is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from certcore.model.hints import ActionButton, Fact, Facts, Hint, Level, Link, Message, Notice
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_actions import profile_actions
from certcore_puq_acme.account_hints import clock_notice, replaced_notice
from certcore_puq_acme.account_records import AccountRecord, own_account, read_record, records_of
from certcore_puq_acme.budget import Budget
from certcore_puq_acme.directory_records import KnownDirectory, known_directory
from certcore_puq_acme.pages import asks_for_a_visit, page_url, pages_in
from certcore_puq_acme.settings import SHORTEST_HMAC_KEY, PuqAcmeProfile

__all__ = ["profile_column"]


def profile_column(context: ModuleContext) -> Sequence[Hint]:
    """Everything that is known of the profile's CA without asking it."""
    own = read_record(context.documents, own_account(context).key)
    known = known_directory(context)
    others = [
        one
        for one in records_of(context.documents, context.authority_id)
        if one.url and one.document != own.document and not one.is_closed
    ]
    return [
        *clock_notice(context),
        *_short_key(context.profile),
        *(hint for one in (own, *others) for hint in replaced_notice(one, context)),
        *_account(own),
        *_terms(context, own, others, known),
        *_others(others),
        *_offers(known),
        *_budget(context, own),
        *(ActionButton(name=one.name, label=one.label, confirm=one.confirm) for one in profile_actions(context)),
    ]


def _short_key(profile: PuqAcmeProfile) -> list[Hint]:
    if not profile.short_hmac_key:
        return []
    text = (
        "The EAB HMAC key has {length} bytes; RFC 7518 asks for at least {least}. Some CAs refuse shorter ones when "
        "the account is opened: then create new EAB credentials on the CA's site."
    )
    params = {"length": profile.short_hmac_key, "least": SHORTEST_HMAC_KEY}
    return [Notice(Level.WARNING, _message("short_hmac_key", text, **params))]


def _account(record: AccountRecord) -> list[Hint]:
    if record.is_closed:
        text = "The account {url} is deactivated: nothing is issued with it any more. Open a new one."
        return [Notice(Level.ERROR, _message("account_closed", text, url=record.url or "of this profile's key"))]
    if not record.url:
        text = "There is no account at the CA yet: it is opened with the first certificate, or by Save and Test."
        return [Notice(Level.INFO, _message("no_account", text))]
    facts = [
        Fact(_message("fact.account", "Account"), record.url),
        Fact(_message("fact.contact", "Contact"), record.contact or "none"),
        Fact(_message("fact.thumbprint", "Key thumbprint"), record.thumbprints[0] if record.thumbprints else ""),
        Fact(_message("fact.opened", "Opened"), _at(record.opened_at)),
    ]
    if record.terms_agreed_at:
        facts.append(Fact(_message("fact.terms", "Terms agreed to"), record.terms_of_service or "none"))
        facts.append(Fact(_message("fact.terms_at", "Agreed on"), _at(record.terms_agreed_at)))
    hints: list[Hint] = [Facts(tuple(facts))]
    if record.contact_refused is not None:
        text = "The CA did not take the contact {contact}: {reason}"
        params = {"contact": record.contact_refused, "reason": record.contact_problem}
        hints.append(Notice(Level.WARNING, _message("contact_refused", text, **params)))
    if record.next_key is not None:
        text = "A rollover of the account's key was begun; which key counts is found out at the next use."
        hints.append(Notice(Level.INFO, _message("rolling", text)))
    return hints


def _terms(
    context: ModuleContext, record: AccountRecord, others: Sequence[AccountRecord], known: KnownDirectory | None
) -> list[Hint]:
    if known is None or not known.terms_of_service:
        return []
    page = page_url(known.terms_of_service)
    hints: list[Hint] = [Link(_message("terms", "The CA's terms of service"), page)] if page else []
    profile: PuqAcmeProfile = context.profile
    changed = [
        one
        for one in (record, *others)
        if one.terms_of_service and one.has_other_terms(profile.directory, known.terms_of_service)
    ]
    if changed:
        text = "The CA has other terms of service than those that were agreed to on {date}: read them and agree anew."
        hints.append(Notice(Level.WARNING, _message("terms_changed", text, date=_at(changed[0].terms_agreed_at))))
    elif not record.url and not profile.terms_agreed:
        text = "Nobody has agreed to the terms of service of this CA yet."
        hints.append(Notice(Level.WARNING, _message("terms_not_agreed", text)))
    return hints


def _others(records: Sequence[AccountRecord]) -> list[Hint]:
    """Accounts of certificates or tenants that have their own."""
    rows = tuple(Fact(_message("fact.other_account", "Also {whom}", whom=_whom(one)), one.url) for one in records[:50])
    return [Facts(rows)] if rows else []


def _whom(account: AccountRecord) -> str:
    return ", ".join(filter(None, (account.owner, account.contact))) or account.directory


def _offers(known: KnownDirectory | None) -> list[Hint]:
    if known is None:
        return []
    rows = [
        Fact(_message("fact.profile", "Certificate profile {name}", name=name), text)
        for name, text in known.profiles.items()
    ]
    if known.caa_identities:
        rows.append(Fact(_message("fact.caa", "Names in CAA records"), ", ".join(known.caa_identities)))
    rows.append(Fact(_message("fact.ari", "Renewal information"), "yes" if known.renewal_info else "no"))
    return [Facts(tuple(rows))]


def _budget(context: ModuleContext, record: AccountRecord) -> list[Hint]:
    profile: PuqAcmeProfile = context.profile
    now = context.environment.now()
    budget = Budget(
        documents=context.documents,
        account=record.document,
        limits=profile.limits_in_force,
        max_orders=profile.max_orders,
        directory=profile.directory,
    )
    used = budget.usage(now)
    in_flight = f"{used['in_flight']} of {used['max_orders']}"
    rows = [Fact(_message("fact.in_flight", "Orders in flight"), in_flight)]
    if "orders" in used:
        text = f"{used['orders']} placed, {used['orders_promised']} promised"
        rows.append(Fact(_message("fact.orders", "Orders ({limit})", limit=used["orders_limit"]), text))
    hints: list[Hint] = [Facts(tuple(rows))]
    if (pause := budget.paused(now)) is not None:
        key, text = "paused", "The CA has asked for a pause until {wished}; it is asked again at {until}: {detail}"
        if asks_for_a_visit(pause.detail):
            key, text = "paused.visit", f"{text} Somebody has to visit the CA's page below."
        until, wished = (_at(moment.isoformat() if moment else None) for moment in (pause.until, pause.wished))
        params = {"until": until, "wished": wished, "detail": pause.detail}
        pages = [Link(_message("paused.page", "The CA's page about this"), page) for page in pages_in(pause.detail)]
        hints = [Notice(Level.WARNING, _message(key, text, **params)), *pages, *hints]
    return hints


def _message(key: str, text: str, **params: object) -> Message:
    return Message(f"puq_acme.profile.{key}", text, params)


def _at(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC" if moment else "unknown"
