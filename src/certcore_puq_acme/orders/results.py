"""The results of a stage of an attempt, and their translation into the result of a step for the engine."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from attrs import field, frozen

from certcore.model.notes import Note
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Issued, StepResult, Waiting, WaitingFor
from certcore_puq_acme.orders.state import Findings, OrderState
from certcore_puq_acme.protocol.resources import Order

__all__ = ["AttemptFailed", "AttemptResult", "LookAgain", "NextStage", "Obtained", "StageResult", "as_step_result"]


@frozen(kw_only=True)
class NextStage:
    """The stage is complete: the stage that ``state`` names runs in the same call."""

    state: OrderState
    findings: Findings
    #: The order as the CA has just described it; if present, its status decides which stage runs. None if not read.
    order: Order | None = None


@frozen(kw_only=True)
class LookAgain:
    """The stage has to wait."""

    state: OrderState
    findings: Findings
    until: datetime
    waiting_for: WaitingFor
    #: See `certcore.ports.ca_module.Waiting.needs_clean_up`.
    holds: bool | None = None
    #: A new order was placed.
    ordered: bool = False
    #: See `certcore.ports.ca_module.Waiting.repeatable`.
    repeatable: bool = False
    #: How many newOrder requests the CA has refused.
    orders_refused: int = 0
    notes: tuple[Note, ...] = ()


@frozen(kw_only=True)
class AttemptFailed:
    """The CA has refused a request, or cannot be used."""

    state: OrderState
    findings: Findings
    problem: Problem
    retry: Retry
    retry_at: datetime | None = None
    of_authority: bool = False
    #: See `certcore.ports.ca_module.Waiting.needs_clean_up`.
    holds: bool | None = None
    #: A new order may have been placed: its URL never arrived.
    ordered: bool = False
    #: How many newOrder requests the CA has refused.
    orders_refused: int = 0
    notes: tuple[Note, ...] = ()


@frozen(kw_only=True)
class Obtained:
    """The leaf was downloaded with its chain."""

    state: OrderState
    chain_pem: str = field(repr=False)
    #: See `certcore.ports.ca_module.Waiting.needs_clean_up`.
    holds: bool = False
    notes: tuple[Note, ...] = ()


#: The results that end a call.
AttemptResult = LookAgain | AttemptFailed | Obtained
#: What a stage returns.
StageResult = NextStage | AttemptResult


def as_step_result(result: AttemptResult, before: Findings) -> StepResult:
    """Convert a result into the step result for the engine.

    Args:
        result: The result of the last stage of the call.
        before: The stored findings; new ones are stored only if they differ.
    """
    state = result.state.to_json()
    match result:
        case LookAgain():
            return Waiting(
                state=state,
                look_again=result.until,
                waiting_for=result.waiting_for,
                findings=_changed(result.findings, before),
                needs_clean_up=result.holds,
                ordered=result.ordered,
                repeatable=result.repeatable,
                orders_refused=result.orders_refused,
                notes=result.notes,
            )
        case AttemptFailed():
            return Failed(
                state=state,
                problem=result.problem,
                retry=result.retry,
                retry_at=result.retry_at,
                of_authority=result.of_authority,
                findings=_changed(result.findings, before),
                needs_clean_up=result.holds,
                ordered=result.ordered,
                orders_refused=result.orders_refused,
                notes=result.notes,
            )
        case Obtained():
            return Issued(
                state=state,
                chain_pem=result.chain_pem,
                needs_clean_up=result.holds,
                ordered=False,
                notes=result.notes,
            )
        case _:
            assert_never(result)


def _changed(findings: Findings, before: Findings) -> dict[str, object] | None:
    return findings.to_json() if findings != before else None
