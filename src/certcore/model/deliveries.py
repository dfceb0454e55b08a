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
    #: How many deliveries have failed in a row.
    attempts: int = 0
    #: When the first of these deliveries failed, UTC; None if the last one succeeded.
    failing_since: datetime | None = None
    #: When the next event is delivered, UTC; None if all are delivered.
    due_at: datetime | None = None
    #: Why the last delivery failed, without secrets; empty if it succeeded.
    reason: str = ""
    lease_owner: str = ""
    lease_until: datetime | None = None
    #: The fencing token, incremented by every lease.
    token: int = 0


@frozen(kw_only=True)
class Deliveries:
    """Which events of one certificate were delivered to all observers."""

    certificate_id: str
    #: The number of events.
    length: int
    #: Events up to this number were delivered to all observers except those in ``behind``.
    delivered: int
    #: The cursors of observers with undelivered events, by the observer's name. A cursor without attempts waits for its
    #: turn, or for a process that has the observer.
    behind: Mapping[str, DeliveryCursor] = field(factory=dict, converter=read_only)


@frozen(kw_only=True)
class KnownObserver:
    """An observer for which events are kept, even while no process has it."""

    name: str
    #: When a process last reported that it has this observer, UTC.
    seen_at: datetime
    #: When a process noticed that none had reported the observer for long, UTC; None after a new report.
    missed_since: datetime | None = None
