"""Forms with values, as a page shows them, and `InputForm.bind` to read what a browser posts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.certificate_form import FROM_CSR
from certcore.model.edit_rules import EditMethod, EditRule
from certcore.model.field_errors import FieldErrors
from certcore.model.form import read_boolean
from certcore.model.form_fields import FieldKind, FormField
from certcore.model.input_limits import MOST_ROWS
from certcore.model.posted import posted_texts
from certcore.model.secret import Secret

__all__ = ["IGNORED", "BoundForm", "FormSubject", "InputField", "InputForm", "text_of"]

#: The fields that web frameworks add to forms: the CSRF tokens of Django, Flask-WTF and Starlette.
IGNORED: Final = ("csrfmiddlewaretoken", "csrf_token", "csrftoken")
#: The name under which a page posts the version of the object that it showed.
_VERSION: Final = "version"
#: The suffix of the name of a checkbox that removes a secret.
_REMOVE: Final = ".remove"
#: Arguments that `create` needs even if the user did not change them.
_ALWAYS_PASSED: Final = frozenset({"owner", "authority", "module"})


class FormSubject(StrEnum):
    """What a form is about."""

    CERTIFICATE = "certificate"
    #: A CA profile.
    AUTHORITY = "authority"


@frozen(kw_only=True)
class InputField(FormField):
    """One field of a form with its value."""

    #: The value as text: ``yes`` or ``no`` for a truth value, one entry per line for a list, always empty for a secret.
    value: str = ""
    #: The block of the page: a `FieldGroup` for a certificate; ``profile`` or ``settings`` for a CA profile.
    group: str
    #: When the field may be edited.
    edit_rule: EditRule
    #: The call that saves a change of the field now; None if the field cannot be changed now.
    edit_method: EditMethod | None
    #: Why the field cannot be changed now, as a clause that follows the label; None if it can be changed.
    locked: Message | None = None
    #: The argument of that call: the field itself, or the mapping that contains it.
    keyword: str
    #: The name of the field within that mapping.
    member: str
    #: Whether a value of the secret is stored; False for other fields.
    is_set: bool = False
    #: Converts a text or a truth value to the plain value that is stored, or to a `Secret`.
    read: Callable[[Any], Any] = field(repr=False, eq=False)

    @property
    def checked(self) -> bool:
        """Whether the checkbox of a truth value is checked."""
        return self.value == "yes"

    @property
    def entries(self) -> tuple[str, ...]:
        """The entries of a list."""
        return tuple(self.value.splitlines())

    @property
    def remove_name(self) -> str:
        """The name of the checkbox that removes a stored secret when posted as ``yes``; empty for other fields."""
        return f"{self.name}{_REMOVE}" if self.is_set else ""

    def to_json(self) -> dict[str, Any]:
        """The field with its value as plain JSON. Members without a value are left out."""
        plain = super().to_json() | {
            "value": self.value,
            "group": self.group,
            "edit_rule": str(self.edit_rule),
            "edit_method": None if self.edit_method is None else str(self.edit_method),
            "locked": None if self.locked is None else self.locked.to_json(),
        }
        return plain | ({"is_set": self.is_set} if self.kind is FieldKind.SECRET else {})


@frozen(kw_only=True)
class BoundForm:
    """A validated form that was posted. Pass it to `Certificates.save` or `Authorities.save`."""

    subject: FormSubject
    #: The ID of the certificate or CA profile; None for a new one.
    target: str | None
    #: The call that saves the form: ``create``, ``edit`` or ``reissue``.
    method: EditMethod
    #: The arguments of the call, without the ID and the actor. Secrets are `Secret` values.
    arguments: Mapping[str, Any]
    #: The names of the fields that differ from the values that the form showed.
    changed: tuple[str, ...]
    #: The values of all fields after saving, as text, by name; empty for a partial form.
    values: Mapping[str, str]


@frozen(kw_only=True)
class InputForm:
    """The form of a new or stored certificate or CA profile, as the actor may see and change it."""

    subject: FormSubject
    #: The ID of the certificate or CA profile; None for a new one.
    target: str | None
    fields: tuple[InputField, ...]
    #: The version that the form shows. A page posts it as ``version``, so that a newer version is not overwritten.
    version: int | None = None
    #: Returns the values that the fields would have after a call, and raises the errors of the call. Stores nothing.
    preview: Callable[[EditMethod, Mapping[str, Any]], Mapping[str, str]] = field(repr=False, eq=False)

    def __getitem__(self, name: str) -> InputField:
        """The field of this name.

        Raises:
            KeyError: There is no such field.
        """
        for each in self.fields:
            if each.name == name:
                return each
        raise KeyError(name)

    def __iter__(self) -> Iterator[InputField]:
        """The fields, in the order of the page."""
        return iter(self.fields)

    def __contains__(self, name: object) -> bool:
        """Whether there is a field of this name."""
        return any(each.name == name for each in self.fields)

    def groups(self) -> Mapping[str, tuple[InputField, ...]]:
        """The fields by group, in the order of the page."""
        names = dict.fromkeys(each.group for each in self.fields)
        return {name: tuple(each for each in self.fields if each.group == name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """The form as plain JSON."""
        return {
            "subject": str(self.subject),
            "target": self.target,
            "version": self.version,
            "fields": [each.to_json() for each in self.fields],
        }

    def bind(self, posted: Any, *, partial: bool = False, ignore: Iterable[str] = IGNORED) -> BoundForm:
        """Read and validate what a browser or a program posted. Nothing is stored.

        Args:
            posted: A mapping of names to texts or lists of texts, for example Django's ``QueryDict``, Flask's
                ``MultiDict`` or Starlette's ``FormData``. Truth values and numbers from JSON are accepted, too.
            partial: Whether only some fields are given, as in a PATCH request. Then a missing checkbox is unchanged, an
                empty secret is removed, and only the call that saves the form checks the fields together.
            ignore: Names that may be posted in addition to the fields.

        Raises:
            InvalidInputError: Values are invalid; ``errors`` has all of them.
        """
        errors = FieldErrors()
        texts = posted_texts(posted, errors)
        version = self._version(texts.pop(_VERSION, None), errors)
        for name in ignore:
            texts.pop(name, None)
        read = {each.name: self._read(each, texts, errors, partial=partial) for each in self.fields}
        self._refuse_unknown(texts, errors)
        changes = {name: value for name, value in read.items() if value is not None}
        if not partial:
            self._refuse_missing(changes, errors)
            changes = {name: value for name, value in changes.items() if self._is_passed(name, value)}
        errors.refuse()
        passed = [self[name] for name in changes]
        changed = [each for each in passed if changes[each.name].text != each.value or changes[each.name].is_secret]
        arguments = self._arguments(passed, changes) | version
        method = self._method(changed)
        values: Mapping[str, str] = {}
        if not partial:
            values = self._previewed(method, arguments, passed)
        return BoundForm(
            subject=self.subject,
            target=self.target,
            method=method,
            arguments=arguments,
            changed=tuple(each.name for each in changed),
            values=values,
        )

    def refilled(self, posted: Any) -> InputForm:
        """The form with the posted values, valid or not, to be shown again with its errors.

        Secrets are not filled in, and fields that cannot be changed keep their values.
        """
        texts = posted_texts(posted, FieldErrors())
        return evolve(self, fields=tuple(_refilled(each, texts) for each in self.fields))

    def _version(self, texts: list[Any] | None, errors: FieldErrors) -> dict[str, int]:
        if texts is None or self.target is None or texts[-1] == "":
            return {}
        text = str(texts[-1]).strip()
        if not (text.isascii() and text.isdecimal() and len(text) < len(str(MOST_ROWS))):
            errors.add(InvalidInputError(_VERSION, Message("form.version", "must be a whole number.")))
            return {}
        return {_VERSION: int(text)}

    def _read(
        self, each: InputField, texts: dict[str, list[Any]], errors: FieldErrors, *, partial: bool
    ) -> _Value | None:
        """The posted value of a field; None if the field is unchanged or the value is invalid."""
        entered = texts.pop(each.name, None)
        removed = texts.pop(f"{each.name}{_REMOVE}", None) if each.kind is FieldKind.SECRET else None
        with errors.collecting():
            if removed is not None and read_boolean(each.name, removed[-1] or False):
                return _Value(plain="", text="", is_secret=True)
            if entered is None:
                is_unchecked = each.kind is FieldKind.BOOLEAN and not partial and each.edit_method is not None
                return _Value(plain=False, text="no") if is_unchecked else None
            raw = _single(each, entered)
            if each.kind is FieldKind.SECRET and raw == "" and not partial:
                return None
            if each.value == "" and isinstance(raw, str) and not raw.strip() and each.kind is not FieldKind.SECRET:
                return None
            plain = _renamed(each, raw)
            value = _Value(plain=plain, text=text_of(each.kind, plain), is_secret=isinstance(plain, Secret))
            if each.locked is not None and value.text != each.value:
                raise InvalidInputError(each.name, each.locked)
            return value
        return None

    def _is_passed(self, name: str, value: _Value) -> bool:
        """Whether a value is passed to the call: changed values and consents, which are given again with each save."""
        return value.is_secret or value.text != self[name].value or bool(self[name].consent_to)

    def _refuse_unknown(self, texts: Mapping[str, object], errors: FieldErrors) -> None:
        for name in texts:
            known = ", ".join(each.name for each in self.fields)
            advice = Message("form.fields", "Fields: {fields}.", {"fields": known})
            errors.add(InvalidInputError(name[:60], Message("form.no_field", "there is no such field."), advice=advice))

    def _refuse_missing(self, changes: Mapping[str, _Value], errors: FieldErrors) -> None:
        has_csr = "csr" in changes and bool(changes["csr"].text)
        wrong = errors.fields
        for each in self.fields:
            if not each.required or self.target is not None or (has_csr and each.name in FROM_CSR):
                continue
            value = changes.get(each.name)
            is_given = bool(each.value if value is None else value.text) or (value is not None and value.is_secret)
            if not is_given and each.name not in wrong:
                errors.add(InvalidInputError(each.name, Message("form.required", "is required.")))

    def _arguments(self, passed: list[InputField], values: Mapping[str, _Value]) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if self.target is None:
            always = (each for each in self.fields if each.name in _ALWAYS_PASSED and each.keyword == each.name)
            arguments = {each.keyword: each.value for each in always if each.value}
        for each in passed:
            plain = values[each.name].plain
            if each.keyword == each.name:
                arguments[each.keyword] = plain
            else:
                arguments.setdefault(each.keyword, {})[each.member] = plain
        return arguments

    def _method(self, changed: Iterable[InputField]) -> EditMethod:
        if self.target is None:
            return EditMethod.CREATE
        needs_reissue = any(each.edit_method is EditMethod.REISSUE for each in changed)
        return EditMethod.REISSUE if needs_reissue else EditMethod.EDIT

    def _previewed(
        self, method: EditMethod, arguments: Mapping[str, Any], passed: list[InputField]
    ) -> Mapping[str, str]:
        try:
            return self.preview(method, arguments)
        except InvalidInputError as refused:
            errors = FieldErrors()
            names = {each.name for each in self.fields}
            for error in refused.errors:
                # Some errors name the argument, but the page has fields for its members.
                of_argument = [each.name for each in passed if each.keyword == error.field]
                for name in [error.field] if error.field in names or not of_argument else of_argument:
                    errors.add(_about(name, error) if of_argument else error)
            errors.refuse()
            raise


@frozen(kw_only=True)
class _Value:
    """The posted value of a field."""

    plain: Any
    text: str
    is_secret: bool = False


def text_of(kind: FieldKind, value: object) -> str:
    """A plain value as text in a form."""
    match value:
        case None | Secret():
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return "\n".join(map(str, value))
        case _:
            return "" if kind is FieldKind.SECRET else str(value)


def _single(each: InputField, entered: list[Any]) -> Any:
    """The value that was posted under a name.

    Raises:
        InvalidInputError: There are several values, and the field is not a list.
    """
    if each.kind is FieldKind.LINES:
        return "\n".join(map(str, entered))
    if each.kind is FieldKind.BOOLEAN:
        # Pages post a hidden "no" before the checkbox, because browsers do not post an unchecked checkbox.
        return False if entered[-1] == "" else entered[-1]
    if len(set(entered)) > 1:
        raise InvalidInputError(each.name, Message("form.twice", "is given more than once."))
    return entered[0] if isinstance(entered[0], str) else str(entered[0])


def _renamed(each: InputField, raw: Any) -> Any:
    """The plain value of a field. Errors are renamed to the field's name in the form."""
    try:
        return each.read(raw)
    except InvalidInputError as refused:
        if each.name == each.member:
            raise
        errors = FieldErrors()
        for error in refused.errors:
            errors.add(_about(each.name, error))
        errors.refuse()
        raise


def _about(name: str, error: InvalidInputError) -> InvalidInputError:
    """The same error about another field."""
    return InvalidInputError(name, error.reason_text, advice=error.advice_text)


def _refilled(each: InputField, texts: Mapping[str, list[Any]]) -> InputField:
    if each.kind is FieldKind.SECRET or each.edit_method is None:
        return each
    entered = texts.get(each.name)
    if each.kind is FieldKind.BOOLEAN:
        try:
            is_checked = entered is not None and read_boolean(each.name, _single(each, entered))
        except InvalidInputError:
            return each
        return evolve(each, value="yes" if is_checked else "no")
    return each if entered is None else evolve(each, value="\n".join(map(str, entered)))
