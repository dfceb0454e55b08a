"""Obtain a leaf: check the owner's records, order, publish, answer, finalize, download; one step per call.

Each stage reads the stored state, and may safely repeat its changes at the CA and in the DNS: the order's URL is stored
before anything is requested about the order, and TXT values are added and removed by value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Final, assert_never

from attrs import evolve, frozen

from certcore.ports.ca_module import StepResult
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.dns.checks import DnsAccess
from certcore_puq_acme.orders.account_note import account_notes
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.download import download
from certcore_puq_acme.orders.finalization import finalize
from certcore_puq_acme.orders.lost_order import explain_invalid, explain_pending
from certcore_puq_acme.orders.order_status import wait_for_order
from certcore_puq_acme.orders.patience import Asked
from certcore_puq_acme.orders.placement import place_order
from certcore_puq_acme.orders.preflight import check_cnames
from certcore_puq_acme.orders.recovery import account_has_changed, after_error, requests_used_up, unless_further
from certcore_puq_acme.orders.results import AttemptResult, LookAgain, NextStage, Obtained, StageResult, as_step_result
from certcore_puq_acme.orders.state import Findings, Stage
from certcore_puq_acme.orders.validation import answer, publish
from certcore_puq_acme.profile.settings import AcmeWork
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeError
from certcore_puq_acme.protocol.metering import Meter, RequestLimitError, metered
from certcore_puq_acme.protocol.resources import Order

__all__ = ["advance", "clean_up"]

_log = logging.getLogger(__name__)
#: The shortest and the longest pause before a failed clean-up is repeated; in between, the pause is half the time since
#: the end of the issuance.
_CLEAN_UP_PAUSE: Final = timedelta(minutes=1)
_LONGEST_CLEAN_UP_PAUSE: Final = timedelta(hours=1)


def advance(work: AcmeWork, accounts: Accounts, dns: DnsAccess) -> StepResult:
    """Take the next step; every refusal and failure of the CA becomes a `Failed` or a `Waiting` result."""
    attempt = Attempt.of(work, accounts, dns)
    requests_made = Asked.of(attempt.state.asked, len(attempt.names), attempt.now)
    if requests_made.is_enough:
        return as_step_result(requests_used_up(attempt, requests_made), attempt.findings)
    meter = Meter(allowance=requests_made.left)
    with metered(meter):
        result = _advance(attempt)
    accounts.look_at_clock(work)
    notes = account_notes(attempt)
    if isinstance(result, Obtained):
        state = evolve(result.state, asked={}, trouble=None, status="")
        result = evolve(result, state=state, notes=notes)
    else:
        # If the step makes progress, requests repeated because of a nonce do not count: some CAs refuse most nonces.
        gets_on = work.state is None or result.state.stage is not attempt.state.stage
        sent = meter.sent + (0 if gets_on else meter.repeated)
        state = evolve(result.state, asked=requests_made.with_more(sent).slots)
        result = evolve(result, state=state, notes=notes, orders_refused=meter.orders_refused)
    return as_step_result(result, attempt.findings)


def clean_up(work: AcmeWork, accounts: Accounts, dns: DnsAccess) -> datetime | None:
    """Release what this issuance holds, in any stage.

    Returns:
        None if everything is released; otherwise when to try again, because the tech zone's server cannot be reached.
    """
    attempt = Attempt.of(work, accounts, dns)
    attempt.release()
    if attempt.hosted.is_on:
        attempt.hosted.tidy(delegation.name for delegation in attempt.delegations)
    unwritten = attempt.withdraw()
    if unwritten is None or attempt.publication is None:
        return None
    attempt.publication.note_leftovers(attempt.published_names)
    if unwritten.said:
        _log.warning("TXT values of certificate %s are not withdrawn yet: %s", work.certificate.id, unwritten.said)
    waited = attempt.now - (work.issuance.finished_at or attempt.now)
    return attempt.now + min(max(waited / 2, _CLEAN_UP_PAUSE), _LONGEST_CLEAN_UP_PAUSE)


@frozen(kw_only=True)
class _Stopped:
    """A stage ended with an error of the CA."""

    error: AcmeError
    #: The findings of the stages before it.
    findings: Findings


def _advance(attempt: Attempt) -> AttemptResult:
    result = _run_stages(attempt)
    if isinstance(result, _Stopped) and account_has_changed(attempt, result.error):
        result = _run_stages(Attempt.of(attempt.work, attempt.accounts, attempt.checks.access))
    if not isinstance(result, _Stopped):
        return result
    # The earlier stages begin anew in the next call; their findings are kept.
    attempt = evolve(attempt, findings=result.findings)
    if isinstance(result.error, RequestLimitError):
        return requests_used_up(attempt, None)
    return after_error(attempt, result.error)


def _run_stages(attempt: Attempt) -> AttemptResult | _Stopped:
    """Run the stored stage and the following ones until one has to wait."""
    client = cache(lambda: attempt.opened().client)
    order: Order | None = None
    current = attempt
    try:
        if (held_back := _held_back(attempt)) is not None:
            return held_back
        for _ in range(len(Stage) + 1):
            result = _run_stage(current, client, order)
            if not isinstance(result, NextStage):
                return result
            current, order = evolve(current, state=result.state, findings=result.findings), result.order
    except AcmeError as error:
        return _Stopped(error=error, findings=current.findings)
    raise RuntimeError("The stages of an order do not come to an end.")


def _held_back(attempt: Attempt) -> LookAgain | None:
    """The wait if no request about the order is possible now; None if requests are possible."""
    if not attempt.state.stage.has_order:
        return None
    if attempt.state.account not in ("", attempt.ref.key):
        # The profile was set to another CA, or to other credentials.
        return attempt.begin_anew()
    pause = attempt.paused()
    return None if pause is None or pause.until is None else attempt.wait_for_turn(attempt.state, pause)


def _run_stage(attempt: Attempt, client: Callable[[], AcmeClient], order: Order | None) -> StageResult:
    if order is not None:
        return _run_by_status(attempt, client(), order)
    match attempt.state.stage:
        case Stage.PREFLIGHT:
            return check_cnames(attempt)
        case Stage.ORDERING:
            return place_order(attempt)
        case Stage.ORDERED:
            return unless_further(attempt, client(), publish)
        case Stage.PUBLISHED:
            return unless_further(attempt, client(), answer)
        case Stage.FINALIZING if attempt.state.certificate:
            return download(attempt, client())
        case Stage.ANSWERED | Stage.FINALIZING:
            return _run_by_status(attempt, client(), client().order(attempt.state.order))
        case _:
            assert_never(attempt.state.stage)


def _run_by_status(attempt: Attempt, client: AcmeClient, order: Order) -> StageResult:
    """Run the stage that the order's status requires (RFC 8555 section 7.1.6)."""
    is_finalizing = attempt.state.stage is Stage.FINALIZING
    match order.status:
        case "ready":
            return finalize(attempt, client, order)
        case "invalid":
            return explain_invalid(attempt, client, order)
        case "processing" | "valid" if not is_finalizing:
            return attempt.look_again(attempt.in_stage(Stage.FINALIZING).with_order(order), 0)
        case "valid" if order.certificate:
            return download(evolve(attempt, state=evolve(attempt.state, certificate=order.certificate)), client)
        case _ if is_finalizing:
            return wait_for_order(attempt, Stage.FINALIZING, order)
        case _:
            return explain_pending(attempt, client, order) or wait_for_order(attempt, Stage.ANSWERED, order)
