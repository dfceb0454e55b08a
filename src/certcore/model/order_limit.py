"""How many orders a certificate may place: the engine's own bound, whatever the CA or its module says.

At most 5 orders in 7 days, or, for leaves that live shorter, at most 5 in the time in which two and a half renewals are
due: twice what the lifetime needs. Each time that a user begins an issuance, or asks to look at it, it may place one
order beyond that, up to twice the number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.renewal import installed_at, usual_time_in_service

__all__ = ["MOST_ORDERS", "MOST_ORDERS_OF_USERS", "OrderLimit", "order_limit"]

MOST_ORDERS: Final = 5
#: What a user asks for may go up to so many.
MOST_ORDERS_OF_USERS: Final = 2 * MOST_ORDERS
_WINDOW: Final = timedelta(days=7)
#: For leaves that live for minutes: never more than 5 orders in so long.
_SHORTEST_WINDOW: Final = timedelta(minutes=10)


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


def order_limit(issuances: Sequence[Issuance], now: datetime, *, by_user: bool = False) -> OrderLimit:
    """What a certificate may order now.

    Args:
        issuances: All that it has had.
        now: The present moment.
        by_user: Whether a user asked for the order in question, which may then go beyond the bound.
    """
    window = _window(issuances)
    most = MOST_ORDERS_OF_USERS if by_user else MOST_ORDERS
    placed = sorted(at for issuance in issuances for at in _orders(issuance) if now - window < at <= now)
    if len(placed) < most:
        return OrderLimit(left=most - len(placed), next_at=None, most=most, window=window)
    return OrderLimit(left=0, next_at=placed[-most] + window, most=most, window=window)


def _orders(issuance: Issuance) -> Iterator[datetime]:
    """When an issuance placed orders; one of before orders were counted has placed one if it got anywhere."""
    if issuance.purpose is Purpose.IMPORT:
        return
    if issuance.engine_state.orders:
        yield from issuance.engine_state.orders
    elif issuance.outcome is Outcome.ISSUED:
        yield issuance.created_at


def _window(issuances: Sequence[Issuance]) -> timedelta:
    """Of the newest leaf that was ordered: two and a half times the time from its installation to its renewal."""
    leaves = [one for one in issuances if one.leaf is not None and one.purpose is not Purpose.IMPORT]
    newest = max(leaves, key=lambda one: one.number, default=None)
    if newest is None or newest.leaf is None:
        return _WINDOW
    time = usual_time_in_service(newest.leaf, installed_at(newest.leaf, newest.finished_at))
    return min(_WINDOW, max(_SHORTEST_WINDOW, time * MOST_ORDERS / 2))
