"""Open accounts at the CA, or find them by their key, and update their records."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import closing
from typing import Final

from attrs import evolve

from certcore.errors import StaleWriteError
from certcore.messages import Message
from certcore_puq_acme.accounts.eab import credentials, forget_credentials
from certcore_puq_acme.accounts.lookup import CLOSED, AccountClosedError, existing, is_refusal
from certcore_puq_acme.accounts.permission import check_permitted
from certcore_puq_acme.accounts.records import AccountRecord, AccountRef, Replaced, read_record, records_of
from certcore_puq_acme.accounts.terms import check_agreement
from certcore_puq_acme.profile.settings import AcmeContext, PuqAcmeProfile
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.error_types import ERROR_TYPES, error_type
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.http import host_of
from certcore_puq_acme.protocol.http_port import HttpPort
from certcore_puq_acme.protocol.resources import Directory

__all__ = ["closed_record", "register", "save_record", "with_contact"]

_log = logging.getLogger(__name__)
#: Error types of a CA for a contact that it refuses (RFC 8555 sections 6.7 and 7.3).
_CONTACT_REFUSED: Final = frozenset({"invalidContact", "unsupportedContact", "malformed"})
#: Texts of CAs about an HMAC key that is too short for HS256.
_PRIMITIVE: Final = re.compile(
    r"cryptographic primitive|invalid key (size|length)|key (is )?too (short|small)", re.IGNORECASE
)
_SHORT_KEY: Final = (
    "The EAB HMAC key has {count} bytes, but this CA requires at least 32 (RFC 7518 section 3.2). Create new "
    "EAB credentials on the CA's site and put both values into the CA profile."
)
#: Error types of CAs for a wrong external account binding.
_BINDING_REFUSED: Final = (ERROR_TYPES["unauthorized"], ERROR_TYPES["malformed"])


def register(
    context: AcmeContext,
    ref: AccountRef,
    record: AccountRecord,
    client: AcmeClient,
    directory: Directory,
    *,
    http: Callable[[PuqAcmeProfile], HttpPort],
    is_new: bool,
) -> AccountRecord:
    """Create the account, or find the account that this key already has, for example after a restore."""
    profile = context.profile
    contact = [ref.contact] if ref.contact else []
    account = None if is_new else existing(client)
    if account is not None and account.status in CLOSED:
        save_record(context, closed_record(context, evolve(record, url=account.url, directory=profile.directory)))
        raise AccountClosedError(account.url, host_of(profile.directory))
    if account is None:
        check_permitted(context, ref)
        check_agreement(context, ref, directory)
        with closing(http(profile)) as connections:
            eab = credentials(context, ref, connections, required=directory.external_account_required)
        try:
            account = client.new_account(contact, terms_agreed=ref.terms_agreed, eab=eab)
        except AcmeProblemError as problem:
            if is_refusal(problem):
                forget_credentials(context, ref)  # they may be the reason; the next try fetches new ones
            if profile.short_hmac_key and _PRIMITIVE.search(problem.detail):
                params = {"count": profile.short_hmac_key}
                raise problem.with_advice(Message("puq_acme.eab.short_key.advice", _SHORT_KEY, params)) from None
            if profile.eab_hmac_key and error_type(problem.problem, problem.status) in _BINDING_REFUSED:
                raise problem.with_advice(ERROR_TYPES["externalAccountRequired"].advice) from None
            raise
    now = context.environment.now()
    opened = evolve(
        record,
        url=account.url,
        directory=profile.directory,
        owner=ref.owner,
        contact=ref.contact,
        email=ref.email,
        opened_for=context.owner if ref.email else "",
        thumbprints=tuple(dict.fromkeys((client.thumbprint, *record.thumbprints))),
        terms_of_service=directory.terms_of_service if ref.terms_agreed else record.terms_of_service,
        terms_agreed_at=now.isoformat() if ref.terms_agreed else record.terms_agreed_at,
        opened_at=record.opened_at or now.isoformat(),
        trusted_roots=profile.trusted_roots,
    ).noted(f"Opened or found: {account.url}", "engine", now)
    former = _former(context, ref, record)
    if former is not None and former[0] != account.url:
        opened = opened.in_place_of(*former, now)
        text = "CA profile %s: the account %s is used in place of %s (%s)"
        _log.warning(text, context.authority_id, account.url, *former)
    return save_record(context, evolve(opened, lost=None))


def _former(context: AcmeContext, ref: AccountRef, record: AccountRecord) -> tuple[str, Replaced] | None:
    """The account that a new account replaces, and why."""
    if record.lost is not None:
        why = record.lost.get("why", "")
        return record.lost.get("url", ""), Replaced(why) if why in list(Replaced) else Replaced.UNKNOWN
    if record.opened_at is not None:
        return None
    # No account was stored under this document key: the profile may have been set to another CA or other credentials.
    others = [
        record
        for record in records_of(context.documents, context.authority_id)
        if record.url and record.document != ref.key and (record.email, record.owner) == (ref.email, ref.owner)
    ]
    last = max(others, key=lambda record: record.opened_at or "", default=None)
    return None if last is None else (last.url, Replaced.SETTINGS)


def closed_record(context: AcmeContext, record: AccountRecord) -> AccountRecord:
    """The record of an account that was closed elsewhere, or by a process that died before it stored that."""
    closed = evolve(record, status="deactivated", next_key=None, rolling_at=None, doubted_at=None)
    return closed.noted("The CA says that the account is deactivated.", "engine", context.environment.now())


def with_contact(context: AcmeContext, ref: AccountRef, record: AccountRecord, client: AcmeClient) -> AccountRecord:
    """Send the new contact to the CA. A refusal is stored and shown, but does not delay certificates.

    A temporary failure is not stored: the contact is sent again at a later use.
    """
    if ref.contact in (record.contact, record.contact_refused) or (record.contact_found and not ref.contact):
        return record
    now = context.environment.now()
    try:
        client.update_contact([ref.contact] if ref.contact else [])
    except AcmeProblemError as problem:
        if not is_refusal(problem) or problem.acme_type not in _CONTACT_REFUSED:
            return record
        return save_record(context, evolve(record, contact_refused=ref.contact, contact_problem=problem.message))
    changed = evolve(record, contact=ref.contact, contact_found=False, contact_refused=None, contact_problem="")
    return save_record(context, changed.noted("The contact was changed.", "engine", now))


def save_record(context: AcmeContext, record: AccountRecord) -> AccountRecord:
    """Store a record; if another process was faster, that process's record is returned."""
    try:
        return record.save(context.documents)
    except StaleWriteError:
        return read_record(context.documents, record.document)
