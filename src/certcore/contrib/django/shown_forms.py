"""Fields of forms and their errors for templates: texts in the reader's language, values as strings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from certcore.errors import CertCoreError, InvalidInputError, KeyMismatchError
from certcore.hints import FieldKind, FormField, InputField, InputForm, Message, label_of
from certcore.model.form_fields import FieldGroup

__all__ = [
    "ShownChoice",
    "ShownError",
    "ShownField",
    "ShownGroup",
    "anchor_of",
    "can_be_filled_in",
    "shown_errors",
    "shown_field",
    "shown_fields",
    "shown_groups",
]

#: Translates a message to the reader's language, as a `certcore.hints.Translator` does.
Texts = Callable[[Message | str], str]
#: The least number of lines of a text area, and that of a text area for PEM.
_LEAST_ROWS = 3
_PEM_ROWS = 8


@frozen(kw_only=True)
class ShownError:
    """Why a value was refused."""

    #: The name of the field; empty if the error belongs to no field.
    field: str
    #: The ID of the field's input; empty if the page does not have the field.
    anchor: str
    label: str
    text: str


@frozen(kw_only=True)
class ShownChoice:
    """One choice of a field."""

    value: str
    label: str
    is_selected: bool


@frozen(kw_only=True)
class ShownField:
    """A field, as ``_field.html`` needs it."""

    name: str
    #: The ID of the HTML input.
    id: str
    #: The value of a `certcore.hints.FieldKind`.
    kind: str
    label: str
    help: str = ""
    unit: str = ""
    placeholder: str = ""
    #: The value as text; empty for a secret.
    value: str = ""
    #: Whether a checkbox is checked.
    is_checked: bool = False
    choices: tuple[ShownChoice, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    #: How many lines the text area has.
    rows: int = _LEAST_ROWS
    is_required: bool = False
    is_advanced: bool = False
    #: For a secret: whether a value is stored, and the name of the checkbox that removes it.
    is_set: bool = False
    remove_name: str = ""
    #: Whether the input is a text area.
    is_multiline: bool = False
    #: Why the value was refused.
    errors: tuple[str, ...] = ()
    #: The name of the input for a file that may be uploaded instead of the text; empty if there is none.
    file_name: str = ""

    @property
    def described_by(self) -> str:
        """The IDs of the help and the errors, for ``aria-describedby``."""
        return " ".join([*([f"{self.id}-help"] if self.help else []), f"{self.id}-errors"])


@frozen(kw_only=True)
class ShownGroup:
    """A group of fields with a heading."""

    title: str
    fields: tuple[ShownField, ...]
    #: Fields that most users leave unchanged; the page folds them.
    advanced: tuple[ShownField, ...]

    @property
    def is_unfolded(self) -> bool:
        """Whether to unfold the advanced fields, as a value of one of them was refused."""
        return any(each.errors for each in self.advanced)


def anchor_of(name: str) -> str:
    """Return the ID of the HTML input of a field."""
    return f"field-{name}"


def shown_errors(
    errors: Iterable[CertCoreError], fields: Iterable[FormField | ShownField], texts: Texts
) -> tuple[ShownError, ...]:
    """Return the errors of a form, each with the label of its field; an error that belongs to no field has no label.

    Args:
        errors: Errors that calls raised. An error about several fields is split.
        fields: The fields of the page.
        texts: Translates to the reader's language.
    """
    labels = {each.name: texts(each.label) for each in fields}
    return tuple(shown for error in errors for shown in _taken_apart(error, labels, texts))


def _taken_apart(error: CertCoreError, labels: Mapping[str, str], texts: Texts) -> Iterable[ShownError]:
    match error:
        case InvalidInputError():
            refused = [(each.field, each.reason_text, each.advice_text) for each in error.errors]
        case KeyMismatchError():
            refused = [(error.field, error.text, error.advice_text)]
        case _:
            refused = [("", error.text, error.advice_text)]
    for name, reason, advice in refused:
        is_here = name in labels
        # The text of a `KeyMismatchError` begins with the field's name, which the page shows as the label.
        text = f"{texts(reason)} {texts(advice)}".strip().removeprefix(f"{name}: ")
        anchor = anchor_of(name) if is_here else ""
        yield ShownError(field=name, anchor=anchor, label=labels.get(name, name), text=text)


def shown_fields(
    fields: Iterable[FormField],
    texts: Texts,
    *,
    errors: Iterable[ShownError] = (),
    values: Mapping[str, Any] | None = None,
) -> tuple[ShownField, ...]:
    """Return the fields of a form as templates need them.

    Args:
        fields: The fields of an `certcore.hints.InputForm`, which have values, or those of an action.
        texts: Translates to the reader's language.
        errors: The errors of refused values.
        values: The posted values, for fields that are not those of an `certcore.hints.InputForm`.
    """
    refused = tuple(errors)
    return tuple(shown_field(each, texts, errors=refused, values=values) for each in fields)


def shown_groups(form: InputForm, texts: Texts, errors: Iterable[ShownError] = ()) -> tuple[ShownGroup, ...]:
    """Return the fields of a certificate's form that the user can fill in now, in groups.

    Args:
        form: The form of a certificate.
        texts: Translates to the reader's language.
        errors: The errors of refused values.
    """
    refused = tuple(errors)
    groups = []
    for name, members in form.groups().items():
        fields = shown_fields([each for each in members if can_be_filled_in(each)], texts, errors=refused)
        if fields:
            groups.append(
                ShownGroup(
                    title=texts(label_of(FieldGroup(name))),
                    fields=tuple(each for each in fields if not each.is_advanced),
                    advanced=tuple(each for each in fields if each.is_advanced),
                )
            )
    return tuple(groups)


def can_be_filled_in(field: InputField) -> bool:
    """Whether the user can fill in a field now: it is not locked, and ``fallbacks`` have a CA profile to choose."""
    is_choice_of_none = field.name == "fallbacks" and not field.choices
    return field.edit_method is not None and not is_choice_of_none


def shown_field(
    field: FormField,
    texts: Texts,
    *,
    errors: Iterable[ShownError] = (),
    values: Mapping[str, Any] | None = None,
) -> ShownField:
    """Return a field as templates need it; the arguments are those of `shown_fields`."""
    value = field.value if isinstance(field, InputField) else _value_of(field, values)
    is_secret = field.kind is FieldKind.SECRET
    is_multiline = field.multiline or field.kind in (FieldKind.MULTILINE, FieldKind.LINES)
    return ShownField(
        name=field.name,
        id=anchor_of(field.name),
        kind=str(field.kind),
        label=texts(field.label),
        help="" if field.help is None else texts(field.help),
        unit="" if field.unit is None else texts(field.unit),
        placeholder=field.placeholder,
        value="" if is_secret else value,
        is_checked=value == "yes",
        choices=_shown_choices(field, value, texts),
        minimum=field.minimum,
        maximum=field.maximum,
        longest=None if field.kind is FieldKind.LINES else field.longest,
        rows=max(_LEAST_ROWS, _PEM_ROWS if field.kind is FieldKind.MULTILINE else value.count("\n") + 2),
        is_required=field.required,
        is_advanced=field.advanced,
        is_set=isinstance(field, InputField) and field.is_set,
        remove_name=field.remove_name if isinstance(field, InputField) else "",
        is_multiline=is_multiline,
        errors=tuple(error.text for error in errors if error.field == field.name),
    )


def _shown_choices(field: FormField, value: str, texts: Texts) -> tuple[ShownChoice, ...]:
    """Return the choices of a field: first the chosen ones in the order of the value, then the others."""
    entries = value.splitlines() if field.kind is FieldKind.LINES else [value]
    order = {entry: index for index, entry in enumerate(entries)}
    choices = sorted(field.choices, key=lambda choice: order.get(choice.value, len(order)))
    return tuple(
        ShownChoice(value=each.value, label=texts(each.label), is_selected=each.value in order) for each in choices
    )


def _value_of(field: FormField, values: Mapping[str, Any] | None) -> str:
    """Return the posted value of a field; its default if there are no posted values."""
    if values is not None:
        posted = values.get(field.name)
        if field.kind is FieldKind.BOOLEAN:
            return "yes" if posted else "no"
        return "" if posted is None else str(posted)
    if field.kind is FieldKind.BOOLEAN:
        return "yes" if field.default else "no"
    if isinstance(field.default, list | tuple):
        return "\n".join(map(str, field.default))
    return "" if field.default is None or field.kind is FieldKind.SECRET else str(field.default)
