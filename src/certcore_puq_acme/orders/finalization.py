"""Finalize an order: send the certificate signing request (RFC 8555 section 7.4)."""

from __future__ import annotations

from attrs import evolve

from certcore.model.renewal import Retry
from certcore.x509.csr import csr_der
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.bound_names import bind_names
from certcore_puq_acme.orders.order_status import wait_for_order
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain, NextStage
from certcore_puq_acme.orders.state import Stage
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.resources import Order

__all__ = ["finalize"]


def finalize(attempt: Attempt, client: AcmeClient, order: Order) -> LookAgain | AttemptFailed | NextStage:
    """Send the CSR of an order that is ready.

    Args:
        attempt: The attempt.
        client: The account's client.
        order: The order as the CA has just described it.
    """
    if (problem := bind_names(attempt)) is not None:
        return attempt.give_up(problem, Retry.SLOW)
    after = client.finalize(order, csr_der(attempt.work.issuance.csr_pem))
    attempt = evolve(attempt, state=evolve(attempt.state, finalized=True))
    if after.status == "invalid":
        return NextStage(state=attempt.state, findings=attempt.findings, order=after)
    if after.status != "valid" and attempt.state.stage is Stage.FINALIZING:
        return wait_for_order(attempt, Stage.FINALIZING, after)  # the CA did not accept the first CSR
    state = attempt.in_stage(Stage.FINALIZING).with_order(after)
    if after.status == "valid":
        return attempt.look_again(state, 0)
    return attempt.look_again(evolve(state, status=after.status), attempt.delay(0, after.retry_after))
