"""Prove control of the names: read the challenges, publish their values, and answer them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from attrs import evolve

from certcore.messages import Message
from certcore.model.finding import Finding
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.diagnosis import as_problem
from certcore_puq_acme.orders.lost_order import OPEN_AUTHORIZATIONS
from certcore_puq_acme.orders.parallel import BATCH, FEW, each
from certcore_puq_acme.orders.patience import growing_pause
from certcore_puq_acme.orders.priority import goes_first
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain, NextStage
from certcore_puq_acme.orders.state import PendingChallenge, Stage
from certcore_puq_acme.orders.zone_values import (
    IN_FLIGHT,
    known_values,
    missing_at_servers,
    store_values,
    write_values,
)
from certcore_puq_acme.profile.settings import ChallengeType
from certcore_puq_acme.profile.zone_writer import zone_advice
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.resources import Authorization
from certcore_puq_acme.rate_limits.limiter import OrderRequest

__all__ = ["answer", "publish"]

#: How long a published value may take to become visible before the issuance fails.
_VISIBLE_WITHIN: Final = timedelta(minutes=10)


def publish(attempt: Attempt, client: AcmeClient) -> LookAgain | NextStage | AttemptFailed:
    """Read the challenges, a batch per call, then publish all their values in one transaction."""
    state, urls = attempt.state, attempt.state.authorizations
    challenges = list(state.challenges)
    fetched = state.fetched
    for authorization in each(client.authorization, urls[fetched : fetched + BATCH]):
        if authorization.status not in OPEN_AUTHORIZATIONS:
            return attempt.give_up(_unusable(authorization), Retry.SLOW)
        if authorization.status != "pending":
            continue
        challenge = authorization.challenge(attempt.challenge)
        if challenge is None:
            return _not_offered(attempt, authorization)
        base = authorization.identifier.removeprefix("*.").lower()
        value = client.dns01_value(challenge.token) if attempt.challenge is ChallengeType.DNS else ""
        challenges.append(PendingChallenge(base=base, url=challenge.url, value=value))
    fetched += BATCH
    attempt = evolve(attempt, state=evolve(state, challenges=tuple(challenges), fetched=fetched))
    if fetched < len(urls):
        return attempt.look_again(attempt.in_stage(Stage.ORDERED), 0)
    if attempt.challenge is ChallengeType.DNS:
        store_values(attempt)
    if not challenges:
        return attempt.look_again(attempt.in_stage(Stage.ANSWERED), 0)
    published = attempt.look_again(attempt.in_stage(Stage.PUBLISHED), 0)
    if len(urls) > FEW:
        return published
    return NextStage(state=published.state, findings=published.findings)


def answer(attempt: Attempt, client: AcmeClient) -> LookAgain | AttemptFailed:
    """When every value is visible through the owner's CNAME, answer the challenges, a batch per call."""
    challenges, answered = attempt.state.challenges, attempt.state.answered
    if answered == 0 and attempt.challenge is ChallengeType.DNS:
        written = write_values(attempt)
        if not isinstance(written, Attempt):
            return written
        attempt = written
        if unseen := missing_at_servers(attempt) or _unseen(attempt):
            return _not_visible(attempt, unseen)
        if attempt.state.out_of_flight and (full := _back_in_flight(attempt)) is not None:
            return full
    urls = [challenge.url for challenge in challenges[answered : answered + BATCH]]
    for _ in each(lambda url: _answer_once(client, url), urls):
        pass
    answered += BATCH
    if answered < len(challenges):
        return attempt.look_again(evolve(attempt.in_stage(Stage.PUBLISHED), answered=answered), 0)
    return attempt.look_again(evolve(attempt.in_stage(Stage.ANSWERED), answered=answered), growing_pause(0))


def _unseen(attempt: Attempt) -> tuple[Finding, ...]:
    """Which servers do not show the published values; empty when all of them do."""
    values: dict[str, list[str]] = {}
    for challenge in attempt.state.challenges:
        values.setdefault(challenge.base, []).append(challenge.value)
    expected = {delegation: values[delegation.base] for delegation in attempt.delegations if delegation.base in values}
    unseen = attempt.checks.unseen_values(expected)
    if not unseen or attempt.elapsed() <= IN_FLIGHT:
        return unseen
    # By now no server shows values that were removed earlier: other values come from another source.
    return (
        *unseen,
        *attempt.checks.foreign_values(expected, lambda name: known_values(attempt.records, attempt.publication, name)),
    )


def _answer_once(client: AcmeClient, url: str) -> None:
    """Answer a challenge unless an interrupted call has done so already: some servers refuse a second answer."""
    try:
        client.answer(url)
    except AcmeProblemError as problem:
        if problem.acme_type != "malformed" or client.challenge(url).status == "pending":
            raise


def _not_visible(attempt: Attempt, unseen: Sequence[Finding]) -> LookAgain | AttemptFailed:
    if attempt.elapsed() > _VISIBLE_WITHIN:
        problem = Problem(
            type="urn:certcore:txt-not-visible",
            title=unseen[0].cause,
            advice=zone_advice(attempt.profile),
        )
        return attempt.give_up(problem, Retry.SLOW)
    out_of_flight = attempt.elapsed() > IN_FLIGHT
    if out_of_flight:
        attempt.budget.leave(attempt.work.issuance.id)
    delay = min(0.2 * 2 ** min(attempt.state.polls, 10), 15.0)
    state = evolve(attempt.in_stage(Stage.PUBLISHED), out_of_flight=out_of_flight)
    return attempt.look_again(state, delay, unseen=unseen)


def _back_in_flight(attempt: Attempt) -> LookAgain | None:
    """Take a place among the orders in flight again; None on success, else the wait for a place."""
    request = OrderRequest(
        issuance_id=attempt.work.issuance.id,
        owner=attempt.work.certificate.owner,
        names=tuple(attempt.names),
        near_end=goes_first(attempt.work),
        looks=attempt.state.looks_for_place,
    )
    turn = attempt.budget.enter(request, attempt.now)
    if turn is None:
        return None
    return attempt.wait_for_turn(evolve(attempt.state, looks=request.looks + 1, next_look=None), turn)


def _not_offered(attempt: Attempt, authorization: Authorization) -> AttemptFailed:
    """The failure of an order whose CA does not offer the required challenge for a name."""
    offered = ", ".join(challenge.type for challenge in authorization.challenges) or "none"
    name = f"*.{authorization.identifier}" if authorization.wildcard else authorization.identifier
    problem = Problem(
        type="urn:certcore:challenge-not-offered",
        title=Message(
            "puq_acme.order.challenge_not_offered",
            "The CA offers no {challenge} challenge for {name} (it offers: {offered}).",
            {"challenge": attempt.challenge, "name": name, "offered": offered},
        ),
        advice=Message(
            "puq_acme.order.challenge_not_offered.advice", "Use another way of validation, or another CA for this name."
        ),
    )
    return attempt.give_up(problem, Retry.NEVER, of_authority=True)


def _unusable(authorization: Authorization) -> Problem:
    text = "The CA's authorization of {name} is {status}."
    params = {"name": authorization.identifier, "status": authorization.status}
    title = Message("puq_acme.order.authorization", text, params)
    advice = Message("puq_acme.order.authorization.advice", "It is tried again with a new order.")
    return (as_problem(authorization.problem) or Problem()).worded(title, advice)
