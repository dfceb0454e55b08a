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
    #: The number of the last event that the observer took.
    delivered: int
    #: The number of the last event that it is to be told of.
    length: int
    #: How many times in a row it has failed.
    attempts: int = 0
    #: When it failed the first of these times, UTC; None when it has not.
    failing_since: datetime | None = None
    #: When it is told of the next event, UTC; None when it was told of all.
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
    #: The observers that have not taken all of them, by name. One without attempts waits for its turn, or for a process
    #: that has it.
    behind: Mapping[str, DeliveryCursor] = field(factory=dict, converter=read_only)


@frozen(kw_only=True)
class KnownObserver:
    """An observer that a process had. Events are kept for it, though no process may have it at the moment."""

    name: str
    #: When a process last said that it has it, UTC.
    seen_at: datetime
    #: When another process noticed that none had said so for long, UTC; None since one has said so again.
    missed_since: datetime | None = None
