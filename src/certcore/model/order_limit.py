"""How many orders a certificate may place: the engine's own bound, independent of the CA and its module.

At most 5 orders in 7 days, or, for leaves that live shorter, at most 5 in the time in which two and a half renewals are
due: twice what the lifetime needs. Each time that a user begins an issuance, or asks to look at it, it may place one
order beyond that, up to twice the number.

A request for an order whose outcome is unknown counts as an order. One that the CA has refused placed none, and has a
bound of its own: at most 20 in the same time.
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
#: The bound for orders that a user asks for.
MOST_ORDERS_OF_USERS: Final = 2 * MOST_ORDERS
#: How many requests for an order the CA may refuse; what a user asks for may go up to twice as many.
MOST_REFUSALS: Final = 20
_WINDOW: Final = timedelta(days=7)
#: The shortest window, for leaves that live for minutes: at most 5 orders in it.
_SHORTEST_WINDOW: Final = timedelta(minutes=10)
#: The first pauses between orders that lead to no leaf; the further ones are spread over the time that is left.
_FIRST_PAUSES: Final = (timedelta(minutes=10), timedelta(hours=6), timedelta(hours=30))
#: The pauses between refusals double from here while at least half of what is permitted is left.
_FIRST_PAUSE_OF_REFUSALS: Final = timedelta(seconds=10)
_SHORTEST_PAUSE: Final = timedelta(seconds=10)
#: The orders that are left reach this far into the time that the leaf in service has left.
_REACH: Final = 0.9
#: How many are kept for the time after its end, unless that would leave none for a long time before it.
_KEPT_ORDERS: Final = 1
_KEPT_REFUSALS: Final = 2
_LONGER: Final = timedelta(hours=12)


@frozen(kw_only=True)
class OrderLimit:
    """How many orders a certificate may place at one moment."""

    #: How many orders may be placed now.
    left: int
    #: When the next one may be placed; None while one may be placed now.
    next_at: datetime | None
    #: How many orders are permitted in ``window``.
    most: int
    window: timedelta
    #: How many more requests for an order the CA may refuse now.
    refusals_left: int = MOST_REFUSALS


def order_limit(issuances: Sequence[Issuance], now: datetime, *, by_user: bool = False) -> OrderLimit:
    """What a certificate may order now.

    Args:
        issuances: All of the certificate's issuances.
        now: The present moment.
        by_user: Whether a user asked for the order in question, which may then go beyond the bound.
    """
    window = _window(issuances)
    most, most_refusals = (MOST_ORDERS, MOST_REFUSALS) if not by_user else (MOST_ORDERS_OF_USERS, 2 * MOST_REFUSALS)
    placed = _within(window, (at for issuance in issuances for at in _orders(issuance)), now)
    refused = _within(window, (at for issuance in issuances for at in issuance.engine_state.order_refusals), now)
    # A user's action permits one request more, not a row of them.
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
    """How long no further order is placed after an order without a leaf, or one that may not have been placed.

    The first repetitions are quick. The further ones are spread, so that the orders that are left reach as far as the
    end of the leaf in service, or until the bound permits more.

    Args:
        issuances: All that the certificate has had, ``issuance`` as it is after the order.
        issuance: The one that has placed it.
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
    """How long no further order is asked for after the CA has refused one, see `pause_after_order`."""
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
    """A pause that leaves some of a bound for the rest of the time.

    Args:
        left: How many are left.
        frees: When each of those that count does not count any more, in their order.
        now: The present moment.
        ends: The end of the leaf in service; None without one.
        quick: The longest pause, while repetitions are quick; None afterwards.
        kept: How many are kept for the time after ``ends``.
    """
    next_at = now if left or not frees else frees[0]
    # The next order that becomes free continues the series.
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
    """When an issuance placed orders; one from before orders were counted counts as one if it made progress."""
    if issuance.purpose is Purpose.IMPORT:
        return
    if issuance.engine_state.orders:
        yield from issuance.engine_state.orders
    elif issuance.outcome is Outcome.ISSUED:
        yield issuance.created_at


def _window(issuances: Sequence[Issuance]) -> timedelta:
    """Two and a half times the time from the installation to the renewal of the newest leaf that was ordered."""
    ordered = [issuance for issuance in issuances if issuance.leaf and issuance.purpose is not Purpose.IMPORT]
    newest = max(ordered, key=lambda issuance: issuance.number, default=None)
    if newest is None or newest.leaf is None:
        return _WINDOW
    time = usual_time_in_service(newest.leaf, installed_at(newest.leaf, newest.finished_at))
    return min(_WINDOW, max(_SHORTEST_WINDOW, time * MOST_ORDERS / 2))
