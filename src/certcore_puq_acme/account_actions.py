"""What can be done with the ACME accounts of a CA profile: roll the key over, close, open anew, take one along."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any, Final

from attrs import evolve, frozen

from certcore.errors import CertCoreError, InvalidInput, StaleWrite
from certcore.model import form
from certcore.model.hints import Message
from certcore.model.secret import Secret
from certcore.ports.ca_module import ModuleContext, ProfileAction
from certcore_puq_acme.account_keys import AccountKeyType
from certcore_puq_acme.account_records import (
    AccountRecord,
    Replaced,
    has_lost_its_key,
    own_account,
    read_record,
    records_of,
    with_other_terms,
)
from certcore_puq_acme.directory_records import known_directory

__all__ = ["profile_actions", "run_action"]


@frozen(kw_only=True)
class _WhichAccount:
    """An account of the profile; there are several where certificates or tenants have their own."""

    account: str = form.text("Account URL", default="", help="The profile's own account when empty.")


@frozen(kw_only=True)
class _AccountKey:
    """A key from another client."""

    account_key: Secret = form.secret(
        "Account key",
        multiline=True,
        maximum=16384,
        help="PEM, or a JWK such as certbot's private_key.json; the account is found by it.",
    )


def profile_actions(context: ModuleContext) -> Sequence[ProfileAction]:
    """What can be done now."""
    record = read_record(context.documents, own_account(context).key)
    known = known_directory(context)
    now = context.environment.now()
    actions: list[ProfileAction] = []
    if any(one.url and not one.is_closed for one in records_of(context.documents, context.authority_id)):
        actions += [_ROLL_OVER, _DEACTIVATE]
    in_use = record.url and not record.is_closed
    if not in_use or has_lost_its_key(context.documents, record):
        actions.append(_OPEN)
    actions.append(evolve(_IMPORT, confirm=_INSTEAD) if in_use else _IMPORT)
    if any(one.told_replaced(now) for one in records_of(context.documents, context.authority_id)):
        actions.append(_ACCEPT)
    if known and known.terms_of_service and with_other_terms(context, known.terms_of_service):
        actions.append(_AGREE)
    return actions


def run_action(name: str, values: Any, context: ModuleContext, accounts: Any, *, actor: str) -> Message:
    """Do it.

    Args:
        name: One of `profile_actions`.
        values: What its form asks for.
        context: The CA profile.
        accounts: The accounts of this process.
        actor: Who asked for it.

    Raises:
        AcmeError: The CA refused, or cannot be talked to.
        CertCoreError: It cannot be done.
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
            raise InvalidInput("action", f"there is no action {name[:40]!r}.")


def _roll_over(context: ModuleContext, record: AccountRecord, accounts: Any, actor: str) -> Message:
    """Put a new key in place of the account's (RFC 8555 section 7.3.5).

    Both keys are kept until one of them is proved; after a crash, or an answer that says neither yes nor no,
    `Accounts.settle` finds out which one counts.
    """
    from certcore_puq_acme.account_standing import AccountClosed  # noqa: PLC0415 - see the module's advance
    from certcore_puq_acme.acme_errors import AcmeProblem  # noqa: PLC0415
    from certcore_puq_acme.jose import generate_account_key, load_account_key  # noqa: PLC0415
    from certcore_puq_acme.transport import host_of  # noqa: PLC0415

    now = context.environment.now()
    record, client = _usable(context, record, accounts)
    if client is None:
        raise AccountClosed(record.url, host_of(record.directory or context.profile.directory))
    pem = generate_account_key(AccountKeyType(context.profile.account_key_type))
    number = record.next_number
    begun = evolve(record, next_key=number, rolling_at=now.isoformat())
    # Of two calls at once, one gets the number; only that one may touch what is sealed under it.
    begun = begun.noted("A rollover of the key was begun.", actor, now).save(context.documents)
    context.documents.delete_secret(record.sealed(number))
    context.documents.seal(record.sealed(number), pem)
    try:
        client.change_key(load_account_key(pem))
    except AcmeProblem as problem:
        if _still_has(client, problem):
            evolve(begun, next_key=None, rolling_at=None).save(context.documents)
            context.documents.delete_secret(record.sealed(number))  # nobody knows it
        raise
    client.account()  # signed with the new key: the old one is destroyed only when the CA takes this one
    thumbprints = (client.thumbprint, *record.thumbprints)
    done = evolve(begun, key=number, next_key=None, rolling_at=None, thumbprints=tuple(dict.fromkeys(thumbprints)))
    with suppress(StaleWrite):  # another process has seen that the new key counts, and has written it down
        done.noted("The key was rolled over.", actor, context.environment.now()).save(context.documents)
    context.documents.delete_secret(record.key_name)
    text = "The account {url} has a new key."
    return Message("puq_acme.done.roll_over", text, {"url": record.url})


def _usable(context: ModuleContext, record: AccountRecord, accounts: Any) -> tuple[AccountRecord, Any]:
    """The account as the CA knows it, with a client; without one where somebody has closed it.

    Raises:
        CertCoreError: It cannot be used: a rollover is under way, the CA does not know it, or its key is gone.
    """
    if record.is_rolling(context.environment.now()):
        raise CertCoreError("The key of this account is being rolled over already.", advice="Wait ten minutes.")
    record = accounts.checked(context, record)
    client = accounts.find(context, record.document)
    if client is None and not record.is_closed:
        raise _not_there(record)
    return record, client


def _still_has(client: Any, problem: Any) -> bool:
    """After a refusal of a new key: whether the CA has really refused, and has the old key still.

    A gateway's 502 or 504 does not say whether the CA has acted; neither does a refusal of a request that was repeated.
    """
    from certcore_puq_acme.account_standing import is_refusal  # noqa: PLC0415 - see the module's advance
    from certcore_puq_acme.acme_errors import AcmeError  # noqa: PLC0415

    if not is_refusal(problem):
        return False
    try:
        client.account()
    except AcmeError:
        return False
    return True


def _deactivate(context: ModuleContext, record: AccountRecord, accounts: Any, actor: str) -> Message:
    """Close an account for ever (RFC 8555 section 7.3.6); its certificates stay valid."""
    record, client = _usable(context, record, accounts)
    if client is not None:
        client.deactivate_account()
        now = context.environment.now()
        evolve(record, status=_CLOSED).noted("The account was deactivated.", actor, now).save(context.documents)
    accounts.forget(record.document)
    text = "The account {url} is deactivated. Its certificates stay valid, but are not renewed with it."
    return Message("puq_acme.done.deactivate", text, {"url": record.url})


def _open(context: ModuleContext, accounts: Any, actor: str) -> Message:
    """Open an account, with a new key when the one before was closed, or has lost its key."""
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


def _import(context: ModuleContext, key: Secret, accounts: Any, actor: str) -> Message:
    """Take along the account of another client, found by its key; nothing is created at the CA.

    One that this profile has already stays as it is at the CA.
    """
    from certcore_puq_acme.account_standing import CLOSED  # noqa: PLC0415 - see the module's advance
    from certcore_puq_acme.client import AcmeClient  # noqa: PLC0415
    from certcore_puq_acme.jose import load_account_key, read_account_key  # noqa: PLC0415

    pem = read_account_key(key.reveal())
    profile = context.profile
    ref = own_account(context)
    record = read_record(context.documents, ref.key)
    if record.is_rolling(context.environment.now()):
        raise CertCoreError("The key of this profile's account is being rolled over.", advice="Wait ten minutes.")
    with closing(accounts.http(profile)) as http:
        client = AcmeClient(profile.directory, key=load_account_key(pem), http=http, now=context.environment.now)
        found = client.new_account(only_return_existing=True)
        directory = accounts.read_directory(context, client)
    if found.status in CLOSED:
        raise InvalidInput("account_key", f"is that of the account {found.url}, which is {found.status}.")
    number = record.next_number
    record = evolve(record, spare_keys=(*record.spare_keys, number)).save(context.documents)  # as in _roll_over
    context.documents.delete_secret(record.sealed(number))
    context.documents.seal(record.sealed(number), pem)
    now = context.environment.now()
    taken = evolve(
        record,
        url=found.url,
        directory=profile.directory,
        # As the CA says it; where it is another one than the profile's, that is sent at the next use.
        contact=found.contact[0].removeprefix("mailto:") if len(found.contact) == 1 else "",
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
    if record.url and record.url != found.url:
        taken = taken.in_place_of(record.url, Replaced.IMPORTED, now)
    taken.noted(f"Taken along from another client: {found.url}", actor, now).save(context.documents)
    accounts.forget(ref.key)
    return Message("puq_acme.done.import", "The account {url} is this profile's now.", {"url": found.url})


def _accept(context: ModuleContext, actor: str) -> Message:
    """Take note of accounts that have taken the place of others: pages and Save and Test tell of them no more."""
    now = context.environment.now()
    for record in records_of(context.documents, context.authority_id):
        if record.replaced is not None:
            text = f"It was taken note of that the account is used in place of {record.replaced.get('url', '')}."
            evolve(record, replaced=None).noted(text, actor, now).save(context.documents)
    return Message("puq_acme.done.accept", "It is taken note of. The profile's pages tell of it no more.", {})


def _agree(context: ModuleContext, accounts: Any, actor: str) -> Message:
    """Agree to terms of service that have changed (RFC 8555 section 7.3.3), for all accounts of the profile."""
    from certcore_puq_acme.acme_errors import AcmeProblem  # noqa: PLC0415 - see the module's advance

    directory = accounts.read_directory(context)
    for one in with_other_terms(context, directory.terms_of_service):
        record = accounts.checked(context, one)
        client = accounts.find(context, record.document)
        if client is None:
            continue  # closed or lost at the CA, or without its key: it holds up none of the others
        try:
            client.agree_to_terms()
        except AcmeProblem as problem:
            # Some CAs take no such request; what counts then is that somebody has agreed, and when.
            if problem.acme_type != "malformed" and problem.status not in _NOT_OFFERED:
                raise
        now = context.environment.now()
        agreed = evolve(record, terms_of_service=directory.terms_of_service, terms_agreed_at=now.isoformat())
        agreed.noted(f"Agreed to {directory.terms_of_service}", actor, now).save(context.documents)
    text = "The agreement to {url} is on the record."
    return Message("puq_acme.done.agree", text, {"url": directory.terms_of_service})


def _wanted(context: ModuleContext, url: str) -> AccountRecord:
    """The account of this URL, or the profile's own."""
    if not url:
        record = read_record(context.documents, own_account(context).key)
    else:
        found = [one for one in records_of(context.documents, context.authority_id) if one.url == url]
        if not found:
            raise InvalidInput("account", f"this CA profile has no account {url[:200]!r}.")
        record = found[0]
    if not record.url:
        raise InvalidInput("account", "this CA profile has no account yet.", advice="Run open_account first.")
    if record.is_closed:
        raise InvalidInput("account", f"the account {record.url} is deactivated already.")
    return record


def _not_there(record: AccountRecord) -> CertCoreError:
    return CertCoreError(
        f"The account {record.url or 'of this profile'} cannot be used: the CA does not know it, or its key is gone.",
        advice="Run open_account.",
    )


#: A CA without such a request (RFC 9110 sections 15.5 and 15.6).
_NOT_OFFERED: Final = frozenset({404, 405, 501})
_CLOSED: Final = "deactivated"
_VALID: Final = "valid"
_ROLL_OVER: Final = ProfileAction(
    name="roll_over_account_key",
    label=Message("puq_acme.action.roll_over", "Roll the account key over"),
    help=Message("puq_acme.action.roll_over.help", "Puts a new key in place of the account's; nothing else changes."),
    form=_WhichAccount,
)
_DEACTIVATE: Final = ProfileAction(
    name="deactivate_account",
    label=Message("puq_acme.action.deactivate", "Deactivate the account"),
    help=Message("puq_acme.action.deactivate.help", "Closes it at the CA for ever. Certificates stay valid."),
    form=_WhichAccount,
    confirm=Message(
        "puq_acme.action.deactivate.confirm",
        "The CA closes the account for ever, and nothing is renewed with it any more. Deactivate it?",
    ),
)
_OPEN: Final = ProfileAction(
    name="open_account",
    label=Message("puq_acme.action.open", "Open an account"),
    help=Message("puq_acme.action.open.help", "Opens the account now instead of at the first certificate."),
)
_IMPORT: Final = ProfileAction(
    name="import_account_key",
    label=Message("puq_acme.action.import", "Take an account along"),
    help=Message(
        "puq_acme.action.import.help", "Uses the account of certbot, lego or acme.sh, found by its key, from now on."
    ),
    form=_AccountKey,
)
_INSTEAD: Final = Message(
    "puq_acme.action.import.confirm",
    "This profile has an account already. It stays at the CA, and its certificates are renewed with the account of "
    "this key from now on. Use that one instead?",
)
_ACCEPT: Final = ProfileAction(
    name="accept_account",
    label=Message("puq_acme.action.accept", "Take note of the new account"),
    help=Message(
        "puq_acme.action.accept.help", "The account that is used now is the right one; CAA records that name it fit."
    ),
)
_AGREE: Final = ProfileAction(
    name="agree_to_terms",
    label=Message("puq_acme.action.agree", "Agree to the changed terms of service"),
    help=Message("puq_acme.action.agree.help", "The CA has other terms than those that were agreed to."),
)
