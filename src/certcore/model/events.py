"""Events of certificates: the entries of timelines, delivered to ``certcore_on_event``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.read_only import read_only

__all__ = ["Event", "EventKind", "EventPage", "FeedEvent"]


class EventKind(StrEnum):
    """The kinds of events. An event is stored in the same transaction as the change that it reports."""

    #: A draft was saved for the first time.
    CREATED = "created"
    #: A certificate that was issued elsewhere was imported.
    IMPORTED = "imported"
    #: A user changed the form data or the renewal policy.
    EDITED = "edited"
    #: Key and CSR were made; the issuance began.
    CSR_GENERATED = "csr_generated"
    #: A user took the certificate back to draft; the private key of the issuance was destroyed.
    BACK_TO_DRAFT = "back_to_draft"
    #: The issuance waits. ``waiting_for`` in the data is ``owner``, ``administrator`` or ``turn``.
    WAITING = "waiting"
    #: The CA has accepted the order.
    PROCESSING = "processing"
    #: The issuance failed; it is retried automatically.
    ATTEMPT_FAILED = "attempt_failed"
    #: The issuance failed, and a retry alone will not help.
    FAILED = "failed"
    #: A new issuance began beside the leaf in service, or after it.
    RENEWAL_STARTED = "renewal_started"
    #: The CA asks for an earlier renewal than before (RFC 9773), for example after an incident.
    RENEWAL_ASKED = "renewal_asked"
    #: A CA kept failing for its own reasons; the next CA profile is tried.
    FELL_BACK = "fell_back"
    #: A leaf was checked and put into service.
    INSTALLED = "installed"
    #: A user gave up the issuance beside the leaf in service.
    ATTEMPT_CANCELLED = "attempt_cancelled"
    #: The leaf in service expires soon; once for each number of days in the notice policy.
    EXPIRES_SOON = "expires_soon"
    #: A renewal has failed repeatedly for a long time, or is late for another reason; once for each leaf.
    RENEWAL_FAILING = "renewal_failing"
    #: A renewal would not succeed now. The data has the obstacles and who has to act. Repeated when they change.
    RENEWAL_NOT_READY = "renewal_not_ready"
    #: The obstacles to a renewal are gone.
    RENEWAL_READY = "renewal_ready"
    #: The leaf in service has expired.
    EXPIRED = "expired"
    #: The leaf is valid; the certificate had been marked as expired under a clock that was ahead.
    REINSTATED = "reinstated"
    #: The CA has confirmed the revocation.
    REVOKED = "revoked"
    #: The CA module returned a note (`certcore.plugin.Note`). The data has ``about`` and ``text``.
    NOTED = "noted"
    #: A user ran an action of the CA module. The data has ``action`` and ``text``.
    ACTED = "acted"
    #: A user asked for an immediate check.
    CHECK_REQUESTED = "check_requested"
    #: The private key was exported.
    KEY_REVEALED = "key_revealed"
    #: The certificate was transferred to another owner. The old owner gets an event with ``to`` in the data, and the
    #: new owner gets another event.
    TRANSFERRED = "transferred"
    #: A user deleted the certificate. Only the timeline is kept.
    DELETED = "deleted"


@frozen(kw_only=True)
class Event:
    """One event. It is never changed after it is stored, and contains no secrets."""

    #: The number among all events of the store; 0 until it is stored. Events of different certificates may be committed
    #: in another order.
    sequence: int = 0
    #: The number in the feed of all events; later events have higher numbers. 0 until it is assigned.
    position: int = 0
    #: The number in the certificate's timeline, from 1 without gaps; 0 until it is stored.
    number: int = 0
    #: SHA-256 over this event and the hash of the previous one (see `certcore.model.timeline`), in hex.
    hash: str = ""
    certificate_id: str
    kind: EventKind
    #: When it happened, UTC.
    at: datetime
    #: The owner of the certificate at that time; empty for none, and in events of older versions of certcore.
    owner: str = ""
    #: Who did it: the actor as the panel names it, or ``engine``.
    actor: str = "engine"
    #: The status before and after the event; None if it does not apply.
    from_status: Status | None = None
    to_status: Status | None = None
    #: Further details as plain JSON.
    data: Mapping[str, Any] = field(factory=dict, converter=read_only)
    problem: Problem | None = None


@frozen(kw_only=True)
class FeedEvent:
    """An event in the feed of all events."""

    event: Event
    #: The primary name of its certificate; empty for a deleted one.
    domain: str


@frozen(kw_only=True)
class EventPage:
    """A page of the feed of all events."""

    items: tuple[FeedEvent, ...]
    #: Pass this to the next call, even if the page is empty.
    next_cursor: str
