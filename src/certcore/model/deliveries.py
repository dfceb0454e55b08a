"""Deliveries: which events of a certificate were delivered to each observer, and which observers exist."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from certcore.model.read_only import read_only

__all__ = ["Deliveries", "DeliveryCursor", "KnownObserver"]


@frozen(kw_only=True)
class DeliveryCursor:
    """Which events of one certificate were delivered to one observer."""

    certificate_id: str
    #: The name of the plugin that observes.
    observer: str
    #: The number of the last event that the observer accepted.
    delivered: int
    #: The number of the last event to deliver.
    length: int
    #: How many times in a row it has failed.
    attempts: int = 0
    #: When it failed for the first of these times, UTC; None when it has not failed.
    failing_since: datetime | None = None
    #: When the next event is delivered, UTC; None when all are delivered.
    due_at: datetime | None = None
    #: Why it failed, without secrets; empty when it has not.
    reason: str = ""
    lease_owner: str = ""
    lease_until: datetime | None = None
    #: Grows with every lease.
    token: int = 0


@frozen(kw_only=True)
class Deliveries:
    """Which events of a certificate were delivered to its observers."""

    certificate_id: str
    #: The number of events.
    length: int
    #: Events up to this number were delivered to all observers except those in ``behind``.
    delivered: int
    #: The observers with outstanding events, by name. A delivery without attempts waits for its turn, or for a process
    #: that has the observer.
    behind: Mapping[str, DeliveryCursor] = field(factory=dict, converter=read_only)


@frozen(kw_only=True)
class KnownObserver:
    """A known observer. Events are kept for it, even while no process has it."""

    name: str
    #: When a process last reported that it has this observer, UTC.
    seen_at: datetime
    #: When another process noticed that no process had reported it for long, UTC; None once one has reported it again.
    missed_since: datetime | None = None
