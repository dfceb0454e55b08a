"""Rate limits, pauses and orders in flight at one CA, shared by all workers through the store.

Limits per account (orders, failed authorizations) are stored under the account's URL, so CA profiles with the same
account share them. Limits across accounts (certificates per registered domain, or per set of names) and the orders in
flight are stored under the CA's directory URL.

An order that would exceed a limit waits here, with the reason and the time, instead of being refused by the CA. Turns
are promised at most one hour ahead, so that a certificate that becomes urgent later is not kept waiting for long; their
order is in `certcore_puq_acme.rate_limits.turn_order`. An order counts from the moment at which it goes out. A fifth of
each limit is reserved for urgent certificates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, frozen

from certcore.errors import StaleWriteError
from certcore.ports.ca_module import Documents
from certcore_puq_acme.accounts.records import read_record
from certcore_puq_acme.profile.limits import (
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
from certcore_puq_acme.rate_limits.documents import BudgetKeys, Counted, Stored
from certcore_puq_acme.rate_limits.fair_shares import Flight, Places, Queue, owner_key
from certcore_puq_acme.rate_limits.pauses import Pause
from certcore_puq_acme.rate_limits.turn_order import LaneSize, fit
from certcore_puq_acme.rate_limits.turns import OrderRequest, Turn, Usage, Why

__all__ = ["Budget", "OrderRequest", "Turn", "Why"]

#: Limits of at least this count reserve one in `_RESERVED_SHARE` for urgent certificates.
_RESERVED_FROM: Final = 10
_RESERVED_SHARE: Final = 5
#: Account limits of at least this count keep one in `_NEWCOMER_SHARE` for owners who have used little.
_NEWCOMERS_FROM: Final = 50
_NEWCOMER_SHARE: Final = 10
#: The lanes of a limit, by their stored names.
_COMMON_LANE: Final = "all"
_RESERVED_LANE: Final = "reserve"
#: Attempts to write a document that other workers keep changing.
_WRITE_ATTEMPTS: Final = 30
_RETRY_AFTER: Final = timedelta(seconds=1)
_LONGEST_PLACE_WAIT: Final = timedelta(seconds=30)
_MAX_FAILED_NAMES: Final = 1000


@frozen(kw_only=True)
class Budget:
    """The rate limits of one account, and those that it shares with the other accounts at its CA.

    Args:
        documents: The module's store.
        account: Key of the account document; the account need not exist yet.
        limits: The limits in force.
        max_orders: Maximum number of orders in flight at this CA.
        directory: Directory URL of the CA. An existing account's own directory takes precedence.
    """

    documents: Documents
    account: str
    limits: tuple[Limit, ...]
    max_orders: int
    directory: str = ""

    def take(self, request: OrderRequest, now: datetime) -> Turn:
        """Ask for a turn to place an order.

        A granted turn (``why`` is None) counts from ``now`` on, even if the order is not placed afterwards. It is
        announced to the engine in the same transaction.
        """
        keys = self._keys()
        for _ in range(_WRITE_ATTEMPTS):
            turn = self._try_to_take(keys, request, now)
            if turn is not None:
                return turn
        return Turn(why=Why.BUSY, until=now + _RETRY_AFTER)

    def preview(self, request: OrderRequest, now: datetime) -> Turn:
        """What an order would wait for now, the orders in flight aside; no turn is taken or promised."""
        keys = self._keys()
        held_up = self._paused(keys, now, request.patience) or self._wait_after_failures(keys, request, now)
        if held_up is not None:
            return held_up
        applicable = self._applicable(keys, request)
        counted = [
            self._count(limit, about, key, request, _wish(request, now), now) for limit, about, key in applicable
        ]
        latest = max(counted, key=lambda each: each.at, default=None)
        if latest is None or latest.at <= now:
            return Turn()
        return Turn(why=Why.LIMIT, until=latest.at, limit=latest.limit, about=latest.about)

    def enter(self, request: OrderRequest, now: datetime) -> Turn | None:
        """Take a place in flight for an order that was placed earlier; None on success, else what it waits for."""
        keys = self._keys()
        for _ in range(_WRITE_ATTEMPTS):
            place = self._find_place(keys, request, now)
            if self._store(place.changes):
                return place.wait
        return Turn(why=Why.BUSY, until=now + _RETRY_AFTER)

    def leave(self, issuance_id: str) -> None:
        """Release the order's place in flight, if it has one."""

        def without(flight: Mapping[str, Any]) -> Mapping[str, Any] | None:
            others = {issuance: order for issuance, order in flight.items() if issuance != issuance_id}
            return None if len(others) == len(flight) else others

        self.documents.with_outcome.change(self._keys().of_ca("flight"), without)

    def pause_keys(self, url: str) -> tuple[str, ...]:
        """The documents that keep the pauses of this account, if this is its URL; empty while there is none."""
        return BudgetKeys(document=self.account, directory=self.directory, url=url).of_pauses

    def paused(self, now: datetime, patience: timedelta | None = None) -> Turn | None:
        """The pause that the CA has asked for, or None.

        Args:
            now: Current time.
            patience: Longest time from the start of the pause to respect it; None for the whole pause.
        """
        return self._paused(self._keys(), now, patience)

    def pause(self, wished: datetime, detail: str, now: datetime) -> None:
        """Stop all requests with this account until the CA accepts them again; a longer stored pause stays.

        Without an account, the opening of accounts at this CA is paused.

        Args:
            wished: End of the pause as the CA requested it; limited to `LONGEST_PAUSE` from now.
            detail: The CA's error text.
            now: Current time.
        """
        pause = Pause.asked_for(wished, detail, now)

        def longer(stored: Mapping[str, Any]) -> Mapping[str, Any] | None:
            known = Pause.of(stored, now)
            return pause.to_json() if known is None or known.until < pause.until else None

        for key in self._keys().of_pauses:
            self._change(key, longer)

    def failed(self, names: Iterable[str], now: datetime) -> None:
        """Count failed authorizations of these names."""
        limit = next((limit for limit in self.limits if limit.kind is LimitKind.FAILED_AUTHORIZATIONS), None)
        if limit is None:
            return
        span, failing = limit.span, list(names)

        def with_these(stored: Mapping[str, Any]) -> Mapping[str, Any]:
            failures = _recent_failures(stored, span, now)
            for name in failing:
                failures.setdefault(name, []).append(stamp(now))
            return dict(sorted(failures.items(), key=lambda item: item[1][-1])[-_MAX_FAILED_NAMES:])

        self._change(self._keys().of_account("failed"), with_these)

    def usage(self, now: datetime) -> Usage:
        """Orders in flight, counted and promised, for the page of the CA profile."""
        keys = self._keys()
        flight = Stored.read(self.documents, keys.of_ca("flight"))
        usage = Usage(in_flight=len(Flight.read(flight.value, now).orders), max_orders=self.max_orders)
        limit = next((limit for limit in self.limits if limit.kind is LimitKind.ORDERS), None)
        if limit is None:
            return usage
        stored = Stored.read(self.documents, keys.of_limit(limit))
        lanes = [Lane.read(lane, limit, now) for lane in stored.value.values()]
        placed, promised = sum(len(lane.placed) for lane in lanes), sum(len(lane.promised) for lane in lanes)
        return evolve(usage, limit=limit, placed=placed, promised=promised)

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
        """Apply ``change`` to a document, again after a conflict; None leaves the document unchanged."""
        for _ in range(_WRITE_ATTEMPTS):
            stored = Stored.read(self.documents, key)
            value = change(stored.value)
            if value is None:
                return
            with suppress(StaleWriteError):
                self.documents.put(key, value, version=stored.version)
                return

    def _find_place(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> _Place:
        """Find a place in flight that is not due to another owner first."""
        owner = owner_key(request.owner)
        stored, waiting = (Stored.read(self.documents, keys.of_ca(part)) for part in ("flight", "waiting"))
        flight, queue = Flight.read(stored.value, now), Queue.read(waiting.value, now)
        if request.issuance_id in flight.orders:
            return _Place(changes=(evolve(stored, value=flight.to_json()),))
        is_newcomer = bool(flight.orders) and bool(owner) and not flight.held_by(owner)
        free = Places(most=self.max_orders).open_to(near_end=request.near_end, is_newcomer=is_newcomer)
        free -= len(flight.orders)
        if free <= queue.owners_ahead(owner, near_end=request.near_end, flight=flight):
            until = now + min(_RETRY_AFTER * 1.5 ** min(request.looks, 20), _LONGEST_PLACE_WAIT)
            longer = queue.with_owner(owner, now, near_end=request.near_end)
            changes = () if longer is None else (evolve(waiting, value=longer.to_json()),)
            return _Place(changes=changes, wait=Turn(why=Why.IN_FLIGHT, until=until))
        changed = evolve(stored, value=flight.with_order(request.issuance_id, owner, now).to_json())
        shorter = queue.without_owner(owner, near_end=request.near_end)
        return _Place(changes=(changed,) if shorter is None else (changed, evolve(waiting, value=shorter.to_json())))

    def _store(self, changes: Iterable[Stored], *, announces_order: bool = False) -> bool:
        """Write all documents in one transaction; False after a conflict, when none is written."""
        by_key = {document.key: document for document in changes}
        try:
            if by_key or announces_order:
                self.documents.put_many(
                    {key: document.value for key, document in by_key.items()},
                    versions={key: document.version for key, document in by_key.items()},
                    announces_order=announces_order,
                )
        except StaleWriteError:
            return False
        return True

    def _try_to_take(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> Turn | None:
        """Try once to take a turn; None after a conflict with another worker."""
        applicable = self._applicable(keys, request)
        own_keys = (keys.of_ca("flight"), keys.of_ca("waiting"), keys.of_account("failed"))
        self.documents.get_many([*own_keys, *(key for _, _, key in applicable)])  # in one transaction
        if (pause := self._paused(keys, now, request.patience)) is not None:
            return pause
        if (failed := self._wait_after_failures(keys, request, now)) is not None:
            return failed
        wish = _wish(request, now)
        counted = [self._count(limit, about, key, request, wish, now) for limit, about, key in applicable]
        latest = max(counted, key=lambda each: each.at, default=None)
        if latest is not None and latest.at > now:
            turn = Turn(why=Why.LIMIT, until=latest.at, limit=latest.limit, about=latest.about)
            if latest.at - now > HORIZON + SLACK:
                return evolve(turn, until=max(latest.at - HORIZON, now + _RETRY_AFTER))
            promises = [each.with_promise(request.issuance_id, evolve(wish, at=latest.at)) for each in counted]
            return evolve(turn, promised=True) if self._store(promises) else None
        place = self._find_place(keys, request, now)
        if place.wait is not None:
            # While it waits for a place, later requests must not take its turn.
            promises = [each.with_promise(request.issuance_id, wish) for each in counted if each.needs_promise(now)]
            return place.wait if self._store([*place.changes, *promises]) else None
        orders = [each.with_order(Placed(now, wish.owner)) for each in counted]
        return Turn() if self._store([*place.changes, *orders], announces_order=True) else None

    def _applicable(self, keys: BudgetKeys, request: OrderRequest) -> list[tuple[Limit, str, str]]:
        """The limits that this order counts towards, each with its subject and the key of its document."""
        applicable: list[tuple[Limit, str, str]] = []
        for limit in self.limits:
            counted = request.counted_as_ari and limit.counts(renewal=request.renewal, ari=True)
            if counted or not limit.counts(renewal=request.renewal, ari=request.ari):
                continue
            match limit.kind:
                case LimitKind.ORDERS:
                    applicable.append((limit, "", keys.of_limit(limit)))
                case LimitKind.REGISTERED_DOMAIN:
                    domains = sorted({registered_domain(name) for name in request.names})
                    applicable += [(limit, domain, keys.of_limit(limit, domain)) for domain in domains]
                case LimitKind.SAME_NAMES:
                    applicable.append((limit, request.names[0], keys.of_limit(limit, same_names(request.names))))
                case LimitKind.FAILED_AUTHORIZATIONS:
                    pass  # Orders do not count towards it; see _wait_after_failures
        return applicable

    def _count(
        self, limit: Limit, about: str, key: str, request: OrderRequest, wish: Promise, now: datetime
    ) -> Counted:
        stored = Stored.read(self.documents, key)
        reserve = limit.count // _RESERVED_SHARE if limit.count >= _RESERVED_FROM else 0
        # Another profile at the same CA may have another count: read and keep both lanes in any case.
        lanes = {name: Lane.read(stored.value.get(name, {}), limit, now) for name in (_COMMON_LANE, _RESERVED_LANE)}
        sizes = (
            {_COMMON_LANE: limit.count - reserve, _RESERVED_LANE: reserve} if reserve else {_COMMON_LANE: limit.count}
        )
        sizes[_RESERVED_LANE] = max(sizes.get(_RESERVED_LANE, 0) - _kept_for_newcomers(request, limit, lanes), 0)
        promised_lanes = [name for name in sizes if sizes[name] and request.issuance_id in lanes[name].promised]
        open_lanes = promised_lanes or ([_COMMON_LANE, _RESERVED_LANE] if request.urgent else [_COMMON_LANE])
        open_sizes = [LaneSize(name, sizes[name], is_whole=not reserve) for name in open_lanes if sizes[name]]
        best = fit(limit, lanes, open_sizes, request.issuance_id, wish, now)
        own = lanes[best.lane].promised.get(request.issuance_id)
        return Counted(
            limit=limit,
            about=about,
            stored=stored,
            lanes=best.lanes,
            lane=best.lane,
            at=best.at,
            promised_for=own.at if own else None,
        )

    def _wait_after_failures(self, keys: BudgetKeys, request: OrderRequest, now: datetime) -> Turn | None:
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


@frozen(kw_only=True)
class _Place:
    """The answer to a request for a place in flight, with the documents to write."""

    changes: tuple[Stored, ...]
    #: What the order waits for; None when it has a place.
    wait: Turn | None = None


def _wish(request: OrderRequest, now: datetime) -> Promise:
    """The turn that a request asks for."""
    return Promise(now, owner_key(request.owner), request.near_end, stamp(request.ends) if request.ends else 0)


def _kept_for_newcomers(request: OrderRequest, limit: Limit, lanes: Mapping[str, Lane]) -> int:
    """Turns of an account's limit that this order may not use because they are kept for owners who have used little."""
    if limit.kind is not LimitKind.ORDERS or limit.count < _NEWCOMERS_FROM or request.near_end:
        return 0
    used = used_by_owner(lanes.values())
    owner = owner_key(request.owner)
    if not owner and not any(used):
        return 0  # Only the operator uses this account.
    is_newcomer = bool(owner) and used[owner] < limit.count // (2 * _NEWCOMER_SHARE)
    return 0 if is_newcomer else limit.count // _NEWCOMER_SHARE


def _recent_failures(stored: Mapping[str, Any], window: timedelta, now: datetime) -> dict[str, list[int]]:
    since = stamp(now - window)
    recent = {name: [moment for moment in moments if moment > since] for name, moments in stored.items()}
    return {name: moments for name, moments in recent.items() if moments}
