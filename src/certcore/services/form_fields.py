"""Shared parts of the forms of certificates and CA profiles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from attrs import fields

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.edit_rules import EditMethod, EditRule
from certcore.model.form import read_value
from certcore.model.form_fields import FormField
from certcore.model.input_form import BoundForm, FormSubject, InputField, text_of
from certcore.model.plugin_calls import call_plugin

__all__ = ["check_bound", "module_fields", "parts_of"]

#: The attribute names of `FormField`.
_PARTS: Final = tuple(attribute.name for attribute in fields(FormField))


def check_bound(bound: object, subject: FormSubject) -> BoundForm:
    """Check that a value is the result of `InputForm.bind` for this kind of object, and return it.

    Raises:
        InvalidInputError: It is not.
    """
    if not isinstance(bound, BoundForm) or bound.subject is not subject:
        reason = Message("form.not_bound", "must be a result of `bind` of the same kind of form.")
        raise InvalidInputError("bound", reason)
    return bound


def module_fields(  # noqa: PLR0913 - the parts of a description
    module: str,
    settings_type: type,
    form: Sequence[FormField],
    stored: Mapping[str, Any],
    *,
    other_names: Collection[str],
    keyword: str,
    group: str,
    edit_rule: EditRule,
    edit_method: EditMethod | None,
    locked: Message | None,
    secrets_set: Collection[str] = (),
) -> Sequence[InputField]:
    """The fields of a CA module with their values.

    Args:
        module: The module's name.
        settings_type: The attrs class of its settings.
        form: Its fields, as the module returned them.
        stored: The stored values as plain JSON. A field without a value shows its default.
        other_names: The names of other fields of the form. A field of the module with such a name becomes
            ``KEYWORD.NAME``.
        keyword: The argument of the calls that takes the values.
        group: The block of the page.
        edit_rule: When the fields may be edited.
        edit_method: The call that changes them now; None if they cannot be changed.
        locked: Why they cannot be changed now; None if they can.
        secrets_set: The names of the secret fields that have a value.
    """

    def reader(name: str) -> Callable[[Any], Any]:
        def read(value: Any) -> Any:
            return call_plugin(module, settings_type.__name__, read_value, settings_type, name, value, returns=Any)

        return read

    return tuple(
        InputField(
            **parts_of(field, name=f"{keyword}.{field.name}" if field.name in other_names else field.name),
            value=text_of(field.kind, stored.get(field.name, field.default)),
            group=group,
            edit_rule=edit_rule,
            edit_method=edit_method,
            locked=locked,
            keyword=keyword,
            member=field.name,
            is_set=field.name in secrets_set,
            read=reader(field.name),
        )
        for field in form
    )


def parts_of(field: FormField, **changed: Any) -> dict[str, Any]:
    """The attributes of a field, to make an `InputField` of them."""
    return {name: getattr(field, name) for name in _PARTS} | changed
