"""The input fields of a certificate, each described once.

`CertificateForm` generates the arguments of `create`, `edit`, `reissue`, `clone` and `obtain`, the options of the
command, the JSON form of a certificate, and the left column of its page. To add a field:

1. Add the attribute to `certcore.model.certificate.Certificate`, with a default, and its column: a migration, the table
   and the mapping in `certcore.adapters.sql`.
2. Add the attribute to `CertificateForm`, described by `_input`, and its keyword to `CertificateOptions`.
3. Give it a sample in tests/unit/services/test_certificate_form.py, which checks that every consumer knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Self, TypedDict

import attrs
from attrs import asdict, evolve, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.certificate_values import (
    MOST_FALLBACKS,
    parse_authority,
    parse_fallbacks,
    parse_renewal,
    parse_subject,
)
from certcore.model.edit_rules import EditRule
from certcore.model.field_errors import FieldErrors
from certcore.model.form import read_boolean
from certcore.model.form_fields import Choice, FieldGroup, FieldKind, FormField
from certcore.model.identifiers import MOST_OWNER, check_owner
from certcore.model.input_limits import members
from certcore.model.keys import KeyType
from certcore.model.labels import label_of
from certcore.model.names import MAX_NAMES, DnsName, form_of_names
from certcore.model.pasted_names import parse_pasted_name, parse_pasted_names
from certcore.model.renewal import MAX_DAYS, RenewalPolicy
from certcore.model.subject import Subject
from certcore.model.user_csr import UserCsr

__all__ = [
    "FROM_CSR",
    "INPUTS",
    "UNSET",
    "CertificateChanges",
    "CertificateForm",
    "CertificateInput",
    "CertificateOptions",
    "Unset",
]

_METADATA: Final = "certcore.certificate_form"
#: The longest input for one name, in characters: the longest name with ``*.``, and room for pasted spaces.
_LONGEST_NAME: Final = 300
_LONGEST_CSR: Final = 64 * 1024
#: The fields that the user's own CSR determines.
FROM_CSR: Final = frozenset({"domain", "aliases", "wildcard", "key_type"})


class Unset(Enum):
    """The type of `UNSET`: the value of a field that was not filled in."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


class CertificateOptions(TypedDict, total=False):
    """Keywords of ``create`` and ``obtain``, besides domain, CA profile and owner."""

    #: Further names, or one text with a name per line.
    aliases: Iterable[str] | str | None
    #: Whether the certificate also covers ``*.domain``.
    wildcard: bool | None
    #: The user's own certificate signing request (PEM or DER). Its private key stays with the user, and renewals use
    #: the same request. It determines the names and the key type. Empty text removes it.
    csr: str | bytes | None
    #: The subject. A mapping changes only its members.
    subject: Subject | Mapping[str, str] | None
    #: The type of the private key; ``ec-p256`` by default.
    key_type: KeyType | str | None
    #: When to renew. A mapping changes only its members.
    renewal: RenewalPolicy | Mapping[str, Any] | None
    #: Further CA profiles, by ID or name, tried in this order if the first one keeps failing for its own reasons.
    fallbacks: Iterable[str] | None
    #: The CA module's settings for this certificate. Only the given members change.
    module_data: Mapping[str, Any] | None


class CertificateChanges(CertificateOptions, total=False):
    """Keywords of ``edit`` and ``reissue``. A keyword that is missing or None changes nothing."""

    #: The primary name, as a person types it.
    domain: str | None
    #: The CA profile, by ID or name. An empty text removes it; then the certificate is not renewed.
    authority: str | None


@frozen(kw_only=True)
class CertificateInput:
    """The description of one input field."""

    #: The keyword of the calls, the attribute of `CertificateForm`, and the key in JSON.
    name: str
    #: The attribute of `Certificate` that the field sets.
    attribute: str
    group: FieldGroup
    edit_rule: EditRule
    #: Converts input of a person or a program to the value of the form.
    parse: Callable[[Any], Any] = attrs.field(repr=False)
    #: Converts the attribute of a certificate to plain JSON.
    to_json: Callable[[Any], Any] = attrs.field(repr=False)
    #: Whether the value is a mapping of members, and an edit changes only the given members.
    has_members: bool
    #: Whether events contain the old and new values; otherwise they contain only the name of the field.
    is_told: bool
    #: The entries of the left column: the input itself, or each of its members.
    columns: tuple[FormField, ...]


def _input(
    group: FieldGroup,
    edit_rule: EditRule,
    parse: Callable[[Any], Any],
    *columns: FormField,
    attribute: str = "",
    to_json: Callable[[Any], Any] = lambda value: value,
    has_members: bool = False,
    is_told: bool = True,
) -> Any:
    description = {
        "group": group,
        "edit_rule": edit_rule,
        "parse": parse,
        "attribute": attribute,
        "to_json": to_json,
        "has_members": has_members,
        "is_told": is_told,
        "columns": columns,
    }
    return attrs.field(default=UNSET, metadata={_METADATA: description})


def _subject_field(name: str, label: Message, longest: int) -> FormField:
    return FormField(name=name, label=label, kind=FieldKind.TEXT, longest=longest, advanced=True)


@frozen(kw_only=True)
class CertificateForm:
    """A form that a user filled in: the parsed values of some fields, and `UNSET` for the others."""

    owner: str | Unset = _input(
        FieldGroup.STATUS,
        EditRule.CREATE,
        check_owner,
        FormField(
            name="owner",
            label=Message("field.owner", "Owner"),
            help=Message("field.owner.help", "The tenant that it belongs to."),
            kind=FieldKind.TEXT,
            longest=MOST_OWNER,
            advanced=True,
        ),
    )
    domain: DnsName | Unset = _input(
        FieldGroup.NAMES,
        EditRule.REISSUE,
        parse_pasted_name,
        FormField(
            name="domain",
            label=Message("field.domain", "Domain"),
            help=Message("field.domain.help", "The primary name. Leave it empty with a CSR of your own."),
            kind=FieldKind.TEXT,
            required=True,
            longest=_LONGEST_NAME,
            placeholder="shop.example",
        ),
        to_json=lambda name: name.ascii,
    )
    wildcard: bool | Unset = _input(
        FieldGroup.NAMES,
        EditRule.REISSUE,
        lambda value: read_boolean("wildcard", value),
        FormField(
            name="wildcard",
            label=Message("field.wildcard", "Wildcard"),
            help=Message("field.wildcard.help", "Also every name one level below the domain: *.domain."),
            kind=FieldKind.BOOLEAN,
            default=False,
        ),
    )
    aliases: tuple[DnsName, ...] | Unset = _input(
        FieldGroup.NAMES,
        EditRule.REISSUE,
        parse_pasted_names,
        FormField(
            name="aliases",
            label=Message("field.aliases", "Aliases"),
            help=Message("field.aliases.help", "Further names, one per line."),
            kind=FieldKind.LINES,
            longest=_LONGEST_NAME,
            most=MAX_NAMES,
            placeholder="www.shop.example",
        ),
        to_json=lambda names: [name.ascii for name in names],
    )
    subject: Mapping[str, str] | Unset = _input(
        FieldGroup.SUBJECT,
        EditRule.BETWEEN,
        parse_subject,
        _subject_field("email", Message("field.email", "E-mail"), 254),
        _subject_field("organization", Message("field.organization", "Organization"), 64),
        _subject_field("organizational_unit", Message("field.organizational_unit", "Organizational unit"), 64),
        _subject_field("country", Message("field.country", "Country"), 2),
        _subject_field("state", Message("field.state", "State or province"), 128),
        _subject_field("locality", Message("field.locality", "Locality"), 128),
        to_json=lambda subject: {name: value for name, value in asdict(subject).items() if value},
        has_members=True,
    )
    key_type: KeyType | Unset = _input(
        FieldGroup.KEY,
        EditRule.BETWEEN,
        KeyType.parse,
        FormField(
            name="key_type",
            label=Message("field.key_type", "Key type"),
            kind=FieldKind.CHOICE,
            default=str(KeyType.EC_P256),
            choices=tuple(Choice(str(key_type), label_of(key_type)) for key_type in KeyType),
            advanced=True,
        ),
        to_json=str,
    )
    #: None: certcore makes the key.
    csr: UserCsr | Unset | None = _input(
        FieldGroup.KEY,
        EditRule.REISSUE,
        lambda _: None,  # only for empty text, see `parse`
        FormField(
            name="csr",
            label=Message("field.csr", "Own CSR"),
            help=Message("field.csr.help", "If you keep the private key yourself: the names are taken from it."),
            kind=FieldKind.MULTILINE,
            longest=_LONGEST_CSR,
            advanced=True,
        ),
        attribute="csr_pem",
        to_json=lambda pem: pem or None,
        is_told=False,
    )
    renewal: Mapping[str, Any] | Unset = _input(
        FieldGroup.RENEWAL,
        EditRule.ALWAYS,
        parse_renewal,
        FormField(
            name="auto", label=Message("field.auto", "Renew automatically"), kind=FieldKind.BOOLEAN, default=True
        ),
        FormField(
            name="days_before",
            label=Message("field.days_before", "Days before the end"),
            help=Message("field.days_before.help", "When to renew. If empty: when a third of the lifetime is left."),
            kind=FieldKind.INTEGER,
            minimum=1,
            maximum=MAX_DAYS,
            unit=Message("certcore.unit.days", "days"),
        ),
        FormField(
            name="rotate_key",
            label=Message("field.rotate_key", "New key at renewals"),
            kind=FieldKind.BOOLEAN,
            default=True,
            advanced=True,
        ),
        to_json=asdict,
        has_members=True,
    )
    #: The ID of the CA profile; None for no CA profile.
    authority: str | Unset | None = _input(
        FieldGroup.AUTHORITY,
        EditRule.BETWEEN,
        parse_authority,
        FormField(
            name="authority",
            label=Message("field.authority", "Certificate authority"),
            kind=FieldKind.CHOICE,
            required=True,
        ),
        attribute="authority_id",
    )
    #: The IDs of CA profiles.
    fallbacks: tuple[str, ...] | Unset = _input(
        FieldGroup.AUTHORITY,
        EditRule.ALWAYS,
        parse_fallbacks,
        FormField(
            name="fallbacks",
            label=Message("field.fallbacks", "Fallbacks"),
            help=Message("field.fallbacks.help", "CA profiles to try in this order when the first keeps failing."),
            kind=FieldKind.LINES,
            most=MOST_FALLBACKS,
            advanced=True,
        ),
        to_json=list,
    )
    module_data: Mapping[str, Any] | Unset = _input(
        FieldGroup.AUTHORITY,
        EditRule.BETWEEN,
        lambda value: members("module_data", value),
        FormField(name="module_data", label=Message("field.module_data", "Settings for the CA"), kind=FieldKind.TEXT),
        to_json=dict,
        has_members=True,
        is_told=False,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, read_csr: Callable[[str | bytes], UserCsr]) -> Self:
        """Make a form from the keywords of a call. None means that a field is not filled in.

        Args:
            values: The values by field.
            read_csr: Reads the user's CSR. It is an argument because the model does not import cryptography.

        Raises:
            InvalidInputError: There is no such field, or values are invalid. The error names each of the fields.
        """
        parsed: dict[str, Any] = {}
        errors = FieldErrors()
        for name, value in values.items():
            if name not in INPUTS:
                reason = Message("form.no_such_field", "there is no such field.")
                known = Message("form.fields", "Fields: {fields}.", {"fields": ", ".join(INPUTS)})
                errors.add(InvalidInputError(str(name)[:60], reason, advice=known))
            elif value is not None and not (name == "key_type" and value == ""):
                with errors.collecting():
                    parsed[name] = read_csr(value) if name == "csr" and value else INPUTS[name].parse(value)
        errors.refuse()
        return cls(**parsed)

    @property
    def filled_in(self) -> Mapping[str, Any]:
        """The fields that are filled in, with their values."""
        values = {name: getattr(self, name) for name in INPUTS}
        return {name: value for name, value in values.items() if value is not UNSET}

    def attributes(self, stored: Certificate | None = None) -> dict[str, Any]:
        """The attributes of `Certificate` that the form sets, whether or not they differ from the stored ones.

        Args:
            stored: The certificate to change, whose members are kept if they are not filled in; None for a new
                certificate.

        Raises:
            InvalidInputError: A field disagrees with the user's CSR, or cannot be changed.
        """
        attributes: dict[str, Any] = {}
        has_csr = self.csr is UNSET and stored is not None and bool(stored.csr_pem)
        if isinstance(self.csr, UserCsr):
            has_csr = True
            domain, aliases, wildcard = form_of_names(self.csr.names)
            attributes = {"domain": domain, "aliases": aliases, "wildcard": wildcard, "key_type": self.csr.key_type}
        if self.csr is not UNSET:
            attributes["csr_pem"] = "" if self.csr is None else self.csr.pem
        errors = FieldErrors()
        for name, value in self.filled_in.items():
            attribute = INPUTS[name].attribute
            if name == "csr":
                continue
            if stored is not None and INPUTS[name].edit_rule is EditRule.CREATE:
                reason = Message("form.locked.create", "is set once, when the certificate is created.")
                errors.add(InvalidInputError(name, reason, advice=Message("form.locked.create.advice", "Clone it.")))
            elif has_csr and name in FROM_CSR:
                # A page may post all its fields, including those that the CSR determines.
                if value != (attributes[attribute] if attribute in attributes else getattr(stored, attribute)):
                    reason = Message("form.from_csr", "comes from your CSR.")
                    text = "Give another CSR, or an empty one to have a key made here."
                    errors.add(InvalidInputError(name, reason, advice=Message("form.from_csr.advice", text)))
            elif INPUTS[name].has_members:
                present = _default_of(attribute) if stored is None else getattr(stored, attribute)
                attributes[attribute] = _merged(present, value)
            else:
                attributes[attribute] = value
        errors.refuse()
        if not has_csr:
            _fold_aliases(attributes, stored)
        return attributes


def _fold_aliases(attributes: dict[str, Any], stored: Certificate | None) -> None:
    """Remove the domain and ``*.domain`` from the aliases, as the certificate has these names anyway."""
    present = {name: getattr(stored, name) for name in ("domain", "aliases", "wildcard")} if stored is not None else {}
    names = {**present, **attributes}
    aliases, domain = names.get("aliases", ()), names.get("domain")
    if domain is None:
        return
    covered = {domain, DnsName(f"*.{domain}")} if names.get("wildcard") else {domain}
    if covered.intersection(aliases):
        attributes["aliases"] = tuple(name for name in aliases if name not in covered)


def _merged(value: Any, changes: Mapping[str, Any]) -> Any:
    return {**value, **changes} if isinstance(value, Mapping) else evolve(value, **changes)


def _default_of(attribute: str) -> Any:
    return attrs.fields_dict(Certificate)[attribute].default.factory()  # type: ignore[union-attr]


def _described(attribute: attrs.Attribute[Any]) -> CertificateInput:
    description = dict(attribute.metadata[_METADATA])
    target = description.pop("attribute") or attribute.name
    return CertificateInput(name=attribute.name, attribute=target, **description)


#: All input fields by name, in the order of the page.
INPUTS: Final[Mapping[str, CertificateInput]] = MappingProxyType(
    {attribute.name: _described(attribute) for attribute in attrs.fields(CertificateForm)}
)
