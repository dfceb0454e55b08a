"""The form fields of a certificate's own account: its e-mail address and the consent to the CA's terms."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.form_fields import FormField
from certcore_puq_acme.accounts.known_directory import known_directory
from certcore_puq_acme.accounts.records import account_of, own_account, read_record
from certcore_puq_acme.profile.settings import AcmeContext, PuqAcmeSettings

__all__ = ["check_consent", "with_own_account"]

_FIELDS = frozenset({"account_email", "terms_agreed"})


def with_own_account(fields: Sequence[FormField], context: AcmeContext) -> Sequence[FormField]:
    """Add the address of the CA's terms to the fields of a certificate's own account, or leave these fields out.

    They are left out if the CA profile does not permit such accounts.

    Args:
        fields: All fields.
        context: The CA profile.
    """
    if not context.profile.own_accounts:
        return [field for field in fields if field.name not in _FIELDS]
    directory = known_directory(context)
    if directory is None or not directory.terms_of_service:
        return fields
    text = "For an account of its own. The terms: {url}. You must agree again when the certificate gets another CA."
    terms = Message("puq_acme.own_account.terms.help", text, {"url": directory.terms_of_service})
    return [evolve(field, help=terms) if field.name == "terms_agreed" else field for field in fields]


def check_consent(context: AcmeContext, settings: PuqAcmeSettings) -> None:
    """Refuse a new account of a certificate's own without consent to the CA's terms. Open accounts are not affected.

    Raises:
        InvalidInputError: The consent is missing; the field is ``terms_agreed``.
    """
    directory, ref = known_directory(context), account_of(context, settings, context.owner)
    if directory is None or not directory.terms_of_service or ref.terms_agreed:
        return
    if ref.key == own_account(context).key or read_record(context.documents, ref.key).url:
        return
    text = "Read {url} and agree, or leave the e-mail empty."
    advice = Message("puq_acme.own_account.terms.advice", text, {"url": directory.terms_of_service})
    reason = Message("puq_acme.own_account.terms", "is needed for a separate account.")
    raise InvalidInputError("terms_agreed", reason, advice=advice)
