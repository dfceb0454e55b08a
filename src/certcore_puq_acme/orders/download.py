"""Download the leaf with its chain (RFC 8555 section 7.4.2); if it cannot be installed, try again or order anew."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from certcore.errors import X509Error
from certcore.messages import Message
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.x509.csr import csr_spki_sha256
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.chain_choice import choose_chain
from certcore_puq_acme.orders.patience import order_life
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain, Obtained
from certcore_puq_acme.protocol.client import AcmeClient

__all__ = ["download"]

#: How often another order is placed because the CA returned one that another attempt had finalized.
_MAX_FOREIGN_ORDERS: Final = 3
_REJECTED: Final = "urn:certcore:chain-rejected"
_FETCHED_AGAIN: Final = Message(
    "puq_acme.order.fetched_again",
    "It is downloaded again, and after a day ordered again. If it persists, report it to the CA.",
)


def download(attempt: Attempt, client: AcmeClient) -> Obtained | LookAgain | AttemptFailed:
    """Download the leaf and the chain of an order that is valid; the state contains the certificate's URL."""
    try:
        chosen = choose_chain(client, attempt.state.certificate, attempt.profile, attempt.now)
    except X509Error as error:
        problem = Problem(
            type=_REJECTED,
            title=error.text,
            advice=error.advice_text if error.advice else _FETCHED_AGAIN,
        )
        return _fetch_later(attempt, problem, gives_up=attempt.elapsed() > order_life(attempt.left))
    leaf, foreign_orders = chosen.chain.leaf, attempt.state.foreign_orders
    is_ours = attempt.state.finalized or leaf.spki_sha256 == csr_spki_sha256(attempt.work.issuance.csr_pem)
    if not is_ours and foreign_orders < _MAX_FOREIGN_ORDERS:
        # The CA returned an order that another issuance for the same names has finalized.
        return attempt.begin_anew(foreign_orders=foreign_orders + 1)
    if chosen.refusal is not None:
        problem = Problem(
            type=_REJECTED,
            title=chosen.refusal,
            advice=Message(
                "puq_acme.order.chain_refused.advice",
                "Correct chain_roots in the CA profile, or leave it empty; the leaf is then installed.",
            ),
        )
        is_old = leaf.not_after - attempt.now < leaf.lifetime / 2
        return _fetch_later(attempt, problem, gives_up=is_old)
    attempt.release()  # the CA has validated the names and no longer looks for the values
    state = evolve(attempt.state, chain=chosen.facts)
    return Obtained(state=state, chain_pem=chosen.pem, holds=attempt.still_holds)


def _fetch_later(attempt: Attempt, problem: Problem, *, gives_up: bool) -> AttemptFailed:
    """Download the same certificate again later: a new order would yield another one that cannot be installed either.

    If the CA no longer has the certificate, the download ends with an error of the CA, and a new order is placed.

    Args:
        attempt: The attempt, whose order is valid.
        problem: Why the certificate cannot be installed.
        gives_up: Whether to place a new order nevertheless.
    """
    if gives_up:
        return attempt.give_up(problem, Retry.SLOW, of_authority=True)
    attempt.release()
    attempt.withdraw()
    return AttemptFailed(
        state=attempt.state,
        findings=attempt.findings,
        problem=problem,
        retry=Retry.SLOW,
        of_authority=True,
        holds=attempt.still_holds,
    )
