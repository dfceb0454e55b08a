"""Certificates whose renewal cannot go on: named at the end of a run, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from certcore.cli.output import plain, shown_moment
from certcore.core import CertCore
from certcore.errors import NotFound
from certcore.model.certificate import Certificate
from certcore.model.danger import Danger, danger_of, what_keeps_it
from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.views import CertificateView

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FailingRenewal", "draw_failing", "failing_renewal", "failing_renewals"]

#: How many certificates of a page, and how many pages of each status are looked at: those that end first.
_PAGE: Final = 1000
_PAGES: Final = 10


@frozen(kw_only=True)
class FailingRenewal:
    """A certificate whose renewal is under way or failed, and why it does not get done."""

    certificate: Certificate
    danger: Danger
    why: Problem

    def to_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "id": self.certificate.id,
            "domain": self.certificate.domain.ascii,
            "danger": str(self.danger),
            "problem": self.why.to_json(),
        }

    def __str__(self) -> str:
        ends = shown_moment(self.certificate.not_after)
        return plain(f"{self.certificate.domain} is not renewed, and ends {ends}: {self.why} {self.why.advice}".strip())


def failing_renewals(core: CertCore) -> Sequence[FailingRenewal]:
    """The renewals that cannot go on, those first whose leaf ends first.

    Raises:
        StorageError: The store cannot be used now.
    """
    found = (failing_renewal(view) for status in (Status.EXPIRED, Status.ACTIVE) for view in _in_question(core, status))
    return [one for one in found if one is not None]


def failing_renewal(view: CertificateView) -> FailingRenewal | None:
    """What keeps the renewal of a certificate that is due; None when nothing does, or it has just begun.

    A failed attempt, and one that waits for the owner, count at once; a CA at work and a limit from when a third of the
    time between the renewal's moment and the leaf's end has passed.
    """
    certificate = view.certificate
    danger = danger_of(certificate, view.active, view.now)
    attempt = view.issuance
    waits = attempt is not None and attempt.outcome is None and attempt.engine_state.waiting_for == "owner"
    if danger is Danger.NONE and certificate.problem is None and not waits:
        return None
    return FailingRenewal(certificate=certificate, danger=danger, why=what_keeps_it(certificate, attempt))


def draw_failing(to: Console, failing: Sequence[FailingRenewal]) -> None:
    """Print them, one line for each."""
    for one in failing:
        style = "red" if one.danger is Danger.ERROR else "yellow"
        to.print(str(one), style=style, soft_wrap=True)


def _in_question(core: CertCore, status: Status) -> Iterator[CertificateView]:
    """Those that renew themselves, and have an attempt beside their leaf."""
    after = None
    for _ in range(_PAGES):
        page = core.certificates.list(status=status, renews_itself=True, order="not_after", limit=_PAGE, after=after)
        for certificate in page.items:
            if certificate.issuance_id in (None, certificate.active_issuance_id):
                continue
            try:
                view = core.certificates.view(certificate.id)
            except NotFound:
                continue
            if view.issuance is not None and view.issuance.outcome in (None, Outcome.FAILED):
                yield view
        after = page.next_cursor
        if after is None:
            return
