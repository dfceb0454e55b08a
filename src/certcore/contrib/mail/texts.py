"""The texts of the mails: pure functions from an event and a certificate to a subject and a body."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from certcore.messages import shown_moment
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.problem import Problem
from certcore.model.views import CertificateView
from certcore.net.foreign_text import printable

__all__ = ["is_over", "mail_text"]

#: The most characters of a CA's message that are shown.
_MAX_TEXT: Final = 1000
#: The most names of a certificate that are shown.
_MAX_NAMES: Final = 100
#: Notices of these kinds are obsolete once a newer leaf is in service.
_OVER: Final = frozenset(
    {
        EventKind.EXPIRES_SOON,
        EventKind.RENEWAL_FAILING,
        EventKind.RENEWAL_NOT_READY,
        EventKind.FAILED,
        EventKind.EXPIRED,
        EventKind.REVOKED,
    }
)
#: By kind: the subject and the first sentence, if they are the same for every certificate.
_HEADLINES: Final = MappingProxyType(
    {
        EventKind.EXPIRED: ("the certificate has expired", "This certificate has expired. Browsers warn of the site."),
        EventKind.RENEWAL_NOT_READY: (
            "a renewal would fail",
            "A renewal of this certificate would fail now. The certificate in service is not affected.",
        ),
        EventKind.RENEWAL_READY: (
            "a renewal would succeed again",
            "Nothing is in the way of a renewal of this certificate any more.",
        ),
    }
)
#: By kind: what to do, if it is the same for every certificate.
_ADVICE: Final = MappingProxyType(
    {
        EventKind.RENEWAL_FAILING: (
            "It will be tried again automatically. What to do: fix the problem above; the certificate in service works "
            "until it expires."
        ),
        EventKind.FAILED: (
            "It is not tried again automatically. What to do: fix the problem above, then request the certificate "
            "again on its page."
        ),
    }
)
#: A later event of one of these kinds makes an earlier one obsolete.
_READINESS: Final = frozenset({EventKind.RENEWAL_NOT_READY, EventKind.RENEWAL_READY})


def is_over(event: Event, view: CertificateView) -> bool:
    """Whether a notice is obsolete, because a later event or a leaf that went into service later contradicts it."""
    if event.kind in _READINESS and view.active is not None:
        later_kinds = {later.kind for later in view.events if later.number > event.number}
        if later_kinds & _READINESS:
            return True
    if event.kind not in _OVER or view.active is None or view.certificate.not_after is None:
        return False
    if any(later.kind is EventKind.REINSTATED and later.number > event.number for later in view.events):
        return True  # reinstated, because the clock was wrong at the time of the event
    since = view.active.finished_at
    return since is not None and since > event.at and view.certificate.not_after > view.now


def mail_text(event: Event, view: CertificateView | None) -> tuple[str, str]:
    """The subject and the text of a notice.

    Args:
        event: The event.
        view: The certificate as it is now; None if it is deleted.
    """
    domain = str(event.data.get("domain", event.certificate_id)) if view is None else view.certificate.domain.ascii
    subject, sentence = _headline(event, view)
    origin = f"Event {event.number} of this certificate, {shown_moment(event.at)}."
    parts = [
        sentence,
        "\n".join(_facts(event, view, domain)),
        "\n".join(_why(event.problem)),
        _what_to_do(event, view),
        f"{origin} Sent by certcore. Replies are not read.",
    ]
    return printable(f"{domain}: {subject}", 300), "\n\n".join(part for part in parts if part) + "\n"


def _headline(event: Event, view: CertificateView | None) -> tuple[str, str]:
    days = None if view is None else view.days_remaining
    match event.kind:
        case EventKind.EXPIRES_SOON:
            when = "soon" if days is None else "today" if days < 1 else f"in {_days(days)}"
            return f"the certificate expires {when}", f"This certificate expires {when} and has not been renewed yet."
        case EventKind.RENEWAL_FAILING:
            times = event.data.get("attempts")
            if not times:
                return "the renewal is late", "The renewal of this certificate is overdue."
            count = f" {times} times in a row" if isinstance(times, int) and times > 1 else ""
            return "the renewal keeps failing", f"The renewal of this certificate has failed{count}."
        case EventKind.FAILED:
            if days is not None:
                return "the renewal has failed", "The renewal of this certificate has failed."
            return "no certificate was issued", "This certificate was requested and could not be issued."
        case EventKind.REVOKED:
            reason = printable(str(event.data.get("reason", "")), 100)
            why = f" Reason: {reason}." if reason else ""
            return "the certificate was revoked", f"This certificate was revoked by its CA.{why}"
        case _:
            kind = str(event.kind).replace("_", " ")
            return _HEADLINES.get(event.kind, (kind, f"Event of this certificate: {kind}."))


def _facts(event: Event, view: CertificateView | None, domain: str) -> Iterator[str]:
    yield f"Certificate: {event.certificate_id}"
    if view is None:
        yield f"Name:        {printable(domain, _MAX_TEXT)}"
        yield "The certificate has been deleted."
        return
    names = [name.ascii for name in view.certificate.names]
    yield f"Names:       {names[0]}"
    yield from (f"             {name}" for name in names[1:_MAX_NAMES])
    if view.certificate.owner:
        yield f"Owner:       {printable(view.certificate.owner, 200)}"
    end = view.certificate.not_after
    if end is None:
        yield "Valid until: no certificate is in service"
    else:
        days = _days(abs(end - view.now).days)
        yield f"Valid until: {shown_moment(end)} ({f'{days} left' if view.now < end else f'expired {days} ago'})"
    yield f"Status now:  {view.certificate.status}"


def _why(problem: Problem | None) -> Iterator[str]:
    if problem is None:
        return
    yield f"What went wrong: {printable(problem.title or problem.detail or problem.type, _MAX_TEXT)}"
    if problem.title and problem.detail:
        yield f"The CA said: {printable(problem.detail, _MAX_TEXT)}"
    for subproblem in problem.subproblems[:_MAX_NAMES]:
        text = subproblem.detail or subproblem.title or subproblem.type
        yield f"  {printable(subproblem.identifier, 300)}: {printable(text, _MAX_TEXT)}"
    if problem.advice:
        yield f"Advice: {printable(problem.advice, _MAX_TEXT)}"


def _what_to_do(event: Event, view: CertificateView | None) -> str:
    if view is None:
        return ""
    certificate_id = event.certificate_id
    match event.kind:
        case EventKind.EXPIRES_SOON if view.renews_at is not None:
            return (
                "It should have been renewed automatically by now. What to do: see on the certificate's page (or: "
                f"certcore cert hints {certificate_id}) what it waits for, and fix that."
            )
        case EventKind.EXPIRES_SOON:
            return f"It is not renewed automatically. What to do: {_remedy(view.certificate)}."
        case EventKind.RENEWAL_NOT_READY:
            responsible = "the owner of the domain" if event.data.get("whose_turn") == "owner" else "the administrator"
            return (
                f"It is checked again within a day. What to do: {responsible} has to repair the problem above before "
                f"the renewal is due; certcore cert preflight {certificate_id} shows everything that is in its way."
            )
        case EventKind.EXPIRED:
            return (
                f"What to do: see the certificate's page (or: certcore cert hints {certificate_id}), and "
                f"{_remedy(view.certificate)}, or take down the site that uses it."
            )
        case EventKind.REVOKED:
            return (
                f"What to do: if the site is still in use, {_remedy(view.certificate)}, with a new key. Files that "
                "were deployed before are not removed."
            )
        case _:
            return _ADVICE.get(event.kind, "")


def _remedy(certificate: Certificate) -> str:
    """A clause about how to get a new leaf."""
    certificate_id = certificate.id
    if certificate.authority_id is None:
        command = f"certcore cert edit {certificate_id} --set authority=NAME"
        return f"choose a CA profile ({command}), or import a newer certificate"
    return f"renew it (certcore cert renew {certificate_id}), or replace it"


def _days(days: int) -> str:
    return {0: "less than a day", 1: "1 day"}.get(days, f"{days} days")
