"""The engine's own bound on the orders of a certificate: counted here, whatever the CA or its module says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.engine.outcome import Held
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action, transition
from certcore.model.order_limit import MOST_ORDERS_OF_USERS, OrderLimit, order_limit
from certcore.model.problem import Problem

__all__ = ["ORDER_LIMIT", "hold_back", "limit_for"]

#: The type of the problem of a certificate that has ordered too often.
ORDER_LIMIT: Final = "urn:certcore:order-limit"
#: The next look, at most: a user may have done something.
_LONGEST: Final = timedelta(days=1)


def limit_for(held: Held, issuance: Issuance, now: datetime) -> OrderLimit:
    """What an issuance may order now."""
    return order_limit(held.issuances, now, by_user=issuance.engine_state.by_user)


def hold_back(held: Held, issuance: Issuance, limit: OrderLimit, now: datetime) -> Held | None:
    """The state of an issuance that has to wait because the certificate has ordered too often; None: it may go on.

    An issuance is not begun while nothing is left. One whose module has ordered without asking is not advanced either.
    """
    begun = issuance.module_state is not None
    if limit.next_at is None or (begun and not issuance.engine_state.unasked):
        return None
    certificate = held.certificate
    problem = _problem(limit, limit.next_at)
    told = certificate.problem is not None and certificate.problem.type == ORDER_LIMIT
    changed = evolve(certificate, status=transition(certificate.status, Action.WAIT), problem=problem, updated_at=now)
    data = {"orders": limit.most, "until": limit.next_at.isoformat()}
    kind = None if told else EventKind.WAITING
    after = held.moved(changed, kind, now, problem=problem, data=data)
    return after.due(min(limit.next_at, now + _LONGEST))


def _problem(limit: OrderLimit, next_at: datetime) -> Problem:
    return Problem(
        type=ORDER_LIMIT,
        title=f"{limit.most} orders were placed for this certificate within {_in_words(limit.window)}; that is as many "
        f"as certcore places. The next one is placed at {next_at:%Y-%m-%d %H:%M} UTC.",
        advice="Look in the timeline for the reason of so many orders, and remove it. "
        + (
            f"Check now or Renew now then places one order more, up to {MOST_ORDERS_OF_USERS} in this time."
            if limit.most < MOST_ORDERS_OF_USERS
            else "No more can be placed before, not by Check now or Renew now either."
        ),
    )


def _in_words(window: timedelta) -> str:
    if window >= timedelta(days=2):
        return f"{window / timedelta(days=1):.0f} days"
    hours = window / timedelta(hours=1)
    return f"{hours:.0f} hours" if hours >= 2 else f"{window / timedelta(minutes=1):.0f} minutes"  # noqa: PLR2004
