"""Decide after an error of the CA: repeat the request, wait, start again, or fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.messages import Message, sentences, shown_moment
from certcore.model.renewal import Retry
from certcore.ports.ca_module import WaitingFor
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.diagnosis import diagnose, pauses_the_account
from certcore_puq_acme.orders.patience import Asked, Trouble, Wait, bounded_wait, order_life
from certcore_puq_acme.orders.results import AttemptFailed, AttemptResult, LookAgain, NextStage, StageResult
from certcore_puq_acme.orders.state import RequestsUsedUp, UnbelievedRefusal
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.error_types import BUSY, CLIENT_ERRORS
from certcore_puq_acme.protocol.errors import NOT_REACHED, AcmeError, AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.metering import NewOrder, current_meter

__all__ = ["account_has_changed", "after_error", "requests_used_up", "unless_further"]

#: Refusals that may mean that the account has another key or no longer exists.
_ABOUT_THE_ACCOUNT: Final = frozenset({"unauthorized", "malformed", "accountDoesNotExist"})
#: HTTP statuses that may mean that the directory now has other URLs.
_MOVED: Final = frozenset({404, 405, 410})
#: Refusals of a request about an order after which the order can still be completed.
_PASSING: Final = frozenset({"badNonce", "rateLimited", "orderNotReady", "serverInternal"})
#: HTTP statuses with which a CA asks for a pause (RFC 6585 section 4, RFC 9110 section 15.6.4).
_LIMITED: Final = frozenset({429, 503})
#: Statuses of an order whose authorizations are decided.
_FURTHER: Final = ("ready", "processing", "valid", "invalid")


def unless_further(
    attempt: Attempt, client: AcmeClient, stage: Callable[[Attempt, AcmeClient], StageResult]
) -> StageResult:
    """Run a stage of the validation; after an error, continue with a later stage if the order's status permits it.

    The CA may have validated the names although its answers about authorizations and challenges cannot be used: the
    order's status decides (RFC 8555 section 7.1.6).

    Raises:
        AcmeError: The CA refused or gave no usable answer, and the order is not in a later stage.
    """
    try:
        return stage(attempt, client)
    except AcmeError as error:
        if isinstance(error, TransportError) and error.kind in NOT_REACHED:
            raise
        try:
            order = client.order(attempt.state.order)
        except AcmeError:
            order = None
        if order is None or order.status not in _FURTHER:
            raise
        return NextStage(state=attempt.state, findings=attempt.findings, order=order)


def account_has_changed(attempt: Attempt, error: AcmeError) -> bool:
    """Whether the CA refused because another process has changed the account's key since this process opened it.

    The CA is asked after the first of several refusals, and again if the refusals continue.
    """
    if not isinstance(error, AcmeProblemError) or error.acme_type not in _ABOUT_THE_ACCOUNT:
        return False
    if error.status not in CLIENT_ERRORS:
        return False
    if attempt.trouble.looks and not attempt.trouble.has_gone_on(attempt.now):
        return False
    try:
        return attempt.accounts.has_changed(attempt.work, attempt.opened())
    except AcmeError:
        return False


def after_error(attempt: Attempt, error: AcmeError) -> AttemptResult:
    """The result of the attempt after a refusal, or without a usable answer."""
    diagnosis = diagnose(error)
    trouble = attempt.trouble.again(error.text)
    is_refusal = _is_refusal(error)
    if is_refusal:
        is_lost = trouble.is_believed(attempt.now)
    else:
        is_lost = trouble.has_lasted(order_life(attempt.left), attempt.now)
    new_order = current_meter().new_order
    # The order may exist at the CA although its URL never arrived: it counts towards the limits.
    is_unclear = new_order is NewOrder.UNCLEAR
    has_no_answer = is_unclear and isinstance(error, ProtocolError | TransportError)
    if has_no_answer or (_may_have_moved(error) and (trouble.looks == 1 or is_lost)):
        attempt.accounts.forget(attempt.ref.key)
    retry_at, advice = _retry_at(attempt, error)
    problem = trouble.told(evolve(diagnosis.problem, advice=sentences(diagnosis.problem.advice_text, advice)))
    if attempt.state.order:
        if diagnosis.retry is Retry.NEVER or is_lost:
            return attempt.give_up(problem, diagnosis.retry, retry_at=retry_at, of_authority=diagnosis.of_authority)
    else:
        attempt.budget.leave(attempt.work.issuance.id)
    if is_refusal and not is_lost and new_order is None and diagnosis.retry is not Retry.NEVER:
        return _request_again(attempt, trouble, error)
    stays_unclear = is_unclear or (attempt.state.unclear and new_order is None)
    # Requests to a CA that is down cost no order, so the next one follows soon and notices when the CA works again.
    is_soon = stays_unclear and diagnosis.retry is not Retry.NEVER
    return AttemptFailed(
        state=evolve(attempt.state, trouble=trouble, unclear=stays_unclear),
        findings=attempt.findings,
        problem=problem,
        retry=Retry.SOON if is_soon else diagnosis.retry,
        retry_at=retry_at,
        of_authority=diagnosis.of_authority,
        ordered=is_unclear,
    )


def requests_used_up(attempt: Attempt, requests_made: Asked | None) -> LookAgain:
    """Wait because the permitted number of requests for this certificate was sent within the last hour.

    Args:
        attempt: The attempt.
        requests_made: The requests of the last hour; None if the number was reached within this step.
    """
    until = attempt.now + timedelta(minutes=1) if requests_made is None else max(requests_made.free_at, attempt.now)
    trouble, status = attempt.trouble, attempt.state.status
    enough = RequestsUsedUp(
        until=until,
        said=trouble.said if str(trouble.said) or not status else _order_is(status),
        since=trouble.since if trouble.looks else attempt.since,
    )
    return LookAgain(
        state=attempt.state,
        findings=evolve(attempt.findings, enough=enough),
        until=until,
        waiting_for=WaitingFor.AUTHORITY,
    )


def _order_is(status: str) -> Message:
    return Message("puq_acme.order.is", "The order is {status}.", {"status": repr(status)})


def _may_have_moved(error: AcmeError) -> bool:
    """Whether the CA's directory may name other URLs by now."""
    return isinstance(error, ProtocolError) or (isinstance(error, AcmeProblemError) and error.status in _MOVED)


def _is_refusal(error: AcmeError) -> bool:
    """Whether the CA refuses a URL that it has named itself; if the refusal lasts, the order cannot be completed."""
    if not isinstance(error, AcmeProblemError) or error.acme_type in _PASSING:
        return False
    return error.status in CLIENT_ERRORS and error.status not in BUSY


def _request_again(attempt: Attempt, trouble: Trouble, error: AcmeError) -> LookAgain:
    """Repeat the request of a URL that the CA has named itself for a minute: a replica may lag behind."""
    pause = max(trouble.pause, bounded_wait(error.retry_after or 0.0, Wait.ORDER, attempt.left))
    return LookAgain(
        state=evolve(attempt.state, trouble=trouble),
        findings=evolve(attempt.findings, doubt=UnbelievedRefusal(said=trouble.said, since=trouble.since)),
        until=attempt.now + timedelta(seconds=pause),
        waiting_for=WaitingFor.AUTHORITY,
    )


def _retry_at(attempt: Attempt, error: AcmeError) -> tuple[datetime | None, str | Message]:
    """When to send the next request, and a sentence for the user if that is earlier than the CA has asked for."""
    retry_after = error.retry_after
    if retry_after is None:
        return None, ""
    is_limit = isinstance(error, AcmeProblemError) and (error.status in _LIMITED or error.acme_type == "rateLimited")
    is_limit = is_limit or not attempt.state.order  # no order is in progress
    bounded = bounded_wait(retry_after, Wait.LIMIT if is_limit else Wait.ORDER, attempt.left)
    retry_at, wished = (attempt.now + timedelta(seconds=seconds) for seconds in (bounded, retry_after))
    if isinstance(error, AcmeProblemError) and pauses_the_account(error, attempt.names):
        attempt.budget.pause(wished, error.detail, attempt.now)
    if bounded >= retry_after:
        return retry_at, ""
    text = "The CA asked to wait until {wished}; the next request is sent at {retry_at}."
    params = {"wished": shown_moment(wished), "retry_at": shown_moment(retry_at)}
    return retry_at, Message("puq_acme.order.asked_earlier", text, params)
