"""Fields of forms and their errors as templates draw them: texts in the reader's language, values ready to print."""

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

#: Gives the text of a message in the reader's language: a `certcore.hints.Translator`.
Texts = Callable[[Message | str], str]
#: How many lines a list has at least.
_LEAST_ROWS = 3
_PEM_ROWS = 8


@frozen(kw_only=True)
class ShownError:
    """Why a value was refused."""

    #: The name of the field.
    field: str
    #: The ID of its input; empty where the page has no such field.
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
    """One field, as ``_field.html`` draws it."""

    name: str
    #: The ID of its input.
    id: str
    #: A `certcore.hints.FieldKind` as text.
    kind: str
    label: str
    help: str = ""
    unit: str = ""
    placeholder: str = ""
    #: The value as text; empty for a secret.
    value: str = ""
    #: Whether a box is checked.
    is_checked: bool = False
    choices: tuple[ShownChoice, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    #: How many lines its input has.
    rows: int = _LEAST_ROWS
    is_required: bool = False
    is_advanced: bool = False
    #: For a secret: whether a value is stored, and the name of the box that removes it.
    is_set: bool = False
    remove_name: str = ""
    #: Whether a secret has several lines.
    is_multiline: bool = False
    #: Why its value was refused.
    errors: tuple[str, ...] = ()
    #: A file that may be given instead of the text: the name of its input; empty for none.
    file_name: str = ""

    @property
    def described_by(self) -> str:
        """The IDs of what explains it, for ``aria-describedby``."""
        return " ".join([*([f"{self.id}-help"] if self.help else []), f"{self.id}-errors"])


@frozen(kw_only=True)
class ShownGroup:
    """A block of fields with its heading."""

    title: str
    fields: tuple[ShownField, ...]
    #: Those that most people leave as they are: they are folded away.
    advanced: tuple[ShownField, ...]

    @property
    def is_unfolded(self) -> bool:
        """Whether a value among the folded fields was refused, so that they have to be seen."""
        return any(each.errors for each in self.advanced)


def anchor_of(name: str) -> str:
    """The ID of the input of a field."""
    return f"field-{name}"


def shown_errors(
    errors: Iterable[CertCoreError], fields: Iterable[FormField | ShownField], texts: Texts
) -> tuple[ShownError, ...]:
    """The refused values of a form, each with the label of its field; an error that is about no field has none.

    Args:
        errors: What a call raised. One that has several is taken apart.
        fields: The fields of the page.
        texts: Gives the texts in the reader's language.
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
        # The label is beside it; the sentence of a key that does not fit begins with the field's name.
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
    """The fields of a form as templates draw them.

    Args:
        fields: Those of an `certcore.hints.InputForm`, which have values; or those of an action.
        texts: Gives the texts in the reader's language.
        errors: Why values were refused.
        values: What was posted, for fields that have no values of their own.
    """
    refused = tuple(errors)
    return tuple(shown_field(each, texts, errors=refused, values=values) for each in fields)


def shown_groups(form: InputForm, texts: Texts, errors: Iterable[ShownError] = ()) -> tuple[ShownGroup, ...]:
    """The fields of a certificate's form that can be filled in now, by their blocks.

    Args:
        form: The form of a certificate.
        texts: Gives the texts in the reader's language.
        errors: Why values were refused.
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
    """Whether a field can be filled in now; a field without choices cannot."""
    is_choice_of_none = field.name == "fallbacks" and not field.choices
    return field.edit_method is not None and not is_choice_of_none


def shown_field(
    field: FormField,
    texts: Texts,
    *,
    errors: Iterable[ShownError] = (),
    values: Mapping[str, Any] | None = None,
) -> ShownField:
    """A field as templates draw it; the arguments are those of `shown_fields`."""
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
    """The choices of a field; those of a list are in the order of its entries, the others after them."""
    entries = value.splitlines() if field.kind is FieldKind.LINES else [value]
    order = {entry: index for index, entry in enumerate(entries)}
    choices = sorted(field.choices, key=lambda choice: order.get(choice.value, len(order)))
    return tuple(
        ShownChoice(value=each.value, label=texts(each.label), is_selected=each.value in order) for each in choices
    )


def _value_of(field: FormField, values: Mapping[str, Any] | None) -> str:
    """The value that was posted, else the default."""
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
