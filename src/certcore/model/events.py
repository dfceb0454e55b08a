"""What happened to a certificate: the entries of its timeline, and what ``certcore_on_event`` gets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from certcore.model.frozen import read_only
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem

__all__ = ["Event", "EventKind"]


class EventKind(StrEnum):
    """The kinds of events. An event tells of something that is already stored."""

    #: A draft was saved for the first time.
    CREATED = "created"
    #: A certificate that was issued elsewhere was taken in.
    IMPORTED = "imported"
    #: A user changed the form data or the renewal policy.
    EDITED = "edited"
    #: Key and CSR were made; the issuance began.
    CSR_GENERATED = "csr_generated"
    #: A user took it back to its form; the attempt's key and CSR were destroyed.
    BACK_TO_DRAFT = "back_to_draft"
    #: An attempt waits for the domain's owner.
    WAITING = "waiting"
    #: The CA has taken the order.
    PROCESSING = "processing"
    #: An attempt failed; it will be tried again by itself.
    ATTEMPT_FAILED = "attempt_failed"
    #: An attempt failed, and retrying alone will not help.
    FAILED = "failed"
    #: A new issuance began beside the leaf in service, or after it.
    RENEWAL_STARTED = "renewal_started"
    #: The CA asks for a renewal earlier than it did before (RFC 9773): after an incident, say.
    RENEWAL_ASKED = "renewal_asked"
    #: A CA kept failing for reasons of its own; the next one is tried.
    FELL_BACK = "fell_back"
    #: A leaf was checked and put into service.
    INSTALLED = "installed"
    #: A user gave an attempt beside the leaf in service up.
    ATTEMPT_CANCELLED = "attempt_cancelled"
    #: The leaf in service ends soon: told once for each number of days of the notice policy.
    EXPIRES_SOON = "expires_soon"
    #: A renewal has failed so often, and for so long, or is so late for whatever reason, that somebody should know:
    #: told once for each leaf.
    RENEWAL_FAILING = "renewal_failing"
    #: not_after has passed.
    EXPIRED = "expired"
    #: It had expired under a clock that was ahead; its leaf is valid.
    REINSTATED = "reinstated"
    #: The CA has confirmed the revocation.
    REVOKED = "revoked"
    #: A user asked to look again now.
    CHECK_REQUESTED = "check_requested"
    #: The private key left the store.
    KEY_REVEALED = "key_revealed"
    #: A user deleted it; this timeline is what stays.
    DELETED = "deleted"


@frozen(kw_only=True)
class Event:
    """One thing that happened, never changed afterwards; free of secrets."""

    #: The place among all events of this store; 0 until it is stored. Of two certificates' events, the one that was
    #: stored later may have the lower number.
    sequence: int = 0
    #: The place in its certificate's timeline, from 1 without a gap; 0 until it is stored.
    number: int = 0
    #: SHA-256 over this event and the hash of the one before it (see `certcore.model.timeline`), in hex.
    hash: str = ""
    certificate_id: str
    kind: EventKind
    at: datetime
    #: Who did it: a user's name as the panel gave it, or ``engine``.
    actor: str = "engine"
    from_status: Status | None = None
    to_status: Status | None = None
    #: Plain JSON with what else is to be known.
    data: Mapping[str, Any] = field(factory=dict, converter=read_only)
    problem: Problem | None = None
