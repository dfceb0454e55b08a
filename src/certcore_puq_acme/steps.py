"""The way to a leaf: preflight → order → publish → answer → finalize → download → clean up, one durable step per call.

What a step needs to know is in the issuance's state, and what it changes outside is harmless when done twice: an
order's URL is kept before anything else is asked about it, TXT values are added and removed by value.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Step, Waiting, WaitingFor, Work
from certcore_puq_acme.account_records import account_of
from certcore_puq_acme.accounts import Accounts
from certcore_puq_acme.acme_errors import BUSY, CLIENT_ERRORS, AcmeError, AcmeProblem, ProtocolError
from certcore_puq_acme.attempt import Attempt, Stage, budget_of
from certcore_puq_acme.attempt import clean_up as take_values_back
from certcore_puq_acme.diagnosis import Diagnosis, diagnose, pauses_the_account
from certcore_puq_acme.issuing import download
from certcore_puq_acme.preflight import preflight
from certcore_puq_acme.validation import answer, invalid, poll, publish

__all__ = ["Stage", "advance", "clean_up"]

#: Refusals that may mean: the account has another key, or is not there any more.
_ABOUT_THE_ACCOUNT: Final = frozenset({"unauthorized", "malformed", "accountDoesNotExist"})
#: Statuses that may mean: the directory has other URLs now.
_MOVED: Final = frozenset({404, 405, 410})
#: Refusals of a request about an order after which it can still be completed.
_PASSING: Final = frozenset({"badNonce", "rateLimited", "orderNotReady", "serverInternal"})


def advance(work: Work, accounts: Accounts) -> Step:
    """Take the next step; every refusal and failure of the CA comes back as a `Failed` in words."""
    attempt = Attempt.of(work, accounts)
    try:
        return _step(attempt)
    except AcmeProblem as problem:
        if problem.acme_type in _ABOUT_THE_ACCOUNT and _account_has_changed(attempt):
            try:
                return _step(Attempt.of(work, accounts))
            except AcmeError as error:
                return _failed(attempt, error)
        return _failed(attempt, problem)
    except AcmeError as error:
        return _failed(attempt, error)


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
    if (pause := attempt.budget.paused(attempt.now)) is not None and pause.until is not None:
        return Waiting(
            state=attempt.state,
            look_again=pause.until,
            waiting_for=WaitingFor.TURN,
            findings={**(attempt.work.issuance.findings or {}), "turn": pause.to_json()},
        )
    client = attempt.opened().client
    match stage:
        case Stage.ORDERED:
            return publish(attempt, client)
        case Stage.PUBLISHED:
            return answer(attempt, client)
        case Stage.ANSWERED:
            return poll(attempt, client)
        case _:
            return download(attempt, client) or invalid(attempt, client, client.order(attempt.state["order"]))


def _account_has_changed(attempt: Attempt) -> bool:
    """Whether another process has rolled the account's key over since this one opened it."""
    try:
        return attempt.accounts.has_changed(attempt.work, attempt.opened())
    except AcmeError:
        return False


def _failed(attempt: Attempt, error: AcmeError) -> Failed:
    diagnosis = diagnose(error)
    retry_at = None if error.retry_after is None else attempt.now + timedelta(seconds=error.retry_after)
    if isinstance(error, AcmeProblem) and retry_at is not None and pauses_the_account(error, attempt.names):
        attempt.budget.pause(retry_at, error.detail)
    if isinstance(error, ProtocolError) or (isinstance(error, AcmeProblem) and error.status in _MOVED):
        attempt.accounts.forget(attempt.ref.key)
    if attempt.state.get("order") and _is_lost(error, diagnosis):
        return attempt.give_up(
            diagnosis.problem, diagnosis.retry, retry_at=retry_at, of_authority=diagnosis.of_authority
        )
    if not attempt.state.get("order"):
        attempt.budget.leave(attempt.work.issuance.id)
    return Failed(
        state=attempt.state,
        problem=diagnosis.problem,
        retry=diagnosis.retry,
        retry_at=retry_at,
        of_authority=diagnosis.of_authority,
    )


def _is_lost(error: AcmeError, diagnosis: Diagnosis) -> bool:
    """Whether the order cannot be completed after this refusal."""
    if diagnosis.retry is Retry.NEVER:
        return True
    if not isinstance(error, AcmeProblem) or error.acme_type in _PASSING:
        return False
    return error.status in CLIENT_ERRORS and error.status not in BUSY
