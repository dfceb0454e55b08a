"""Proving control of the names: learn the challenges, publish, answer, and wait for what the CA sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Final, TypeVar

from attrs import evolve

from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Step, Waiting, WaitingFor
from certcore_puq_acme.acme_errors import NOT_REACHED, AcmeError, AcmeProblem, TransportFailed
from certcore_puq_acme.attempt import Attempt, Stage, goes_first, of_order
from certcore_puq_acme.budget import OrderRequest
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.delegation import CHECK_ZONE, Delegation
from certcore_puq_acme.diagnosis import diagnose_order
from certcore_puq_acme.issuing import finalize, wait_for
from certcore_puq_acme.messages import Authorization, Order
from certcore_puq_acme.patience import growing_pause
from certcore_puq_acme.preflight import what_is_wrong
from certcore_puq_acme.propagation import TOO_SLOW
from certcore_puq_acme.settings import ChallengeType
from certcore_puq_acme.techzone.records import TxtRecord

__all__ = ["invalid", "poll", "prove"]

_T = TypeVar("_T")
_R = TypeVar("_R")
#: How many authorizations are fetched, or challenges answered, in one call: a call must return quickly.
_BATCH: Final = 20
#: How many of these requests are under way at once.
_AT_A_TIME: Final = 5
#: An order of so few names has its values published and its challenges answered in one call.
_AT_ONCE: Final = 4
#: How long a published value may take to become visible before the attempt counts as failed.
_VISIBLE_WITHIN: Final = timedelta(minutes=10)
#: A value that is not visible after this time may be the owner's matter: meanwhile others have the place in flight.
_IN_FLIGHT: Final = timedelta(minutes=1)
#: When the owner's records are looked at again after a failure that they explain.
_WATCH: Final = timedelta(seconds=10)
#: After so many looks at an order that stays pending, and then at each so many more, its authorizations are looked at:
#: some servers leave an order pending when one of them fails, is revoked or deactivated.
_LOOK_INTO: Final = 6
_OPEN: Final = ("pending", "processing", "valid")
#: Statuses of an order whose authorizations have been decided on.
_FURTHER: Final = ("ready", "processing", "valid", "invalid")


def prove(attempt: Attempt, client: AcmeClient) -> Step:
    """Take the next step of the validation, or the one after it where the order itself says that it has got further.

    The CA may have validated although its answers about authorizations and challenges cannot be used: what counts is
    the order's status (RFC 8555 section 7.1.6).

    Raises:
        AcmeError: The CA refuses, or gives no usable answer, and the order has got no further either.
    """
    try:
        return (publish if attempt.state.get("stage") == Stage.ORDERED else answer)(attempt, client)
    except AcmeError as error:
        order = _order_after(attempt, client, error)
        if order is None or order.status not in _FURTHER:
            raise
        return _by_order(attempt, client, order)


def _order_after(attempt: Attempt, client: AcmeClient, error: AcmeError) -> Order | None:
    """The order after an error of something that belongs to it; None when it cannot be read."""
    if isinstance(error, TransportFailed) and error.kind in NOT_REACHED:
        return None
    try:
        return client.order(attempt.state["order"])
    except AcmeError:
        return None


def publish(attempt: Attempt, client: AcmeClient) -> Step:
    """Learn the challenges, a batch per call, then publish all their values in one transaction."""
    state = attempt.state
    challenges = list(state.get("challenges", []))
    fetched = int(state.get("fetched", 0))
    urls = state["authorizations"]
    for authorization in _each(client.authorization, urls[fetched : fetched + _BATCH]):
        refused = _unusable(authorization)
        if refused is not None:
            return attempt.give_up(refused, Retry.SLOW)
        if authorization.status != "pending":
            continue
        challenge = authorization.challenge(attempt.challenge)
        if challenge is None:
            return _not_offered(attempt, authorization)
        base = authorization.identifier.removeprefix("*.").lower()
        known = {"base": base, "url": challenge.url}
        if attempt.challenge is ChallengeType.DNS:
            known["value"] = client.dns01_value(challenge.token)
        challenges.append(known)
    fetched += _BATCH
    if fetched < len(urls):
        return attempt.waiting(Stage.ORDERED, 0, challenges=challenges, fetched=fetched)
    if attempt.challenge is ChallengeType.DNS:
        attempt.records.add_many(
            TxtRecord(
                fqdn=attempt.target(one["base"]),
                value=one["value"],
                issuance_id=attempt.work.issuance.id,
                added_at=attempt.now,
            )
            for one in challenges
        )
    if not challenges:
        return attempt.waiting(Stage.ANSWERED, 0, fetched=fetched)
    published = attempt.waiting(Stage.PUBLISHED, 0, challenges=challenges, fetched=fetched)
    if len(urls) > _AT_ONCE:
        return published
    return answer(evolve(attempt, state=dict(published.state)), client)


def answer(attempt: Attempt, client: AcmeClient) -> Step:
    """When every value is visible through the owner's CNAME, tell the CA, a batch per call."""
    challenges = attempt.state["challenges"]
    answered = int(attempt.state.get("answered", 0))
    if answered == 0 and attempt.challenge is ChallengeType.DNS:
        values: dict[str, list[str]] = {}
        for one in challenges:
            values.setdefault(one["base"], []).append(one["value"])
        is_over = attempt.resolvers.time_limit()
        for delegation in attempt.delegations:
            if delegation.base not in values:
                continue
            missing = (
                TOO_SLOW if is_over() else attempt.resolvers.txt_is_visible(delegation.name, values[delegation.base])
            )
            if missing:
                return _not_visible(attempt, delegation, missing)
        if attempt.state.get("outside") and (full := _back_in_flight(attempt)) is not None:
            return full
    urls = [one["url"] for one in challenges[answered : answered + _BATCH]]
    for _ in _each(lambda url: _answer_once(client, url), urls):
        pass
    answered += _BATCH
    if answered < len(challenges):
        return attempt.waiting(Stage.PUBLISHED, 0, answered=answered)
    return attempt.waiting(Stage.ANSWERED, growing_pause(0), answered=answered)


def poll(attempt: Attempt, client: AcmeClient) -> Step:
    """Wait for the CA's validation; finalize as soon as the order is ready (RFC 8555 section 7.4)."""
    return _by_order(attempt, client, client.order(attempt.state["order"]))


def _by_order(attempt: Attempt, client: AcmeClient, order: Order) -> Step:
    """Go on as the order's status says."""
    if order.status == "ready":
        return finalize(attempt, client, order) or invalid(attempt, client, order)
    if order.status in ("processing", "valid"):
        return attempt.waiting(Stage.FINALIZING, 0, **of_order(order))
    if order.status == "invalid":
        return invalid(attempt, client, order)
    looks, rest = divmod(attempt.polls + 1, _LOOK_INTO)
    if not rest and (ended := _ended(attempt, client, order, looks)) is not None:
        return ended
    return wait_for(attempt, Stage.ANSWERED, order)


def invalid(attempt: Attempt, client: AcmeClient, order: Order) -> Failed:
    """The order is lost; its authorizations say why, name by name (RFC 8555 section 7.1.6)."""
    problems: dict[str, Problem] = {}
    for authorization in _each(client.authorization, list(order.authorizations)[: _BATCH * 5]):
        if authorization.status not in _OPEN:
            reason = authorization.problem or Problem(title=f"Its authorization is {authorization.status}.")
            problems[authorization.identifier] = reason
    return _lost(attempt, problems, order.problem)


def _ended(attempt: Attempt, client: AcmeClient, order: Order, looks: int) -> Failed | None:
    """Why an order that is still pending will never be ready; None when it may be. One batch is looked at each time."""
    problems: dict[str, Problem] = {}
    urls = list(order.authorizations)
    batches = max(-(-len(urls) // _BATCH), 1)
    first = (looks - 1) % batches * _BATCH
    for authorization in _each(client.authorization, urls[first : first + _BATCH]):
        if authorization.status in _OPEN:
            continue
        title = f"Its authorization is {authorization.status}; the CA does not say why."
        problems[authorization.identifier] = authorization.problem or Problem(title=title)
    return _lost(attempt, problems, order.problem) if problems else None


def _lost(attempt: Attempt, problems: dict[str, Problem], order_problem: Problem | None) -> Failed:
    attempt.budget.failed(problems, attempt.now)
    diagnosis = diagnose_order(problems, order_problem)
    # Where the cause is seen from here, the next attempt begins as soon as it is gone: the records are watched, and
    # the CA is not asked before they are right.
    watched = bool(problems) and bool(what_is_wrong(attempt))
    return attempt.give_up(
        diagnosis.problem,
        diagnosis.retry,
        retry_at=attempt.now + _WATCH if watched else None,
        of_authority=diagnosis.of_authority,
    )


def _answer_once(client: AcmeClient, url: str) -> None:
    """Answer a challenge, unless a call that was lost has done so: some servers refuse to hear it twice."""
    try:
        client.answer(url)
    except AcmeProblem as problem:
        if problem.acme_type != "malformed" or client.challenge(url).status == "pending":
            raise


def _not_visible(attempt: Attempt, delegation: Delegation, missing: str) -> Step:
    if attempt.elapsed() > _VISIBLE_WITHIN:
        problem = Problem(
            type="urn:certcore:txt-not-visible",
            title=f"The TXT values for {delegation.base} do not become visible in the DNS ({missing}).",
            advice=CHECK_ZONE.format(zone=delegation.zone),
        )
        return attempt.give_up(problem, Retry.SLOW)
    outside = attempt.elapsed() > _IN_FLIGHT
    if outside:
        attempt.budget.leave(attempt.work.issuance.id)
    delay = min(0.2 * 2 ** min(attempt.polls, 10), 15.0)
    unseen = {"name": delegation.name, "zone": delegation.zone, "missing": missing}
    return attempt.waiting(Stage.PUBLISHED, delay, unseen=unseen, outside=outside)


def _back_in_flight(attempt: Attempt) -> Waiting | None:
    """Take a place among the orders in flight again; None when there is one."""
    request = OrderRequest(
        issuance_id=attempt.work.issuance.id,
        owner=attempt.work.certificate.owner,
        names=tuple(attempt.names),
        near_end=goes_first(attempt.work),
        looks=int(attempt.state.get("looks", 0)),
    )
    turn = attempt.budget.enter(request, attempt.now)
    if turn is None:
        return None
    return Waiting(
        state={**attempt.state, "looks": request.looks + 1},
        look_again=turn.until or attempt.now,
        waiting_for=WaitingFor.TURN,
        findings={**(attempt.work.issuance.findings or {}), "turn": turn.to_json()},
    )


def _not_offered(attempt: Attempt, authorization: Authorization) -> Failed:
    """The CA has no challenge of the kind that is wanted, for this name."""
    offered = ", ".join(one.type for one in authorization.challenges) or "none"
    name = f"*.{authorization.identifier}" if authorization.wildcard else authorization.identifier
    problem = Problem(
        type="urn:certcore:challenge-not-offered",
        title=f"The CA offers no {attempt.challenge} challenge for {name} (it offers: {offered}).",
        advice="Use another way of validation, or another CA for this name.",
    )
    return attempt.give_up(problem, Retry.NEVER, of_authority=True)


def _unusable(authorization: Authorization) -> Problem | None:
    if authorization.status in _OPEN:
        return None
    reason = authorization.problem
    title = f"The CA's authorization of {authorization.identifier} is {authorization.status}."
    return (reason or Problem()).worded(title, "It is tried again with a new order.")


def _each(function: Callable[[_T], _R], items: Sequence[_T]) -> Iterable[_R]:
    """The results in the order of the items; several requests are under way at once."""
    if len(items) <= _AT_ONCE:
        return [function(item) for item in items]
    with ThreadPoolExecutor(max_workers=_AT_A_TIME, thread_name_prefix="certcore-acme") as pool:
        # Each in a copy of this context: the step's meter counts what the threads ask.
        asked = [pool.submit(copy_context().run, function, item) for item in items]
        return [one.result() for one in asked]
