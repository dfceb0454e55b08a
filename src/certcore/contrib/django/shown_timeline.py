"""The timeline of a certificate for templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from attrs import frozen
from django.utils.translation import gettext as _

from certcore import CertificateView, Event, EventKind, RevocationReason
from certcore.contrib.django.shown_forms import Texts
from certcore.hints import label_of

__all__ = ["ShownEvent", "field_labels", "shown_timeline"]

#: How many characters of a changed field's value are shown.
_LONGEST: Final = 120
#: How many changed fields an event shows.
_MOST_CHANGES: Final = 20


@frozen(kw_only=True)
class ShownEvent:
    """An event of the timeline."""

    number: int
    at: datetime
    title: str
    #: The actor; empty for certcore itself.
    actor: str
    status: str
    details: tuple[str, ...]
    is_problem: bool


def field_labels(view: CertificateView, texts: Texts) -> Mapping[str, str]:
    """Return the labels of a certificate's fields by their names."""
    return {each.field.name: texts(each.field.title) for each in view.fields}


def shown_timeline(
    events: Iterable[Event], texts: Texts, labels: Mapping[str, str] | None = None
) -> tuple[ShownEvent, ...]:
    """Return events as templates need them, newest first.

    Args:
        events: The events, oldest first.
        texts: Translates to the reader's language.
        labels: The labels of fields by their names, for changed fields.
    """
    return tuple(reversed([_event(event, texts, labels or {}) for event in events]))


def _event(event: Event, texts: Texts, labels: Mapping[str, str]) -> ShownEvent:
    changed = event.from_status is not None and event.to_status is not event.from_status
    return ShownEvent(
        number=event.number,
        at=event.at,
        title=texts(label_of(event.kind)),
        actor="" if event.actor == "engine" else event.actor,
        status=texts(label_of(event.to_status)) if changed and event.to_status is not None else "",
        details=tuple(_details(event, texts, labels)),
        is_problem=event.problem is not None,
    )


def _details(event: Event, texts: Texts, labels: Mapping[str, str]) -> Iterator[str]:
    if text := event.data.get("text"):
        yield str(text)
    if reason := event.data.get("reason"):
        is_known = event.kind is EventKind.REVOKED and reason in set(RevocationReason)
        yield texts(label_of(RevocationReason(reason))) if is_known else str(reason)
    if event.problem is not None:
        yield texts(event.problem.text)
    for name, old, new in islice(_changes(event.data.get("changes") or {}), _MOST_CHANGES):
        yield _("%(field)s: %(old)s → %(new)s") % {"field": labels.get(name, name), "old": old, "new": new}


def _changes(changes: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the name, old value and new value of each changed field; of a mapping, such as the subject, each part."""
    for name, change in changes.items():
        old, new = change["from"], change["to"]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for part in dict.fromkeys((*old, *new)):
                if old.get(part) != new.get(part):
                    yield part, _value(old.get(part)), _value(new.get(part))
        else:
            yield name, _value(old), _value(new)


def _value(value: Any) -> str:
    match value:
        case None | "" | []:
            return "-"
        case bool():
            text = _("yes") if value else _("no")
        case list():
            text = ", ".join(map(str, value))
        case Mapping():
            text = ", ".join(f"{name}={part}" for name, part in value.items() if part not in ("", None)) or "-"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
