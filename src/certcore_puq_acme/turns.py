"""Who asks the budget for a turn, and what is answered; see `certcore_puq_acme.budget`."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from attrs import frozen

from certcore_puq_acme.limits import Limit

__all__ = ["OrderRequest", "Turn", "Why"]


class Why(StrEnum):
    """What a certificate waits for."""

    #: One of the CA's limits is used up; `Turn.limit` says which.
    LIMIT = "limit"
    #: The CA has asked for a pause (RFC 8555 section 6.6).
    PAUSE = "pause"
    #: As many orders are in flight as the profile allows.
    IN_FLIGHT = "in_flight"
    #: As many orders were placed for the certificate as certcore places.
    ORDERS = "orders"
    #: Too many workers are placing orders at this moment.
    BUSY = "busy"


@frozen(kw_only=True)
class OrderRequest:
    """An order that wants to be placed."""

    issuance_id: str
    #: The tenant; empty for what belongs to nobody in particular.
    owner: str = ""
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
    #: When the leaf that it renews ends; None without one.
    ends: datetime | None = None
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
