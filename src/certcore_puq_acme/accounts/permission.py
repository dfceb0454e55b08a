"""Limits on certificates' own accounts: whether the CA profile permits them, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from certcore.errors import InvalidInputError, StaleWriteError, StorageUnavailableError
from certcore.messages import Message
from certcore_puq_acme.accounts.records import AccountRef, account_of, own_account, read_record, records_of
from certcore_puq_acme.moments import is_ahead, moment_before
from certcore_puq_acme.profile.settings import AcmeContext, PuqAcmeSettings
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.http import host_of
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn

__all__ = ["AccountNotPermittedError", "check_permitted", "check_wanted_account"]

_FORBIDDEN = 403
#: If an account is not open after this time, the CA has refused it or the process has died.
_OPENING: Final = timedelta(minutes=5)
#: How many times to try to record the opening while other processes record theirs.
_MAX_WRITE_CONFLICTS: Final = 30


class AccountNotPermittedError(AcmeProblemError):
    """The CA profile does not permit opening this account. No request was sent to the CA."""

    code = "acme_account_not_permitted"

    def __init__(self, reason: Message, advice: Message, host: str) -> None:
        super().__init__(
            ProblemDocument(type=error_urn("userActionRequired")),
            status=_FORBIDDEN,
            host=host,
            title=Message(
                "puq_acme.account.not_permitted",
                "No account is opened for the certificate's e-mail: {reason}",
                {"reason": reason},
            ),
            advice=advice,
        )


def check_wanted_account(context: AcmeContext, settings: PuqAcmeSettings) -> None:
    """Refuse a certificate's ``account_email`` if no account may be opened for it. Open accounts are not affected.

    Raises:
        InvalidInputError: No account may be opened; the field is ``account_email``.
    """
    refusal = _refusal(context, account_of(context, settings, context.owner), {})
    if refusal is not None:
        reason, advice = refusal
        raise InvalidInputError("account_email", reason, advice=advice)


def check_permitted(context: AcmeContext, ref: AccountRef) -> None:
    """Check again just before an account is opened, because the CA profile may have been changed since.

    Accounts that other processes are opening count, too: each opening is recorded before the request to the CA.

    Raises:
        AccountNotPermittedError: The account must not be opened.
        StorageUnavailableError: Too many processes are opening accounts at this moment.
    """
    if not _is_own(context, ref):
        return
    key = f"accounts-opening/{context.authority_id}"
    for _ in range(_MAX_WRITE_CONFLICTS):
        document = context.documents.get(key)
        opening = _opening(context, {} if document is None else document.value)
        refusal = _refusal(context, ref, {key: owner for key, (owner, _) in opening.items() if key != ref.key})
        if refusal is not None:
            raise AccountNotPermittedError(*refusal, host_of(context.profile.directory))
        own_entry = {ref.key: (context.owner, context.environment.now().isoformat())}
        value = {key: list(entry) for key, entry in (opening | own_entry).items()}
        with suppress(StaleWriteError):
            context.documents.put(key, value, version=0 if document is None else document.version)
            return
    raise StorageUnavailableError(
        Message("puq_acme.account.many_opening", "Many other calls open accounts in this CA profile now.")
    )


def _opening(context: AcmeContext, stored: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The accounts that are being opened, by document key: the owner of each, and when its opening began."""
    now = context.environment.now()
    return {
        key: (str(owner), str(since))
        for key, (owner, since) in stored.items()
        if not is_ahead(since, now)
        and now - moment_before(since, now) < _OPENING
        and not read_record(context.documents, key).url
    }


def _is_own(context: AcmeContext, ref: AccountRef) -> bool:
    """Whether an account is a certificate's own and not open yet."""
    return bool(ref.email) and ref.key != own_account(context).key and not read_record(context.documents, ref.key).url


def _refusal(context: AcmeContext, ref: AccountRef, opening: Mapping[str, str]) -> tuple[Message, Message] | None:
    """Why a certificate's own account must not be opened, with advice; None if it may be opened.

    Args:
        context: The CA profile.
        ref: The account.
        opening: The owners of other accounts that are being opened, by document key.
    """
    if not _is_own(context, ref):
        return None
    profile = context.profile
    if not profile.own_accounts:
        return (
            Message("puq_acme.account.no_own", "this CA profile does not permit separate accounts for certificates."),
            Message(
                "puq_acme.account.no_own.advice",
                "Leave it empty. An administrator may permit it: own_accounts in the CA profile.",
            ),
        )
    opened = [record for record in records_of(context.documents, context.authority_id) if record.url and record.email]
    if (count := len(opened) + len(opening)) >= profile.max_accounts:
        return (
            Message(
                "puq_acme.account.no_more",
                "this CA profile has {count} separate accounts of certificates, and permits no more.",
                {"count": count},
            ),
            Message(
                "puq_acme.account.no_more.advice",
                "Leave it empty. An administrator may permit more: max_accounts in the CA profile.",
            ),
        )
    own = [*(record.opened_for for record in opened), *opening.values()].count(context.owner)
    if own >= profile.max_accounts_per_owner:
        return (
            Message(
                "puq_acme.account.no_more_of_owner",
                "the owner has {count} accounts in this CA profile, and it permits no more.",
                {"count": own},
            ),
            Message(
                "puq_acme.account.no_more_of_owner.advice",
                "Use one of those e-mails, leave it empty, or raise max_accounts_per_owner in the CA profile.",
            ),
        )
    return None
