"""The budget at one CA, shared by all workers through the store: limits, pauses, orders in flight.

What a CA counts by account (orders, failed authorizations) is kept under the account's URL, so that profiles with the
same account share it. What it counts across accounts (certificates of a domain, or of a set of names), and the orders
in flight, are kept under the CA's directory.

A certificate whose turn has not come waits here, with the reason and the time, instead of being refused by the CA.
Turns are promised in the order of asking, which the engine keeps by urgency, and an hour ahead at most, so that whoever
becomes urgent later need not wait for long; what counts is the moment at which an order goes out. A fifth of each limit
is kept for those that cannot wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from attrs import evolve, frozen

from certcore.errors import StaleWrite
from certcore.ports.ca_module import Documents
from certcore_puq_acme.account_records import read_record
from certcore_puq_acme.budget_records import BudgetKeys, Counted, Stored
from certcore_puq_acme.fair_shares import Flight, Places, Queue, most_robbed, owner_key
from certcore_puq_acme.limits import (
    HORIZON,
    SLACK,
    Lane,
    Limit,
    LimitKind,
    Placed,
    Promise,
    free_at,
    registered_domain,
    same_names,
    seen_from,
    stamp,
    stamped,
    used_by_owner,
)
from certcore_puq_acme.pauses import Pause
from certcore_puq_acme.turns import OrderRequest, Turn, Why

__all__ = ["Budget", "OrderRequest", "Turn", "Why"]

#: A limit of at least so many keeps a share for those that cannot wait.
_SHARED_FROM: Final = 10
_RESERVE: Final = 5
#: A limit on an account's orders of at least so many keeps a tenth for owners who have had little of it.
_MANY: Final = 50
_NEWCOMERS: Final = 10
#: What several owners can use up for each other: a registered domain may be the panel's own, with a name for each.
_OF_OWNERS: Final = frozenset({LimitKind.ORDERS, LimitKind.REGISTERED_DOMAIN})
#: The parts of a limit.
_ALL: Final = "all"
_KEPT: Final = "reserve"
#: Of how many promises it is tried whether taking one away brings a turn forward.
_ROBBED: Final = 3
#: How often a change is tried while others are changing the same.
_TRIES: Final = 30
_SOON: Final = timedelta(seconds=1)
_LONGEST_LOOK: Final = timedelta(seconds=30)
_MOST_FAILED: Final = 1000


@frozen(kw_only=True)
class Budget:
    """The budget of one account, and what it shares with the other accounts at its CA.

    Args:
        documents: The module's store.
        account: The account document's key; the account need not exist yet.
        limits: What the CA permits.
        max_orders: How many orders may be in flight at this CA.
        directory: The CA's directory URL; that of the account when it exists.
    """

    documents: Documents
    account: str
    limits: tuple[Limit, ...]
    max_orders: int
    directory: str = ""

    def take(self, request: OrderRequest, now: datetime) -> Turn:
        """Ask for a turn. When it is given, the order counts from this moment, whether it is placed or not."""
        keys = self._keys()
        for _ in range(_TRIES):
            turn = self._try(keys, request, now)
            if turn is not None:
                return turn
        return Turn(why=Why.BUSY, until=now + _SOON)

    def enter(self, request: OrderRequest, now: datetime) -> Turn | None:
        """Let an order that was placed earlier be in flight again; None when it is, else what it waits for."""
        keys = self._keys()
        for _ in range(_TRIES):
            places = self._places(keys, request, now)
            if not self._stored(places.changes):
                continue
            return places.full
        return Turn(why=Why.BUSY, until=now + _SOON)

    def leave(self, issuance_id: str) -> None:
        """The order is not in flight any more; it need not have been."""

        def without(flight: Mapping[str, Any]) -> Mapping[str, Any] | None:
            left = {one: since for one, since in flight.items() if one != issuance_id}
            return None if len(left) == len(flight) else left

        self._change(self._keys().of_ca("flight"), without)

    def paused(self, now: datetime, patience: timedelta | None = None) -> Turn | None:
        """The pause that the CA has asked for, while it lasts.

        Args:
            now: The present moment.
            patience: For how long from its beginning it is kept at most; None for all of it.
        """
        return self._paused(self._keys(), now, patience)

    def pause(self, wished: datetime, detail: str, now: datetime) -> None:
        """Let nobody ask the CA anything with this account before this moment; a longer pause stays as it is.

        While there is no account, it is the opening of accounts at this CA that has to wait.

        Args:
            wished: Until when, by the CA's wish. No pause is longer than `LONGEST_PAUSE`.
            detail: The CA's own words.
            now: The present moment.
        """
        pause = Pause.asked_for(wished, detail, now)

        def longer(stored: Mapping[str, Any]) -> Mapping[str, Any] | None:
            known = Pause.of(stored, now)
            return pause.to_json() if known is None or known.until < pause.until else None

        for key in self._keys().of_pauses:
            self._change(key, longer)

    def failed(self, names: Iterable[str], now: datetime) -> None:
        """Authorizations of these names have failed."""
        limit = next((one for one in self.limits if one.kind is LimitKind.FAILED_AUTHORIZATIONS), None)
        if limit is None:
            return
        span, failing = limit.span, list(names)

        def with_these(stored: Mapping[str, Any]) -> Mapping[str, Any]:
            kept = _recent_failures(stored, span, now)
            for name in failing:
                kept.setdefault(name, []).append(stamp(now))
            return dict(sorted(kept.items(), key=lambda one: one[1][-1])[-_MOST_FAILED:])

        self._change(self._keys().of_account("failed"), with_these)

    def usage(self, now: datetime) -> dict[str, Any]:
        """How much of the account's budget is used: for the profile's page."""
        keys = self._keys()
        flight = Stored.read(self.documents, keys.of_ca("flight"))
        found: dict[str, Any] = {"in_flight": len(Flight.read(flight.value, now).orders), "max_orders": self.max_orders}
        limit = next((one for one in self.limits if one.kind is LimitKind.ORDERS), None)
        if limit is not None:
            stored = Stored.read(self.documents, keys.of_limit(limit))
            lanes = [Lane.read(one, limit, now) for one in stored.value.values()]
            found["orders"] = sum(len(lane.placed) for lane in lanes)
            found["orders_promised"] = sum(len(lane.promised) for lane in lanes)
            found["orders_limit"] = str(limit)
        return found

    def _keys(self) -> BudgetKeys:
        record = read_record(self.documents, self.account)
        return BudgetKeys(document=self.account, directory=record.directory or self.directory, url=record.url)

    def _paused(self, keys: BudgetKeys, now: datetime, patience: timedelta | None) -> Turn | None:
        stored = [document.value for document in map(self.documents.get, keys.of_pauses) if document is not None]
        pauses = [pause for pause in (Pause.of(value, now) for value in stored) if pause is not None]
        last = max(pauses, key=lambda pause: pause.end_for(patience), default=None)
        if last is None or (until := last.end_for(patience)) <= now:
            return None
        return Turn(why=Why.PAUSE, until=until, detail=last.detail, wished=last.wished)

    def _change(self, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> None:
        """Store what ``change`` makes of a document, again when somebody was faster; None leaves it as it is."""
        for _ in range(_TRIES):
            stored = Stored.read(self.documents, key)
            value = change(stored.value)
            if value is None:
                return
            with suppress(StaleWrite):
                self.documents.put(key, value, version=stored.version)
                return

    def _places(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> _Place:
        """A place in flight, if there is one that nobody else is to have before."""
        owner = owner_key(request.owner)
        stored, waiting = (Stored.read(self.documents, keys.of_ca(part)) for part in ("flight", "waiting"))
        flight, queue = Flight.read(stored.value, now), Queue.read(waiting.value, now)
        if request.issuance_id in flight.orders:
            return _Place(changes=(evolve(stored, value=flight.to_json()),))
        is_newcomer = bool(flight.orders) and bool(owner) and not flight.held_by(owner)
        free = Places(most=self.max_orders).open_to(near_end=request.near_end, is_newcomer=is_newcomer)
        free -= len(flight.orders)
        if free <= queue.before(owner, near_end=request.near_end, flight=flight):
            until = now + min(_SOON * 1.5 ** min(request.looks, 20), _LONGEST_LOOK)
            joined = queue.joined(owner, now, near_end=request.near_end)
            changes = () if joined is None else (evolve(waiting, value=joined.to_json()),)
            return _Place(changes=changes, full=Turn(why=Why.IN_FLIGHT, until=until))
        taken = evolve(stored, value=flight.with_order(request.issuance_id, owner, now).to_json())
        left = queue.left(owner, near_end=request.near_end)
        return _Place(changes=(taken,) if left is None else (taken, evolve(waiting, value=left.to_json())))

    def _stored(self, changes: Iterable[Stored]) -> bool:
        """Store all of them; False when somebody else has changed one meanwhile."""
        values = {one.key: one for one in changes}
        try:
            if values:
                self.documents.put_many(
                    {key: one.value for key, one in values.items()},
                    versions={key: one.version for key, one in values.items()},
                )
        except StaleWrite:
            return False
        return True

    def _try(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> Turn | None:
        """One attempt; None when somebody else has changed the budget meanwhile."""
        if (pause := self._paused(keys, now, request.patience)) is not None:
            return pause
        places = self._places(keys, request, now)
        if places.full is not None:
            return places.full if self._stored(places.changes) else None
        if (failed := self._too_many_failures(keys, request, now)) is not None:
            return failed
        owner = owner_key(request.owner)
        counted = [self._counted(limit, about, key, request, now) for limit, about, key in self._wanted(keys, request)]
        latest = max(counted, key=lambda one: one.at, default=None)
        if latest is None or latest.at <= now:
            placed = [one.placed(request.issuance_id, Placed(now, owner)) for one in counted]
            return Turn() if self._stored([*places.changes, *placed]) else None
        turn = Turn(why=Why.LIMIT, until=latest.at, limit=latest.limit, about=latest.about)
        if latest.at - now > HORIZON + SLACK:
            return evolve(turn, until=max(latest.at - HORIZON, now + _SOON))
        promise = Promise(latest.at, owner, request.near_end, stamp(request.ends) if request.ends else 0)
        promised = [one.promised(request.issuance_id, promise) for one in counted]
        return evolve(turn, promised=True) if self._stored(promised) else None

    def _wanted(self, keys: BudgetKeys, request: OrderRequest) -> list[tuple[Limit, str, str]]:
        """The limits that this order counts towards, what each is about, and under which document it is counted."""
        found: list[tuple[Limit, str, str]] = []
        for limit in self.limits:
            counted = request.counted_as_ari and limit.counts(renewal=request.renewal, ari=True)
            if counted or not limit.counts(renewal=request.renewal, ari=request.ari):
                continue
            match limit.kind:
                case LimitKind.ORDERS:
                    found.append((limit, "", keys.of_limit(limit)))
                case LimitKind.REGISTERED_DOMAIN:
                    domains = sorted({registered_domain(name) for name in request.names})
                    found += [(limit, domain, keys.of_limit(limit, domain)) for domain in domains]
                case LimitKind.SAME_NAMES:
                    found.append((limit, request.names[0], keys.of_limit(limit, same_names(request.names))))
                case LimitKind.FAILED_AUTHORIZATIONS:
                    pass  # nothing is taken from it; see _too_many_failures
        return found

    def _counted(self, limit: Limit, about: str, key: str, request: OrderRequest, now: datetime) -> Counted:
        stored = Stored.read(self.documents, key)
        reserve = limit.count // _RESERVE if limit.count >= _SHARED_FROM else 0
        # Another profile at the same CA may have been given other numbers: both parts are always read and kept.
        lanes = {name: Lane.read(stored.value.get(name, {}), limit, now) for name in (_ALL, _KEPT)}
        sizes = {_ALL: limit.count - reserve, _KEPT: reserve} if reserve else {_ALL: limit.count}
        sizes[_KEPT] = max(sizes.get(_KEPT, 0) - _kept_from(request, limit, lanes), 0)
        mine = [name for name in sizes if sizes[name] and request.issuance_id in lanes[name].promised]
        open_to_me = mine or ([_ALL, _KEPT] if request.urgent else [_ALL])
        found = [
            _fitting(limit, lanes, _Part(name, sizes[name], is_whole=not reserve), request, now)
            for name in open_to_me
            if sizes[name]
        ]
        fit = min(found, key=lambda one: one.at)
        return Counted(
            limit=limit, about=about, stored=stored, lanes=lanes, lane=fit.lane, at=fit.at, robbed=fit.robbed
        )

    def _too_many_failures(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> Turn | None:
        for limit in self.limits:
            if limit.kind is not LimitKind.FAILED_AUTHORIZATIONS or not limit.counts(
                renewal=request.renewal, ari=request.ari
            ):
                continue
            stored = Stored.read(self.documents, keys.of_account("failed"))
            for name in request.names:
                moments = seen_from(map(stamped, stored.value.get(name.removeprefix("*."), ())), now)
                until = free_at(moments, limit.count, limit.span, now)
                if until > now:
                    return Turn(why=Why.LIMIT, until=until, limit=limit, about=name)
        return None


class _Part(NamedTuple):
    """A part of a limit."""

    name: str
    size: int
    #: The limit has no other part: what was counted in another one counts here.
    is_whole: bool


class _Fit(NamedTuple):
    """When one more fits, into which lane, and whose promise is taken away for it."""

    at: datetime
    lane: str
    robbed: str


@frozen(kw_only=True)
class _Place:
    """A place in flight, and what is stored for it; or the turn of one who has to wait for one."""

    changes: tuple[Stored, ...]
    full: Turn | None = None


def _fitting(limit: Limit, lanes: Mapping[str, Lane], part: _Part, request: OrderRequest, now: datetime) -> _Fit:
    """When one more fits into a part of a limit, and whose promise is taken away for it."""
    lane = lanes[part.name]
    others = [lanes[name] for name in lanes if name != part.name] if part.is_whole else []

    def at_without(robbed: str) -> datetime:
        taken = [*lane.taken(request.issuance_id, now, robbed)]
        for other in others:
            taken += other.taken(request.issuance_id, now)
        return free_at(sorted(taken), part.size, limit.span, now)

    usual = at_without("")
    if usual <= now or limit.kind not in _OF_OWNERS or request.issuance_id in lane.promised:
        return _Fit(usual, part.name, "")
    open_promises = {
        issuance: (promise.at, promise.owner) for issuance, promise in lane.promised.items() if not promise.near_end
    }
    if request.near_end:
        # Of renewals near their end, that of the leaf that ends first goes first.
        ends = stamp(request.ends) if request.ends else 0
        later = [one for one, promise in lane.promised.items() if promise.near_end and 0 < ends < promise.ends]
        robbed = sorted([*open_promises, *later], key=lambda issuance: lane.promised[issuance].at)
    else:
        robbed = list(most_robbed(open_promises, used_by_owner(lanes.values()), owner_key(request.owner)))
    tried = [_Fit(at_without(issuance), part.name, issuance) for issuance in robbed[:_ROBBED]]
    return min([_Fit(usual, part.name, ""), *tried], key=lambda fit: fit.at)


def _kept_from(request: OrderRequest, limit: Limit, lanes: Mapping[str, Lane]) -> int:
    """How many turns of an account's limit are kept from this order for owners who have had little."""
    if limit.kind is not LimitKind.ORDERS or limit.count < _MANY or request.near_end:
        return 0
    used = used_by_owner(lanes.values())
    owner = owner_key(request.owner)
    if not owner and not any(used):
        return 0  # nobody but the operator uses it
    is_newcomer = bool(owner) and used[owner] < limit.count // (2 * _NEWCOMERS)
    return 0 if is_newcomer else limit.count // _NEWCOMERS


def _recent_failures(stored: Mapping[str, Any], window: timedelta, now: datetime) -> dict[str, list[int]]:
    since = stamp(now - window)
    recent = {name: [one for one in moments if one > since] for name, moments in stored.items()}
    return {name: moments for name, moments in recent.items() if moments}
