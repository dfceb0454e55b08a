"""Certificates whose renewal is stuck or failed, reported with the reason at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from certcore.cli.output import plain, shown_moment
from certcore.core import CertCore
from certcore.errors import NotFoundError
from certcore.model.certificate import Certificate
from certcore.model.hints import DnsRecords, RecordState
from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.renewal_danger import Danger, danger_of, what_keeps_it
from certcore.model.views import CertificateView
from certcore.ports.ca_module import WaitingFor

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FailingRenewal", "draw_failing", "failing_renewal", "failing_renewals"]

#: Certificates per page.
_PAGE: Final = 1000
#: The most pages that are read per status. The certificates that expire first are on the first page.
_PAGES: Final = 10


@frozen(kw_only=True)
class FailingRenewal:
    """A certificate whose renewal is stuck or failed, and the reason."""

    certificate: Certificate
    danger: Danger
    why: Problem

    def to_json(self) -> dict[str, object]:
        """The renewal as a JSON object."""
        return {
            "id": self.certificate.id,
            "domain": self.certificate.domain.ascii,
            "danger": str(self.danger),
            "problem": self.why.to_json(),
        }

    def __str__(self) -> str:
        expires = shown_moment(self.certificate.not_after)
        text = f"{self.certificate.domain} is not renewed and expires {expires}: {self.why} {self.why.advice}"
        return plain(text.strip())


def failing_renewals(core: CertCore) -> Sequence[FailingRenewal]:
    """The renewals that are stuck or failed: of expired certificates first, then in the order of ``not_after``.

    Raises:
        StorageError: The store cannot be used now.
    """
    renewals = (
        failing_renewal(view) for status in (Status.EXPIRED, Status.ACTIVE) for view in _in_question(core, status)
    )
    return [_with_silent_servers(core, renewal) for renewal in renewals if renewal is not None]


def failing_renewal(view: CertificateView) -> FailingRenewal | None:
    """The renewal of a certificate with the reason why it is stuck or failed; None when there is nothing to report.

    A failed issuance is reported at once, and so is an issuance that waits for the owner or an administrator. An
    issuance that waits for the CA or for a rate limit is reported when `danger_of` returns a warning: after a third of
    the time between the renewal's due time and the leaf's ``not_after``.
    """
    certificate = view.certificate
    danger = danger_of(certificate, view.active, view.now)
    attempt = view.issuance
    waiting_for = "" if attempt is None or attempt.outcome is not None else attempt.engine_state.waiting_for
    waits = waiting_for in (WaitingFor.OWNER, WaitingFor.ADMINISTRATOR)
    if danger is Danger.NONE and certificate.problem is None and not waits:
        return None
    return FailingRenewal(certificate=certificate, danger=danger, why=what_keeps_it(certificate, attempt))


def _with_silent_servers(core: CertCore, failing: FailingRenewal) -> FailingRenewal:
    """The failing renewal. The DNS servers become the reason if every DNS record that is not correct is unreachable."""
    if failing.certificate.problem is not None:
        return failing
    tables = (hint for hint in core.certificates.hints(failing.certificate.id) if isinstance(hint, DnsRecords))
    rows = [row for table in tables for row in table.rows if row.state is not RecordState.CORRECT]
    if not rows or any(row.state is not RecordState.UNREACHABLE for row in rows):
        return failing
    title = f"The DNS records of the domain could not be looked up: {rows[0].seen}."
    advice = "Check these DNS servers, and the setting dns_servers of the CA profile; they are asked again."
    why = Problem(type="urn:certcore:dns-unreachable", title=title, advice=advice)
    return FailingRenewal(certificate=failing.certificate, danger=failing.danger, why=why)


def draw_failing(to: Console, failing: Sequence[FailingRenewal]) -> None:
    """Print the failing renewals, one per line."""
    for renewal in failing:
        style = "red" if renewal.danger is Danger.ERROR else "yellow"
        to.print(str(renewal), style=style, soft_wrap=True)


def _in_question(core: CertCore, status: Status) -> Iterator[CertificateView]:
    """Certificates of a status that renew automatically and have an unfinished or failed issuance beside their leaf."""
    after = None
    for _ in range(_PAGES):
        page = core.certificates.list(status=status, renews_itself=True, order="not_after", limit=_PAGE, after=after)
        for certificate in page.items:
            if certificate.issuance_id in (None, certificate.active_issuance_id):
                continue
            try:
                view = core.certificates.view(certificate.id)
            except NotFoundError:
                continue
            if view.issuance is not None and view.issuance.outcome in (None, Outcome.FAILED):
                yield view
        after = page.next_cursor
        if after is None:
            return
