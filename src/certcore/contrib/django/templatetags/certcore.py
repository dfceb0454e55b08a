"""``{% load certcore %}``: translated texts of certcore, CSS classes of levels, times, and permissions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from django import template
from django.template.context import Context
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from certcore.contrib.django.access import config
from certcore.hints import Level, Message, RecordState, Severity, StepState, label_of
from certcore.messages import shown_moment
from certcore.model.standing import ConditionStatus

__all__ = ["level_class", "may", "moment", "register", "text"]

register = template.Library()

_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        str(Level.INFO): "info",
        str(Level.SUCCESS): "ok",
        str(Level.WARNING): "warn",
        str(Level.ERROR): "bad",
        str(Severity.ERROR): "bad",
        str(Severity.WARNING): "warn",
        str(Severity.INFO): "info",
        str(ConditionStatus.TRUE): "ok",
        str(ConditionStatus.FALSE): "mute",
    }
)


@register.filter
def text(value: Any) -> str:
    """Translate a text of certcore to the language of the page.

    Use it for messages, ``{{ notice.text|text }}``, and for members of enumerations, ``{{ certificate.status|text }}``.
    A member without a label, and any other value, is converted to a string. None gives an empty string. The template
    escapes the result like every other text.
    """
    if value is None:
        return ""
    if isinstance(value, Enum):
        try:
            value = label_of(value)
        except TypeError:
            return str(value)
    if not isinstance(value, Message):
        return str(value)
    return config().translator(get_language() or "en")(value)


@register.filter
def level_class(value: Any) -> str:
    """Return the CSS class of a badge or a note: ``ok``, ``warn``, ``bad``, ``info``; ``mute`` for any other value."""
    match value:
        case RecordState():
            return {"correct": "ok", "unknown": "mute", "not_checked": "mute"}.get(str(value), "bad")
        case StepState():
            return {"done": "ok", "current": "info", "failed": "bad"}.get(str(value), "mute")
        case _:
            return _CLASSES.get(str(value), "mute")


@register.simple_tag
def moment(value: datetime | None, form: str = "") -> SafeString | str:
    """Render a ``<time>`` element that shows a time in UTC, as all texts of certcore do; None gives an empty string.

    The ``title`` of the element is the time in the current time zone of Django, in the format of the language.

    Args:
        value: The time, timezone-aware.
        form: ``day`` shows only the day, ``time`` only the time of day with seconds; otherwise both are shown.
    """
    if value is None:
        return ""
    day, _, time = shown_moment(value, seconds=form == "time").partition(" ")
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        value.astimezone(UTC).isoformat(timespec="seconds"),
        date_format(local, "DATETIME_FORMAT"),
        f"{local:%Z}",
        {"day": day, "time": time}.get(form, f"{day} {time}"),
    )


@register.simple_tag(takes_context=True)
def may(context: Context, permission: str) -> bool:
    """Whether the user has a permission: ``{% may "certificate.create" as can_create %}``."""
    access = context.get("ssl")
    return bool(access is not None and access.may(permission))
