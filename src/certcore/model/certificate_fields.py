"""The left column of a certificate's page: input fields and read-only fields."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from certcore.messages import Message
from certcore.model.certificate_form import INPUTS, CertificateInput
from certcore.model.edit_rules import EditMethod, EditRule
from certcore.model.form_fields import FieldGroup, FieldKind, FormField
from certcore.model.issuance import Purpose

if TYPE_CHECKING:
    from certcore.model.views import CertificateView

__all__ = ["CERTIFICATE_FIELDS", "CertificateField", "FieldView"]


@frozen(kw_only=True)
class CertificateField:
    """One field of a certificate's page."""

    #: The key in JSON, and in the command's ``--set``.
    name: str
    #: The displayed title.
    title: Message
    group: FieldGroup
    edit_rule: EditRule = EditRule.NEVER
    #: The input field, with help, choices and limits; None for a read-only field.
    form: FormField | None = None
    #: The keyword of ``create``, ``edit`` and ``reissue`` for the value. If it differs from `name`, the keyword takes a
    #: mapping and `name` is a member of it. Empty for a read-only field.
    keyword: str = ""
    #: Gets the value from a view: a text, number, truth value or moment, a tuple or mapping of these, or None.
    read: Callable[[CertificateView], Any]

    @property
    def kind(self) -> FieldKind | None:
        """The kind of the input field; None for a read-only field."""
        return None if self.form is None else self.form.kind


@frozen(kw_only=True)
class FieldView:
    """A field with its value, and the call that can change it now."""

    field: CertificateField
    value: Any
    #: The call that can change the field now; None if it cannot be changed.
    edit_method: EditMethod | None


def _of_leaf(attribute: str) -> Callable[[CertificateView], Any]:
    return lambda view: None if view.leaf is None else getattr(view.leaf, attribute)


def _renewed_at(view: CertificateView) -> Any:
    active = view.active
    return active.finished_at if active is not None and active.purpose in (Purpose.RENEW, Purpose.REISSUE) else None


def _md5(view: CertificateView) -> str | None:
    """The MD5 fingerprint, only for comparison with old lists: MD5 is broken."""
    if view.active is None or not view.active.leaf_pem:
        return None
    return hashlib.md5(PEM_cert_to_DER_cert(view.active.leaf_pem), usedforsecurity=False).hexdigest()


def _private_key(view: CertificateView) -> str | None:
    """Where the private key is. The key itself is only available through ``export`` and ``private_key``."""
    newest = view.active or view.issuance
    if newest is None:
        return None
    return "not here" if newest.is_keyless else "sealed"


def _request(view: CertificateView) -> Any:
    """The issuance whose CSR is shown: the issuance under way, or else that of the leaf in service, if it has a CSR."""
    shown = view.issuance if view.under_way or view.active is None else view.active
    return shown if shown is not None and shown.csr_pem else None


def _input_reader(field: CertificateInput) -> Callable[[CertificateView], Any]:
    def read(view: CertificateView) -> Any:
        value = field.to_json(getattr(view.certificate, field.attribute))
        return tuple(value) if isinstance(value, list) else value

    return read


def _member_reader(attribute: str, member: str) -> Callable[[CertificateView], Any]:
    return lambda view: getattr(getattr(view.certificate, attribute), member)


def _input_fields() -> Iterator[CertificateField]:
    for field in INPUTS.values():
        for column in field.columns:
            is_member = column.name != field.name
            yield CertificateField(
                name=column.name,
                title=column.label,
                group=field.group,
                edit_rule=field.edit_rule,
                form=column,
                keyword=field.name,
                read=_member_reader(field.attribute, column.name) if is_member else _input_reader(field),
            )


def _shown(name: str, title: Message, group: FieldGroup, read: Callable[[CertificateView], Any]) -> CertificateField:
    return CertificateField(name=name, title=title, group=group, read=read)


_STATUS: Final = (
    _shown("status", Message("field.status", "Status"), FieldGroup.STATUS, lambda view: str(view.certificate.status)),
    _shown(
        "days_remaining",
        Message("field.days_remaining", "Days remaining"),
        FieldGroup.STATUS,
        lambda view: view.days_remaining,
    ),
    _shown(
        "problem", Message("field.problem", "Last problem"), FieldGroup.STATUS, lambda view: view.certificate.problem
    ),
)
_SHOWN: Final = (
    _shown("renews_at", Message("field.renews_at", "Renews at"), FieldGroup.RENEWAL, lambda view: view.renews_at),
    _shown(
        "module",
        Message("field.module", "Module"),
        FieldGroup.AUTHORITY,
        lambda view: view.authority and view.authority.module,
    ),
    _shown("names", Message("field.names", "Names in the leaf"), FieldGroup.LEAF, _of_leaf("names")),
    _shown("issued_at", Message("field.issued_at", "Issued at"), FieldGroup.LEAF, _of_leaf("not_before")),
    _shown("expires_at", Message("field.expires_at", "Expires at"), FieldGroup.LEAF, _of_leaf("not_after")),
    _shown("renewed_at", Message("field.renewed_at", "Renewed at"), FieldGroup.LEAF, _renewed_at),
    _shown("issuer", Message("field.issuer", "Issuer"), FieldGroup.LEAF, _of_leaf("issuer")),
    _shown("subject", Message("field.subject", "Subject"), FieldGroup.LEAF, _of_leaf("subject")),
    _shown("public_key", Message("field.public_key", "Public key"), FieldGroup.LEAF, _of_leaf("public_key_algorithm")),
    _shown("key_size", Message("field.key_size", "Key size"), FieldGroup.LEAF, _of_leaf("key_size")),
    _shown(
        "signature_algorithm",
        Message("field.signature_algorithm", "Signature algorithm"),
        FieldGroup.LEAF,
        _of_leaf("signature_algorithm"),
    ),
    _shown(
        "serial_decimal",
        Message("field.serial_decimal", "Serial number (decimal)"),
        FieldGroup.LEAF,
        _of_leaf("serial_decimal"),
    ),
    _shown("serial_hex", Message("field.serial_hex", "Serial number (hex)"), FieldGroup.LEAF, _of_leaf("serial_hex")),
    _shown("fingerprint_md5", Message("field.fingerprint_md5", "Fingerprint MD5"), FieldGroup.LEAF, _md5),
    _shown(
        "fingerprint_sha1",
        Message("field.fingerprint_sha1", "Fingerprint SHA-1"),
        FieldGroup.LEAF,
        _of_leaf("fingerprint_sha1"),
    ),
    _shown(
        "fingerprint_sha256",
        Message("field.fingerprint_sha256", "Fingerprint SHA-256"),
        FieldGroup.LEAF,
        _of_leaf("fingerprint_sha256"),
    ),
    _shown(
        "csr_made_at",
        Message("field.csr_made_at", "CSR made at"),
        FieldGroup.PEM,
        lambda view: _request(view) and _request(view).created_at,
    ),
    _shown(
        "csr_pem",
        Message("field.csr_pem", "CSR"),
        FieldGroup.PEM,
        lambda view: _request(view) and _request(view).csr_pem,
    ),
    _shown(
        "leaf_pem",
        Message("field.leaf_pem", "Certificate"),
        FieldGroup.PEM,
        lambda view: view.active and view.active.leaf_pem,
    ),
    _shown(
        "chain_pem",
        Message("field.chain_pem", "Chain"),
        FieldGroup.PEM,
        lambda view: view.active and view.active.chain_pem,
    ),
    _shown("private_key", Message("field.private_key", "Private key"), FieldGroup.PEM, _private_key),
)
_GROUPS: Final = tuple(FieldGroup)

#: All fields, in the order of the page.
CERTIFICATE_FIELDS: Final = tuple(
    sorted((*_STATUS, *_input_fields(), *_SHOWN), key=lambda field: _GROUPS.index(field.group))
)
