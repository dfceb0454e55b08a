"""``{% load certcore %}``: texts of certcore in the reader's language, levels as classes, moments and permissions."""

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
    """A text of certcore in the language of the page.

    ``{{ notice.text|text }}``, ``{{ certificate.status|text }}``: a message, a member of an enumeration that has a
    label, or a plain text, which stays as it is. None is empty. The result is escaped like every other text.
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
    """The class of a badge or a note: ``ok``, ``warn``, ``bad``, ``info``, or ``mute`` for what has no level."""
    match value:
        case RecordState():
            return {"correct": "ok", "unknown": "mute", "not_checked": "mute"}.get(str(value), "bad")
        case StepState():
            return {"done": "ok", "current": "info", "failed": "bad"}.get(str(value), "mute")
        case _:
            return _CLASSES.get(str(value), "mute")


@register.simple_tag
def moment(value: datetime | None, form: str = "") -> SafeString | str:
    """A moment in UTC, as all texts of certcore show it, with the moment itself for programs; None is empty.

    Its title is the moment in the time zone of the panel and the notation of the language.

    Args:
        value: The moment, timezone-aware.
        form: ``day`` shows the day alone; ``time`` the time alone, with its seconds.
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
    """Whether the user may do something: ``{% may "certificate.create" as can_create %}``."""
    access = context.get("ssl")
    return bool(access is not None and access.may(permission))
