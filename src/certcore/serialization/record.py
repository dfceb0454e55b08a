"""JSON documents of events: timelines, the feed of all events, and the body of webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from certcore.model.events import Event, EventKind, EventPage
from certcore.model.json_form import json_form, moment
from certcore.model.lifecycle import Status
from certcore.serialization.identity import identified
from certcore.serialization.shapes import (
    ANYTHING,
    INTEGER,
    MOMENT,
    TEXT,
    Schema,
    array,
    nullable,
    record,
    reference,
    table,
    words,
)

__all__ = [
    "RECORD_SHAPES",
    "event_document",
    "event_members",
    "events_document",
    "timeline_document",
    "webhook_document",
]

_EVENT: Final[Schema] = {
    "certificate_id": TEXT,
    "number": INTEGER,
    "at": MOMENT,
    "kind": words(EventKind),
    "actor": TEXT,
    "from_status": nullable(words(Status)),
    "to_status": nullable(words(Status)),
    "data": table(ANYTHING),
    "problem": nullable(reference("Problem")),
    "hash": TEXT,
}
#: The schemas of these documents, by name.
RECORD_SHAPES: Final = MappingProxyType(
    {
        "Event": record(_EVENT),
        "FeedEvent": record({**_EVENT, "position": INTEGER, "domain": TEXT, "owner": TEXT}),
        "EventPage": record({"events": array(reference("FeedEvent")), "next_cursor": TEXT}),
        "Timeline": record({"id": TEXT, "timeline": array(reference("Event"))}),
        "WebhookEvent": record({"id": TEXT, "domain": TEXT, "owner": TEXT, **_EVENT}),
    }
)


def event_document(event: Event) -> dict[str, Any]:
    """One entry of a certificate's timeline."""
    return identified("event", event_members(event))


def events_document(page: EventPage) -> dict[str, Any]:
    """A page of the feed of all events: the member ``events``, and the cursor of the next page."""
    events = [
        {
            **event_members(item.event),
            "position": item.event.position,
            "domain": item.domain,
            "owner": item.event.owner,
        }
        for item in page.items
    ]
    return identified("events", {"events": events, "next_cursor": page.next_cursor})


def timeline_document(certificate_id: str, events: Iterable[Event]) -> dict[str, Any]:
    """The timeline of a certificate, or a part of it."""
    return identified("timeline", {"id": certificate_id, "timeline": [event_members(event) for event in events]})


def webhook_document(event: Event, *, domain: str, owner: str) -> dict[str, Any]:
    """The body that `certcore.contrib.webhook` posts: an event with a unique ID, the domain and the owner.

    Args:
        event: The event.
        domain: The primary name of the certificate; empty if it was deleted.
        owner: The owner of the certificate.
    """
    identifier = f"{event.certificate_id}/{event.number}"
    return identified("webhook", {"id": identifier, "domain": domain, "owner": owner, **event_members(event)})


def event_members(event: Event) -> dict[str, Any]:
    """The members of an event within another document."""
    return {
        "certificate_id": event.certificate_id,
        "number": event.number,
        "at": moment(event.at),
        "kind": str(event.kind),
        "actor": event.actor,
        "from_status": None if event.from_status is None else str(event.from_status),
        "to_status": None if event.to_status is None else str(event.to_status),
        "data": json_form(event.data),
        "problem": json_form(event.problem),
        "hash": event.hash,
    }
