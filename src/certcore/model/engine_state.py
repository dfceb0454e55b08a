"""The engine's state of an issuance between steps: counts, moments, and a chain that waits to be installed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import evolve, frozen

__all__ = ["EngineState"]

#: How many moments of orders are kept: more than any limit needs.
_MOST_ORDERS: Final = 20
_MOST_REFUSALS: Final = 40


@frozen(kw_only=True)
class EngineState:
    """The engine's counterpart of ``module_state``, stored with an issuance. All moments are UTC."""

    #: When this issuance placed or may have placed orders with the CA, oldest first; at most the newest 20.
    orders: tuple[datetime, ...] = ()
    #: When the CA refused requests for an order, oldest first; at most the newest 40.
    order_refusals: tuple[datetime, ...] = ()
    #: Fingerprints of the notes of the CA module that are in the timeline.
    noted: tuple[str, ...] = ()
    #: Until when no step is taken after a fruitless order or a refused request, unless a user asks for a step.
    rests_until: datetime | None = None
    #: Whether a user began this issuance or asked for a check. Then it may place one order beyond the engine's limit,
    #: see `certcore.model.order_limit`.
    by_user: bool = False
    #: Whether an order was placed although none was left. Then no step is taken until one is left.
    unasked: bool = False
    #: How many renewals in a row, this one included, began early; 0 for a renewal that began in time.
    early: int = 0
    #: How many steps may be taken at once, as computed at ``stepped_at``.
    steps_left: float = 0.0
    #: When the last step was taken; None before the first step.
    stepped_at: datetime | None = None
    #: Whom the module waits for (a `WaitingFor`), since when, and how many steps it has taken meanwhile.
    waiting_for: str = ""
    waiting_since: datetime | None = None
    looks: int = 0
    #: An issued chain in PEM that cannot be installed yet and is validated again later; empty if there is none.
    kept_chain: str = ""
    #: Whether another order is under way because the kept chain does not become valid soon.
    kept_beside: bool = False
    #: Why the last chain was rejected (a `LeafFault`), and how many chains in a row were rejected for this reason.
    refused_for: str = ""
    refusals: int = 0
    #: Since when the kept chain is validated.
    kept_since: datetime | None = None
    #: After a permanent failure beside a leaf in service: when the next renewal begins automatically.
    retry_at: datetime | None = None
    #: Since when this issuance's leaf, which is in service, appears to become valid only in the future.
    ahead_since: datetime | None = None

    def ordered(self, at: datetime, *, left: int) -> EngineState:
        """A copy with one more order, before which ``left`` orders were left."""
        return evolve(self, orders=(*self.orders, at)[-_MOST_ORDERS:], by_user=False, unasked=self.unasked or left < 1)

    def refused(self, at: datetime, times: int) -> EngineState:
        """A copy with more refused requests for an order."""
        refusals = (*self.order_refusals, *(at,) * min(times, _MOST_REFUSALS))[-_MOST_REFUSALS:]
        return evolve(self, order_refusals=refusals, by_user=False) if times > 0 else self
