"""Events of a certificate: the entries of its timeline, and what ``certcore_on_event`` gets."""

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
    """The kinds of events. An event is stored together with what it reports."""

    #: A draft was saved for the first time.
    CREATED = "created"
    #: A certificate that was issued elsewhere was imported.
    IMPORTED = "imported"
    #: A user changed the form data or the renewal policy.
    EDITED = "edited"
    #: Key and CSR were made; the issuance began.
    CSR_GENERATED = "csr_generated"
    #: A user took it back to draft; the key of the issuance was destroyed.
    BACK_TO_DRAFT = "back_to_draft"
    #: The issuance waits: ``waiting_for`` in the data is owner, administrator or turn.
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
    #: The leaf in service ends soon; once for each number of days of the notice policy.
    EXPIRES_SOON = "expires_soon"
    #: A renewal has failed often and for long, or is late for whatever reason; once for each leaf.
    RENEWAL_FAILING = "renewal_failing"
    #: A renewal would not succeed now: the obstacles, and who has to act. Reported again when these change.
    RENEWAL_NOT_READY = "renewal_not_ready"
    #: Nothing is in the way of a renewal any more.
    RENEWAL_READY = "renewal_ready"
    #: not_after has passed.
    EXPIRED = "expired"
    #: It was marked as expired under a clock that was ahead; its leaf is valid.
    REINSTATED = "reinstated"
    #: The CA has confirmed the revocation.
    REVOKED = "revoked"
    #: The CA module has noted something: ``about`` and ``text`` in the data (`certcore.plugin.Note`).
    NOTED = "noted"
    #: A user ran an action of the CA module: ``action`` and ``text`` in the data.
    ACTED = "acted"
    #: A user asked for a check now.
    CHECK_REQUESTED = "check_requested"
    #: The private key was exported.
    KEY_REVEALED = "key_revealed"
    #: It was given to another owner: one event for the old owner, with ``to`` in the data, and one for the new one.
    TRANSFERRED = "transferred"
    #: A user deleted it; only this timeline stays.
    DELETED = "deleted"


@frozen(kw_only=True)
class Event:
    """One event: never changed, and without secrets."""

    #: The number among all events of this store; 0 until it is stored. Events of different certificates may be stored
    #: in another order than their numbers.
    sequence: int = 0
    #: The number in the feed of all events; later events get higher numbers. 0 until it has one.
    position: int = 0
    #: The number in the certificate's timeline, from 1 without gaps; 0 until it is stored.
    number: int = 0
    #: SHA-256 over this event and the hash of the previous one (see `certcore.model.timeline`), in hex.
    hash: str = ""
    certificate_id: str
    kind: EventKind
    at: datetime
    #: The owner of the certificate when it happened; empty for none, and in events of older versions.
    owner: str = ""
    #: Who did it: the actor as the panel names it, or ``engine``.
    actor: str = "engine"
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
    #: Pass this to the next call; also when there is nothing new yet.
    next_cursor: str
