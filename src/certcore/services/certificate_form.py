"""Parse the keywords of a call to a certificate's form, with the IDs of its CA profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.certificate_form import FROM_CSR, CertificateForm
from certcore.model.field_errors import FieldErrors
from certcore.ports.environment import Environment
from certcore.services.access import Access
from certcore.x509.user_csr import read_csr

__all__ = ["new_certificate", "read_form", "read_new_form"]


def read_form(access: Access, values: Mapping[str, Any], actor: str) -> CertificateForm:
    """Parse the keywords of a call, and replace the names of CA profiles by their IDs.

    Args:
        access: Decides which CA profiles the actor may name.
        values: The values by field; None stands for a field that is not filled in.
        actor: Who makes the call.

    Raises:
        InvalidInputError: There is no such field, or a value is invalid; the error names the field.
    """
    form = CertificateForm.parse(values, read_csr=read_csr)
    ids: dict[str, Any] = {}
    errors = FieldErrors()
    if isinstance(form.authority, str):
        with errors.collecting():
            ids["authority"] = access.authority_id("authority", form.authority, actor)
    if isinstance(form.fallbacks, tuple):
        with errors.collecting():
            fallbacks = tuple(access.authority_id("fallbacks", fallback, actor) for fallback in form.fallbacks)
            if len(set(fallbacks)) != len(fallbacks):
                raise InvalidInputError("fallbacks", Message("certificate.fallback_twice", "name a CA profile twice."))
            ids["fallbacks"] = fallbacks
    errors.refuse()
    return evolve(form, **ids)


def read_new_form(access: Access, values: Mapping[str, Any], actor: str) -> CertificateForm:
    """As `read_form`, for a new certificate that a CA profile is to issue.

    Raises:
        InvalidInputError: As `read_form`; or the domain or the CA profile is missing.
    """
    # A page posts its empty fields, too.
    errors = FieldErrors()
    empty = {name for name in FROM_CSR if not values.get(name)}
    if values.get("csr") is not None:
        for name in sorted(FROM_CSR - empty):
            errors.add(
                InvalidInputError(name, Message("certificate.comes_from_csr", "comes from the CSR; leave it out."))
            )
        values = {name: value for name, value in values.items() if name not in empty}
    elif not values.get("domain"):
        errors.add(InvalidInputError("domain", Message("input.required", "is required.")))
        values = {name: value for name, value in values.items() if name != "domain"}
    if not values.get("authority"):
        errors.add(InvalidInputError("authority", Message("input.required", "is required.")))
    form = CertificateForm()
    with errors.collecting():
        form = read_form(access, values, actor)
    if form.csr is None:
        errors.add(
            InvalidInputError(
                "csr",
                Message("certificate.csr_empty", "is empty."),
                advice=Message("certificate.csr_empty.advice", "Leave it out to have a key made here."),
            )
        )
    errors.refuse()
    return form


def new_certificate(environment: Environment, attributes: Mapping[str, Any]) -> Certificate:
    """A certificate that is not stored yet, with an ID of its own."""
    now = environment.now()
    return Certificate(**{"id": environment.new_id(), "created_at": now, "updated_at": now, **attributes})
