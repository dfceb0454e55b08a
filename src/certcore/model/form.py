"""Forms from attrs classes: one declaration defines the form, its validation and the options of the command.

A CA module declares its settings as a frozen attrs class whose fields are made with the functions here::

    @frozen(kw_only=True)
    class Profile:
        email: str = form.text("Account e-mail", default="")
        ttl: int = form.integer("TTL", default=30, minimum=30, maximum=86400, unit="seconds")

`fields_of` lists the fields for a panel. `structure` validates input and makes an instance. `unstructure` converts an
instance to plain JSON without its secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import attrs

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.field_errors import FieldErrors
from certcore.model.form_fields import Choice, FieldKind, FormField
from certcore.model.input_limits import at_most, counted, members, not_a_choice, not_text, not_whole_number, text_within
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
    "read_boolean",
    "read_integer",
    "read_value",
    "refuse_old_consents",
    "secret",
    "secret_fields",
    "structure",
    "text",
    "unstructure",
]

T = TypeVar("T")
_METADATA = "certcore.form"
_TRUE = frozenset({"1", "true", "yes", "on", "y"})
_FALSE = frozenset({"0", "false", "no", "off", "n"})
#: The longest input for a number or a truth value, in characters.
_LONGEST_WORD: Final = 40
_SHOWN_NUMBER: Final = 10**_LONGEST_WORD
#: How many empty entries a list may have besides the allowed ones.
_EMPTY_ENTRIES: Final = 1000


def text(  # noqa: PLR0913 - the parts of one description
    label: str | Message,
    *,
    default: Any = attrs.NOTHING,
    help: str | Message = "",  # noqa: A002 - the word of the field
    placeholder: str = "",
    multiline: bool = False,
    parse: Callable[[str, str], Any] | None = None,
    maximum: int = 4096,
    advanced: bool = False,
    personal: bool = False,
) -> Any:
    """A text field.

    Args:
        label: The label that the panel shows.
        default: The value if nothing is given. A field without a default is required.
        help: One sentence that the panel shows under the field.
        placeholder: An example that the panel shows while the field is empty.
        multiline: Whether the text may contain line breaks.
        parse: Called with the text and the field's name. Returns the value, or raises an `InvalidInputError`.
        maximum: The longest text, in characters.
        advanced: Whether a page may hide the field at first, because most users keep the default.
        personal: Whether the value is about the person who fills it in. A transfer to another owner clears it.

    Returns:
        The attrs field, to be assigned in the class. The other functions return one, too.
    """
    kind = FieldKind.MULTILINE if multiline else FieldKind.TEXT
    options: dict[str, Any] = {
        "placeholder": placeholder,
        "longest": maximum,
        "advanced": advanced,
        "personal": personal,
    }
    return _field(kind, label, default, help=help, parse=parse, **options)


def secret(
    label: str | Message,
    *,
    default: Any = attrs.NOTHING,
    help: str | Message = "",  # noqa: A002
    multiline: bool = False,
    maximum: int = 4096,
    advanced: bool = False,
) -> Any:
    """A field whose value is a `Secret` of at most ``maximum`` bytes. It is stored sealed, and never shown again.

    The other arguments are those of `text`.
    """
    options: dict[str, Any] = {"multiline": multiline, "longest": maximum, "advanced": advanced}
    return _field(FieldKind.SECRET, label, default, help=help, **options)


def integer(
    label: str | Message,
    *,
    minimum: int,
    maximum: int,
    default: Any = attrs.NOTHING,
    unit: str | Message = "",
    help: str | Message = "",  # noqa: A002
    advanced: bool = False,
) -> Any:
    """An integer from ``minimum`` to ``maximum``, both included.

    ``unit`` is what the number counts, for example ``seconds``. The other arguments are those of `text`.
    """
    options: dict[str, Any] = {"minimum": minimum, "maximum": maximum, "unit": unit, "advanced": advanced}
    return _field(FieldKind.INTEGER, label, default, help=help, **options)


def boolean(
    label: str | Message,
    *,
    default: Any = attrs.NOTHING,
    help: str | Message = "",  # noqa: A002
    consent_to: tuple[str, ...] = (),
    advanced: bool = False,
) -> Any:
    """A truth value.

    Args:
        label: The label that the panel shows.
        default: The value if nothing is given. A field without a default is required.
        help: One sentence that the panel shows under the field.
        consent_to: If the field is a consent: the names of the fields that determine what the user consents to. The
            consent must be given again when one of them changes.
        advanced: As in `text`.
    """
    return _field(FieldKind.BOOLEAN, label, default, help=help, consent_to=consent_to, advanced=advanced)


def choice(
    label: str | Message,
    choices: Iterable[Choice],
    *,
    default: Any = attrs.NOTHING,
    help: str | Message = "",  # noqa: A002
    advanced: bool = False,
) -> Any:
    """One of a fixed set of values. The other arguments are those of `text`."""
    return _field(FieldKind.CHOICE, label, default, help=help, choices=tuple(choices), advanced=advanced)


def lines(  # noqa: PLR0913 - as in `text`
    label: str | Message,
    *,
    default: Any = (),
    help: str | Message = "",  # noqa: A002
    placeholder: str = "",
    parse: Callable[[str, str], Any] | None = None,
    maximum: int = 50,
    longest: int = 1024,
    advanced: bool = False,
) -> Any:
    """A list of texts, one per line.

    Args:
        label: The label that the panel shows.
        default: The value if nothing is given.
        help: One sentence that the panel shows under the field.
        placeholder: An example that the panel shows while the field is empty.
        parse: Called with each text and the field's name. Returns the value, or raises an `InvalidInputError`.
        maximum: The largest number of texts.
        longest: The longest text, in characters.
        advanced: As in `text`.
    """
    options: dict[str, Any] = {"placeholder": placeholder, "most": maximum, "longest": longest, "advanced": advanced}
    return _field(FieldKind.LINES, label, default, help=help, parse=parse, **options)


def fields_of(settings_type: type) -> tuple[FormField, ...]:
    """The form of a settings class, in the order of its attributes.

    For translations, a text that is not a `Message` gets a key made of the package, the class and the attribute:
    ``my_package.MyProfile.email.label``, ``….help``, ``….choice.VALUE``.

    Raises:
        TypeError: An attribute was not made with a function of this module, which is a mistake in the class.
    """
    return _fields_of(settings_type)


@lru_cache(maxsize=128)
def _fields_of(settings_type: type) -> tuple[FormField, ...]:
    prefix = f"{settings_type.__module__.partition('.')[0]}.{settings_type.__name__}"
    return tuple(_keyed(_form_field(attribute), prefix) for attribute in _attributes(settings_type))


def _keyed(field: FormField, prefix: str) -> FormField:
    """The field with a key for each of its texts."""
    start = f"{prefix}.{field.name}"
    choices = [
        attrs.evolve(each, label=_with_key(each.label, f"{start}.choice.{each.value}")) for each in field.choices
    ]
    return attrs.evolve(
        field,
        label=_with_key(field.label, f"{start}.label"),
        help=None if field.help is None else _with_key(field.help, f"{start}.help"),
        unit=None if field.unit is None else _with_key(field.unit, f"certcore.unit.{field.unit}"),
        choices=tuple(choices),
    )


def _with_key(message: Message, key: str) -> Message:
    return message if message.key else attrs.evolve(message, key=key)


def secret_fields(settings_type: type) -> tuple[str, ...]:
    """The names of the secret fields of a settings class.

    Raises:
        TypeError: As in `fields_of`.
    """
    return _secret_fields_of(settings_type)


@lru_cache(maxsize=128)
def _secret_fields_of(settings_type: type) -> tuple[str, ...]:
    attributes = _attributes(settings_type)
    return tuple(attribute.name for attribute in attributes if _spec(attribute)["kind"] is FieldKind.SECRET)


def structure(settings_type: type[T], values: Mapping[str, Any]) -> T:
    """Make the settings from input, as texts or as JSON values.

    Raises:
        InvalidInputError: Fields are unknown, missing or invalid; the error names each of them.
    """
    attributes = {attribute.name: attribute for attribute in _attributes(settings_type)}
    errors = FieldErrors()
    for name in members("settings", values):
        if name not in attributes:
            errors.add(_no_such_setting(name, attributes))
    parsed: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if name in values and values[name] is not None:
            with errors.collecting():
                parsed[name] = _read(attribute, values[name])
        elif attribute.default is attrs.NOTHING:
            errors.add(InvalidInputError(name, Message("input.required", "is required.")))
    errors.refuse()
    return settings_type(**parsed)


def _no_such_setting(name: str, known: Iterable[str]) -> InvalidInputError:
    reason = Message("input.no_such_setting", "there is no such setting.")
    advice = Message("input.known_settings", "Known settings: {known}.", {"known": ", ".join(known)})
    return InvalidInputError(name[:60], reason, advice=advice)


def read_value(settings_type: type, name: str, value: Any) -> Any:
    """Convert input for one field to plain JSON, or to a `Secret` for a secret field.

    Raises:
        InvalidInputError: The value is invalid, or there is no such field; the error names it.
    """
    attributes = {attribute.name: attribute for attribute in _attributes(settings_type)}
    if name not in attributes:
        raise _no_such_setting(name, attributes)
    read = _read(attributes[name], value)
    if isinstance(read, Secret):
        return read
    return [str(item) for item in read] if isinstance(read, tuple) else _plain(read)


def refuse_old_consents(
    settings_type: type, before: Mapping[str, Any], after: Mapping[str, Any], changed_fields: Iterable[str]
) -> None:
    """Refuse a change after which a consent would apply to something that the user did not consent to.

    Args:
        settings_type: The settings class.
        before: The stored values as plain JSON.
        after: The values with the change as plain JSON.
        changed_fields: The names of the fields that the user filled in.

    Raises:
        InvalidInputError: A consent must be given again, or withdrawn.
    """
    filled_in = set(changed_fields)
    errors = FieldErrors()
    fields = {field.name: field for field in fields_of(settings_type)}
    for field in fields.values():
        if after.get(field.name) is not True or field.name in filled_in:
            continue
        for name in field.consent_to:
            default = fields[name].default if name in fields else None
            old, new = before.get(name, default), after.get(name, default)
            is_less = isinstance(old, list | tuple) and isinstance(new, list | tuple) and set(new) <= set(old)
            if old != new and not is_less:
                text = "you agreed while {name} was {old}; this does not apply to {new}."
                reason = Message("form.agree_again", text, {"name": name, "old": _shown(old), "new": _shown(new)})
                text = "Give {name} again, yes or no, together with the change."
                advice = Message("form.agree_again.advice", text, {"name": field.name})
                errors.add(InvalidInputError(field.name, reason, advice=advice))
    errors.refuse()


def _shown(value: Any) -> str | Message:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
    return repr(text[:100]) if text else Message("form.nothing", "nothing")


def unstructure(settings: Any) -> dict[str, Any]:
    """The settings as plain JSON, without the secret fields."""
    plain: dict[str, Any] = {}
    for attribute in _attributes(type(settings)):
        if _form_field(attribute).kind is FieldKind.SECRET:
            continue
        value = getattr(settings, attribute.name)
        plain[attribute.name] = [str(item) for item in value] if isinstance(value, tuple) else _plain(value)
    return plain


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _field(
    kind: FieldKind,
    label: str | Message,
    default: Any,
    *,
    parse: Callable[[str, str], Any] | None = None,
    **options: Any,
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
        raise TypeError(f"The setting {attribute.name!r} is not made with certcore.plugin.form.") from None
    return spec


def _form_field(attribute: attrs.Attribute[Any]) -> FormField:
    spec = {name: value for name, value in _spec(attribute).items() if name != "parse"}
    required = attribute.default is attrs.NOTHING
    default = None if required or isinstance(attribute.default, (Secret, attrs.Factory)) else attribute.default  # type: ignore[arg-type]
    if isinstance(default, tuple):
        default = [str(item) for item in default]
    return FormField(name=attribute.name, required=required, default=_default(default), **spec)


def _default(value: Any) -> Any:
    return value if isinstance(value, list) else _plain(value)


def _read(attribute: attrs.Attribute[Any], value: Any) -> Any:
    spec = _spec(attribute)
    name = attribute.name
    match spec["kind"]:
        case FieldKind.INTEGER:
            return read_integer(name, value, spec["minimum"], spec["maximum"])
        case FieldKind.BOOLEAN:
            return read_boolean(name, value)
        case FieldKind.CHOICE:
            choices = [choice.value for choice in spec["choices"]]
            if value not in choices:
                shown = value[:60] if isinstance(value, str) else type(value).__name__
                raise not_a_choice(name, shown, choices)
            return value
        case FieldKind.LINES:
            return _read_lines(name, value, spec)
        case FieldKind.SECRET:
            if isinstance(value, Secret):
                if len(value.reveal()) > spec["longest"]:
                    text = "is longer than {count} bytes."
                    raise InvalidInputError(name, Message("input.too_many_bytes", text, {"count": spec["longest"]}))
                return value
            return Secret(_read_text(name, value, spec))
        case _:
            plain = _read_text(name, value, spec)
            if plain == "" and attribute.default is attrs.NOTHING:
                raise InvalidInputError(name, Message("input.required", "is required."))
            return spec["parse"](plain, name) if spec["parse"] and plain else plain


def _read_text(name: str, value: Any, spec: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise not_text(name)
    plain = value.strip()
    text_within(name, plain, spec["longest"])
    lines_allowed = spec["kind"] is FieldKind.MULTILINE or spec.get("multiline", False)
    if not lines_allowed and any(ord(character) < 0x20 for character in plain):  # noqa: PLR2004
        reason = Message("input.not_one_line", "must be a single line without control characters.")
        raise InvalidInputError(name, reason)
    return plain


def read_integer(name: str, value: Any, minimum: int, maximum: int) -> int:
    """Read an integer from ``minimum`` to ``maximum``, both included, given as a number or as text.

    Raises:
        InvalidInputError: The value is not an integer, or is out of range.
    """
    try:
        if isinstance(value, (bool, float)):
            raise TypeError  # noqa: TRY301 - one sentence for every wrong kind of value
        number = int(at_most(value, _LONGEST_WORD) if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise not_whole_number(name, minimum, maximum) from None
    if not minimum <= number <= maximum:
        raise InvalidInputError(name, _out_of_range(number, minimum, maximum))
    return number


def _out_of_range(number: int, minimum: int, maximum: int) -> Message:
    params = {"minimum": minimum, "maximum": maximum}
    if abs(number) >= _SHOWN_NUMBER:
        return Message("input.far_out_of_range", "it must be from {minimum} to {maximum}.", params)
    text = "{number} is out of range; it must be from {minimum} to {maximum}."
    return Message("input.out_of_range", text, {**params, "number": number})


def read_boolean(name: str, value: Any) -> bool:
    """Read a truth value, given as a boolean, as 1 or 0, or as a word such as ``yes``, ``on`` or ``false``.

    Raises:
        InvalidInputError: The value is none of these.
    """
    if isinstance(value, bool):
        return value
    word = at_most(value, _LONGEST_WORD).strip().lower() if isinstance(value, str) else ""
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise InvalidInputError(name, Message("input.not_yes_or_no", "must be yes or no."))


def _read_lines(name: str, value: Any, spec: Mapping[str, Any]) -> tuple[Any, ...]:
    most, longest = spec["most"], spec["longest"]
    if isinstance(value, str):
        value = text_within(name, value, most * (longest + 2)).replace(",", "\n").splitlines()
    elif not isinstance(value, (list, tuple)):
        raise InvalidInputError(name, Message("input.not_texts", "must be a list of texts."))
    else:
        counted(name, value, most + _EMPTY_ENTRIES)
    if not all(isinstance(item, str) for item in value):
        raise InvalidInputError(name, Message("input.not_texts", "must be a list of texts."))
    entries = [item.strip() for item in value if item.strip()]
    if len(entries) > most:
        text = "has {count} entries; at most {most} are allowed."
        reason = Message("input.more_entries_than_allowed", text, {"count": len(entries), "most": most})
        raise InvalidInputError(name, reason)
    for part in entries:
        text_within(name, part, longest)
    if not spec["parse"]:
        return tuple(entries)
    errors = FieldErrors()
    parsed: list[Any] = []
    for entry in entries:
        with errors.collecting():
            parsed.append(spec["parse"](entry, name))
    errors.refuse()
    return tuple(parsed)
