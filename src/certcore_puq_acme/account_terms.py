"""The CA's terms of service (RFC 8555 section 7.3): no account is opened before somebody has agreed to them."""

from __future__ import annotations

from typing import Final

from certcore.model.problem import Problem
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import AccountRef, own_account, terms_have_changed
from certcore_puq_acme.acme_errors import AcmeProblem
from certcore_puq_acme.messages import Directory
from certcore_puq_acme.transport import host_of

__all__ = ["TermsNotAgreed", "check_agreement"]

_USER_ACTION: Final = "urn:ietf:params:acme:error:userActionRequired"
_FORBIDDEN: Final = 403


class TermsNotAgreed(AcmeProblem):
    """The CA has terms of service, and nobody agreed to them yet.

    Args:
        url: Their address.
        host: The CA's server.
        changed: Others were agreed to before.
    """

    def __init__(self, url: str, host: str, *, changed: bool = False) -> None:
        problem = Problem(
            type=_USER_ACTION,
            detail=f"Terms of service: {url}",
            instance=url,
            advice=f"Read {url} and "
            + (
                "run the profile's action agree_to_terms: other terms than these were agreed to."
                if changed
                else "set terms_agreed to yes in the CA profile."
            ),
        )
        super().__init__(problem, status=_FORBIDDEN, host=host)


def check_agreement(context: ModuleContext, ref: AccountRef, directory: Directory) -> None:
    """Before an account is opened: whether the yes that there is, is to the CA's present terms.

    Raises:
        TermsNotAgreed: There is none; or it is a further account, of an owner or an e-mail, and the profile's yes was
            to other terms.
    """
    terms, host = directory.terms_of_service, host_of(context.profile.directory)
    if not terms:
        return
    if not ref.terms_agreed:
        raise TermsNotAgreed(terms, host)
    is_further = ref.key != own_account(context).key  # for the profile's own account the profile's yes is the word
    if is_further and context.profile.terms_agreed and terms_have_changed(context, terms):
        raise TermsNotAgreed(terms, host, changed=True)
