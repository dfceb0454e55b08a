"""The budget of one CA account, shared by all workers through the store: limits, pauses, orders in flight.

A certificate whose turn has not come waits here, with the reason and the time, instead of being refused by the CA.
Turns are promised in the order of asking, which the engine keeps by urgency, and an hour ahead at most, so that whoever
becomes urgent later need not wait for long; what counts is the moment at which an order goes out. A fifth of each limit
is kept for those that cannot wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from certcore.errors import StaleWrite
from certcore.ports.ca_module import Documents
from certcore_puq_acme.limits import Limit, LimitKind, free_at, registered_domain, same_names

__all__ = ["Budget", "OrderRequest", "Turn", "Why"]

#: How far ahead a turn is promised.
_HORIZON: Final = timedelta(hours=1)
#: Turns come one after the other, as orders went out one after the other: who asks at an hour before the first of them
#: is promised the next ones, too, in the order of asking.
_SLACK: Final = timedelta(minutes=15)
#: A limit of at least so many keeps a share for those that cannot wait.
_SHARED_FROM: Final = 10
_RESERVE: Final = 5
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

    def to_json(self) -> dict[str, Any]:
        """As it is kept for the right column."""
        return {
            "why": str(self.why or ""),
            "until": self.until.isoformat() if self.until else "",
            "limit": str(self.limit or ""),
            "about": self.about,
            "detail": self.detail,
        }


@frozen(kw_only=True)
class Budget:
    """The budget of one account.

    Args:
        documents: The module's store.
        account: The account document's key.
        limits: What the CA permits.
        max_orders: How many orders may be in flight.
    """

    documents: Documents
    account: str
    limits: tuple[Limit, ...]
    max_orders: int

    def take(self, request: OrderRequest, now: datetime) -> Turn:
        """Ask for a turn. When it is given, the order counts from this moment, whether it is placed or not."""
        for _ in range(_TRIES):
            turn = self._try(request, now)
            if turn is not None:
                return turn
        return Turn(why=Why.BUSY, until=now + _SOON)

    def leave(self, issuance_id: str) -> None:
        """The order is not in flight any more; it need not have been."""
        for _ in range(_TRIES):
            flight = _Stored.read(self.documents, self._key("flight"))
            if issuance_id not in flight.value:
                return
            value = {one: since for one, since in flight.value.items() if one != issuance_id}
            try:
                self.documents.put(flight.key, value, version=flight.version)
            except StaleWrite:
                continue
            return

    def paused(self, now: datetime) -> Turn | None:
        """The pause that the CA has asked for, while it lasts."""
        document = self.documents.get(self._key("pause"))
        if document is None:
            return None
        until = datetime.fromisoformat(str(document.value["until"]))
        return None if until <= now else Turn(why=Why.PAUSE, until=until, detail=str(document.value.get("detail", "")))

    def pause(self, until: datetime, detail: str) -> None:
        """Let nobody ask the CA anything with this account before this moment; a longer pause stays as it is."""
        for _ in range(_TRIES):
            stored = _Stored.read(self.documents, self._key("pause"))
            if stored.value and datetime.fromisoformat(str(stored.value["until"])) >= until:
                return
            try:
                value = {"until": until.isoformat(), "detail": detail[:500]}
                self.documents.put(stored.key, value, version=stored.version)
            except StaleWrite:
                continue
            return

    def failed(self, names: Iterable[str], now: datetime) -> None:
        """Authorizations of these names have failed."""
        limit = next((one for one in self.limits if one.kind is LimitKind.FAILED_AUTHORIZATIONS), None)
        if limit is None:
            return
        for _ in range(_TRIES):
            stored = _Stored.read(self.documents, self._key("failed"))
            kept = _recent_failures(stored.value, limit.span, now)
            for name in names:
                kept.setdefault(name, []).append(_to_number(now))
            newest = sorted(kept.items(), key=lambda one: one[1][-1])[-_MOST_FAILED:]
            try:
                self.documents.put(stored.key, dict(newest), version=stored.version)
            except StaleWrite:
                continue
            return

    def usage(self, now: datetime) -> dict[str, Any]:
        """How much of the account's budget is used: for the profile's page."""
        flight = _Stored.read(self.documents, self._key("flight"))
        found: dict[str, Any] = {"in_flight": len(_flying(flight.value, now)), "max_orders": self.max_orders}
        limit = next((one for one in self.limits if one.kind is LimitKind.ORDERS), None)
        if limit is not None:
            stored = _Stored.read(self.documents, self._key("orders"))
            lanes = [_Lane.read(one, limit, now) for one in stored.value.values()]
            found["orders"] = sum(len(lane.placed) for lane in lanes)
            found["orders_promised"] = sum(len(lane.promised) for lane in lanes)
            found["orders_limit"] = str(limit)
        return found

    def _try(self, request: OrderRequest, now: datetime) -> Turn | None:
        """One attempt; None when somebody else has changed the budget meanwhile."""
        if (pause := self.paused(now)) is not None:
            return pause
        flight = _Stored.read(self.documents, self._key("flight"))
        flying = _flying(flight.value, now)
        if request.issuance_id not in flying and len(flying) >= self.max_orders:
            return Turn(why=Why.IN_FLIGHT, until=now + min(_SOON * 1.5 ** min(request.looks, 20), _LONGEST_LOOK))
        if (failed := self._too_many_failures(request, now)) is not None:
            return failed
        changes = [evolve(flight, value={**flying, request.issuance_id: now.isoformat()})]
        counted = [self._counted(limit, about, key, request, now) for limit, about, key in self._wanted(request)]
        latest = max(counted, key=lambda one: one.at, default=None)
        turn = Turn()
        if latest is None or latest.at <= now:
            changes += [one.placed(request.issuance_id, now) for one in counted]
        else:
            turn = Turn(why=Why.LIMIT, until=latest.at, limit=latest.limit, about=latest.about)
            if latest.at - now > _HORIZON + _SLACK:
                return evolve(turn, until=max(latest.at - _HORIZON, now + _SOON))
            turn = evolve(turn, promised=True)
            changes = [one.promised(request.issuance_id, latest.at) for one in counted]
        try:
            self.documents.put_many(
                {one.key: one.value for one in changes}, versions={one.key: one.version for one in changes}
            )
        except StaleWrite:
            return None
        return turn

    def _wanted(self, request: OrderRequest) -> list[tuple[Limit, str, str]]:
        """The limits that this order counts towards, what each is about, and under which document it is counted."""
        found: list[tuple[Limit, str, str]] = []
        for limit in self.limits:
            if not limit.counts(renewal=request.renewal, ari=request.ari):
                continue
            match limit.kind:
                case LimitKind.ORDERS:
                    found.append((limit, "", self._key("orders")))
                case LimitKind.REGISTERED_DOMAIN:
                    domains = sorted({registered_domain(name) for name in request.names})
                    found += [(limit, domain, self._key(f"domain/{domain}")) for domain in domains]
                case LimitKind.SAME_NAMES:
                    found.append((limit, request.names[0], self._key(f"names/{same_names(request.names)}")))
                case LimitKind.FAILED_AUTHORIZATIONS:
                    pass  # nothing is taken from it; see _too_many_failures
        return found

    def _counted(self, limit: Limit, about: str, key: str, request: OrderRequest, now: datetime) -> _Counted:
        stored = _Stored.read(self.documents, key)
        reserve = limit.count // _RESERVE if limit.count >= _SHARED_FROM else 0
        sizes = {"all": limit.count - reserve, **({"reserve": reserve} if reserve else {})}
        lanes = {name: _Lane.read(stored.value.get(name, {}), limit, now) for name in sizes}
        mine = [name for name, lane in lanes.items() if request.issuance_id in lane.promised]
        open_to_me = mine or (list(sizes) if request.urgent else ["all"])
        at = {name: lanes[name].free_for(request.issuance_id, sizes[name], limit, now) for name in open_to_me}
        lane = min(at, key=lambda name: at[name])
        return _Counted(limit=limit, about=about, stored=stored, lanes=lanes, lane=lane, at=at[lane])

    def _too_many_failures(self, request: OrderRequest, now: datetime) -> Turn | None:
        for limit in self.limits:
            if limit.kind is not LimitKind.FAILED_AUTHORIZATIONS or not limit.counts(
                renewal=request.renewal, ari=request.ari
            ):
                continue
            stored = _Stored.read(self.documents, self._key("failed"))
            for name in request.names:
                moments = _moments(stored.value.get(name.removeprefix("*."), ()))
                until = free_at(moments, limit.count, limit.span, now)
                if until > now:
                    return Turn(why=Why.LIMIT, until=until, limit=limit, about=name)
        return None

    def _key(self, part: str) -> str:
        return f"budget/{self.account.removeprefix('account/')}/{part}"


@frozen(kw_only=True)
class _Stored:
    """One of the budget's documents, as it was read."""

    key: str
    value: Mapping[str, Any]
    version: int

    @classmethod
    def read(cls, documents: Documents, key: str) -> _Stored:
        document = documents.get(key)
        if document is None:
            return cls(key=key, value=MappingProxyType({}), version=0)
        return cls(key=key, value=document.value, version=document.version)


@frozen(kw_only=True)
class _Lane:
    """A share of a limit: the moments at which orders went out, and those for which a turn was promised."""

    placed: tuple[datetime, ...]
    promised: Mapping[str, datetime]

    @classmethod
    def read(cls, stored: Mapping[str, Any], limit: Limit, now: datetime) -> _Lane:
        """Without what has slid out of the window, and without promises that nobody has taken up."""
        placed = (_moment(one) for one in stored.get("placed", ()))
        promised = {issuance: _moment(one) for issuance, one in stored.get("promised", {}).items()}
        return cls(
            placed=tuple(one for one in placed if one > now - limit.span),
            promised={issuance: one for issuance, one in promised.items() if one > now - _HORIZON},
        )

    def free_for(self, issuance_id: str, count: int, limit: Limit, now: datetime) -> datetime:
        """When this one may go: who has a promise passes those who came later."""
        taken = self.placed if issuance_id in self.promised else sorted((*self.placed, *self.promised.values()))
        return free_at(taken, count, limit.span, now)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        promised = {issuance: _to_number(one) for issuance, one in self.promised.items()}
        return {"placed": [_to_number(one) for one in self.placed], "promised": promised}


@frozen(kw_only=True)
class _Counted:
    """A limit, and when one more fits into it."""

    limit: Limit
    about: str
    stored: _Stored
    lanes: Mapping[str, _Lane]
    lane: str
    at: datetime

    def placed(self, issuance_id: str, now: datetime) -> _Stored:
        """The document with an order that goes out now."""
        lane = self.lanes[self.lane]
        promised = {other: at for other, at in lane.promised.items() if other != issuance_id}
        return self._with(_Lane(placed=(*lane.placed, now), promised=promised))

    def promised(self, issuance_id: str, at: datetime) -> _Stored:
        """The document with a promise."""
        lane = self.lanes[self.lane]
        return self._with(evolve(lane, promised={**lane.promised, issuance_id: at}))

    def _with(self, changed: _Lane) -> _Stored:
        lanes = {**self.lanes, self.lane: changed}
        return evolve(self.stored, value={name: lane.to_json() for name, lane in lanes.items()})


def _flying(stored: Mapping[str, Any], now: datetime) -> dict[str, str]:
    return {one: since for one, since in stored.items() if now - datetime.fromisoformat(since) < _FLIGHT}


def _recent_failures(stored: Mapping[str, Any], window: timedelta, now: datetime) -> dict[str, list[int]]:
    since = _to_number(now - window)
    recent = {name: [one for one in moments if one > since] for name, moments in stored.items()}
    return {name: moments for name, moments in recent.items() if moments}


def _moments(stored: Sequence[int]) -> list[datetime]:
    return [_moment(one) for one in stored]


def _moment(stored: int) -> datetime:
    return datetime.fromtimestamp(stored / 1000, UTC)


def _to_number(moment: datetime) -> int:
    """Milliseconds since 1970, rounded up: never earlier than the moment."""
    return -int(-moment.timestamp() * 1000 // 1)
