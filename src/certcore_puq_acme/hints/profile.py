"""The right column of a CA profile: its accounts, the terms, what the CA offers, and how much of its limits is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from certcore.messages import sentences
from certcore.model.hints import Fact, Facts, Hint, Level, Link, Message, Notice
from certcore.ports.module_budgets import BudgetUse
from certcore_puq_acme.accounts.known_directory import KnownDirectory, known_directory
from certcore_puq_acme.accounts.records import AccountRecord, own_account, read_record, records_of
from certcore_puq_acme.hints.account import clock_notice, replaced_notice
from certcore_puq_acme.links import asks_for_a_visit, page_url, pages_in
from certcore_puq_acme.moments import moment_text
from certcore_puq_acme.profile.settings import SHORTEST_HMAC_KEY, AcmeContext, PuqAcmeProfile
from certcore_puq_acme.rate_limits.limiter import Budget

__all__ = ["budgets_of", "profile_column"]


def profile_column(context: AcmeContext) -> Sequence[Hint]:
    """All hints about the profile and its CA, from stored data."""
    own = read_record(context.documents, own_account(context).key)
    known = known_directory(context)
    others = [
        record
        for record in records_of(context.documents, context.authority_id)
        if record.url and record.document != own.document and not record.is_closed
    ]
    return [
        *clock_notice(context),
        *_short_key(context.profile),
        *(hint for record in (own, *others) for hint in replaced_notice(record, context)),
        *_account(own),
        *_terms(context, own, others, known),
        *_others(others),
        *_offers(known),
        *_budget(context, own),
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
        if record.url:
            text = "The account {url} is deactivated and can no longer issue. Open a new one."
            return [Notice(Level.ERROR, _message("account_closed", text, url=record.url))]
        text = "The account of this profile's key is deactivated and can no longer issue. Open a new one."
        return [Notice(Level.ERROR, _message("account_of_key_closed", text))]
    if not record.url:
        text = "There is no account at the CA yet: it is opened with the first certificate, or by Save and Test."
        return [Notice(Level.INFO, _message("no_account", text))]
    facts = [
        Fact(_message("fact.account", "Account"), record.url),
        Fact(_message("fact.contact", "Contact"), record.contact or _message("none", "none")),
        Fact(_message("fact.thumbprint", "Key thumbprint"), record.thumbprints[0] if record.thumbprints else ""),
        Fact(_message("fact.opened", "Opened"), _at(record.opened_at)),
    ]
    if record.terms_agreed_at:
        facts.append(
            Fact(_message("fact.terms", "Terms agreed to"), record.terms_of_service or _message("none", "none"))
        )
        facts.append(Fact(_message("fact.terms_at", "Agreed on"), _at(record.terms_agreed_at)))
    hints: list[Hint] = [Facts(tuple(facts))]
    if record.contact_refused is not None:
        text = "The CA did not accept the contact {contact}: {reason}"
        params = {"contact": record.contact_refused, "reason": record.contact_problem}
        hints.append(Notice(Level.WARNING, _message("contact_refused", text, **params)))
    if record.next_key is not None:
        text = "A rollover of the account's key was started; the next use finds out which key is valid."
        hints.append(Notice(Level.INFO, _message("rolling", text)))
    return hints


def _terms(
    context: AcmeContext, record: AccountRecord, others: Sequence[AccountRecord], known: KnownDirectory | None
) -> list[Hint]:
    if known is None or not known.terms_of_service:
        return []
    page = page_url(known.terms_of_service)
    hints: list[Hint] = [Link(_message("terms", "The CA's terms of service"), page)] if page else []
    profile = context.profile
    changed = [
        account
        for account in (record, *others)
        if account.terms_of_service and account.has_other_terms(profile.directory, known.terms_of_service)
    ]
    if changed:
        text = "The CA has changed its terms of service since they were agreed to on {date}: read them and agree again."
        hints.append(Notice(Level.WARNING, _message("terms_changed", text, date=_at(changed[0].terms_agreed_at))))
    elif not record.url and not profile.terms_agreed:
        text = "The terms of service of this CA were not agreed to yet."
        hints.append(Notice(Level.WARNING, _message("terms_not_agreed", text)))
    return hints


def _others(records: Sequence[AccountRecord]) -> list[Hint]:
    """Accounts of certificates or tenants that have their own."""
    rows = tuple(
        Fact(_message("fact.other_account", "Also {whom}", whom=_whom(record)), record.url) for record in records[:50]
    )
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
    yes, no = _message("yes", "yes"), _message("no", "no")
    rows.append(Fact(_message("fact.ari", "Renewal information"), yes if known.renewal_info else no))
    return [Facts(tuple(rows))]


def budgets_of(context: AcmeContext) -> Sequence[BudgetUse]:
    """How much of the limits of the profile's own account is used."""
    record = read_record(context.documents, own_account(context).key)
    usage = _budget_of(context, record).usage(context.environment.now())
    uses = [
        BudgetUse(
            name="orders_in_flight",
            label=_message("fact.in_flight", "Orders in flight"),
            used=usage.in_flight,
            most=usage.max_orders,
        )
    ]
    if usage.limit is not None:
        label = _message("fact.orders", "Orders ({limit})", limit=str(usage.limit))
        used = usage.placed + usage.promised
        uses.append(BudgetUse(name="orders", label=label, used=used, most=usage.limit.count))
    return uses


def _budget_of(context: AcmeContext, record: AccountRecord) -> Budget:
    profile = context.profile
    return Budget(
        documents=context.documents,
        account=record.document,
        limits=profile.limits_in_force,
        max_orders=profile.max_orders,
        directory=profile.directory,
    )


def _budget(context: AcmeContext, record: AccountRecord) -> list[Hint]:
    now = context.environment.now()
    budget = _budget_of(context, record)
    usage = budget.usage(now)
    in_flight = _message("fact.in_flight.of", "{used} of {most}", used=usage.in_flight, most=usage.max_orders)
    rows = [Fact(_message("fact.in_flight", "Orders in flight"), in_flight)]
    if usage.limit is not None:
        text = "{placed} placed, {promised} promised"
        placed = _message("fact.orders.placed", text, placed=usage.placed, promised=usage.promised)
        rows.append(Fact(_message("fact.orders", "Orders ({limit})", limit=str(usage.limit)), placed))
    hints: list[Hint] = [Facts(tuple(rows))]
    if (pause := budget.paused(now)) is not None:
        until, wished = map(moment_text, (pause.until, pause.wished))
        params = {"until": until, "wished": wished, "detail": pause.detail}
        pages = [Link(_message("paused.page", "The CA's page about this"), page) for page in pages_in(pause.detail)]
        text = "The CA has asked for a pause until {wished}; the next request is sent at {until}: {detail}"
        message = _message("paused", text, **params)
        if asks_for_a_visit(pause.detail):
            message = sentences(message, _message("paused.visit", "Visit the CA's page below."))
        hints = [Notice(Level.WARNING, message), *pages, *hints]
    return hints


def _message(key: str, text: str, **params: object) -> Message:
    return Message(f"puq_acme.profile.{key}", text, params)


def _at(moment: str | None) -> str | Message:
    return moment_text(datetime.fromisoformat(moment) if moment else None)
