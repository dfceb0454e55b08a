"""Requests for a turn, and the answers; see `certcore_puq_acme.rate_limits.limiter`."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from attrs import frozen

from certcore_puq_acme.profile.limits import Limit

__all__ = ["OrderRequest", "Turn", "Why"]


class Why(StrEnum):
    """What an order waits for."""

    #: One of the CA's limits is exhausted; see `Turn.limit`.
    LIMIT = "limit"
    #: The CA asked for a pause (RFC 8555 section 6.6).
    PAUSE = "pause"
    #: The maximum number of orders is in flight.
    IN_FLIGHT = "in_flight"
    #: The certificate has used up the orders that certcore places for it.
    ORDERS = "orders"
    #: Too many workers are placing orders at the same time.
    BUSY = "busy"


@frozen(kw_only=True)
class OrderRequest:
    """An order that is to be placed."""

    issuance_id: str
    #: The tenant; empty for the operator.
    owner: str = ""
    #: A-labels.
    names: tuple[str, ...]
    #: It has the same names as the leaf in service, which is from the same CA.
    renewal: bool = False
    #: It names the leaf that it replaces (RFC 9773 section 5).
    ari: bool = False
    #: There is no leaf in service, or only one near its end.
    urgent: bool = False
    #: It renews a leaf in service that is near its end.
    near_end: bool = False
    #: End of the leaf in service; None without a leaf.
    ends: datetime | None = None
    #: It was counted as naming the leaf that it replaces, and the CA did not accept that.
    counted_as_ari: bool = False
    #: Longest time from the start of a pause to respect it; None for the whole pause.
    patience: timedelta | None = None
    #: How often it was told to ask again for a place in flight.
    looks: int = 0


@frozen(kw_only=True)
class Turn:
    """Whether an order may be placed now, and if not, why and until when it waits."""

    #: None when the order may be placed now.
    why: Why | None = None
    until: datetime | None = None
    limit: Limit | None = None
    #: The registered domain or name that the limit applies to; empty for the account.
    about: str = ""
    #: Whether the turn is promised for ``until``; otherwise the order asks again then.
    promised: bool = False
    detail: str = ""
    #: End of the pause as the CA requested it; may be later than ``until``.
    wished: datetime | None = None


@frozen(kw_only=True)
class Usage:
    """How much of a budget is used."""

    #: Orders in flight, and how many there may be.
    in_flight: int
    max_orders: int
    #: The limit on the account's orders; None without one. Then the orders that count towards it are not known.
    limit: Limit | None = None
    placed: int = 0
    promised: int = 0
