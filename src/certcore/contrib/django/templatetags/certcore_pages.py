"""``{% load certcore_pages %}``: fields, errors and hints for templates, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import template
from django.utils.translation import get_language

from certcore import CertCoreError
from certcore.contrib.django.access import config
from certcore.contrib.django.shown_forms import (
    ShownError,
    ShownField,
    ShownGroup,
    shown_errors,
    shown_field,
    shown_groups,
)
from certcore.contrib.django.shown_hints import ShownHint, shown_hints
from certcore.hints import FormField, Hint, InputForm, Translator

__all__ = ["drawn_field", "drawn_hints", "errors_of_form", "groups_of_form", "register"]

register = template.Library()


@register.simple_tag
def errors_of_form(
    fields: Iterable[FormField | ShownField] | None, errors: Iterable[CertCoreError] | None = None
) -> Sequence[ShownError]:
    """Return the errors of a form, each with the ID of its field's input, for the links of a summary."""
    return shown_errors(errors or (), fields or (), _texts())


@register.simple_tag
def groups_of_form(form: InputForm, errors: Iterable[CertCoreError] | None = None) -> Sequence[ShownGroup]:
    """Return the fields of a certificate's form that the user can fill in now, in groups."""
    return shown_groups(form, _texts(), shown_errors(errors or (), form.fields, _texts()))


@register.simple_tag
def drawn_field(
    field: FormField | ShownField,
    errors: Iterable[CertCoreError] | None = None,
    values: Mapping[str, Any] | None = None,
) -> ShownField:
    """Return a field with its errors, as ``_field.html`` needs it; a `ShownField` is returned unchanged."""
    if isinstance(field, ShownField):
        return field
    posted = values if isinstance(values, Mapping) else None
    return shown_field(field, _texts(), errors=shown_errors(errors or (), [field], _texts()), values=posted)


@register.simple_tag
def drawn_hints(
    hints: Iterable[Hint], primary: str = "", confirmed: Iterable[str] | None = None
) -> Sequence[ShownHint]:
    """Return hints as their templates need them; see `certcore.contrib.django.shown_hints.shown_hints`."""
    return shown_hints(hints, _texts(), primary=primary, confirmed=confirmed or ())


def _texts() -> Translator:
    return config().translator(get_language() or "en")
