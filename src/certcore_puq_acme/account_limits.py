"""Accounts that certificates have of their own: only where the CA profile permits them, and not without end."""

from __future__ import annotations

from attrs import evolve

from certcore.errors import InvalidInput
from certcore.model.problem import Problem
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import AccountRef, account_of, own_account, read_record, records_of
from certcore_puq_acme.acme_errors import AcmeProblem
from certcore_puq_acme.settings import PuqAcmeProfile, PuqAcmeSettings
from certcore_puq_acme.transport import host_of

__all__ = ["AccountNotPermitted", "check_permitted", "check_wanted_account"]

_USER_ACTION = "urn:ietf:params:acme:error:userActionRequired"
_FORBIDDEN = 403


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
    refusal = _refusal(context, account_of(context, settings, context.owner))
    if refusal is not None:
        reason, advice = refusal
        raise InvalidInput("account_email", reason, advice=advice)


def check_permitted(context: ModuleContext, ref: AccountRef) -> None:
    """The same before an account is opened: the profile may have been changed since.

    Raises:
        AccountNotPermitted: It must not be opened.
    """
    refusal = _refusal(context, ref)
    if refusal is not None:
        raise AccountNotPermitted(*refusal, host_of(context.profile.directory))


def _refusal(context: ModuleContext, ref: AccountRef) -> tuple[str, str] | None:
    """Why an account of a certificate's own must not be opened, and what helps; None where it may."""
    if not ref.email or ref.key == own_account(context).key or read_record(context.documents, ref.key).url:
        return None
    profile: PuqAcmeProfile = context.profile
    if not profile.own_accounts:
        return (
            "this CA profile does not permit accounts of certificates' own.",
            "Leave it empty, or set own_accounts in the CA profile.",
        )
    opened = [one for one in records_of(context.documents, context.authority_id) if one.url and one.email]
    if len(opened) >= profile.max_accounts:
        return (
            f"this CA profile has {len(opened)} accounts of certificates' own, and permits no more.",
            "Leave it empty, or raise max_accounts in the CA profile.",
        )
    own = sum(one.opened_for == context.owner for one in opened)
    if own >= profile.max_accounts_per_owner:
        return (
            f"the owner has {own} accounts in this CA profile, and it permits no more.",
            "Use one of those e-mails, leave it empty, or raise max_accounts_per_owner in the CA profile.",
        )
    return None
