"""ONE table of what a certificate's page shows on the left, and of what may be changed when.

The view, the command and the check of what a user gives are all made from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from certcore.model.form import FieldKind
from certcore.model.issuance import Purpose
from certcore.model.lifecycle import Status

if TYPE_CHECKING:
    from certcore.model.views import CertificateView

__all__ = ["CERTIFICATE_FIELDS", "CertificateField", "FieldGroup", "FieldView", "Way", "When", "way_to_change"]


class FieldGroup(StrEnum):
    """The blocks of the left column."""

    STATUS = "status"
    NAMES = "names"
    SUBJECT = "subject"
    KEY = "key"
    RENEWAL = "renewal"
    AUTHORITY = "authority"
    LEAF = "leaf"
    PEM = "pem"


class When(StrEnum):
    """When a field may be changed."""

    #: In every status.
    ALWAYS = "always"
    #: In draft, and later while no attempt is under way: it counts from the next issuance on.
    BETWEEN = "between"
    #: In draft by saving; with a leaf by a reissue, as the leaf in service has the old ones.
    REISSUE = "reissue"
    #: Only when the certificate is created.
    CREATE = "create"
    #: Never: it is told, not asked.
    NEVER = "never"


class Way(StrEnum):
    """How a field is changed now."""

    #: Save it: ``certificates.edit``.
    EDIT = "edit"
    #: Have it issued anew with it: ``certificates.reissue``.
    REISSUE = "reissue"


@frozen(kw_only=True)
class CertificateField:
    """One field of a certificate's page."""

    #: As ``edit``, ``reissue`` and the JSON of the command call it.
    name: str
    #: What the user reads.
    title: str
    group: FieldGroup
    when: When
    #: How it is typed; None for what is told, not asked.
    kind: FieldKind | None = None
    #: The value of a view: text, number, truth, moment, a tuple or mapping of such; None where there is none.
    read: Callable[[CertificateView], Any]


@frozen(kw_only=True)
class FieldView:
    """A field with its value, and how it can be changed now."""

    field: CertificateField
    value: Any
    #: None: not now.
    way: Way | None


#: Where there is, or was, a leaf that a new one can replace.
_WITH_LEAF: Final = frozenset({Status.ACTIVE, Status.EXPIRED, Status.REVOKED})


def way_to_change(when: When, status: Status, *, under_way: bool) -> Way | None:
    """How a field can be changed.

    Args:
        when: The field's rule.
        status: The certificate's status.
        under_way: Whether an attempt is under way beside a leaf.

    Returns:
        None when it cannot be changed now.
    """
    if when is When.ALWAYS or (status is Status.DRAFT and when in (When.BETWEEN, When.REISSUE)):
        return Way.EDIT
    if status in _WITH_LEAF and when is When.BETWEEN:
        # What the attempt was begun with stays as it is; a reissue ends it and begins another.
        return Way.REISSUE if under_way else Way.EDIT
    if status in _WITH_LEAF and when is When.REISSUE:
        return Way.REISSUE
    return None


def _of_leaf(attribute: str) -> Callable[[CertificateView], Any]:
    return lambda view: None if view.leaf is None else getattr(view.leaf, attribute)


def _subject(attribute: str) -> Callable[[CertificateView], Any]:
    return lambda view: getattr(view.certificate.subject, attribute)


def _renewal(attribute: str) -> Callable[[CertificateView], Any]:
    return lambda view: getattr(view.certificate.renewal, attribute)


def _renewed_at(view: CertificateView) -> Any:
    active = view.active
    return active.finished_at if active is not None and active.purpose in (Purpose.RENEW, Purpose.REISSUE) else None


def _md5(view: CertificateView) -> str | None:
    """For people who compare with an old list; MD5 proves nothing any more."""
    if view.active is None or not view.active.leaf_pem:
        return None
    return hashlib.md5(PEM_cert_to_DER_cert(view.active.leaf_pem), usedforsecurity=False).hexdigest()


def _aliases(view: CertificateView) -> tuple[str, ...]:
    return tuple(one.ascii for one in view.certificate.aliases)


def _private_key(view: CertificateView) -> str | None:
    """Whether it is here; it leaves through ``reveal_private_key`` and exports alone."""
    newest = view.active or view.issuance
    if newest is None:
        return None
    return "not here" if newest.is_keyless else "sealed"


def _request(view: CertificateView) -> Any:
    """The attempt whose request is shown: the one under way, else that of the leaf in service; one that has a CSR."""
    shown = view.issuance if view.under_way or view.active is None else view.active
    return shown if shown is not None and shown.csr_pem else None


def _plain(view: CertificateView) -> dict[str, Any]:
    return dict(view.certificate.module_data)


_G, _W = FieldGroup, When


def _field(
    name: str,
    title: str,
    group: FieldGroup,
    when: When,
    read: Callable[[CertificateView], Any],
    kind: FieldKind = FieldKind.TEXT,
) -> CertificateField:
    typed = None if when is When.NEVER else kind
    return CertificateField(name=name, title=title, group=group, when=when, kind=typed, read=read)


#: All of them, in the order of the page.
CERTIFICATE_FIELDS: Final[tuple[CertificateField, ...]] = (
    _field("status", "Status", _G.STATUS, _W.NEVER, lambda view: str(view.certificate.status)),
    _field("days_remaining", "Days remaining", _G.STATUS, _W.NEVER, lambda view: view.days_remaining),
    _field("problem", "Last problem", _G.STATUS, _W.NEVER, lambda view: view.certificate.problem),
    _field("owner", "Owner", _G.STATUS, _W.CREATE, lambda view: view.certificate.owner),
    _field("domain", "Domain", _G.NAMES, _W.REISSUE, lambda view: view.certificate.domain.ascii),
    _field("wildcard", "Wildcard", _G.NAMES, _W.REISSUE, lambda view: view.certificate.wildcard, FieldKind.BOOLEAN),
    _field(
        "aliases",
        "Aliases",
        _G.NAMES,
        _W.REISSUE,
        _aliases,
        FieldKind.LINES,
    ),
    _field("email", "E-mail", _G.SUBJECT, _W.BETWEEN, _subject("email")),
    _field("organization", "Organization", _G.SUBJECT, _W.BETWEEN, _subject("organization")),
    _field("organizational_unit", "Organizational unit", _G.SUBJECT, _W.BETWEEN, _subject("organizational_unit")),
    _field("country", "Country", _G.SUBJECT, _W.BETWEEN, _subject("country")),
    _field("state", "State or province", _G.SUBJECT, _W.BETWEEN, _subject("state")),
    _field("locality", "Locality", _G.SUBJECT, _W.BETWEEN, _subject("locality")),
    _field("key_type", "Key type", _G.KEY, _W.BETWEEN, lambda view: str(view.certificate.key_type)),
    _field("csr", "Own CSR", _G.KEY, _W.REISSUE, lambda view: view.certificate.csr_pem or None, FieldKind.MULTILINE),
    _field("auto", "Renew by itself", _G.RENEWAL, _W.ALWAYS, _renewal("auto"), FieldKind.BOOLEAN),
    _field("days_before", "Days before the end", _G.RENEWAL, _W.ALWAYS, _renewal("days_before"), FieldKind.INTEGER),
    _field("rotate_key", "New key at renewals", _G.RENEWAL, _W.ALWAYS, _renewal("rotate_key"), FieldKind.BOOLEAN),
    _field("renews_at", "Renews at", _G.RENEWAL, _W.NEVER, lambda view: view.renews_at),
    _field("authority", "Certificate authority", _G.AUTHORITY, _W.BETWEEN, lambda view: view.certificate.authority_id),
    _field("module", "Module", _G.AUTHORITY, _W.NEVER, lambda view: view.authority and view.authority.module),
    _field("fallbacks", "Fallbacks", _G.AUTHORITY, _W.ALWAYS, lambda view: view.certificate.fallbacks, FieldKind.LINES),
    _field("module_data", "Settings for the CA", _G.AUTHORITY, _W.BETWEEN, _plain),
    _field("names", "Names in the leaf", _G.LEAF, _W.NEVER, _of_leaf("names")),
    _field("issued_at", "Issued at", _G.LEAF, _W.NEVER, _of_leaf("not_before")),
    _field("expires_at", "Expires at", _G.LEAF, _W.NEVER, _of_leaf("not_after")),
    _field("renewed_at", "Renewed at", _G.LEAF, _W.NEVER, _renewed_at),
    _field("issuer", "Issuer", _G.LEAF, _W.NEVER, _of_leaf("issuer")),
    _field("subject", "Subject", _G.LEAF, _W.NEVER, _of_leaf("subject")),
    _field("public_key", "Public key", _G.LEAF, _W.NEVER, _of_leaf("public_key_algorithm")),
    _field("key_size", "Key size", _G.LEAF, _W.NEVER, _of_leaf("key_size")),
    _field("signature_algorithm", "Signature algorithm", _G.LEAF, _W.NEVER, _of_leaf("signature_algorithm")),
    _field("serial_decimal", "Serial number (decimal)", _G.LEAF, _W.NEVER, _of_leaf("serial_decimal")),
    _field("serial_hex", "Serial number (hex)", _G.LEAF, _W.NEVER, _of_leaf("serial_hex")),
    _field("fingerprint_md5", "Fingerprint MD5", _G.LEAF, _W.NEVER, _md5),
    _field("fingerprint_sha1", "Fingerprint SHA-1", _G.LEAF, _W.NEVER, _of_leaf("fingerprint_sha1")),
    _field("fingerprint_sha256", "Fingerprint SHA-256", _G.LEAF, _W.NEVER, _of_leaf("fingerprint_sha256")),
    _field("csr_made_at", "CSR made at", _G.PEM, _W.NEVER, lambda view: _request(view) and _request(view).created_at),
    _field("csr_pem", "CSR", _G.PEM, _W.NEVER, lambda view: _request(view) and _request(view).csr_pem),
    _field("leaf_pem", "Certificate", _G.PEM, _W.NEVER, lambda view: view.active and view.active.leaf_pem),
    _field("chain_pem", "Chain", _G.PEM, _W.NEVER, lambda view: view.active and view.active.chain_pem),
    _field("private_key", "Private key", _G.PEM, _W.NEVER, _private_key),
)
