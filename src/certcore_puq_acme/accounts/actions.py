"""Actions on the ACME accounts of a CA profile: key rollover, deactivation, opening a new one, import."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any, Final

from attrs import evolve, frozen

from certcore.errors import CertCoreError, InvalidInputError, StaleWriteError
from certcore.model import form
from certcore.model.hints import Message
from certcore.model.secret import Secret
from certcore.ports.module_actions import ProfileAction
from certcore_puq_acme.accounts.known_directory import known_directory
from certcore_puq_acme.accounts.records import (
    AccountRecord,
    Replaced,
    has_lost_its_key,
    own_account,
    read_record,
    records_of,
    with_other_terms,
)
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.protocol.account_key_types import AccountKeyType

__all__ = ["AccountKey", "WhichAccount", "profile_actions", "run_action"]


@frozen(kw_only=True)
class WhichAccount:
    """Selects an account of the profile; certificates or tenants may have accounts of their own."""

    account: str = form.text("Account URL", default="", help="If empty: the account of the CA profile.")


@frozen(kw_only=True)
class AccountKey:
    """A key from another client."""

    account_key: Secret = form.secret(
        "Account key",
        multiline=True,
        maximum=16384,
        help="PEM, or a JWK such as certbot's private_key.json. The CA finds the account by its key.",
    )


def profile_actions(context: AcmeContext) -> Sequence[ProfileAction]:
    """The actions that are possible now."""
    record = read_record(context.documents, own_account(context).key)
    known = known_directory(context)
    now = context.environment.now()
    actions: list[ProfileAction] = []
    if any(document.url and not document.is_closed for document in records_of(context.documents, context.authority_id)):
        actions += [_ROLL_OVER, _DEACTIVATE]
    in_use = record.url and not record.is_closed
    if not in_use or has_lost_its_key(context.documents, record):
        actions.append(_OPEN)
    actions.append(evolve(_IMPORT, confirm=_INSTEAD) if in_use else _IMPORT)
    if any(document.told_replaced(now) for document in records_of(context.documents, context.authority_id)):
        actions.append(_ACCEPT)
    if known and known.terms_of_service and with_other_terms(context, known.terms_of_service):
        actions.append(_AGREE)
    return actions


def run_action(name: str, values: Any, context: AcmeContext, accounts: Any, *, actor: str) -> Message:
    """Run an action.

    Args:
        name: The name of one of the `profile_actions`.
        values: The values of the action's form.
        context: The CA profile.
        accounts: The accounts of this process.
        actor: Who requested the action.

    Raises:
        AcmeError: The CA refused, or cannot be reached.
        CertCoreError: The action is not possible now.
    """
    match name:
        case "roll_over_account_key":
            return _roll_over(context, _wanted(context, values.account), accounts, actor)
        case "deactivate_account":
            return _deactivate(context, _wanted(context, values.account), accounts, actor)
        case "open_account":
            return _open(context, accounts, actor)
        case "import_account_key":
            return _import(context, values.account_key, accounts, actor)
        case "accept_account":
            return _accept(context, actor)
        case "agree_to_terms":
            return _agree(context, accounts, actor)
        case _:
            raise InvalidInputError(
                "action",
                Message("puq_acme.action.unknown", "there is no action {action}.", {"action": repr(name[:40])}),
            )


def _roll_over(context: AcmeContext, record: AccountRecord, accounts: Any, actor: str) -> Message:
    """Replace the account's key (RFC 8555 section 7.3.5).

    Both keys are kept until the CA has confirmed one of them; after a crash or an ambiguous answer, `Accounts.settle`
    finds out which one is in use.
    """
    from certcore_puq_acme.accounts.lookup import AccountClosedError  # noqa: PLC0415 - see the module's advance
    from certcore_puq_acme.protocol.errors import AcmeProblemError  # noqa: PLC0415
    from certcore_puq_acme.protocol.http import host_of  # noqa: PLC0415
    from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key  # noqa: PLC0415

    now = context.environment.now()
    record, client = _usable(context, record, accounts)
    if client is None:
        raise AccountClosedError(record.url, host_of(record.directory or context.profile.directory))
    pem = generate_account_key(AccountKeyType(context.profile.account_key_type))
    number = record.next_number
    begun = evolve(record, next_key=number, rolling_at=now.isoformat())
    # Of two concurrent calls one gets the number, and only that call may change the key that is sealed under it.
    begun = begun.noted("A rollover of the key was begun.", actor, now).save(context.documents)
    context.documents.delete_secret(record.sealed(number))
    context.documents.seal(record.sealed(number), pem)
    try:
        client.change_key(load_account_key(pem))
    except AcmeProblemError as problem:
        if _still_has(client, problem):
            evolve(begun, next_key=None, rolling_at=None).save(context.documents)
            context.documents.delete_secret(record.sealed(number))  # the CA does not know it
        raise
    client.account()  # signed with the new key: the old key is destroyed only after the CA has accepted this
    thumbprints = (client.thumbprint, *record.thumbprints)
    done = evolve(begun, key=number, next_key=None, rolling_at=None, thumbprints=tuple(dict.fromkeys(thumbprints)))
    with suppress(StaleWriteError):  # another process has confirmed the new key, and has stored that
        done.noted("The key was rolled over.", actor, context.environment.now()).save(context.documents)
    context.documents.delete_secret(record.key_name)
    text = "The account {url} has a new key."
    return Message("puq_acme.done.roll_over", text, {"url": record.url})


def _usable(context: AcmeContext, record: AccountRecord, accounts: Any) -> tuple[AccountRecord, Any]:
    """The account as the CA knows it, with a client; the client is None if the account is closed.

    Raises:
        AccountBusyError: A rollover of the account's key is in progress.
        AccountMissingError: The CA does not know the account, or its key is not stored.
        AcmeError: The CA cannot be reached.
    """
    if record.is_rolling(context.environment.now()):
        raise AccountBusyError(
            Message("puq_acme.account.rolling", "The key of this account is being rolled over already."),
            advice=Message("puq_acme.account.rolling.advice", "Wait ten minutes."),
        )
    record = accounts.checked(context, record)
    client = accounts.find(context, record.document)
    if client is None and not record.is_closed:
        raise _not_there(record)
    return record, client


def _still_has(client: Any, problem: Any) -> bool:
    """Whether the CA still has the old key after it has refused a new one.

    A gateway's 502 or 504 does not say whether the CA has acted; neither does a refusal of a request that was repeated.
    """
    from certcore_puq_acme.accounts.lookup import is_refusal  # noqa: PLC0415 - see the module's advance
    from certcore_puq_acme.protocol.errors import AcmeError  # noqa: PLC0415

    if not is_refusal(problem):
        return False
    try:
        client.account()
    except AcmeError:
        return False
    return True


def _deactivate(context: AcmeContext, record: AccountRecord, accounts: Any, actor: str) -> Message:
    """Deactivate an account (RFC 8555 section 7.3.6); its certificates stay valid."""
    record, client = _usable(context, record, accounts)
    if client is not None:
        client.deactivate_account()
        now = context.environment.now()
        evolve(record, status=_CLOSED).noted("The account was deactivated.", actor, now).save(context.documents)
    accounts.forget(record.document)
    text = "The account {url} is deactivated. Its certificates stay valid, but are not renewed with it."
    return Message("puq_acme.done.deactivate", text, {"url": record.url})


def _open(context: AcmeContext, accounts: Any, actor: str) -> Message:
    """Open an account, with a new key if the previous account is closed or its key is lost."""
    ref = own_account(context)
    record = read_record(context.documents, ref.key)
    now = context.environment.now()
    if record.is_closed or has_lost_its_key(context.documents, record):
        fresh = evolve(
            record.without_account(Replaced.OPENED),
            status=_VALID,
            key=record.next_number,  # the old one stays sealed
            next_key=None,
            rolling_at=None,
            spare_keys=(),
            thumbprints=(),
            terms_of_service="",
            terms_agreed_at=None,
            opened_at=None,
            contact_found=False,
            contact_refused=None,
            contact_problem="",
        )
        fresh.noted("A new account is opened.", actor, now).save(context.documents)
    opened = accounts.opened(context, ref)
    return Message("puq_acme.done.open", "The account {url} is open.", {"url": opened.client.account_url})


def _import(context: AcmeContext, key: Secret, accounts: Any, actor: str) -> Message:
    """Import the account of another client, found by its key; nothing is created at the CA.

    If the profile already has this account, nothing is changed at the CA.
    """
    from certcore_puq_acme.accounts.key_import import read_account_key  # noqa: PLC0415
    from certcore_puq_acme.accounts.lookup import CLOSED  # noqa: PLC0415 - see the module's advance
    from certcore_puq_acme.protocol.client import AcmeClient  # noqa: PLC0415
    from certcore_puq_acme.protocol.jws import load_account_key  # noqa: PLC0415

    pem = read_account_key(key.reveal())
    profile = context.profile
    ref = own_account(context)
    record = read_record(context.documents, ref.key)
    if record.is_rolling(context.environment.now()):
        raise AccountBusyError(
            Message("puq_acme.account.profile_rolling", "The key of this profile's account is being rolled over."),
            advice=Message("puq_acme.account.rolling.advice", "Wait ten minutes."),
        )
    with closing(accounts.http(profile)) as http:
        client = AcmeClient(profile.directory, key=load_account_key(pem), http=http, now=context.environment.now)
        account = client.new_account(only_return_existing=True)
        directory = accounts.read_directory(context, client)
    if account.status in CLOSED:
        raise InvalidInputError(
            "account_key",
            Message(
                "puq_acme.account.key_of_closed",
                "belongs to the account {url}, which is {status}.",
                {"url": account.url, "status": account.status},
            ),
        )
    number = record.next_number
    record = evolve(record, spare_keys=(*record.spare_keys, number)).save(context.documents)  # as in _roll_over
    context.documents.delete_secret(record.sealed(number))
    context.documents.seal(record.sealed(number), pem)
    now = context.environment.now()
    imported = evolve(
        record,
        url=account.url,
        directory=profile.directory,
        # The CA's contact; if it differs from the profile's, the profile's contact is sent at the next use.
        contact=account.contact[0].removeprefix("mailto:") if len(account.contact) == 1 else "",
        contact_found=True,
        contact_refused=None,
        contact_problem="",
        status=_VALID,
        key=number,
        next_key=None,
        rolling_at=None,
        spare_keys=(),
        thumbprints=(client.thumbprint,),
        terms_of_service=directory.terms_of_service if profile.terms_agreed else "",
        terms_agreed_at=now.isoformat() if profile.terms_agreed else None,
        opened_at=now.isoformat(),
        trusted_roots=profile.trusted_roots,
    )
    if record.url and record.url != account.url:
        imported = imported.in_place_of(record.url, Replaced.IMPORTED, now)
    imported.noted(f"Taken along from another client: {account.url}", actor, now).save(context.documents)
    accounts.forget(ref.key)
    return Message("puq_acme.done.import", "The account {url} is this profile's now.", {"url": account.url})


def _accept(context: AcmeContext, actor: str) -> Message:
    """Acknowledge accounts that replaced others: pages, Save and Test stop reporting them."""
    now = context.environment.now()
    for record in records_of(context.documents, context.authority_id):
        if record.replaced is not None:
            text = f"It was taken note of that the account is used in place of {record.replaced.get('url', '')}."
            evolve(record, replaced=None).noted(text, actor, now).save(context.documents)
    return Message("puq_acme.done.accept", "It is acknowledged. The profile's page no longer shows it.", {})


def _agree(context: AcmeContext, accounts: Any, actor: str) -> Message:
    """Agree to terms of service that have changed (RFC 8555 section 7.3.3), for all accounts of the profile."""
    from certcore_puq_acme.protocol.errors import AcmeProblemError  # noqa: PLC0415 - see the module's advance

    directory = accounts.read_directory(context)
    for stored in with_other_terms(context, directory.terms_of_service):
        record = accounts.checked(context, stored)
        client = accounts.find(context, record.document)
        if client is None:
            continue  # closed, unknown to the CA, or without a key: this must not keep the other accounts from agreeing
        try:
            client.agree_to_terms()
        except AcmeProblemError as problem:
            # Some CAs do not support this request; then only the consent and its time are stored.
            if problem.acme_type != "malformed" and problem.status not in _NOT_OFFERED:
                raise
        now = context.environment.now()
        agreed = evolve(record, terms_of_service=directory.terms_of_service, terms_agreed_at=now.isoformat())
        agreed.noted(f"Agreed to {directory.terms_of_service}", actor, now).save(context.documents)
    text = "The agreement to {url} is recorded."
    return Message("puq_acme.done.agree", text, {"url": directory.terms_of_service})


def _wanted(context: AcmeContext, url: str) -> AccountRecord:
    """The account with this URL, or the profile's own if the URL is empty."""
    if not url:
        record = read_record(context.documents, own_account(context).key)
    else:
        records = [document for document in records_of(context.documents, context.authority_id) if document.url == url]
        if not records:
            raise InvalidInputError(
                "account",
                Message("puq_acme.account.unknown", "this CA profile has no account {url}.", {"url": repr(url[:200])}),
            )
        record = records[0]
    if not record.url:
        raise InvalidInputError(
            "account",
            Message("puq_acme.account.none_yet", "this CA profile has no account yet."),
            advice=Message("puq_acme.account.none_yet.advice", "Run open_account first."),
        )
    if record.is_closed:
        raise InvalidInputError(
            "account",
            Message(
                "puq_acme.account.deactivated_already", "the account {url} is already deactivated.", {"url": record.url}
            ),
        )
    return record


class AccountBusyError(CertCoreError):
    """The account's key is being rolled over."""

    code = "acme_account_busy"
    http_status = 409


class AccountMissingError(CertCoreError):
    """The CA does not know the account, or its key is not stored."""

    code = "acme_account_missing"
    http_status = 409


def _not_there(record: AccountRecord) -> CertCoreError:
    if record.url:
        text = "The account {url} cannot be used: the CA does not know it, or its key is gone."
        message = Message("puq_acme.account.missing", text, {"url": record.url})
    else:
        text = "The account of this profile cannot be used: the CA does not know it, or its key is gone."
        message = Message("puq_acme.account.own_missing", text)
    return AccountMissingError(message, advice=Message("puq_acme.account.missing.advice", "Run open_account."))


#: HTTP statuses of a CA that does not support the request (RFC 9110 sections 15.5 and 15.6).
_NOT_OFFERED: Final = frozenset({404, 405, 501})
_CLOSED: Final = "deactivated"
_VALID: Final = "valid"
_ROLL_OVER: Final = ProfileAction(
    name="roll_over_account_key",
    label=Message("puq_acme.action.roll_over", "Roll the account key over"),
    help=Message("puq_acme.action.roll_over.help", "Replaces the key of the account; nothing else changes."),
    form=WhichAccount,
)
_DEACTIVATE: Final = ProfileAction(
    name="deactivate_account",
    label=Message("puq_acme.action.deactivate", "Deactivate the account"),
    help=Message("puq_acme.action.deactivate.help", "Closes it permanently. Certificates stay valid."),
    form=WhichAccount,
    confirm=Message(
        "puq_acme.action.deactivate.confirm",
        "The CA closes the account permanently, and no certificate is renewed with it. Deactivate it?",
    ),
)
_OPEN: Final = ProfileAction(
    name="open_account",
    label=Message("puq_acme.action.open", "Open an account"),
    help=Message("puq_acme.action.open.help", "Opens the account now instead of with the first certificate."),
)
_IMPORT: Final = ProfileAction(
    name="import_account_key",
    label=Message("puq_acme.action.import", "Take an account along"),
    help=Message(
        "puq_acme.action.import.help",
        "Uses the account of certbot, lego or acme.sh from now on. The CA finds it by its key.",
    ),
    form=AccountKey,
)
_INSTEAD: Final = Message(
    "puq_acme.action.import.confirm",
    "This profile has an account already. It stays at the CA, and its certificates are renewed with the account of "
    "this key in future. Use the account of this key?",
)
_ACCEPT: Final = ProfileAction(
    name="accept_account",
    label=Message("puq_acme.action.accept", "Acknowledge the new account"),
    help=Message(
        "puq_acme.action.accept.help",
        "Confirms that the current account is the right one and that the CAA records name it.",
    ),
)
_AGREE: Final = ProfileAction(
    name="agree_to_terms",
    label=Message("puq_acme.action.agree", "Agree to the changed terms of service"),
    help=Message("puq_acme.action.agree.help", "The CA has changed its terms of service since the agreement."),
)
