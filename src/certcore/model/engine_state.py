"""What the engine remembers of an issuance between steps: counts and moments, and a chain that is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import evolve, frozen

__all__ = ["EngineState"]

#: How many moments of orders are kept: more than any bound looks at.
_MOST_ORDERS: Final = 20


@frozen(kw_only=True)
class EngineState:
    """Kept with an issuance; the counterpart of ``module_state``, which is the CA module's."""

    #: When this issuance placed an order with the CA, oldest first; the newest 20.
    orders: tuple[datetime, ...] = ()
    #: A user began this issuance, or asked to look at it: it may place one order beyond the engine's own bound, see
    #: `certcore.model.order_limit`.
    by_user: bool = False
    #: An order was placed although none was left: no step is taken any more while none is.
    unasked: bool = False
    #: How many renewals that followed each other, this one included, began early; 0 for one that began in its time.
    early: int = 0
    #: Steps that may be taken at once, and the moment for which that number holds; None before the first step.
    steps_left: float = 0.0
    stepped_at: datetime | None = None
    #: For whom the module has been waiting (`WaitingFor`), since when, and how often it has looked.
    waiting_for: str = ""
    waiting_since: datetime | None = None
    looks: int = 0
    #: A chain that the CA issued and that cannot be installed now, PEM: it is judged again. Empty without one.
    kept_chain: str = ""
    #: Another order is under way beside the chain that is kept: that would not be valid soon.
    kept_beside: bool = False
    #: Why the last chain was refused (a `LeafFault`), and how many chains were refused for it in a row.
    refused_for: str = ""
    refusals: int = 0
    #: Since when the chain that is kept is judged.
    kept_since: datetime | None = None
    #: After a failure for good beside a leaf in service: when the next renewal begins by itself.
    retry_at: datetime | None = None
    #: Since when the leaf of this issuance, which is in service, is seen to begin in the future.
    ahead_since: datetime | None = None

    def ordered(self, at: datetime, *, left: int) -> EngineState:
        """The same with one more order, of which so many were left."""
        return evolve(self, orders=(*self.orders, at)[-_MOST_ORDERS:], by_user=False, unasked=self.unasked or left < 1)
