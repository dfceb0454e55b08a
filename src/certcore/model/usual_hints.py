"""The default right column of a certificate's page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certcore.messages import Message, sentences, shown_moment
from certcore.model.hints import ActionButton, Fact, Facts, Hint, Level, Notice
from certcore.model.issuance import Outcome, Purpose
from certcore.model.lifecycle import Action, Status
from certcore.model.renewal_danger import Danger, danger_of
from certcore.model.views import CertificateView
from certcore.model.waiting_for import WaitingFor

__all__ = ["SHOWN_ELSEWHERE", "usual_hints"]

#: The types of problems of the engine, which `certcore.services.core_hints` shows for every CA module.
SHOWN_ELSEWHERE: Final = frozenset({"urn:certcore:leaf-kept", "urn:certcore:order-limit", "urn:certcore:stalled"})


def usual_hints(view: CertificateView, title: str, *, waits: Message | None = None) -> tuple[Hint, ...]:
    """The hints about the certificate's wait, its problem, and the time of the next look.

    Args:
        view: The certificate.
        title: The title of the CA module.
        waits: The CA module's text about the issuance under way; None for the default text of the `WaitingFor`.
    """
    return tuple(_hints(view, title, waits))


def _hints(view: CertificateView, title: str, waits: Message | None) -> Iterator[Hint]:
    certificate, issuance = view.certificate, view.issuance
    ca = {"ca": title}
    if certificate.status is Status.DRAFT:
        text = "The request is sent to {ca} as soon as the CSR is generated."
        yield Notice(Level.INFO, Message("usual_hints.draft", text, ca))
    if view.under_way:
        yield Notice(Level.INFO, waits or _waits(view, ca))
    has_failed = issuance is not None and issuance.outcome is Outcome.FAILED
    problem = certificate.problem
    is_danger_shown = danger_of(certificate, view.active, view.now) is not Danger.NONE
    if problem is not None and problem.type not in SHOWN_ELSEWHERE and not is_danger_shown:
        level = Level.ERROR if has_failed and view.active is None else Level.WARNING
        yield Notice(level, sentences(problem.text, problem.advice_text))
    if view.under_way or has_failed:
        due_at = None if view.schedule is None else view.schedule.due_at
        if due_at is not None and due_at > view.now:
            label = Message("usual_hints.next_look", "Next look")
            yield Facts((Fact(label, shown_moment(due_at)),))
        if Action.CHECK_NOW in view.actions:
            yield ActionButton(name=str(Action.CHECK_NOW), label=Message("core.check_now", "Check now"))
    elif view.active is not None and view.active.purpose is not Purpose.IMPORT and certificate.status is Status.ACTIVE:
        yield Notice(Level.SUCCESS, Message("usual_hints.issued", "{ca} has issued this certificate.", ca))


def _waits(view: CertificateView, ca: dict[str, str]) -> Message:
    state = None if view.issuance is None else view.issuance.engine_state
    match state.waiting_for if state is not None else "":
        case WaitingFor.OWNER:
            return Message("usual_hints.owner", "{ca} waits for the owner of the domain.", ca)
        case WaitingFor.ADMINISTRATOR:
            return Message("usual_hints.administrator", "{ca} waits for an administrator.", ca)
        case WaitingFor.TURN:
            return Message("usual_hints.turn", "The request waits for its turn at {ca}.", ca)
        case WaitingFor.AUTHORITY:
            return Message("usual_hints.authority", "{ca} is processing the request.", ca)
        case _:
            return Message("usual_hints.begins", "Next, the request is sent to {ca}.", ca)
