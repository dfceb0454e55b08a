"""What the page says of an attempt in flight: what it waits for, what keeps it from getting on, how far it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from certcore.model.hints import Hint, Level, Link, Message, Notice, Step, Steps, StepState
from certcore.model.views import CertificateView
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.delegation import CHECK_ZONE
from certcore_puq_acme.owner_records import own_settings
from certcore_puq_acme.pages import asks_for_a_visit, pages_in
from certcore_puq_acme.settings import ChallengeType

__all__ = ["not_getting_on", "progress", "unseen_value", "waiting_for_turn"]

#: An order that is in work for longer is worth a word.
_LONG: Final = timedelta(minutes=10)
#: The stages of `certcore_puq_acme.steps`, in their order, with what they are called for people.
_STAGES: Final = MappingProxyType(
    {
        ChallengeType.DNS: (
            ("preflight", "Check the CNAME"),
            ("ordered", "Order placed at the CA"),
            ("published", "Validation values published"),
            ("answered", "The CA validates"),
            ("finalizing", "The CA issues"),
        ),
        # Nothing is published: the owner's TXT records stay as they are.
        ChallengeType.DNS_PERSIST: (
            ("preflight.persist", "Check the TXT record"),
            ("ordered", "Order placed at the CA"),
            ("answered", "The CA validates"),
            ("finalizing", "The CA issues"),
        ),
    }
)


def waiting_for_turn(view: CertificateView) -> list[Hint]:
    """What the certificate waits for when nobody has to do anything: a limit of the CA, a pause, its turn."""
    if view.issuance is None or not (turn := (view.issuance.findings or {}).get("turn")):
        return []
    until = _moment(turn.get("until"))
    match turn.get("why"):
        case "limit":
            text = "Waiting until about {until}: the CA's limit {limit} is used up{about}. Nothing is to be done."
            about = f" for {turn['about']}" if turn.get("about") else ""
            params = {"until": until, "limit": turn.get("limit", ""), "about": about}
            return [Notice(Level.INFO, _message("turn.limit", text, **params))]
        case "pause":
            return _pause(until, str(turn.get("detail", "")), _moment(turn.get("wished")))
        case "orders":
            text = (
                "Waiting until {until}: as many orders were placed for this certificate as certcore places. "
                "The timeline says what became of them.{last}"
            )
            last = f" The last one: {turn['detail']}" if turn.get("detail") else ""
            return [Notice(Level.WARNING, _message("turn.orders", text, until=until, last=last))]
        case _:
            text = "Waiting for its turn: as many orders are in flight as this CA profile allows."
            return [Notice(Level.INFO, _message("turn.in_flight", text))]


def _pause(until: str, detail: str, wished: str) -> list[Hint]:
    key, level = "turn.pause", Level.INFO
    text = "Waiting until {until}: the CA has asked for a pause. The CA said: {detail}"
    if wished > until:
        key = "turn.pause.shorter"
        text = (
            "Waiting until {until}: the CA has asked for a pause until {wished}, longer than it is waited for. The CA "
            "said: {detail}"
        )
    if asks_for_a_visit(detail):
        key, level = f"{key}.visit", Level.WARNING
        text += " Somebody has to visit the CA's page below."
    pages = [Link(_message("problem.instance", "The CA's page about this"), page) for page in pages_in(detail)]
    return [Notice(level, _message(key, text, until=until, detail=detail, wished=wished)), *pages]


def unseen_value(view: CertificateView) -> list[Hint]:
    """A published value that the DNS does not show yet, with what is the matter if it stays so."""
    issuance = view.issuance
    if issuance is None or (issuance.module_state or {}).get("stage") != "published":
        return []
    unseen = (issuance.findings or {}).get("unseen")
    if not unseen:
        return []
    text = "The TXT value at {name} is not visible in the DNS yet ({missing}); it is looked for again. "
    return [Notice(Level.WARNING, _message("unseen", text + CHECK_ZONE, **unseen))]


def not_getting_on(view: CertificateView) -> list[Hint]:
    """What keeps an attempt from getting on that is not a failure yet: what the CA says, and since when."""
    issuance = view.issuance
    if issuance is None:
        return []
    findings, state = issuance.findings or {}, issuance.module_state or {}
    if enough := findings.get("enough"):
        text = (
            "So much was asked of the CA within the hour without getting on that nothing more is asked before {until}. "
            "Since {since} it has said: {said}"
        )
        params = {"until": _moment(enough.get("until")), "since": _moment(enough.get("since"))}
        return [Notice(Level.WARNING, _message("stuck.enough", text, **params, said=enough.get("said") or "nothing"))]
    if doubt := findings.get("doubt"):
        text = (
            "The CA refuses what it has named itself; it is asked for again over a minute before it counts as lost. "
            "Since {since} it has said: {said}"
        )
        params = {"since": _moment(doubt.get("since")), "said": doubt.get("said", "")}
        return [Notice(Level.INFO, _message("stuck.doubt", text, **params))]
    since, status = state.get("since"), state.get("status")
    if not since or not status or view.now - datetime.fromisoformat(str(since)) < _LONG:
        return []
    text = (
        "The CA has answered {status} for the order since {since}. It was asked {looks} times, and is asked again by "
        "itself."
    )
    looks = int(state.get("polls", 0)) + 1
    return [Notice(Level.WARNING, _message("stuck.status", text, status=status, since=_moment(since), looks=looks))]


def progress(view: CertificateView, context: ModuleContext) -> list[Hint]:
    """The way of the attempt in flight, as a timeline."""
    if view.issuance is None:
        return []
    state = view.issuance.module_state or {}
    challenge = ChallengeType(state.get("challenge") or own_settings(view).challenge_type(context.profile))
    stage = state.get("stage", "preflight")
    stages = _STAGES[challenge]
    if stage == "published" and challenge is ChallengeType.DNS_PERSIST:
        stage = "answered"
    reached = next((index for index, (name, _) in enumerate(stages) if name.split(".")[0] == stage), 0)
    failed = view.certificate.problem is not None
    rows = [
        Step(title=_message("step.csr", "Key and CSR made"), state=StepState.DONE, at=view.issuance.created_at),
        *(
            Step(
                title=_message(f"step.{name}", title),
                state=_step_state(index, reached, failed=failed),
            )
            for index, (name, title) in enumerate(stages)
        ),
    ]
    return [Steps(tuple(rows))]


def _step_state(index: int, reached: int, *, failed: bool) -> StepState:
    if index < reached:
        return StepState.DONE
    if index > reached:
        return StepState.WAITING
    return StepState.FAILED if failed else StepState.CURRENT


def _message(key: str, text: str, **params: Any) -> Message:
    return Message(f"puq_acme.{key}", text, params)


def _moment(stored: object) -> str:
    return _at(datetime.fromisoformat(str(stored))) if stored else ""


def _at(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else "unknown"
