"""The right column of a PUQ ACME certificate, for every status; made from stored findings, without network access."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, assert_never

from attrs import evolve

from certcore.messages import sentences, shown_moment
from certcore.model.events import EventKind
from certcore.model.hints import (
    ActionButton,
    Fact,
    Facts,
    Hint,
    Level,
    Link,
    Message,
    Notice,
    RecordState,
    Refresh,
    Step,
    Steps,
    StepState,
)
from certcore.model.labels import label_of
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.views import CertificateView
from certcore_puq_acme.accounts.known_directory import known_directory
from certcore_puq_acme.hints.account import clock_notice, new_account_notice
from certcore_puq_acme.hints.dns_records import (
    lasting_records_end,
    own_settings,
    owner_records,
    records_beside_leaf,
)
from certcore_puq_acme.hints.issuance import not_getting_on, progress, unseen_values, unwritten_values, waiting_for_turn
from certcore_puq_acme.links import asks_for_a_visit, page_url, pages_in
from certcore_puq_acme.moments import moment_text
from certcore_puq_acme.orders.state import Findings, OrderState
from certcore_puq_acme.profile.settings import AcmeContext

__all__ = ["right_column"]

#: The problem type whose text comes only from the CA; texts of other types may quote a foreign server's answer.
_RATE_LIMITED: Final = "rateLimited"
_OF_THE_CA_ALONE: Final = frozenset({_RATE_LIMITED, "userActionRequired"})
_SOON: Final = 5.0
_LATER: Final = 30.0


def right_column(view: CertificateView, context: AcmeContext) -> list[Hint]:
    """All hints for a certificate in its present status."""
    return [*clock_notice(context), *new_account_notice(view, context), *_of_status(view, context)]


def _of_status(view: CertificateView, context: AcmeContext) -> list[Hint]:
    status = view.certificate.status
    match status:
        case Status.DRAFT:
            return [*_draft(context), *owner_records(view, context, own_settings(view)), *_terms(context)]
        case Status.PENDING:
            return [
                *_fallback(view),
                *_pending(view),
                *owner_records(view, context, own_settings(view)),
                *progress(view, context),
                _check_now(),
                Refresh(_SOON),
            ]
        case Status.PROCESSING:
            return [
                *_fallback(view),
                *_processing(view, context),
                *_problem(view),
                *progress(view, context),
                Refresh(_SOON),
            ]
        case Status.ACTIVE:
            lasting = lasting_records_end(view)
            return [*_active(view), *lasting, *_renewal(view, context), *_timeline(view), _refresh(view)]
        case Status.EXPIRED:
            return [*_expired(view), *_renewal(view, context), *_timeline(view), _renew(), _refresh(view)]
        case Status.ERROR:
            return [
                *_error(view),
                *owner_records(view, context, own_settings(view)),
                *_timeline(view),
                _check_now(),
                _back_to_draft(),
            ]
        case Status.REVOKED:
            text = "The certificate is revoked: clients reject it. Issue a new one with a new key."
            return [Notice(Level.ERROR, _message("revoked", text)), *_timeline(view), _renew()]
        case _:
            assert_never(status)


def _refresh(view: CertificateView) -> Refresh:
    """When the page refreshes itself: soon while an issuance is in progress, because the owner may be watching."""
    return Refresh(_SOON if view.under_way else _LATER)


def _draft(context: AcmeContext) -> list[Hint]:
    text = (
        "This is a draft: nothing has been asked of the CA. Set the CNAME below now or later; "
        "then generate the CSR, and everything after that is automatic."
    )
    hints: list[Hint] = [Notice(Level.INFO, _message("draft", text))]
    profile = context.profile
    if not profile.terms_agreed:
        text = "The terms of service of this CA were not agreed to yet: do so in the CA profile."
        hints.append(Notice(Level.WARNING, _message("terms_not_agreed", text)))
    hints.append(ActionButton(name="generate_csr", label=_message("generate_csr", "Generate CSR")))
    return hints


def _pending(view: CertificateView) -> list[Hint]:
    records = Findings.of(view.issuance).records
    waiting = [record for record in records if not record.is_correct]
    if view.certificate.problem is not None:
        return _problem(view)
    if turn := waiting_for_turn(view):
        return [*turn, *_next_look(view)]
    if not records:
        text = "Key and CSR are generated. The CNAME is checked next."
        return [Notice(Level.INFO, _message("pending.new", text))]
    if waiting and all(record.state is RecordState.UNREACHABLE for record in waiting):
        text = (
            "{count} of {all} DNS records below could not be checked: the name servers give no usable answer. Issuance "
            "continues automatically as soon as they do. If it persists, the domain's owner has to look at them."
        )
        unanswered = _message("pending.unanswered", text, count=len(waiting), all=len(records))
        return [Notice(Level.WARNING, unanswered), *_next_look(view)]
    if waiting:
        text = (
            "Waiting for the domain's owner: {count} of {all} DNS records below are not correct. "
            "Issuance continues automatically as soon as they are. The next check is at {next_look}."
        )
        due = view.schedule.due_at if view.schedule else None
        message = _message("pending.owner", text, count=len(waiting), all=len(records), next_look=_to_the_second(due))
        return [Notice(Level.WARNING, message)]
    if unwritten := unwritten_values(view):
        return [*unwritten, *_next_look(view)]
    if Findings.of(view.issuance).zone:
        text = "All DNS records of the domain are correct. The tech zone does not work: its operator has to repair it."
        return [Notice(Level.WARNING, _message("pending.tech_zone", text)), *_next_look(view)]
    return [Notice(Level.INFO, _message("pending.ready", "All DNS records are correct. The order is placed next."))]


def _processing(view: CertificateView, context: AcmeContext) -> list[Hint]:
    text = "The CA is working on the order. No action is needed."
    waits = unseen_values(view, context) or not_getting_on(view) or [Notice(Level.INFO, _message("processing", text))]
    return [*waits, *_next_look(view)]


def _next_look(view: CertificateView) -> list[Hint]:
    """The time of the next check of the issuance in progress; empty if a problem already shows a retry time."""
    due = view.schedule.due_at if view.schedule else None
    if due is None or not view.under_way or view.certificate.problem is not None:
        return []
    return [Facts((Fact(_message("fact.next_look", "Next look"), _to_the_second(due)),))]


def _active(view: CertificateView) -> list[Hint]:
    days = max(view.days_remaining or 0, 0)
    text = "The certificate is active. It is valid for {count} more days."
    singular = "The certificate is active. It is valid for {count} more day."
    hints: list[Hint] = [Notice(Level.SUCCESS, _message("active", text, singular=singular, count=days))]
    facts = [Fact(_message("fact.not_after", "Valid until"), moment_text(view.certificate.not_after))]
    if view.leaf is not None:
        facts.append(Fact(_message("fact.issuer", "Issuer"), view.leaf.issuer))
        facts.append(Fact(_message("fact.serial", "Serial number"), view.leaf.serial_hex))
    if view.renews_at is not None:
        facts.append(Fact(_message("fact.renews_at", "Renews automatically from"), moment_text(view.renews_at)))
    else:
        text = "Auto-renewal is off: the certificate expires on {date} unless somebody renews it."
        hints.append(Notice(Level.WARNING, _message("renewal_off", text, date=moment_text(view.certificate.not_after))))
    chain = OrderState.of(view.active).chain
    if chain is not None and chain.root:
        facts.append(Fact(_message("fact.root", "Root"), chain.root))
    return [*hints, Facts(tuple(facts)), *_chain(view), *_wish(view)]


def _expired(view: CertificateView) -> list[Hint]:
    text = "The certificate expired on {date}: clients reject it."
    hints: list[Hint] = [Notice(Level.ERROR, _message("expired", text, date=moment_text(view.certificate.not_after)))]
    if not view.certificate.renewal.auto:
        hints.append(Notice(Level.WARNING, _message("expired.renewal_off", "Auto-renewal is off: renew it yourself.")))
    return hints


def _error(view: CertificateView) -> list[Hint]:
    text = "The last attempt failed, and retrying will not help until something changes."
    return [Notice(Level.ERROR, _message("error", text)), *_problem(view)]


def _problem(view: CertificateView) -> list[Hint]:
    """The problem, for each name, with advice and the time of the retry."""
    problem = view.certificate.problem
    if problem is None:
        return []
    final = view.certificate.status is Status.ERROR
    level = Level.ERROR if final else Level.WARNING
    if _wants_a_visit(problem):
        # Waiting alone does not help, although the advice for this type of problem may say so.
        text = "{problem} Visit the CA's page below, then check again."
        hints: list[Hint] = [Notice(level, _message("problem.visit", text, problem=problem.text))]
    else:
        text = "{problem} {advice}"
        message = _message("problem", text, problem=problem.text, advice=problem.advice_text)
        hints = [Notice(level, message)]
    if problem.subproblems:
        rows = (
            Fact(_message("fact.name", "{name}", name=subproblem.identifier), _of_name(subproblem))
            for subproblem in problem.subproblems
        )
        hints.append(Facts(tuple(rows)))
    hints.extend(_pages(problem))
    if (due := _next_attempt(view)) is not None:
        hints.append(Facts((Fact(_message("fact.retry", "Next attempt"), moment_text(due)),)))
    return hints


def _next_attempt(view: CertificateView) -> datetime | None:
    """When the issuance is retried; None if the next step is something else, such as a notice."""
    due = view.schedule.due_at if view.schedule else None
    if due is None or view.under_way:
        return due
    return due if view.renews_at is not None and view.renews_at <= due else None


def _wants_a_visit(problem: Problem) -> bool:
    return problem.acme_type in _OF_THE_CA_ALONE and asks_for_a_visit(problem.detail)


def _pages(problem: Problem) -> list[Hint]:
    """Links to pages that the CA names: the problem's own link, and links in a text that comes only from the CA."""
    named = pages_in(problem.detail) if problem.acme_type == _RATE_LIMITED or _wants_a_visit(problem) else ()
    pages = dict.fromkeys((page_url(problem.instance), *named))
    return [Link(_message("problem.instance", "The CA's page about this"), page) for page in pages if page]


def _of_name(problem: Problem) -> Message:
    return sentences(evolve(problem, subproblems=()).text, problem.advice_text)


def _renewal(view: CertificateView, context: AcmeContext) -> list[Hint]:
    """The renewal in progress or the last one that failed, and the records that the owner has to set for it."""
    records = records_beside_leaf(view, context)
    if view.issuance is None:
        return [*_problem(view), *records]  # the problem of a renewal that could not begin
    expired = view.certificate.status is Status.EXPIRED
    if not view.under_way:
        if expired:
            message = _message("renewal.failed.expired", "The last attempt to obtain a new certificate failed.")
        else:
            text = "The last renewal failed; the present certificate stays in service."
            message = _message("renewal.failed", text)
        return [Notice(Level.WARNING, message), *_problem(view), *records]
    if expired:
        message = _message("renewal.running.expired", "A new certificate is being requested.")
    else:
        text = "A renewal is under way; the present certificate stays in service meanwhile."
        message = _message("renewal.running", text)
    return [
        *_fallback(view),
        Notice(Level.INFO, message),
        *waiting_for_turn(view),
        *(unseen_values(view, context) or not_getting_on(view)),
        *_problem(view),
        *_next_look(view),
        *records,
        *progress(view, context),
    ]


def _timeline(view: CertificateView) -> list[Hint]:
    """The history of the certificate, oldest first."""
    bad = (
        EventKind.FAILED,
        EventKind.ATTEMPT_FAILED,
        EventKind.RENEWAL_NOT_READY,
        EventKind.EXPIRED,
        EventKind.REVOKED,
    )
    rows = tuple(
        Step(
            title=label_of(event.kind),
            state=StepState.FAILED if event.kind in bad else StepState.DONE,
            detail=event.problem.text if event.problem else "",
            at=event.at,
        )
        for event in view.events
    )
    return [Steps(rows)] if rows else []


def _terms(context: AcmeContext) -> list[Hint]:
    known = known_directory(context)
    page = page_url(known.terms_of_service) if known else ""
    return [Link(_message("terms", "The CA's terms of service"), page)] if page else []


def _chain(view: CertificateView) -> list[Hint]:
    """The root that the chain leads to, with a notice if needed."""
    chain = OrderState.of(view.active).chain
    if chain is None:
        return []
    hints: list[Hint] = []
    if str(chain.note):
        hints.append(Notice(Level.WARNING, _message("chain_note", "{note}", note=chain.note)))
    if chain.known is False:
        text = "The chain leads to {root}, a root that this machine does not know."
        hints.append(Notice(Level.WARNING, _message("chain_unknown", text, root=chain.root)))
    return hints


def _wish(view: CertificateView) -> list[Hint]:
    """The CA's renewal information (RFC 9773)."""
    info = view.active.renewal_info if view.active else None
    if info is None or info.start is None or info.end is None:
        return []
    hints: list[Hint] = []
    if info.end <= view.now:
        text = "The CA asks for this certificate to be replaced now."
        hints.append(Notice(Level.WARNING, _message("wish.now", text)))
    window = _message("fact.window.value", "{start} to {end}", start=moment_text(info.start), end=moment_text(info.end))
    hints.append(Facts((Fact(_message("fact.window", "The CA suggests a renewal"), window),)))
    if page := page_url(info.explanation_url):
        hints.append(Link(_message("wish.explanation", "The CA's explanation"), page))
    return hints


def _fallback(view: CertificateView) -> list[Hint]:
    """Another CA is being tried."""
    if view.issuance is None or view.issuance.authority_id == view.certificate.authority_id:
        return []
    text = "The first CA kept failing; another one of this certificate's list is being tried."
    return [Notice(Level.INFO, _message("fallback", text))]


def _check_now() -> Hint:
    return ActionButton(name="check_now", label=_message("check_now", "Check now"))


def _renew() -> Hint:
    return ActionButton(name="renew", label=_message("renew", "Issue a new certificate"))


def _back_to_draft() -> Hint:
    confirm = _message(
        "back_to_draft.confirm", "The key and the CSR of this attempt are destroyed. Go back to the draft?"
    )
    return ActionButton(name="back_to_draft", label=_message("back_to_draft", "Back to draft"), confirm=confirm)


def _message(key: str, text: str, *, singular: str = "", **params: Any) -> Message:
    return Message(f"puq_acme.{key}", text, params, singular=singular)


def _to_the_second(moment: datetime | None) -> str | Message:
    return shown_moment(moment, seconds=True) if moment else _message("next_step", "the next step")
