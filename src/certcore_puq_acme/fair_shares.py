"""What several owners share, given to the one who has had least: places in flight, and turns within a limit.

While nobody else waits an owner may use everything. As soon as others wait, a place goes to the owner who holds the
fewest, and a turn that was promised to an owner with much goes to one with less. Renewals of leaves near their end go
before all others, and share among themselves in the same way.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore_puq_acme.patience import is_ahead, moment_before

__all__ = ["Flight", "Places", "Queue", "most_robbed", "owner_key"]

#: An order that is in flight for longer than this is none any more, whatever the record says.
_FLIGHT: Final = timedelta(days=2)
#: An owner who waits looks again within 30 seconds; one who was not seen for so long waits no more.
_GONE: Final = timedelta(seconds=75)
#: How old the sight of an owner who waits may be before it is written down anew.
_SEEN: Final = timedelta(seconds=15)
_MOST_WAITING: Final = 200
#: A share of the places in flight, and the fewest places of which such a share is kept.
_RESERVE: Final = 5
_KEPT_FROM: Final = 3


def owner_key(owner: str) -> str:
    """An owner as it is kept: short, whatever the name; empty for what belongs to nobody in particular."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:16] if owner else ""


@frozen(kw_only=True)
class Places:
    """The places in flight of one CA profile."""

    most: int

    @property
    def kept(self) -> int:
        """How many are kept for renewals near their end: a fifth, and at least one of three."""
        return max(self.most // _RESERVE, 1) if self.most >= _KEPT_FROM else 0

    def open_to(self, *, near_end: bool, is_newcomer: bool) -> int:
        """How many may be taken when an order of this kind takes one.

        Args:
            near_end: It renews a leaf near its end.
            is_newcomer: Its owner holds no place, while others hold some: half of the kept ones are open to it.
        """
        if near_end:
            return self.most
        return self.most - self.kept + (self.kept // 2 if is_newcomer else 0)


@frozen(kw_only=True)
class Flight:
    """The orders in flight at a CA: since when, and whose, by issuance."""

    orders: Mapping[str, tuple[datetime, str]] = field(factory=dict)

    @classmethod
    def read(cls, stored: Mapping[str, Any], now: datetime) -> Flight:
        """What is in flight now. A moment that lies ahead counts as now; before there were owners there was a text."""
        orders: dict[str, tuple[datetime, str]] = {}
        for issuance, entry in stored.items():
            since, owner = (entry.get("since"), str(entry.get("owner", ""))) if isinstance(entry, dict) else (entry, "")
            moment = moment_before(since, now)
            if now - moment < _FLIGHT and not is_ahead(since, now, _FLIGHT):
                orders[issuance] = (moment, owner)
        return cls(orders=MappingProxyType(orders))

    def held_by(self, owner: str) -> int:
        """How many places an owner holds."""
        return sum(holder == owner for _, holder in self.orders.values())

    def with_order(self, issuance: str, owner: str, now: datetime) -> Flight:
        """The same with one more."""
        return evolve(self, orders={**self.orders, issuance: (now, owner)})

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            issuance: {"since": since.isoformat(), "owner": owner} for issuance, (since, owner) in self.orders.items()
        }


@frozen(kw_only=True)
class Queue:
    """The owners who wait for a place in flight: since when, when they were seen last, and whether near an end."""

    waiting: Mapping[tuple[str, bool], tuple[datetime, datetime]] = field(factory=dict)

    @classmethod
    def read(cls, stored: Mapping[str, Any], now: datetime) -> Queue:
        """Who waits now."""
        waiting: dict[tuple[str, bool], tuple[datetime, datetime]] = {}
        for name, entry in stored.items():
            if not isinstance(entry, list) or len(entry) != 2:  # noqa: PLR2004 - since when, and when last
                continue
            since, seen = (moment_before(moment, now) for moment in entry)
            if not is_ahead(entry[1], now) and now - seen < _GONE:
                waiting[name.removesuffix("!"), name.endswith("!")] = (since, seen)
        return cls(waiting=MappingProxyType(waiting))

    def before(self, owner: str, *, near_end: bool, flight: Flight) -> int:
        """How many owners have a place due before this one gets another."""
        held = Counter(holder for _, holder in flight.orders.values())
        return sum(
            other != owner and (is_near > near_end or (is_near == near_end and held[other] < held[owner]))
            for other, is_near in self.waiting
        )

    def joined(self, owner: str, now: datetime, *, near_end: bool) -> Queue | None:
        """The same with an owner who waits; None where that is known already."""
        since, seen = self.waiting.get((owner, near_end), (now, None))
        if seen is not None and now - seen < _SEEN:
            return None
        waiting = {**self.waiting, (owner, near_end): (since, now)}
        oldest = sorted(waiting.items(), key=lambda entry: entry[1][0])[:_MOST_WAITING]
        return evolve(self, waiting=dict(oldest))

    def left(self, owner: str, *, near_end: bool) -> Queue | None:
        """The same after an owner has got a place; None where it did not wait. Who waits for more says so again."""
        if (owner, near_end) not in self.waiting:
            return None
        return evolve(
            self, waiting={name: moments for name, moments in self.waiting.items() if name != (owner, near_end)}
        )

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            f"{owner}{'!' if near_end else ''}": [since.isoformat(), seen.isoformat()]
            for (owner, near_end), (since, seen) in self.waiting.items()
        }


def most_robbed(promised: Mapping[str, tuple[datetime, str]], used: Mapping[str, int], owner: str) -> Iterable[str]:
    """The promised turns that an owner may take from others who have had more, the earliest first.

    Args:
        promised: When each is promised for, and to whom, by issuance; without those that nobody may take.
        used: How many turns each owner has had, or is promised.
        owner: Who asks for one more.
    """
    mine = used.get(owner, 0)
    return sorted(
        (issuance for issuance, (_, other) in promised.items() if other != owner and used.get(other, 0) > mine + 1),
        key=lambda issuance: promised[issuance][0],
    )
