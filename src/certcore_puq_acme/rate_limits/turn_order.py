"""When an order fits into a limit, and which promised turns move back for it. Pure functions.

Renewals of leaves near their end get the first promised turns, in the order of their leaves' ends, regardless of when
they ask. All other orders follow first come, first served, except for what owners take from each other (see
`certcore_puq_acme.rate_limits.fair_shares`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from certcore_puq_acme.profile.limits import (
    HORIZON,
    SLACK,
    Lane,
    Limit,
    LimitKind,
    Promise,
    free_at,
    seen_from,
    used_by_owner,
)
from certcore_puq_acme.rate_limits.fair_shares import takeable_turns

__all__ = ["Fit", "LaneSize", "fit"]

#: Limits that owners share. A registered domain may be the panel's own, with a name for each tenant.
_SHARED: Final = frozenset({LimitKind.ORDERS, LimitKind.REGISTERED_DOMAIN})
#: How long an overdue promised turn still holds back the turns behind it.
_OVERDUE: Final = timedelta(minutes=2)
#: How many promised turns of other owners are compared to find the best one to take.
_CANDIDATES: Final = 3
#: Sorts after the end of any leaf.
_UNKNOWN_END: Final = 2**63


@frozen
class LaneSize:
    """A lane of a limit that an order may use."""

    name: str
    size: int
    #: The limit is not divided: orders counted in the other lane count here.
    is_whole: bool


@frozen
class Fit:
    """When and in which lane an order fits into a limit, and the lanes after room was made for it."""

    at: datetime
    lane: str
    lanes: Mapping[str, Lane]


def fit(
    limit: Limit, lanes: Mapping[str, Lane], sizes: Sequence[LaneSize], issuance_id: str, wish: Promise, now: datetime
) -> Fit:
    """Find the earliest turn of an order.

    Args:
        limit: The limit.
        lanes: Orders and promises counted towards it, by lane.
        sizes: The lanes that are open to the order, at least one; the first one wins a tie.
        issuance_id: The issuance that the order belongs to.
        wish: Owner, ``near_end`` and ``ends`` of the order; ``at`` is ignored.
        now: Current time.
    """
    fits = [_fit_into(limit, lanes, lane, sizes, issuance_id, wish, now) for lane in sizes]
    return min(fits, key=lambda each: each.at)


def _fit_into(
    limit: Limit,
    lanes: Mapping[str, Lane],
    size: LaneSize,
    sizes: Sequence[LaneSize],
    issuance_id: str,
    wish: Promise,
    now: datetime,
) -> Fit:
    promised = lanes[size.name].promised
    counter = _Counter(limit=limit, lanes=lanes, size=size, now=now)
    if issuance_id in promised:
        rank = _rank(evolve(wish, at=promised[issuance_id].at))
        ahead = [turn.at for turn in promised.values() if _rank(turn) < rank and turn.at > now - _OVERDUE]
        others = {issuance: turn for issuance, turn in promised.items() if issuance != issuance_id}
        return Fit(counter.free_at(ahead), size.name, _with_promises(lanes, size.name, others))
    usual = Fit(counter.free_at(turn.at for turn in promised.values()), size.name, lanes)
    if usual.at <= now or limit.kind not in _SHARED:
        return usual
    if wish.near_end:
        return _before_later_ends(counter, sizes, wish, usual)
    return _from_other_owners(counter, wish, usual)


@frozen(kw_only=True)
class _Counter:
    """One lane of a limit at one moment."""

    limit: Limit
    lanes: Mapping[str, Lane]
    size: LaneSize
    now: datetime

    def free_at(self, promised: Iterable[datetime]) -> datetime:
        """The first time at which one more order fits beside the placed orders and these promises of the lane."""
        counted = self.lanes.values() if self.size.is_whole else (self.lanes[self.size.name],)
        placed = [order.at for lane in counted for order in lane.placed]
        elsewhere = [
            turn.at
            for name, lane in self.lanes.items()
            if self.size.is_whole and name != self.size.name
            for turn in lane.promised.values()
        ]
        moments_taken = sorted([*seen_from(placed, self.now), *promised, *elsewhere])
        return free_at(moments_taken, self.size.size, self.limit.span, self.now)


def _before_later_ends(counter: _Counter, sizes: Sequence[LaneSize], wish: Promise, usual: Fit) -> Fit:
    """Take the first turn after those of leaves that end earlier, and move the turns behind it back by one.

    The last of them gets the time that the order would have had otherwise. If that is too far ahead to be promised, the
    last one moves to another lane, if it comes before a turn there, or loses its promise.
    """
    name = counter.size.name
    promised = counter.lanes[name].promised
    rank = _rank(evolve(wish, at=usual.at))
    ahead = {issuance: turn for issuance, turn in promised.items() if _rank(turn) <= rank}
    behind = sorted(promised.keys() - ahead.keys(), key=lambda issuance: (_rank(promised[issuance]), issuance))
    moments = sorted(promised[issuance].at for issuance in behind)
    at = counter.free_at([*(turn.at for turn in ahead.values()), *moments[1:]])
    if not behind or at >= usual.at:
        return usual
    latest = counter.now + HORIZON + SLACK
    moments = sorted([*moments[1:], usual.at]) if usual.at <= latest else moments[1:]
    moved = {issuance: evolve(promised[issuance], at=moment) for issuance, moment in zip(behind, moments, strict=False)}
    lanes = _with_promises(counter.lanes, name, {**ahead, **moved})
    other_sizes = [size for size in sizes if size.name != name]
    for issuance in behind[len(moments) :]:
        turn = promised[issuance]
        if turn.near_end and other_sizes:
            elsewhere = fit(counter.limit, lanes, other_sizes, issuance, turn, counter.now)
            if elsewhere.at <= latest:
                others = elsewhere.lanes[elsewhere.lane].promised
                turns = {**others, issuance: evolve(turn, at=elsewhere.at)}
                lanes = _with_promises(elsewhere.lanes, elsewhere.lane, turns)
    return Fit(at, name, lanes)


def _from_other_owners(counter: _Counter, wish: Promise, usual: Fit) -> Fit:
    """Take a turn of an owner that has more turns, if that is earlier."""
    name = counter.size.name
    promised = counter.lanes[name].promised
    candidates = {issuance: (turn.at, turn.owner) for issuance, turn in promised.items() if not turn.near_end}
    used = used_by_owner(counter.lanes.values())
    best = usual
    for issuance in list(takeable_turns(candidates, used, wish.owner))[:_CANDIDATES]:
        others = {other: turn for other, turn in promised.items() if other != issuance}
        at = counter.free_at(turn.at for turn in others.values())
        if at < best.at:
            best = Fit(at, name, _with_promises(counter.lanes, name, others))
    return best


def _rank(turn: Promise) -> tuple[bool, int, datetime]:
    """Sort key of promised turns."""
    return (not turn.near_end, (turn.ends or _UNKNOWN_END) if turn.near_end else 0, turn.at)


def _with_promises(lanes: Mapping[str, Lane], name: str, promised: Mapping[str, Promise]) -> Mapping[str, Lane]:
    return {**lanes, name: evolve(lanes[name], promised=promised)}
