"""The way to a leaf: preflight → order → publish → answer → finalize → download → clean up, one durable step per call.

What a step needs to know is in the issuance's state, and what it changes outside is harmless when done twice: an
order's URL is kept before anything else is asked about it, TXT values are added and removed by value.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Issued, Step, Waiting, WaitingFor, Work
from certcore_puq_acme.account_records import account_of
from certcore_puq_acme.accounts import Accounts
from certcore_puq_acme.acme_errors import (
    BUSY,
    CLIENT_ERRORS,
    NOT_REACHED,
    AcmeError,
    AcmeProblem,
    ProtocolError,
    TransportFailed,
)
from certcore_puq_acme.attempt import Attempt, Stage, budget_of
from certcore_puq_acme.attempt import clean_up as take_values_back
from certcore_puq_acme.diagnosis import diagnose, pauses_the_account
from certcore_puq_acme.issuing import download
from certcore_puq_acme.metering import AskedEnough, Meter, metered
from certcore_puq_acme.patience import (
    Asked,
    Trouble,
    Wait,
    bounded_wait,
    order_life,
    pause_between_orders,
    shown_moment,
)
from certcore_puq_acme.preflight import preflight
from certcore_puq_acme.validation import invalid, poll, prove

__all__ = ["Stage", "advance", "clean_up"]

#: Refusals that may mean: the account has another key, or is not there any more.
_ABOUT_THE_ACCOUNT: Final = frozenset({"unauthorized", "malformed", "accountDoesNotExist"})
#: Statuses that may mean: the directory has other URLs now.
_MOVED: Final = frozenset({404, 405, 410})
#: Refusals of a request about an order after which it can still be completed.
_PASSING: Final = frozenset({"badNonce", "rateLimited", "orderNotReady", "serverInternal"})
#: Kinds of failure after which a request may have been carried out.
_UNANSWERED: Final = frozenset({"timeout", "reset", "too_large", "empty", "html", "not_json"})
#: Statuses with which a CA asks for a pause (RFC 6585 section 4, RFC 9110 section 15.6.4).
_LIMITED: Final = frozenset({429, 503})
#: What is kept of the way to the leaf until it is there.
_OF_THE_WAY: Final = frozenset({"asked", "trouble", "status"})


def advance(work: Work, accounts: Accounts) -> Step:
    """Take the next step; every refusal and failure of the CA comes back as a `Failed` or a `Waiting` in words."""
    attempt = Attempt.of(work, accounts)
    asked = Asked.of(attempt.state, len(attempt.names), attempt.now)
    if asked.is_enough:
        return evolve(_asked_enough(attempt, asked), ordered=False)
    meter = Meter(allowance=asked.left)
    with metered(meter):
        step = _tried(attempt)
    accounts.look_at_clock(work)
    if isinstance(step, Issued):
        kept = {name: value for name, value in step.state.items() if name not in _OF_THE_WAY}
        return evolve(step, state=kept, ordered=False)
    # Repeated for their nonces, requests of a step that gets on do not count: some CAs refuse most nonces.
    gets_on = step.state.get("stage") != attempt.state.get("stage")
    asked = asked.with_more(meter.sent + (0 if gets_on else meter.repeated))
    return evolve(step, state={**step.state, "asked": asked.to_json()}, ordered=bool(step.ordered))


def clean_up(work: Work) -> None:
    """Take back what this issuance holds, whichever step it had reached: its TXT values, its place in the budget."""
    take_values_back(work)
    state = work.state or {}
    account = state.get("account") or account_of(work, work.settings, work.certificate.owner).key
    budget_of(work, account, state.get("directory") or work.profile.directory).leave(work.issuance.id)


def _step(attempt: Attempt) -> Step:
    stage = attempt.state.get("stage", Stage.PREFLIGHT)
    if stage == Stage.PREFLIGHT:
        return preflight(attempt)
    if attempt.state.get("account", attempt.ref.key) != attempt.ref.key:
        # The profile was set to another CA, or to other credentials: the order is nobody's any more.
        clean_up(attempt.work)
        return attempt.begin_anew()
    if (pause := attempt.paused()) is not None and pause.until is not None:
        return Waiting(
            state=attempt.state,
            look_again=pause.until,
            waiting_for=WaitingFor.TURN,
            findings={**(attempt.work.issuance.findings or {}), "turn": pause.to_json()},
        )
    client = attempt.opened().client
    match stage:
        case Stage.ORDERED | Stage.PUBLISHED:
            return prove(attempt, client)
        case Stage.ANSWERED:
            return poll(attempt, client)
        case _:
            return download(attempt, client) or invalid(attempt, client, client.order(attempt.state["order"]))


def _tried(attempt: Attempt) -> Step:
    try:
        return _step(attempt)
    except AskedEnough:
        return _asked_enough(attempt, None)
    except AcmeError as error:
        if not _may_be_about_the_account(attempt, error) or not _account_has_changed(attempt):
            return _after_error(attempt, error)
    try:
        return _step(Attempt.of(attempt.work, attempt.accounts))
    except AskedEnough:
        return _asked_enough(attempt, None)
    except AcmeError as error:
        return _after_error(attempt, error)


def _may_be_about_the_account(attempt: Attempt, error: AcmeError) -> bool:
    """Whether the CA is asked about the account: at the first refusal of many, and again when they last."""
    if not isinstance(error, AcmeProblem) or error.acme_type not in _ABOUT_THE_ACCOUNT:
        return False
    trouble = attempt.trouble
    return not trouble.looks or trouble.has_gone_on(attempt.now)


def _account_has_changed(attempt: Attempt) -> bool:
    """Whether another process has rolled the account's key over since this one opened it."""
    try:
        return attempt.accounts.has_changed(attempt.work, attempt.opened())
    except AcmeError:
        return False


def _after_error(attempt: Attempt, error: AcmeError) -> Step:
    """What a refusal, or no usable answer, means for the attempt."""
    diagnosis = diagnose(error)
    trouble = attempt.trouble.again(error.message)
    is_refusal = _is_refusal(error)
    is_lost = trouble.is_believed(attempt.now) if is_refusal else _has_lasted(attempt, trouble)
    is_of_new_order = _is_of_new_order(attempt, error)
    asks_again = is_refusal and not is_lost and not is_of_new_order
    # An order whose URL never arrived is there at the CA, perhaps: it counts, and no other one follows at once.
    is_unclear = is_of_new_order and _may_have_been_done(error)
    if is_unclear or (_may_have_moved(error) and (trouble.looks == 1 or is_lost)):
        attempt.accounts.forget(attempt.ref.key)
    retry_at, advice = _retry_at(attempt, error)
    if is_of_new_order and not (isinstance(error, TransportFailed) and error.kind in NOT_REACHED):
        retry_at = max(retry_at or attempt.now, attempt.now + pause_between_orders(trouble.since, attempt.now))
    problem = trouble.told(evolve(diagnosis.problem, advice=f"{diagnosis.problem.advice} {advice}".strip()))
    if attempt.state.get("order"):
        if diagnosis.retry is Retry.NEVER or is_lost:
            return attempt.give_up(problem, diagnosis.retry, retry_at=retry_at, of_authority=diagnosis.of_authority)
    else:
        attempt.budget.leave(attempt.work.issuance.id)
    if asks_again and diagnosis.retry is not Retry.NEVER:
        return _asked_again(attempt, trouble, error)
    return Failed(
        state={**attempt.state, "trouble": trouble.to_json()},
        problem=problem,
        retry=Retry.SLOW if is_unclear else diagnosis.retry,
        retry_at=retry_at,
        of_authority=diagnosis.of_authority,
        ordered=is_unclear,
    )


def _may_have_been_done(error: AcmeError) -> bool:
    """Whether the CA may have done what it was asked for, although there is no usable answer."""
    return isinstance(error, ProtocolError) or (isinstance(error, TransportFailed) and error.kind in _UNANSWERED)


def _may_have_moved(error: AcmeError) -> bool:
    """Whether the CA's directory may name other URLs by now."""
    return isinstance(error, ProtocolError) or (isinstance(error, AcmeProblem) and error.status in _MOVED)


def _has_lasted(attempt: Attempt, trouble: Trouble) -> bool:
    """Whether an order is given up because the CA has for too long been in trouble, or busy with something else."""
    return trouble.has_lasted(order_life(attempt.left), attempt.now)


def _is_refusal(error: AcmeError) -> bool:
    """Whether the CA refuses what it has named itself, after which an order cannot be completed if it is believed."""
    if not isinstance(error, AcmeProblem) or error.acme_type in _PASSING:
        return False
    return error.status in CLIENT_ERRORS and error.status not in BUSY


def _is_of_new_order(attempt: Attempt, error: AcmeError) -> bool:
    """Whether a new order has failed, which is not asked for again at once: each counts towards the CA's limits."""
    if attempt.state.get("order"):
        return False
    if isinstance(error, ProtocolError):
        return error.resource == "order"
    opened = attempt.accounts.last_opened(attempt.ref)
    if opened is None or not isinstance(error, AcmeProblem | TransportFailed):
        return False
    return error.url == opened.client.directory().new_order


def _asked_again(attempt: Attempt, trouble: Trouble, error: AcmeError) -> Waiting:
    """A replica may lag behind: what the CA has named itself is asked for again over a minute before it is lost."""
    pause = max(trouble.pause, bounded_wait(error.retry_after or 0.0, Wait.ORDER, attempt.left))
    doubt = {"said": trouble.said, "since": trouble.since.isoformat()}
    return Waiting(
        state={**attempt.state, "trouble": trouble.to_json()},
        look_again=attempt.now + timedelta(seconds=pause),
        waiting_for=WaitingFor.AUTHORITY,
        findings={**(attempt.work.issuance.findings or {}), "doubt": doubt},
    )


def _asked_enough(attempt: Attempt, asked: Asked | None) -> Waiting:
    """So much was asked for this certificate within the hour that the next step waits, whatever the CA answers."""
    until = attempt.now + timedelta(minutes=1) if asked is None else max(asked.free_at, attempt.now)
    trouble = attempt.trouble
    status = attempt.state.get("status")
    said = trouble.said or (f"The order is {status!r}." if status else "")
    since = trouble.since if trouble.looks else attempt.since
    return Waiting(
        state=attempt.state,
        look_again=until,
        waiting_for=WaitingFor.AUTHORITY,
        findings={
            **(attempt.work.issuance.findings or {}),
            "enough": {"until": until.isoformat(), "said": said, "since": since.isoformat()},
        },
    )


def _retry_at(attempt: Attempt, error: AcmeError) -> tuple[datetime | None, str]:
    """When the CA wishes to be asked again, within bounds; and what is to be said where that is earlier."""
    asked = error.retry_after
    if asked is None:
        return None, ""
    is_limit = isinstance(error, AcmeProblem) and (error.status in _LIMITED or error.acme_type == "rateLimited")
    is_limit = is_limit or not attempt.state.get("order")  # no order is in work
    bounded = bounded_wait(asked, Wait.LIMIT if is_limit else Wait.ORDER, attempt.left)
    retry_at, wished = (attempt.now + timedelta(seconds=seconds) for seconds in (bounded, asked))
    if isinstance(error, AcmeProblem) and pauses_the_account(error, attempt.names):
        attempt.budget.pause(wished, error.detail, attempt.now)
    if bounded >= asked:
        return retry_at, ""
    text = f"The CA wishes to be asked at {shown_moment(wished)} or later; it is asked at {shown_moment(retry_at)}."
    return retry_at, text
