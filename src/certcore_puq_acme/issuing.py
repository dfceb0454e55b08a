"""The last steps: hand in the request, wait for the CA to issue, and fetch the leaf with its chain."""

from __future__ import annotations

from typing import Any, Final

from certcore.errors import X509Error
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Issued, Step, Waiting
from certcore.x509.chain import parse_chain
from certcore.x509.csr import csr_der, csr_spki_sha256
from certcore_puq_acme.attempt import Attempt, Stage, clean_up, of_order
from certcore_puq_acme.chains import choose_chain
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.messages import Order
from certcore_puq_acme.patience import Trouble, order_life, shown_moment

__all__ = ["download", "finalize", "wait_for"]

#: How often a new order is placed because another attempt had finalized the one that the CA gave us.
_FOREIGN: Final = 3
_REJECTED: Final = "urn:certcore:chain-rejected"


def finalize(attempt: Attempt, client: AcmeClient, order: Order) -> Step | None:
    """Hand in the certificate signing request (RFC 8555 section 7.4); None when the order is invalid now."""
    after = client.finalize(order, csr_der(attempt.work.issuance.csr_pem))
    if after.status == "invalid":
        return None
    if after.status == "valid":
        return attempt.waiting(Stage.FINALIZING, 0, finalized=True, **of_order(after))
    if attempt.state.get("stage") == Stage.FINALIZING:  # not the first time: the CA has not taken it yet
        return wait_for(attempt, Stage.FINALIZING, after, finalized=True)
    return attempt.waiting(
        Stage.FINALIZING, attempt.delay(0, after.retry_after), finalized=True, status=after.status, **of_order(after)
    )


def download(attempt: Attempt, client: AcmeClient) -> Step | None:
    """Wait for the CA to issue, then fetch leaf and chain (RFC 8555 section 7.4.2); None when the order is invalid."""
    certificate = attempt.state.get("certificate", "")
    if not certificate:
        order = client.order(attempt.state["order"])
        if order.status == "ready":  # the finalize request never arrived
            return finalize(attempt, client, order)
        if order.status == "invalid":
            return None
        if order.status != "valid" or not order.certificate:
            return wait_for(attempt, Stage.FINALIZING, order)
        certificate = order.certificate
    try:
        chosen = choose_chain(client, certificate, attempt.profile, attempt.now)
        leaf = parse_chain(chosen.pem, now=attempt.now).leaf
    except X509Error as error:
        problem = Problem(
            type=_REJECTED,
            title=error.message,
            advice=error.advice or "It is fetched again, and after a day ordered anew. If it stays, tell the CA.",
        )
        return _judged_later(attempt, certificate, problem, anew=attempt.elapsed() > order_life(attempt.left))
    foreign = int(attempt.state.get("foreign", 0))
    is_ours = attempt.state.get("finalized") or leaf.spki_sha256 == csr_spki_sha256(attempt.work.issuance.csr_pem)
    if not is_ours and foreign < _FOREIGN:
        # The CA gave us the order of another attempt for the same names, which was faster.
        return attempt.begin_anew(foreign=foreign + 1)
    if chosen.refusal:
        problem = Problem(
            type=_REJECTED,
            title=chosen.refusal,
            advice="Correct chain_roots in the CA profile, or leave it empty; the leaf that is there is then taken.",
        )
        is_old = leaf.not_after - attempt.now < leaf.lifetime / 2
        return _judged_later(attempt, certificate, problem, anew=is_old)
    clean_up(attempt.work)  # the CA has validated: nobody asks for the values any more
    attempt.budget.leave(attempt.work.issuance.id)
    state = {**attempt.state, "certificate": certificate, "chain": chosen.to_json()}
    return Issued(state=state, chain_pem=chosen.pem, needs_clean_up=False)


def _judged_later(attempt: Attempt, certificate: str, problem: Problem, *, anew: bool) -> Failed:
    """Look at the same certificate again later: a new order would bring one more that is as little to be installed.

    A certificate that is not there any more is an error of the CA, after which a new order is placed.

    Args:
        attempt: The attempt, whose order is completed.
        certificate: The order's ``certificate``.
        problem: What is wrong with it.
        anew: Whether it is time for a new order all the same.
    """
    if anew:
        return attempt.give_up(problem, Retry.SLOW, of_authority=True)
    clean_up(attempt.work)
    attempt.budget.leave(attempt.work.issuance.id)
    state = {**attempt.state, "certificate": certificate}
    return Failed(state=state, problem=problem, retry=Retry.SLOW, of_authority=True, needs_clean_up=False)


def wait_for(attempt: Attempt, stage: str, order: Order, **changes: Any) -> Waiting | Failed:
    """Look at an order again, when the CA wishes within bounds, and not for ever: hours and looks end it."""
    looks = attempt.polls + 1 if attempt.state.get("stage") == stage else 1
    trouble = Trouble(since=attempt.since, looks=looks)
    if trouble.has_lasted(order_life(attempt.left), attempt.now):
        problem = Problem(
            type="urn:certcore:order-not-completed",
            title=(
                f"The CA has not completed the order: it has answered {order.status!r} since "
                f"{shown_moment(trouble.since)} ({looks} times)."
            ),
            advice="A new order is placed. If that ends in the same way, ask the CA, or use another one.",
        )
        return attempt.give_up(problem, Retry.SLOW, of_authority=True)
    return attempt.waiting(stage, attempt.delay(looks, order.retry_after), status=order.status, **changes)
