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
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, frozen

from certcore.errors import StaleWrite
from certcore.ports.ca_module import Documents
from certcore_puq_acme.account_records import read_record
from certcore_puq_acme.budget_records import BudgetKeys, Counted, Stored
from certcore_puq_acme.limits import (
    HORIZON,
    Lane,
    Limit,
    LimitKind,
    free_at,
    registered_domain,
    same_names,
    seen_from,
    stamp,
    stamped,
)
from certcore_puq_acme.pauses import Pause

__all__ = ["Budget", "OrderRequest", "Turn", "Why"]

#: Turns come one after the other, as orders went out one after the other: who asks at an hour before the first of them
#: is promised the next ones, too, in the order of asking.
_SLACK: Final = timedelta(minutes=15)
#: A limit of at least so many keeps a share for those that cannot wait.
_SHARED_FROM: Final = 10
_RESERVE: Final = 5
#: So many orders in flight, or more, keep a place for renewals of leaves that are near their end.
_KEPT_FROM: Final = 3
#: The parts of a limit.
_ALL: Final = "all"
_KEPT: Final = "reserve"
#: An order that is in flight for longer than this is none any more, whatever the record says.
_FLIGHT: Final = timedelta(days=2)
#: How often a change is tried while others are changing the same.
_TRIES: Final = 30
_SOON: Final = timedelta(seconds=1)
_LONGEST_LOOK: Final = timedelta(seconds=30)
_MOST_FAILED: Final = 1000


class Why(StrEnum):
    """What a certificate waits for."""

    #: One of the CA's limits is used up; `Turn.limit` says which.
    LIMIT = "limit"
    #: The CA has asked for a pause (RFC 8555 section 6.6).
    PAUSE = "pause"
    #: As many orders are in flight as the profile allows.
    IN_FLIGHT = "in_flight"
    #: Too many workers are placing orders at this moment.
    BUSY = "busy"


@frozen(kw_only=True)
class OrderRequest:
    """An order that wants to be placed."""

    issuance_id: str
    #: A-labels.
    names: tuple[str, ...]
    #: For the same names as the leaf in service, which is from the same CA.
    renewal: bool = False
    #: It will say which leaf it replaces (RFC 9773 section 5).
    ari: bool = False
    #: It cannot wait: there is no leaf in service, or not for long.
    urgent: bool = False
    #: It renews a leaf in service that is near its end.
    near_end: bool = False
    #: It was counted as one that says which leaf it replaces, and the CA did not take it as such.
    counted_as_ari: bool = False
    #: For how long from its beginning a pause is kept at most; None for all of it.
    patience: timedelta | None = None
    #: How often it was told to look again because of the orders in flight.
    looks: int = 0


@frozen(kw_only=True)
class Turn:
    """Whether an order may be placed, and if not, what it waits for and until when."""

    #: None: now.
    why: Why | None = None
    until: datetime | None = None
    limit: Limit | None = None
    #: What the limit is about: a registered domain or a name; empty for the account.
    about: str = ""
    #: The turn is promised for ``until``; else one has to ask again then.
    promised: bool = False
    detail: str = ""
    #: Until when the CA wishes a pause, which may be later than ``until``.
    wished: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is kept for the right column."""
        return {
            "why": str(self.why or ""),
            "until": self.until.isoformat() if self.until else "",
            "limit": str(self.limit or ""),
            "about": self.about,
            "detail": self.detail,
            "wished": self.wished.isoformat() if self.wished else "",
        }


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
        key = self._keys().of_ca("flight")
        for _ in range(_TRIES):
            flight = Stored.read(self.documents, key)
            flying = _flying(flight.value, now)
            if (full := self._full(flying, request, now)) is not None:
                return full
            try:
                self.documents.put(key, {**flying, request.issuance_id: now.isoformat()}, version=flight.version)
            except StaleWrite:
                continue
            return None
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
        found: dict[str, Any] = {"in_flight": len(_flying(flight.value, now)), "max_orders": self.max_orders}
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

    def _full(self, flying: Mapping[str, str], request: OrderRequest, now: datetime) -> Turn | None:
        """Whether there is no place among the orders in flight."""
        kept = max(self.max_orders // _RESERVE, 1) if self.max_orders >= _KEPT_FROM else 0
        most = self.max_orders - (0 if request.near_end else kept)
        if request.issuance_id in flying or len(flying) < most:
            return None
        return Turn(why=Why.IN_FLIGHT, until=now + min(_SOON * 1.5 ** min(request.looks, 20), _LONGEST_LOOK))

    def _try(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> Turn | None:
        """One attempt; None when somebody else has changed the budget meanwhile."""
        if (pause := self._paused(keys, now, request.patience)) is not None:
            return pause
        flight = Stored.read(self.documents, keys.of_ca("flight"))
        flying = _flying(flight.value, now)
        if (full := self._full(flying, request, now)) is not None:
            return full
        if (failed := self._too_many_failures(keys, request, now)) is not None:
            return failed
        changes = [evolve(flight, value={**flying, request.issuance_id: now.isoformat()})]
        counted = [self._counted(limit, about, key, request, now) for limit, about, key in self._wanted(keys, request)]
        latest = max(counted, key=lambda one: one.at, default=None)
        turn = Turn()
        if latest is None or latest.at <= now:
            changes += [one.placed(request.issuance_id, now) for one in counted]
        else:
            turn = Turn(why=Why.LIMIT, until=latest.at, limit=latest.limit, about=latest.about)
            if latest.at - now > HORIZON + _SLACK:
                return evolve(turn, until=max(latest.at - HORIZON, now + _SOON))
            turn = evolve(turn, promised=True)
            changes = [one.promised(request.issuance_id, latest.at) for one in counted]
        try:
            self.documents.put_many(
                {one.key: one.value for one in changes}, versions={one.key: one.version for one in changes}
            )
        except StaleWrite:
            return None
        return turn

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
        taken = {name: lanes[name].taken(request.issuance_id, now) for name in lanes}
        if not reserve:
            taken[_ALL] = sorted((*taken[_ALL], *taken[_KEPT]))
        mine = [name for name in sizes if request.issuance_id in lanes[name].promised]
        open_to_me = mine or (list(sizes) if request.urgent else [_ALL])
        at = {name: free_at(taken[name], sizes[name], limit.span, now) for name in open_to_me}
        lane = min(at, key=lambda name: at[name])
        return Counted(limit=limit, about=about, stored=stored, lanes=lanes, lane=lane, at=at[lane])

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


def _flying(stored: Mapping[str, Any], now: datetime) -> dict[str, str]:
    return {one: since for one, since in stored.items() if abs(now - datetime.fromisoformat(since)) < _FLIGHT}


def _recent_failures(stored: Mapping[str, Any], window: timedelta, now: datetime) -> dict[str, list[int]]:
    since = stamp(now - window)
    recent = {name: [one for one in moments if one > since] for name, moments in stored.items()}
    return {name: moments for name, moments in recent.items() if moments}
