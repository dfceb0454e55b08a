"""The engine's limit of orders for each certificate, independent of the CA and its module.

A certificate may place 5 orders in 7 days. For short-lived leaves the window is shorter: the time of two and a half
renewals, so that the limit is twice what renewals need. Each time a user begins an issuance or asks for a check, one
more order is allowed, up to twice the limit.

A request for an order with an unknown result counts as an order. Refused requests have their own limit: 20 in the same
window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.renewal import installed_at, usual_time_in_service

__all__ = [
    "MOST_ORDERS",
    "MOST_ORDERS_OF_USERS",
    "MOST_REFUSALS",
    "OrderLimit",
    "order_limit",
    "pause_after_order",
    "pause_after_refusal",
]

MOST_ORDERS: Final = 5
#: The limit including the orders that users ask for.
MOST_ORDERS_OF_USERS: Final = 2 * MOST_ORDERS
#: The limit of refused requests for an order. Users may double it.
MOST_REFUSALS: Final = 20
_WINDOW: Final = timedelta(days=7)
#: The shortest window, for leaves that are valid for minutes.
_SHORTEST_WINDOW: Final = timedelta(minutes=10)
#: The first pauses after orders without a leaf. Further orders are spread over the remaining time.
_FIRST_PAUSES: Final = (timedelta(minutes=10), timedelta(hours=6), timedelta(hours=30))
#: The first pause after a refusal. It doubles while at least half of the permitted refusals are left.
_FIRST_PAUSE_OF_REFUSALS: Final = timedelta(seconds=10)
_SHORTEST_PAUSE: Final = timedelta(seconds=10)
#: The remaining orders are spread over this share of the leaf's remaining time.
_REACH: Final = 0.9
#: How many orders are kept for the time after the leaf's end, unless that leaves none for a long time before it.
_KEPT_ORDERS: Final = 1
_KEPT_REFUSALS: Final = 2
_LONGER: Final = timedelta(hours=12)


@frozen(kw_only=True)
class OrderLimit:
    """The orders that a certificate may place at a given moment."""

    #: How many orders may be placed now.
    left: int
    #: When the next order may be placed; None if one may be placed now.
    next_at: datetime | None
    #: How many orders are permitted in `window`.
    most: int
    window: timedelta
    #: How many more requests for an order the CA may refuse now.
    refusals_left: int = MOST_REFUSALS


def order_limit(issuances: Sequence[Issuance], now: datetime, *, by_user: bool = False) -> OrderLimit:
    """The orders that a certificate may place now.

    Args:
        issuances: All issuances of the certificate.
        now: The present moment.
        by_user: Whether a user asked for the next order, so that it may exceed the limit.
    """
    window = _window(issuances)
    most, most_refusals = (MOST_ORDERS, MOST_REFUSALS) if not by_user else (MOST_ORDERS_OF_USERS, 2 * MOST_REFUSALS)
    placed = _within(window, (at for issuance in issuances for at in _orders(issuance)), now)
    refused = _within(window, (at for issuance in issuances for at in issuance.engine_state.order_refusals), now)
    # A user's action permits only one more request.
    refusals_left = max(MOST_REFUSALS - len(refused), 1 if len(refused) < most_refusals and by_user else 0)
    frees = [
        moments[-limit] + window
        for moments, limit in ((placed, most), (refused, most_refusals))
        if len(moments) >= limit
    ]
    return OrderLimit(
        left=0 if frees else most - len(placed),
        next_at=max(frees, default=None),
        most=most,
        window=window,
        refusals_left=refusals_left,
    )


def pause_after_order(issuances: Sequence[Issuance], issuance: Issuance, now: datetime) -> timedelta:
    """The pause after an order that gave no leaf, or whose result is unknown.

    The first retries follow quickly. Further orders are spread, so that the remaining orders last until the leaf in
    service expires, or until the limit permits more.

    Args:
        issuances: All issuances of the certificate, including the present state of ``issuance``.
        issuance: The issuance that placed the order.
        now: The present moment.
    """
    window = _window(issuances)
    placed = _within(window, (at for issuance in issuances for at in _orders(issuance)), now)
    repeated = len(set(issuance.engine_state.orders))
    quick = _FIRST_PAUSES[repeated - 1] if 1 <= repeated <= len(_FIRST_PAUSES) else None
    frees = [at + window for at in placed[-MOST_ORDERS:]]
    left = MOST_ORDERS - len(frees)
    return _pause(left, frees, now=now, ends=_end_of_service(issuances, now), quick=quick, kept=_KEPT_ORDERS)


def pause_after_refusal(issuances: Sequence[Issuance], issuance: Issuance, now: datetime) -> timedelta:
    """The pause after the CA refused a request for an order, see `pause_after_order`."""
    window = _window(issuances)
    refused = _within(window, (at for issuance in issuances for at in issuance.engine_state.order_refusals), now)
    repeated = len(set(issuance.engine_state.order_refusals))
    quick: timedelta | None
    if 2 * len(refused) <= MOST_REFUSALS:
        quick = _FIRST_PAUSE_OF_REFUSALS * 2 ** min(repeated, 20)
    else:
        quick = _FIRST_PAUSES[repeated - 1] if 1 <= repeated <= len(_FIRST_PAUSES) else None
    frees = [at + window for at in refused[-MOST_REFUSALS:]]
    left = MOST_REFUSALS - len(frees)
    return _pause(left, frees, now=now, ends=_end_of_service(issuances, now), quick=quick, kept=_KEPT_REFUSALS)


def _pause(
    left: int,
    frees: Sequence[datetime],
    *,
    now: datetime,
    ends: datetime | None,
    quick: timedelta | None,
    kept: int,
) -> timedelta:
    """A pause that spreads the remaining orders or requests over the remaining time.

    Args:
        left: How many are left.
        frees: When each counted order or request leaves the window, in order.
        now: The present moment.
        ends: The end of the leaf in service; None without a leaf.
        quick: The longest pause for the first retries; None for further ones.
        kept: How many to keep for the time after ``ends``.
    """
    next_at = now if left or not frees else frees[0]
    # An order that leaves the window permits a further one.
    spread = (frees[0] - now) / (left + 1)
    if ends is not None and ends < frees[-1]:
        before_end = left + sum(free < ends for free in frees)
        if before_end > kept or (before_end and ends - now > _LONGER):
            spread = (ends - now) * _REACH / max(before_end - kept, 1)
    if quick is not None:
        spread = min(spread, quick)
    return max(spread, next_at - now, _SHORTEST_PAUSE)


def _within(window: timedelta, moments: Iterator[datetime], now: datetime) -> list[datetime]:
    return sorted(at for at in moments if now - window < at <= now)


def _end_of_service(issuances: Sequence[Issuance], now: datetime) -> datetime | None:
    """The end of the leaf in service; None without one."""
    ends = (item.leaf.not_after for item in issuances if item.leaf is not None and item.outcome is Outcome.ISSUED)
    return max((end for end in ends if end > now), default=None)


def _orders(issuance: Issuance) -> Iterator[datetime]:
    """When an issuance placed orders. An issuance of an older certcore, without counts, has one if it made progress."""
    if issuance.purpose is Purpose.IMPORT:
        return
    if issuance.engine_state.orders:
        yield from issuance.engine_state.orders
    elif issuance.outcome is Outcome.ISSUED:
        yield issuance.created_at


def _window(issuances: Sequence[Issuance]) -> timedelta:
    """Two and a half times the period from the installation to the renewal of the newest ordered leaf."""
    ordered = [issuance for issuance in issuances if issuance.leaf and issuance.purpose is not Purpose.IMPORT]
    newest = max(ordered, key=lambda issuance: issuance.number, default=None)
    if newest is None or newest.leaf is None:
        return _WINDOW
    time = usual_time_in_service(newest.leaf, installed_at(newest.leaf, newest.finished_at))
    return min(_WINDOW, max(_SHORTEST_WINDOW, time * MOST_ORDERS / 2))
