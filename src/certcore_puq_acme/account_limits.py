"""Accounts that certificates have of their own: only where the CA profile permits them, and not without end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from attrs import evolve

from certcore.errors import InvalidInput, StaleWrite, StorageUnavailable
from certcore.model.problem import Problem
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import AccountRef, account_of, own_account, read_record, records_of
from certcore_puq_acme.acme_errors import AcmeProblem
from certcore_puq_acme.patience import is_ahead, moment_before
from certcore_puq_acme.settings import PuqAcmeProfile, PuqAcmeSettings
from certcore_puq_acme.transport import host_of

__all__ = ["AccountNotPermitted", "check_permitted", "check_wanted_account"]

_USER_ACTION = "urn:ietf:params:acme:error:userActionRequired"
_FORBIDDEN = 403
#: An account that is not open after so long was refused by the CA, or its process died.
_OPENING: Final = timedelta(minutes=5)
#: How often a place is asked for while other processes take theirs.
_TRIES: Final = 30


class AccountNotPermitted(AcmeProblem):
    """The CA profile does not permit that this account is opened. The CA was not asked."""

    def __init__(self, reason: str, advice: str, host: str) -> None:
        super().__init__(Problem(type=_USER_ACTION, advice=advice), status=_FORBIDDEN, host=host)
        self.message = f"No account is opened for the certificate's e-mail: {reason}"
        self.problem = evolve(self.problem, title=self.message)


def check_wanted_account(context: ModuleContext, settings: PuqAcmeSettings) -> None:
    """Refuse a certificate's ``account_email`` for which no account may be opened; one that is open goes on working.

    Raises:
        InvalidInput: For ``account_email``.
    """
    refusal = _refusal(context, account_of(context, settings, context.owner), {})
    if refusal is not None:
        reason, advice = refusal
        raise InvalidInput("account_email", reason, advice=advice)


def check_permitted(context: ModuleContext, ref: AccountRef) -> None:
    """The same before an account is opened: the profile may have been changed since.

    Accounts that others are opening at this moment count, too: the place is noted before the CA is asked.

    Raises:
        AccountNotPermitted: It must not be opened.
        StorageUnavailable: Too many others are opening accounts at this moment.
    """
    if not _is_own(context, ref):
        return
    key = f"accounts-opening/{context.authority_id}"
    for _ in range(_TRIES):
        document = context.documents.get(key)
        opening = _opening(context, {} if document is None else document.value)
        refusal = _refusal(context, ref, {one: owner for one, (owner, _) in opening.items() if one != ref.key})
        if refusal is not None:
            raise AccountNotPermitted(*refusal, host_of(context.profile.directory))
        mine = {ref.key: (context.owner, context.environment.now().isoformat())}
        value = {one: list(entry) for one, entry in (opening | mine).items()}
        with suppress(StaleWrite):
            context.documents.put(key, value, version=0 if document is None else document.version)
            return
    raise StorageUnavailable("Many others open accounts in this CA profile at this moment.")


def _opening(context: ModuleContext, stored: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The accounts that are being opened, and not open yet: for whom, and since when."""
    now = context.environment.now()
    return {
        one: (str(owner), str(since))
        for one, (owner, since) in stored.items()
        if not is_ahead(since, now)
        and now - moment_before(since, now) < _OPENING
        and not read_record(context.documents, one).url
    }


def _is_own(context: ModuleContext, ref: AccountRef) -> bool:
    """Whether it is an account of a certificate's own that is not open."""
    return bool(ref.email) and ref.key != own_account(context).key and not read_record(context.documents, ref.key).url


def _refusal(context: ModuleContext, ref: AccountRef, opening: Mapping[str, str]) -> tuple[str, str] | None:
    """Why an account of a certificate's own must not be opened, and what helps; None where it may.

    Args:
        context: The CA profile.
        ref: The account.
        opening: The owners of other accounts that are being opened, by their documents.
    """
    if not _is_own(context, ref):
        return None
    profile: PuqAcmeProfile = context.profile
    if not profile.own_accounts:
        return (
            "this CA profile does not permit accounts of certificates' own.",
            "Leave it empty, or set own_accounts in the CA profile.",
        )
    opened = [one for one in records_of(context.documents, context.authority_id) if one.url and one.email]
    if (count := len(opened) + len(opening)) >= profile.max_accounts:
        return (
            f"this CA profile has {count} accounts of certificates' own, and permits no more.",
            "Leave it empty, or raise max_accounts in the CA profile.",
        )
    own = [*(one.opened_for for one in opened), *opening.values()].count(context.owner)
    if own >= profile.max_accounts_per_owner:
        return (
            f"the owner has {own} accounts in this CA profile, and it permits no more.",
            "Use one of those e-mails, leave it empty, or raise max_accounts_per_owner in the CA profile.",
        )
    return None
