"""Hints about an issuance in progress: what it waits for, what delays it, and its steps."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, assert_never

from certcore.messages import sentences
from certcore.model.hints import Hint, Level, Link, Message, Notice, Step, Steps, StepState
from certcore.model.views import CertificateView
from certcore_puq_acme.hints.dns_records import own_settings
from certcore_puq_acme.links import asks_for_a_visit, pages_in
from certcore_puq_acme.moments import moment_text
from certcore_puq_acme.orders.state import Findings, OrderState, Stage, WaitingTurn
from certcore_puq_acme.profile.settings import AcmeContext, ChallengeType
from certcore_puq_acme.profile.zone_writer import zone_advice
from certcore_puq_acme.rate_limits.turns import Why

__all__ = ["not_getting_on", "progress", "unseen_values", "unwritten_values", "waiting_for_turn"]

#: A hint mentions an order that the CA processes for longer than this.
_LONG: Final = timedelta(minutes=10)


class _Step(NamedTuple):
    """One row of the list of steps."""

    #: The title while the step runs, and the title when it is complete.
    title: Message
    done: Message
    #: The stages in which the step runs.
    stages: frozenset[Stage]


_PLACE: Final = _Step(
    Message("puq_acme.step.order", "Place the order at the CA"),
    Message("puq_acme.step.order.done", "Order placed at the CA"),
    frozenset({Stage.ORDERING}),
)
_VALIDATE: Final = _Step(
    Message("puq_acme.step.validate", "Wait for the CA's validation"),
    Message("puq_acme.step.validate.done", "Validated by the CA"),
    frozenset({Stage.ANSWERED}),
)
_ISSUE: Final = _Step(
    Message("puq_acme.step.issue", "Wait for the CA to issue"),
    Message("puq_acme.step.issue.done", "Issued by the CA"),
    frozenset({Stage.FINALIZING}),
)
_STEPS: Final = MappingProxyType(
    {
        ChallengeType.DNS: (
            _Step(
                Message("puq_acme.step.cname", "Check the CNAME"),
                Message("puq_acme.step.cname.done", "CNAME correct"),
                frozenset({Stage.PREFLIGHT}),
            ),
            _PLACE,
            _Step(
                Message("puq_acme.step.publish", "Publish the validation values"),
                Message("puq_acme.step.publish.done", "Validation values published"),
                frozenset({Stage.ORDERED, Stage.PUBLISHED}),
            ),
            _VALIDATE,
            _ISSUE,
        ),
        # Nothing is published: the owner's TXT records stay as they are.
        ChallengeType.DNS_PERSIST: (
            _Step(
                Message("puq_acme.step.txt", "Check the TXT record"),
                Message("puq_acme.step.txt.done", "TXT record correct"),
                frozenset({Stage.PREFLIGHT}),
            ),
            _PLACE,
            _VALIDATE._replace(stages=frozenset({Stage.ORDERED, Stage.PUBLISHED, Stage.ANSWERED})),
            _ISSUE,
        ),
    }
)


def waiting_for_turn(view: CertificateView) -> list[Hint]:
    """Waits that need no action: a limit of the CA, a pause, other orders."""
    turn = Findings.of(view.issuance).turn
    if turn is None:
        return []
    until = moment_text(turn.until)
    match turn.why:
        case Why.LIMIT:
            params = {"until": until, "limit": turn.limit, "about": turn.about}
            if turn.about:
                text = (
                    "Waiting until about {until}: the CA's limit {limit} is used up for {about}. No action is needed."
                )
                return [Notice(Level.INFO, _message("turn.limit.about", text, **params))]
            text = "Waiting until about {until}: the CA's limit {limit} is used up. No action is needed."
            return [Notice(Level.INFO, _message("turn.limit", text, **params))]
        case Why.PAUSE:
            return _pause(turn)
        case Why.ORDERS:
            text = (
                "Waiting until {until}: certcore places no more orders for this certificate until then. The timeline "
                "shows what became of them."
            )
            message = _message("turn.orders", text, until=until)
            if turn.detail:
                message = sentences(message, _message("turn.orders.last", "The last one: {detail}", detail=turn.detail))
            return [Notice(Level.WARNING, message)]
        case Why.IN_FLIGHT | Why.BUSY:
            text = "Waiting for its turn: this CA profile allows no more orders in flight."
            return [Notice(Level.INFO, _message("turn.in_flight", text))]
        case _:
            assert_never(turn.why)


def _pause(turn: WaitingTurn) -> list[Hint]:
    params = {"until": moment_text(turn.until), "detail": turn.detail, "wished": moment_text(turn.wished)}
    if turn.wished is not None and turn.until is not None and turn.wished > turn.until:
        text = (
            "Waiting until {until}: the CA has asked for a pause until {wished}, which is longer than certcore waits. "
            "The CA said: {detail}"
        )
        message = _message("turn.pause.shorter", text, **params)
    else:
        text = "Waiting until {until}: the CA has asked for a pause. The CA said: {detail}"
        message = _message("turn.pause", text, **params)
    level = Level.INFO
    if asks_for_a_visit(turn.detail):
        level = Level.WARNING
        message = sentences(message, _message("turn.pause.visit", "Visit the CA's page below."))
    pages = [Link(_message("problem.instance", "The CA's page about this"), page) for page in pages_in(turn.detail)]
    return [Notice(level, message), *pages]


def unwritten_values(view: CertificateView) -> list[Hint]:
    """Why the server of the tech zone does not take TXT values, and what to do about it."""
    unwritten = Findings.of(view.issuance).unwritten
    if unwritten is None:
        return []
    text = "The TXT values could not be written since {since}: {said} {advice} It is retried automatically."
    params = {"since": moment_text(unwritten.since), "said": unwritten.said, "advice": unwritten.advice}
    return [Notice(Level.WARNING, _message("unwritten", text, **params))]


def unseen_values(view: CertificateView, context: AcmeContext) -> list[Hint]:
    """The values that are not written or not visible in the DNS yet, with what to check if it persists."""
    if unwritten := unwritten_values(view):
        return unwritten
    unseen = Findings.of(view.issuance).unseen
    if not unseen or OrderState.of(view.issuance).stage is not Stage.PUBLISHED:
        return []
    next_look = view.schedule.due_at if view.schedule else None
    hints: list[Hint] = []
    for stored_finding in unseen:
        finding = stored_finding.finding(next_look)
        text = "{cause} {advice} It is looked up again automatically."
        params = {"cause": finding.cause, "advice": finding.advice}
        hints.append(Notice(Level.WARNING, _message("unseen.finding", text, **params)))
    advice = zone_advice(context.profile)
    return [*hints, Notice(Level.INFO, advice)]


def not_getting_on(view: CertificateView) -> list[Hint]:
    """Errors of the CA that are not a failure of the issuance yet: the CA's answer, and since when."""
    findings, state = Findings.of(view.issuance), OrderState.of(view.issuance)
    if (enough := findings.enough) is not None:
        text = (
            "Too many requests to the CA made no progress within the hour; the next one is sent at {until}. The CA's "
            "answer since {since}: {said}"
        )
        params = {
            "until": moment_text(enough.until),
            "since": moment_text(enough.since),
            "said": enough.said if str(enough.said) else _message("stuck.nothing", "nothing"),
        }
        return [Notice(Level.WARNING, _message("stuck.enough", text, **params))]
    if (doubt := findings.doubt) is not None:
        text = (
            "The CA refuses a URL that it gave out itself; the request is repeated for a minute before the order "
            "counts as lost. The CA's answer since {since}: {said}"
        )
        return [Notice(Level.INFO, _message("stuck.doubt", text, since=moment_text(doubt.since), said=doubt.said))]
    if state.since is None or not state.status or view.now - state.since < _LONG:
        return []
    text = (
        "The CA has answered {status} for the order since {since}. It was asked {count} times, and is asked again "
        "automatically."
    )
    message = _message("stuck.status", text, status=state.status, since=moment_text(state.since), count=state.polls + 1)
    return [Notice(Level.WARNING, message)]


def progress(view: CertificateView, context: AcmeContext) -> list[Hint]:
    """The steps of the issuance in progress."""
    if view.issuance is None:
        return []
    state, findings = OrderState.of(view.issuance), Findings.of(view.issuance)
    failed = view.certificate.problem is not None
    stage = state.stage
    steps = _STEPS[state.challenge or own_settings(view).challenge_type(context.profile)]
    # Before the order is placed, the CA may cause a failure or a wait although the owner's records are correct.
    is_of_ca = not findings.records and (failed or findings.turn is not None)
    if stage is Stage.PREFLIGHT and (findings.are_correct or is_of_ca):
        stage = Stage.ORDERING
        steps = steps[1:] if is_of_ca else steps
    reached = next(index for index, step in enumerate(steps) if stage in step.stages)
    rows = [
        Step(title=_message("step.csr", "Key and CSR made"), state=StepState.DONE, at=view.issuance.created_at),
        *(_row(step, _step_state(index, reached, failed=failed)) for index, step in enumerate(steps)),
    ]
    return [Steps(tuple(rows))]


def _row(step: _Step, state: StepState) -> Step:
    return Step(title=step.done if state is StepState.DONE else step.title, state=state)


def _step_state(index: int, reached: int, *, failed: bool) -> StepState:
    if index < reached:
        return StepState.DONE
    if index > reached:
        return StepState.WAITING
    return StepState.FAILED if failed else StepState.CURRENT


def _message(key: str, text: str, **params: Any) -> Message:
    return Message(f"puq_acme.{key}", text, params)
