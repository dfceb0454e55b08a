"""Wait for an order: poll it at growing intervals, up to a limit."""

from __future__ import annotations

from attrs import evolve

from certcore.messages import Message, shown_moment
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.patience import Trouble, order_life
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain
from certcore_puq_acme.orders.state import Stage
from certcore_puq_acme.protocol.resources import Order

__all__ = ["wait_for_order"]


def wait_for_order(attempt: Attempt, stage: Stage, order: Order) -> LookAgain | AttemptFailed:
    """Wait as long as the CA asks, within bounds, before the order is requested again; fail if this takes too long.

    Args:
        attempt: The attempt.
        stage: The next stage.
        order: The order as the CA has just described it.
    """
    looks = attempt.state.polls + 1 if attempt.state.stage is stage else 1
    trouble = Trouble(since=attempt.since, looks=looks)
    if trouble.has_lasted(order_life(attempt.left), attempt.now):
        problem = Problem(
            type="urn:certcore:order-not-completed",
            title=(
                Message(
                    "puq_acme.order.not_completed",
                    "The CA has not completed the order: it has answered {status} since {since} ({count} times).",
                    {"status": repr(order.status), "since": shown_moment(trouble.since), "count": looks},
                )
            ),
            advice=Message(
                "puq_acme.order.not_completed.advice",
                "A new order is placed. If it ends in the same way, ask the CA, or use another CA.",
            ),
        )
        return attempt.give_up(problem, Retry.SLOW, of_authority=True)
    state = evolve(attempt.in_stage(stage), status=order.status)
    return attempt.look_again(state, attempt.delay(looks, order.retry_after))
