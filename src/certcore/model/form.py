"""Forms from attrs classes: one declaration is the form, the validation and the command's options at once.

A CA module writes its settings as a frozen attrs class whose fields are made with the functions here::

    @frozen(kw_only=True)
    class Profile:
        email: str = form.text("Account e-mail", default="")
        ttl: int = form.integer("TTL", default=30, minimum=30, maximum=86400, unit="seconds")

`fields_of` lists the fields for a panel, `structure` builds the value from what a user typed and names the field that
is wrong, `unstructure` gives the plain JSON back, secrets left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

import attrs
from attrs import frozen

from certcore.errors import InvalidInput
from certcore.model.bounds import at_most, counted, members, text_within
from certcore.model.secret import Secret

__all__ = [
    "Choice",
    "FieldKind",
    "FormField",
    "boolean",
    "choice",
    "fields_of",
    "integer",
    "lines",
    "refuse_old_consents",
    "secret",
    "structure",
    "text",
    "unstructure",
]

T = TypeVar("T")
_METADATA = "certcore.form"
_TRUE = frozenset({"1", "true", "yes", "on", "y"})
_FALSE = frozenset({"0", "false", "no", "off", "n"})
#: No number and no yes or no is longer.
_LONGEST_WORD: Final = 40
_SHOWN_NUMBER: Final = 10**_LONGEST_WORD
#: Lists may have so many entries more than are allowed, if those are empty.
_EMPTY_ENTRIES: Final = 1000


class FieldKind(StrEnum):
    """How a field is shown and typed."""

    TEXT = "text"
    #: Several lines in one text (a PEM, say).
    MULTILINE = "multiline"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    #: A list of texts, one per line.
    LINES = "lines"
    #: Text that is sealed at rest and never shown again.
    SECRET = "secret"  # noqa: S105 - a kind of field, not a password


@frozen
class Choice:
    """One choice of a `FieldKind.CHOICE` field."""

    value: str
    label: str


@frozen(kw_only=True)
class FormField:
    """One field of a form, as a panel needs it to draw it."""

    name: str
    label: str
    kind: FieldKind
    help: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[Choice, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    #: How long a text, or one of the texts of a list, may be, in characters; None for other kinds.
    longest: int | None = None
    #: How many texts a list may have; None for other kinds.
    most: int | None = None
    #: What a number counts, for example ``seconds``.
    unit: str = ""
    placeholder: str = ""
    #: Whether line breaks are part of a secret (a PEM, say).
    multiline: bool = False
    #: The fields that a yes was said to: when one of them changes, it has to be said again.
    consent_to: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The field as plain data; members without a value are left out."""
        plain = attrs.asdict(self)
        plain["kind"] = str(self.kind)
        plain["multiline"] = self.multiline or None
        return {name: value for name, value in plain.items() if value not in (None, "", (), []) or name == "required"}


def text(
    label: str,
    *,
    default: Any = attrs.NOTHING,
    help: str = "",  # noqa: A002 - the word of the field
    placeholder: str = "",
    multiline: bool = False,
    parse: Callable[[str, str], Any] | None = None,
    maximum: int = 4096,
) -> Any:
    """A text field.

    Args:
        label: What the panel shows beside it.
        default: The value when nothing is given; without one the field is required.
        help: One sentence under the field.
        placeholder: An example shown while it is empty.
        multiline: Whether line breaks are part of it.
        parse: Called with the text and the field's name; returns the value or raises InvalidInput.
        maximum: The longest text in characters.
    """
    kind = FieldKind.MULTILINE if multiline else FieldKind.TEXT
    return _field(kind, label, default, help=help, placeholder=placeholder, parse=parse, longest=maximum)


def secret(
    label: str,
    *,
    default: Any = attrs.NOTHING,
    help: str = "",  # noqa: A002
    multiline: bool = False,
    maximum: int = 4096,
) -> Any:
    """A field whose value is a `Secret`, of at most ``maximum`` bytes: sealed at rest and never shown again."""
    return _field(FieldKind.SECRET, label, default, help=help, multiline=multiline, longest=maximum)


def integer(
    label: str,
    *,
    minimum: int,
    maximum: int,
    default: Any = attrs.NOTHING,
    unit: str = "",
    help: str = "",  # noqa: A002
) -> Any:
    """A whole number between two bounds, both allowed."""
    return _field(FieldKind.INTEGER, label, default, help=help, minimum=minimum, maximum=maximum, unit=unit)


def boolean(
    label: str,
    *,
    default: Any = attrs.NOTHING,
    help: str = "",  # noqa: A002
    consent_to: tuple[str, ...] = (),
) -> Any:
    """A yes or no.

    Args:
        label: What the panel shows beside it.
        default: The value when nothing is given; without one the field is required.
        help: One sentence under the field.
        consent_to: For a consent: the fields that say to what. A yes is not taken over when one of them changes.
    """
    return _field(FieldKind.BOOLEAN, label, default, help=help, consent_to=consent_to)


def choice(label: str, choices: Iterable[Choice], *, default: Any = attrs.NOTHING, help: str = "") -> Any:  # noqa: A002
    """One of a fixed set of values."""
    return _field(FieldKind.CHOICE, label, default, help=help, choices=tuple(choices))


def lines(
    label: str,
    *,
    default: Any = (),
    help: str = "",  # noqa: A002
    placeholder: str = "",
    parse: Callable[[str, str], Any] | None = None,
    maximum: int = 50,
    longest: int = 1024,
) -> Any:
    """A list of texts, one per line.

    Args:
        label: What the panel shows beside it.
        default: The value when nothing is given.
        help: One sentence under the field.
        placeholder: An example shown while it is empty.
        parse: Called for each text, with the field's name; returns the value or raises InvalidInput.
        maximum: How many there may be.
        longest: How long each may be, in characters.
    """
    bounds = {"most": maximum, "longest": longest}
    return _field(FieldKind.LINES, label, default, help=help, placeholder=placeholder, parse=parse, **bounds)


def fields_of(settings_type: type) -> tuple[FormField, ...]:
    """The form of a settings class, in the order of its attributes.

    Raises:
        TypeError: An attribute was not made with a function of this module (an author's mistake, not a user's).
    """
    return tuple(_form_field(attribute) for attribute in _attributes(settings_type))


def structure(settings_type: type[T], values: Mapping[str, Any]) -> T:
    """Build the settings from what a user gave, as text or as JSON.

    Raises:
        InvalidInput: A field is unknown, missing or wrong; the error names it.
    """
    attributes = {attribute.name: attribute for attribute in _attributes(settings_type)}
    for name in members("settings", values):
        if name not in attributes:
            known = ", ".join(attributes)
            raise InvalidInput(str(name)[:60], "there is no such setting.", advice=f"Known settings: {known}.")
    given: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if name in values and values[name] is not None:
            given[name] = _read(attribute, values[name])
        elif attribute.default is attrs.NOTHING:
            raise InvalidInput(name, "is required.")
    return settings_type(**given)


def refuse_old_consents(
    settings_type: type, before: Mapping[str, Any], after: Mapping[str, Any], given: Iterable[str]
) -> None:
    """Refuse a change that would take a consent over to something else than it was given to.

    Args:
        settings_type: The settings class.
        before: The plain values as they were.
        after: As they are to be.
        given: The names of the fields that the user fills in with this change.

    Raises:
        InvalidInput: A consent has to be given again, or taken back.
    """
    filled_in = set(given)
    fields = {one.name: one for one in fields_of(settings_type)}
    for one in fields.values():
        if after.get(one.name) is not True or one.name in filled_in:
            continue
        for name in one.consent_to:
            default = fields[name].default if name in fields else None
            old, new = before.get(name, default), after.get(name, default)
            is_less = isinstance(old, list | tuple) and isinstance(new, list | tuple) and set(new) <= set(old)
            if old != new and not is_less:
                raise InvalidInput(
                    one.name,
                    f"the yes was said when {name} was {_shown(old)}; it does not go over to {_shown(new)}.",
                    advice=f"Give {one.name} again, yes or no, together with the change.",
                )


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
    return repr(text[:100]) if text else "nothing"


def unstructure(settings: Any) -> dict[str, Any]:
    """The settings as plain JSON, the secret fields left out."""
    plain: dict[str, Any] = {}
    for attribute in _attributes(type(settings)):
        if _form_field(attribute).kind is FieldKind.SECRET:
            continue
        value = getattr(settings, attribute.name)
        plain[attribute.name] = [str(one) for one in value] if isinstance(value, tuple) else _plain(value)
    return plain


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _field(
    kind: FieldKind, label: str, default: Any, *, parse: Callable[[str, str], Any] | None = None, **options: Any
) -> Any:
    spec = {"kind": kind, "label": label, "parse": parse, **options}
    hidden = kind is FieldKind.SECRET
    return attrs.field(default=default, repr=not hidden, metadata={_METADATA: spec})


def _attributes(settings_type: type) -> Sequence[attrs.Attribute[Any]]:
    return tuple(attrs.fields(settings_type))


def _spec(attribute: attrs.Attribute[Any]) -> Mapping[str, Any]:
    try:
        spec: Mapping[str, Any] = attribute.metadata[_METADATA]
    except KeyError:
        raise TypeError(f"The setting {attribute.name!r} is not made with certcore.model.form.") from None
    return spec


def _form_field(attribute: attrs.Attribute[Any]) -> FormField:
    spec = {name: value for name, value in _spec(attribute).items() if name != "parse"}
    required = attribute.default is attrs.NOTHING
    default = None if required or isinstance(attribute.default, (Secret, attrs.Factory)) else attribute.default  # type: ignore[arg-type]
    if isinstance(default, tuple):
        default = [str(one) for one in default]
    return FormField(name=attribute.name, required=required, default=_default(default), **spec)


def _default(value: Any) -> Any:
    return value if isinstance(value, list) else _plain(value)


def _read(attribute: attrs.Attribute[Any], value: Any) -> Any:
    spec = _spec(attribute)
    name = attribute.name
    match spec["kind"]:
        case FieldKind.INTEGER:
            return _read_integer(name, value, spec["minimum"], spec["maximum"])
        case FieldKind.BOOLEAN:
            return _read_boolean(name, value)
        case FieldKind.CHOICE:
            choices = [one.value for one in spec["choices"]]
            if value not in choices:
                shown = value[:60] if isinstance(value, str) else type(value).__name__
                raise InvalidInput(name, f"{shown!r} is not one of: {', '.join(choices)}.")
            return value
        case FieldKind.LINES:
            return _read_lines(name, value, spec)
        case FieldKind.SECRET:
            if isinstance(value, Secret):
                if len(value.reveal()) > spec["longest"]:
                    raise InvalidInput(name, f"is longer than {spec['longest']} bytes.")
                return value
            return Secret(_read_text(name, value, spec))
        case _:
            plain = _read_text(name, value, spec)
            if plain == "" and attribute.default is attrs.NOTHING:
                raise InvalidInput(name, "is required.")
            return spec["parse"](plain, name) if spec["parse"] and plain else plain


def _read_text(name: str, value: Any, spec: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise InvalidInput(name, "must be text.")
    plain = value.strip()
    text_within(name, plain, spec["longest"])
    lines_allowed = spec["kind"] is FieldKind.MULTILINE or spec.get("multiline", False)
    if not lines_allowed and any(ord(character) < 0x20 for character in plain):  # noqa: PLR2004
        raise InvalidInput(name, "must be a single line without control characters.")
    return plain


def _read_integer(name: str, value: Any, minimum: int, maximum: int) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise TypeError  # noqa: TRY301 - one sentence for every wrong kind of value
        number = int(at_most(value, _LONGEST_WORD) if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise InvalidInput(name, f"must be a whole number from {minimum} to {maximum}.") from None
    if not minimum <= number <= maximum:
        shown = f"{number} is out of range; it" if abs(number) < _SHOWN_NUMBER else "it"
        raise InvalidInput(name, f"{shown} must be from {minimum} to {maximum}.")
    return number


def _read_boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = at_most(value, _LONGEST_WORD).strip().lower() if isinstance(value, str) else ""
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise InvalidInput(name, "must be yes or no.")


def _read_lines(name: str, value: Any, spec: Mapping[str, Any]) -> tuple[Any, ...]:
    most, longest = spec["most"], spec["longest"]
    if isinstance(value, str):
        value = text_within(name, value, most * (longest + 2)).replace(",", "\n").splitlines()
    elif not isinstance(value, (list, tuple)):
        raise InvalidInput(name, "must be a list of texts.")
    else:
        counted(name, value, most + _EMPTY_ENTRIES)
    if not all(isinstance(one, str) for one in value):
        raise InvalidInput(name, "must be a list of texts.")
    entries = [one.strip() for one in value if one.strip()]
    if len(entries) > most:
        raise InvalidInput(name, f"has {len(entries)} entries; at most {most} are allowed.")
    for one in entries:
        text_within(name, one, longest)
    return tuple(spec["parse"](one, name) if spec["parse"] else one for one in entries)
