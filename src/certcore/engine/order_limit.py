"""The engine's own limit on the orders of a certificate, independent of the CA and its module."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import define, evolve

from certcore.engine.apply_step import LeasedCertificate
from certcore.engine.look_again import bounded
from certcore.messages import Message, shown_moment
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action
from certcore.model.order_limit import (
    MOST_ORDERS_OF_USERS,
    MOST_REFUSALS,
    OrderLimit,
    order_limit,
    pause_after_order,
    pause_after_refusal,
)
from certcore.model.problem import Problem
from certcore.model.transitions import transition
from certcore.ports.ca_module import Failed, Issued, StepResult, Waiting, WaitingFor
from certcore.ports.environment import Environment
from certcore.ports.storage import Transaction

__all__ = ["ORDER_LIMIT", "OrderCount", "counted", "hold_back", "limit_for", "rests_until"]

#: The type of the problem of a certificate that has ordered too often.
ORDER_LIMIT: Final = "urn:certcore:order-limit"
#: The longest time to the next look: a user may have changed something.
_LONGEST: Final = timedelta(days=1)


@define(eq=False)
class OrderCount:
    """Counts the order that a step is about to place, in the transaction in which the module keeps its own count.

    The count is stored before the order is sent, so that a crash in between does not lose it.
    """

    issuance: Issuance
    environment: Environment
    #: When an order was announced; None if none was.
    announced_at: datetime | None = None

    def store(self, transaction: Transaction) -> datetime:
        """Count one order; returns the time to set as `announced_at` after the commit."""
        now = self.environment.now()
        state = self.issuance.engine_state.ordered(now, left=1)
        transaction.issuances.save(evolve(self.issuance, engine_state=state))
        return now


def rests_until(issuance: Issuance, now: datetime) -> datetime | None:
    """The end of the pause in steps after an order without a leaf; None if there is no pause."""
    state = issuance.engine_state
    return state.rests_until if state.rests_until and state.rests_until > now and not state.by_user else None


def counted(
    leased: LeasedCertificate,
    issuance: Issuance,
    step: StepResult,
    *,
    announced_at: datetime | None,
    left: int,
    now: datetime,
) -> tuple[Issuance, StepResult]:
    """Count the order that a step placed or may have placed, or a refusal of the CA.

    Args:
        leased: The state before the step.
        issuance: The issuance of the step.
        step: The result that the module returned.
        announced_at: When the module announced an order, see `certcore.ports.ca_module.Documents.put_many`.
        left: How many orders were left.
        now: The present moment.

    Returns:
        The issuance with the count; and the step, whose ``ordered`` is no longer None.
    """
    state = issuance.engine_state
    if state.rests_until is not None:
        state = evolve(state, rests_until=None)
    is_new = issuance.module_state is None or not state.orders
    at_work = isinstance(step, Issued) or (isinstance(step, Waiting) and step.waiting_for is WaitingFor.AUTHORITY)
    # It is unknown whether an order that was announced and not withdrawn was placed.
    placed = step.ordered if step.ordered is not None else announced_at is not None or (is_new and at_work)
    refused = 0 if isinstance(step, Issued) else step.orders_refused
    if placed:
        state = state.ordered(announced_at or now, left=left)
    state = state.refused(now, refused)
    changed = issuance if state is issuance.engine_state else evolve(issuance, engine_state=state)
    if isinstance(step, Failed) and (placed or refused > 0):
        until = now + _rest(leased.with_issuance(changed), changed, step, now, placed=placed)
        changed = evolve(changed, engine_state=evolve(state, rests_until=until))
    return changed, evolve(step, ordered=placed)


def _rest(leased: LeasedCertificate, issuance: Issuance, step: Failed, now: datetime, *, placed: bool) -> timedelta:
    """How long nothing is ordered: as long as the CA asks, within bounds, and at least as the order limit requires."""
    pause = (pause_after_order if placed else pause_after_refusal)(leased.issuances, issuance, now)
    wish = now if step.retry_at is None else bounded(leased.certificate, step.retry_at, WaitingFor.OWNER, now)
    return max(pause, wish - now)


def limit_for(leased: LeasedCertificate, issuance: Issuance, now: datetime) -> OrderLimit:
    """What an issuance may order now."""
    return order_limit(leased.issuances, now, by_user=issuance.engine_state.by_user)


def hold_back(
    leased: LeasedCertificate, issuance: Issuance, limit: OrderLimit, now: datetime
) -> LeasedCertificate | None:
    """The state of an issuance that has to wait because the certificate has ordered too often; None if it may continue.

    No issuance begins while no order is left. An issuance whose module ordered without announcing it does not continue
    either.
    """
    begun = issuance.module_state is not None
    if limit.next_at is None or (begun and not issuance.engine_state.unasked):
        return None
    certificate = leased.certificate
    problem = _problem(limit, limit.next_at)
    is_reported = certificate.problem is not None and certificate.problem.type == ORDER_LIMIT
    changed = evolve(certificate, status=transition(certificate.status, Action.WAIT), problem=problem, updated_at=now)
    data = {"orders": limit.most, "until": limit.next_at.isoformat()}
    kind = None if is_reported else EventKind.WAITING
    after = leased.moved(changed, kind, now, problem=problem, data=data)
    return after.due(min(limit.next_at, now + _LONGEST))


def _problem(limit: OrderLimit, next_at: datetime) -> Problem:
    params = {"window": _in_words(limit.window), "next_at": shown_moment(next_at)}
    if not limit.refusals_left:
        text = (
            "The CA has refused {count} requests for an order of this certificate within {window}, the most that "
            "certcore allows. The next request is made at {next_at}."
        )
        advice = (
            "Look in the timeline for what the CA has refused, and remove the reason. Then Check now makes one more "
            "request."
        )
        return Problem(
            type=ORDER_LIMIT,
            title=Message("core.order_limit.refused", text, {"count": MOST_REFUSALS, **params}),
            advice=Message("core.order_limit.refused.advice", advice),
        )
    text = (
        "{count} orders were placed for this certificate within {window}, the most that certcore allows. The next "
        "order is placed at {next_at}."
    )
    return Problem(
        type=ORDER_LIMIT,
        title=Message("core.order_limit", text, {"count": limit.most, **params}),
        advice=_of_more_orders(limit),
    )


def _of_more_orders(limit: OrderLimit) -> Message:
    if limit.most < MOST_ORDERS_OF_USERS:
        text = (
            "Look in the timeline for the reason of so many orders, and remove it. Then Check now or Renew now places "
            "one more order, up to {most} in this time."
        )
        return Message("core.order_limit.one_more", text, {"most": MOST_ORDERS_OF_USERS})
    text = (
        "Look in the timeline for the reason of so many orders, and remove it. Until then no order can be placed, not "
        "even with Check now or Renew now."
    )
    return Message("core.order_limit.no_more", text)


def _in_words(window: timedelta) -> Message:
    if window >= timedelta(days=2):
        return Message("time.days", "{count} days", {"count": round(window / timedelta(days=1))})
    hours = window / timedelta(hours=1)
    if hours >= 2:  # noqa: PLR2004
        return Message("time.hours", "{count} hours", {"count": round(hours)})
    return Message("time.minutes", "{count} minutes", {"count": round(window / timedelta(minutes=1))})
