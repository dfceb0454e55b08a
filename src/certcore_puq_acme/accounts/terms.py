"""The CA's terms of service (RFC 8555 section 7.3): no account is opened before a user has agreed to them."""

from __future__ import annotations

from typing import Final

from certcore.messages import Message
from certcore_puq_acme.accounts.records import AccountRef, own_account, terms_have_changed
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.http import host_of
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn
from certcore_puq_acme.protocol.resources import Directory

__all__ = ["TermsNotAgreedError", "check_agreement"]

_FORBIDDEN: Final = 403


class TermsNotAgreedError(AcmeProblemError):
    """The CA has terms of service, and no user has agreed to them yet.

    Args:
        url: The address of the terms.
        host: The CA's server.
        changed: Whether a user agreed to earlier terms, which have changed.
    """

    code = "acme_terms_not_agreed"

    def __init__(self, url: str, host: str, *, changed: bool = False) -> None:
        problem = ProblemDocument(type=error_urn("userActionRequired"), detail=f"Terms of service: {url}", instance=url)
        super().__init__(
            problem,
            status=_FORBIDDEN,
            host=host,
            advice=_advice(url, changed=changed),
        )


def _advice(url: str, *, changed: bool) -> Message:
    if changed:
        text = "Read {url} and run the profile's action agree_to_terms, because the terms have changed."
        return Message("puq_acme.terms.changed.advice", text, {"url": url})
    text = "Read {url} and set terms_agreed to yes in the CA profile."
    return Message("puq_acme.terms.not_agreed.advice", text, {"url": url})


def check_agreement(context: AcmeContext, ref: AccountRef, directory: Directory) -> None:
    """Check before an account is opened that the recorded consent is for the CA's present terms.

    Raises:
        TermsNotAgreedError: There is no consent; or the account is not the profile's own but that of an owner or an
            e-mail address, and the profile's consent is for other terms.
    """
    terms, host = directory.terms_of_service, host_of(context.profile.directory)
    if not terms:
        return
    if not ref.terms_agreed:
        raise TermsNotAgreedError(terms, host)
    is_further = ref.key != own_account(context).key  # for the profile's own account, the profile's consent counts
    if is_further and context.profile.terms_agreed and terms_have_changed(context, terms):
        raise TermsNotAgreedError(terms, host, changed=True)
