"""Find out from its authorizations why an order is invalid or will never be ready (RFC 8555 section 7.1.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from attrs import evolve

from certcore.messages import Message
from certcore.model.problem import Problem
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.diagnosis import as_problem, diagnose_order
from certcore_puq_acme.orders.owner_records import incorrect_records
from certcore_puq_acme.orders.parallel import BATCH, each
from certcore_puq_acme.orders.results import AttemptFailed
from certcore_puq_acme.orders.state import SeenRecord
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.resources import Order

__all__ = ["OPEN_AUTHORIZATIONS", "explain_invalid", "explain_pending"]

#: Statuses of an authorization with which its order can still become ready.
OPEN_AUTHORIZATIONS: Final = ("pending", "processing", "valid")
#: How many authorizations of a failed order are read at most.
_MAX_AUTHORIZATIONS: Final = 5 * BATCH
#: The time until the owner's records are checked again after a failure that they explain.
_CHECK_RECORDS: Final = timedelta(seconds=10)
#: The authorizations of a pending order are read once in this many looks: some servers leave the order pending when an
#: authorization fails, is revoked or deactivated.
_READ_AUTHORIZATIONS: Final = 6


def explain_invalid(attempt: Attempt, client: AcmeClient, order: Order) -> AttemptFailed:
    """Fail with the reasons of an order that is invalid."""
    problems: dict[str, Problem] = {}
    for authorization in each(client.authorization, order.authorizations[:_MAX_AUTHORIZATIONS]):
        if authorization.status not in OPEN_AUTHORIZATIONS:
            title = Message("puq_acme.order.lost", "Its authorization is {status}.", {"status": authorization.status})
            problems[authorization.identifier] = as_problem(authorization.problem) or Problem(title=title)
    return _fail(attempt, problems, as_problem(order.problem))


def explain_pending(attempt: Attempt, client: AcmeClient, order: Order) -> AttemptFailed | None:
    """Fail if a pending order will never be ready; None if it may become ready.

    One batch of its authorizations is read, and only at some of the looks.
    """
    looks, rest = divmod(attempt.state.polls + 1, _READ_AUTHORIZATIONS)
    if rest:
        return None
    urls = order.authorizations
    batches = max(-(-len(urls) // BATCH), 1)
    first = (looks - 1) % batches * BATCH
    problems: dict[str, Problem] = {}
    for authorization in each(client.authorization, urls[first : first + BATCH]):
        if authorization.status not in OPEN_AUTHORIZATIONS:
            text = "Its authorization is {status}; the CA does not say why."
            title = Message("puq_acme.order.lost_silently", text, {"status": authorization.status})
            problems[authorization.identifier] = as_problem(authorization.problem) or Problem(title=title)
    return _fail(attempt, problems, as_problem(order.problem)) if problems else None


def _matched(problem: Problem, records: Iterable[SeenRecord]) -> Problem:
    """Add to the CA's problem of each name the cause that our own DNS checks found; the CA's own text is kept."""
    causes = {record.base: record.findings[0].finding() for record in records if record.findings}
    subproblems = tuple(
        sub.worded(cause.cause, cause.advice)
        if (cause := causes.get(sub.identifier.removeprefix("*."))) is not None
        else sub
        for sub in problem.subproblems
    )
    advice = next((cause.advice for cause in causes.values()), problem.advice_text)
    return evolve(problem, subproblems=subproblems, advice=advice)


def _fail(attempt: Attempt, problems: Mapping[str, Problem], order_problem: Problem | None) -> AttemptFailed:
    attempt.budget.failed(problems, attempt.now)
    diagnosis = diagnose_order(problems, order_problem)
    # If our own checks show the cause, the next order follows soon after the repair: the records are checked often,
    # and the CA gets no request before they are correct.
    records = incorrect_records(attempt) if problems else ()
    is_explained = bool(records)
    return attempt.give_up(
        _matched(diagnosis.problem, records),
        diagnosis.retry,
        retry_at=attempt.now + _CHECK_RECORDS if is_explained else None,
        of_authority=diagnosis.of_authority,
    )
