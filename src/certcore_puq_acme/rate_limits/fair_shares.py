"""Fair sharing of places in flight and promised turns between owners.

An owner may use everything while no other owner waits. As soon as others wait, a free place goes to the owner with the
fewest orders in flight, and an owner with few turns may take a promised turn from one with more. Renewals of leaves
near their end come first, with the same rule for places among themselves.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore_puq_acme.moments import is_ahead, moment_before

__all__ = ["Flight", "Places", "Queue", "owner_key", "takeable_turns"]

#: An order in flight for longer than this no longer counts.
_LONGEST_FLIGHT: Final = timedelta(days=2)
#: A waiting owner asks at least every 30 seconds; one that has not asked for this long has left the queue.
_ABSENT_AFTER: Final = timedelta(seconds=75)
#: The time of an owner's last request is rewritten when it is older than this.
_REFRESH_AFTER: Final = timedelta(seconds=15)
_MAX_WAITING: Final = 200
#: One in `_RESERVED_SHARE` places is reserved, and at least one if there are `_RESERVED_FROM` places.
_RESERVED_SHARE: Final = 5
_RESERVED_FROM: Final = 3


def owner_key(owner: str) -> str:
    """The stored form of an owner: a short hash; empty for the operator."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:16] if owner else ""


@frozen(kw_only=True)
class Places:
    """The places for orders in flight of one CA profile."""

    most: int

    @property
    def kept(self) -> int:
        """Places reserved for renewals near their end: a fifth, and at least one of three."""
        return max(self.most // _RESERVED_SHARE, 1) if self.most >= _RESERVED_FROM else 0

    def open_to(self, *, near_end: bool, is_newcomer: bool) -> int:
        """How many places may be in use, the new one included, when an order of this kind takes one.

        Args:
            near_end: The order renews a leaf near its end.
            is_newcomer: Its owner holds no place while others do: half of the reserved places are open to it.
        """
        if near_end:
            return self.most
        return self.most - self.kept + (self.kept // 2 if is_newcomer else 0)


@frozen(kw_only=True)
class Flight:
    """The orders in flight at a CA, each with its start and its owner, by issuance ID."""

    orders: Mapping[str, tuple[datetime, str]] = field(factory=dict)

    @classmethod
    def read(cls, stored: Mapping[str, Any], now: datetime) -> Flight:
        """Read the stored orders. A start in the future counts as now; the oldest format had the start alone."""
        orders: dict[str, tuple[datetime, str]] = {}
        for issuance, entry in stored.items():
            since, owner = (entry.get("since"), str(entry.get("owner", ""))) if isinstance(entry, dict) else (entry, "")
            moment = moment_before(since, now)
            if now - moment < _LONGEST_FLIGHT and not is_ahead(since, now, _LONGEST_FLIGHT):
                orders[issuance] = (moment, owner)
        return cls(orders=MappingProxyType(orders))

    def held_by(self, owner: str) -> int:
        """The number of places that an owner holds."""
        return sum(holder == owner for _, holder in self.orders.values())

    def with_order(self, issuance: str, owner: str, now: datetime) -> Flight:
        """A copy with one more order."""
        return evolve(self, orders={**self.orders, issuance: (now, owner)})

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            issuance: {"since": since.isoformat(), "owner": owner} for issuance, (since, owner) in self.orders.items()
        }


@frozen(kw_only=True)
class Queue:
    """The owners that wait for a place in flight.

    The key is the owner and whether its renewals are near their end; the values are when it began to wait and when it
    asked last.
    """

    waiting: Mapping[tuple[str, bool], tuple[datetime, datetime]] = field(factory=dict)

    @classmethod
    def read(cls, stored: Mapping[str, Any], now: datetime) -> Queue:
        """Read the stored queue, without owners that have left."""
        waiting: dict[tuple[str, bool], tuple[datetime, datetime]] = {}
        for name, entry in stored.items():
            if not isinstance(entry, list) or len(entry) != 2:  # noqa: PLR2004 - two moments
                continue
            since, seen_at = (moment_before(moment, now) for moment in entry)
            if not is_ahead(entry[1], now) and now - seen_at < _ABSENT_AFTER:
                waiting[name.removesuffix("!"), name.endswith("!")] = (since, seen_at)
        return cls(waiting=MappingProxyType(waiting))

    def owners_ahead(self, owner: str, *, near_end: bool, flight: Flight) -> int:
        """The number of owners that are due a place before this one."""
        counts = Counter(holder for _, holder in flight.orders.values())
        return sum(
            other != owner and (is_near > near_end or (is_near == near_end and counts[other] < counts[owner]))
            for other, is_near in self.waiting
        )

    def with_owner(self, owner: str, now: datetime, *, near_end: bool) -> Queue | None:
        """A copy with an owner that waits; None when the stored queue says so already."""
        since, seen_at = self.waiting.get((owner, near_end), (now, None))
        if seen_at is not None and now - seen_at < _REFRESH_AFTER:
            return None
        waiting = {**self.waiting, (owner, near_end): (since, now)}
        oldest = sorted(waiting.items(), key=lambda entry: entry[1][0])[:_MAX_WAITING]
        return evolve(self, waiting=dict(oldest))

    def without_owner(self, owner: str, *, near_end: bool) -> Queue | None:
        """A copy without an owner that got a place; None when it did not wait. For further orders it queues again."""
        if (owner, near_end) not in self.waiting:
            return None
        return evolve(
            self, waiting={entry: moments for entry, moments in self.waiting.items() if entry != (owner, near_end)}
        )

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            f"{owner}{'!' if near_end else ''}": [since.isoformat(), seen_at.isoformat()]
            for (owner, near_end), (since, seen_at) in self.waiting.items()
        }


def takeable_turns(promised: Mapping[str, tuple[datetime, str]], used: Mapping[str, int], owner: str) -> Iterable[str]:
    """Issuances whose promised turns an owner may take because their owners have more turns; the earliest turn first.

    Args:
        promised: Time and owner of each promised turn that may be taken, by issuance ID.
        used: Turns used or promised within the window, by owner.
        owner: The owner that asks for a turn.
    """
    own = used.get(owner, 0)
    return sorted(
        (issuance for issuance, (_, other) in promised.items() if other != owner and used.get(other, 0) > own + 1),
        key=lambda issuance: promised[issuance][0],
    )
