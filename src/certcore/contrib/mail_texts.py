"""What the mails say: pure functions from an event and a certificate to a subject and a text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from certcore.contrib.target_fields import plain
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.problem import Problem
from certcore.model.views import CertificateView

__all__ = ["is_over", "mail_text"]

#: Of a CA's own words so much is shown, and so many names of a certificate.
_LONGEST: Final = 1000
_MOST_NAMES: Final = 100
#: What has to be known no more once another leaf is in service.
_OVER: Final = frozenset(
    {EventKind.EXPIRES_SOON, EventKind.RENEWAL_FAILING, EventKind.FAILED, EventKind.EXPIRED, EventKind.REVOKED}
)


def is_over(event: Event, view: CertificateView) -> bool:
    """Whether a notice is about a trouble that has passed: a leaf went into service after it."""
    if event.kind not in _OVER or view.active is None or view.certificate.not_after is None:
        return False
    if any(one.kind is EventKind.REINSTATED and one.number > event.number for one in view.events):
        return True  # the clock was ahead
    since = view.active.finished_at
    return since is not None and since > event.at and view.certificate.not_after > view.now


def mail_text(event: Event, view: CertificateView | None) -> tuple[str, str]:
    """The subject and the text of a notice.

    Args:
        event: What happened.
        view: The certificate as it is now; None when it is gone.
    """
    domain = str(event.data.get("domain", event.certificate_id)) if view is None else view.certificate.domain.ascii
    subject, sentence = _headline(event, view)
    origin = f"This is event {event.number} of this certificate, of {_moment(event.at)}."
    parts = [
        sentence,
        "\n".join(_facts(event, view, domain)),
        "\n".join(_why(event.problem)),
        _what_to_do(event, view),
        f"{origin} Sent by certcore; nobody reads answers to it.",
    ]
    return plain(f"{domain}: {subject}", 300), "\n\n".join(part for part in parts if part) + "\n"


def _headline(event: Event, view: CertificateView | None) -> tuple[str, str]:
    days = None if view is None else view.days_remaining
    match event.kind:
        case EventKind.EXPIRES_SOON:
            when = "soon" if days is None else "today" if days < 1 else f"in {_days(days)}"
            return f"the certificate ends {when}", f"This certificate ends {when}, and no new one is in service yet."
        case EventKind.RENEWAL_FAILING:
            times = event.data.get("attempts")
            if not times:
                return "the renewal is late", "The renewal of this certificate does not get done."
            count = f" {times} times in a row" if isinstance(times, int) and times > 1 else ""
            return "the renewal keeps failing", f"The renewal of this certificate has failed{count}."
        case EventKind.FAILED:
            if days is not None:
                return "the renewal has failed", "The renewal of this certificate has failed."
            return "no certificate was issued", "This certificate was asked for, and could not be issued."
        case EventKind.EXPIRED:
            return "the certificate has expired", "This certificate has expired. Visitors are warned, or kept out."
        case EventKind.REVOKED:
            reason = plain(event.data.get("reason", ""), 100)
            why = f" The reason that was given: {reason}." if reason else ""
            return "the certificate was revoked", f"This certificate was revoked by its CA.{why}"
        case _:
            words = str(event.kind).replace("_", " ")
            return words, f"What happened to this certificate: {words}."


def _facts(event: Event, view: CertificateView | None, domain: str) -> Iterator[str]:
    yield f"Certificate: {event.certificate_id}"
    if view is None:
        yield f"Name:        {plain(domain, _LONGEST)}"
        yield "It has been deleted."
        return
    names = [name.ascii for name in view.certificate.names]
    yield f"Names:       {names[0]}"
    yield from (f"             {name}" for name in names[1:_MOST_NAMES])
    if view.certificate.owner:
        yield f"Owner:       {plain(view.certificate.owner, 200)}"
    end = view.certificate.not_after
    if end is None:
        yield "Valid until: there is no certificate in service"
    else:
        days = _days(abs(end - view.now).days)
        yield f"Valid until: {_moment(end)} ({f'{days} left' if view.now < end else f'ended {days} ago'})"
    yield f"Status now:  {view.certificate.status}"


def _why(problem: Problem | None) -> Iterator[str]:
    if problem is None:
        return
    yield f"What went wrong: {plain(problem.title or problem.detail or problem.type, _LONGEST)}"
    if problem.title and problem.detail:
        yield f"The CA said: {plain(problem.detail, _LONGEST)}"
    for one in problem.subproblems[:_MOST_NAMES]:
        yield f"  {plain(one.identifier, 300)}: {plain(one.detail or one.title or one.type, _LONGEST)}"
    if problem.advice:
        yield f"Advice: {plain(problem.advice, _LONGEST)}"


def _what_to_do(event: Event, view: CertificateView | None) -> str:
    if view is None:
        return ""
    one = event.certificate_id
    match event.kind:
        case EventKind.EXPIRES_SOON if view.renews_at is not None:
            return (
                "It should have been renewed by itself before now. What to do: look at what the certificate's page "
                f"(or: certcore cert hints {one}) says that it waits for, and put that right."
            )
        case EventKind.EXPIRES_SOON:
            return f"It does not renew by itself. What to do: {_way_on(view.certificate)}."
        case EventKind.RENEWAL_FAILING:
            return (
                "It is tried again by itself. What to do: put right what is said above; the certificate that is in "
                "service works until it ends."
            )
        case EventKind.FAILED:
            return (
                "Trying again does not help as long as this stays as it is. What to do: put right what is said above, "
                "then ask for the certificate again on its page."
            )
        case EventKind.EXPIRED:
            return (
                f"What to do: look at what the certificate's page (or: certcore cert hints {one}) says, and "
                f"{_way_on(view.certificate)}, or take the site off that uses it."
            )
        case EventKind.REVOKED:
            return (
                f"What to do: if the site is still in use, {_way_on(view.certificate)}, with a new key. The files "
                "that were deployed before are still where they were: nothing removes them."
            )
        case _:
            return ""


def _way_on(certificate: Certificate) -> str:
    """What gives it another leaf."""
    one = certificate.id
    if certificate.authority_id is None:
        return f"choose a CA profile (certcore cert edit {one} --set authority=NAME), or import a newer certificate"
    return f"renew it (certcore cert renew {one}), or replace it"


def _days(days: int) -> str:
    return {0: "less than a day", 1: "1 day"}.get(days, f"{days} days")


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
