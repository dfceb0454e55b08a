"""The left column of a certificate's page for templates: input fields, read-only values, and PEM blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from attrs import frozen
from django.utils.translation import gettext as _

from certcore import CertificateView, Status
from certcore.contrib.django.shown_forms import (
    ShownError,
    ShownField,
    ShownGroup,
    Texts,
    can_be_filled_in,
    shown_fields,
)
from certcore.hints import EditMethod, FieldKind, InputField, InputForm, Message, label_of
from certcore.model.form_fields import FieldGroup
from certcore.model.problem import Problem

__all__ = ["LeftColumn", "PemBlock", "ShownCard", "ShownRow", "left_column"]

#: Read-only fields that have a button for copying their value.
_COPIED: Final = frozenset(
    {"serial_decimal", "serial_hex", "fingerprint_md5", "fingerprint_sha1", "fingerprint_sha256"}
)
#: Fields that are shown as PEM blocks.
_PEMS: Final = ("leaf_pem", "chain_pem", "csr_pem")
_ELSEWHERE: Final = frozenset({*_PEMS, "private_key", "csr"})


@frozen(kw_only=True)
class ShownRow:
    """A label with a read-only value."""

    name: str
    label: str
    #: The value as text, with one line for each entry of a list; empty if `moment` is set.
    value: str = ""
    moment: datetime | None = None
    #: Whether the row has a button for copying the value.
    is_copied: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the value."""
        return tuple(self.value.splitlines())


@frozen(kw_only=True)
class ShownCard(ShownGroup):
    """A block of the left column: read-only rows and input fields."""

    name: str
    rows: tuple[ShownRow, ...]


@frozen(kw_only=True)
class PemBlock:
    """A PEM text to copy and to download."""

    #: The name in the URL of the download: ``leaf``, ``chain`` or ``csr``.
    name: str
    title: str
    pem: str
    #: When the CSR was made; None for certificates.
    at: datetime | None = None


@frozen(kw_only=True)
class LeftColumn:
    """The left column, the same for all CA modules."""

    cards: tuple[ShownCard, ...]
    #: Fields whose change needs a new leaf.
    reissue: tuple[ShownField, ...]
    pems: tuple[PemBlock, ...]
    #: Why the domain cannot be changed now; empty if it can.
    locked: str
    #: ``sealed``, or ``not here`` if the store has no key; empty before the first issuance.
    private_key: str

    @property
    def has_inputs(self) -> bool:
        """Whether the form has any input field."""
        return bool(self.reissue) or any(card.fields or card.advanced for card in self.cards)

    @property
    def is_reissue_unfolded(self) -> bool:
        """Whether to unfold the fields that need a new leaf, as one of their values was refused."""
        return any(each.errors for each in self.reissue)


def left_column(view: CertificateView, form: InputForm, texts: Texts, errors: Iterable[ShownError] = ()) -> LeftColumn:
    """Return the left column of a certificate's page.

    Args:
        view: The certificate.
        form: The form of the certificate, with the posted values if some of them were refused.
        texts: Translates to the reader's language.
        errors: The errors of refused values.
    """
    refused = tuple(errors)
    shown = {each.field.name: each for each in view.fields}
    cards = []
    for group in (group for group in FieldGroup if group is not FieldGroup.PEM):
        inputs = [each for each in form.fields if each.group == group]
        editable = [each for each in inputs if each.edit_method is EditMethod.EDIT and can_be_filled_in(each)]
        fields = shown_fields(editable, texts, errors=refused)
        names = {each.name for each in editable}
        read = [_input_row(each, texts) for each in inputs if each.name not in names]
        read += [
            _value_row(name, each.field.title, view.module_title if name == "module" else each.value, texts)
            for name, each in shown.items()
            if each.field.group is group and each.field.form is None and name not in _ELSEWHERE
        ]
        rows = tuple(row for row in read if row.value or row.moment is not None)
        if rows or fields:
            cards.append(
                ShownCard(
                    name=str(group),
                    title=texts(label_of(group)),
                    rows=rows,
                    fields=tuple(each for each in fields if not each.is_advanced),
                    advanced=tuple(each for each in fields if each.is_advanced),
                )
            )
    reissue = [each for each in form.fields if each.edit_method is EditMethod.REISSUE]
    return LeftColumn(
        cards=tuple(cards),
        reissue=shown_fields(reissue, texts, errors=refused),
        pems=tuple(
            PemBlock(
                name=name.removesuffix("_pem"),
                title=texts(shown[name].field.title),
                pem=shown[name].value,
                at=shown["csr_made_at"].value if name == "csr_pem" else None,
            )
            for name in _PEMS
            if shown[name].value
        ),
        locked=_locked(form, view, texts),
        private_key=shown["private_key"].value or "",
    )


def _locked(form: InputForm, view: CertificateView, texts: Texts) -> str:
    """Return why the domain cannot be changed now; empty if it can."""
    field = form["domain"]
    if field.locked is None:
        return ""
    return texts(Message("", "{label}: {reason}", {"label": field.label, "reason": field.locked}))


def _input_row(field: InputField, texts: Texts) -> ShownRow:
    """Return the row of an input field that is shown read-only."""
    label = texts(field.label)
    if field.name in _ELSEWHERE:
        return ShownRow(name=field.name, label=label)
    titles = {choice.value: texts(choice.label) for choice in field.choices}
    match field.kind:
        case FieldKind.BOOLEAN:
            value = _("yes") if field.checked else _("no")
        case FieldKind.SECRET:
            value = _("stored, and not shown") if field.is_set else ""
        case FieldKind.CHOICE | FieldKind.LINES:
            value = "\n".join(titles.get(entry, entry) for entry in field.value.splitlines())
        case _:
            value = field.value
    return ShownRow(name=field.name, label=label, value=value)


def _value_row(name: str, title: Message, value: Any, texts: Texts) -> ShownRow:
    """Return the row of a read-only value."""
    label = texts(title)
    if isinstance(value, datetime):
        return ShownRow(name=name, label=label, moment=value)
    return ShownRow(name=name, label=label, value="\n".join(_lines(name, value, texts)), is_copied=name in _COPIED)


def _lines(name: str, value: Any, texts: Texts) -> Iterator[str]:
    match value:
        case None | "":
            return
        case Problem():
            yield texts(value.text)
            if value.advice:
                yield texts(value.advice_text)
        case tuple():
            yield from map(str, value)
        case _:
            yield texts(label_of(Status(value))) if name == "status" else str(value)
