"""The hints that certcore itself adds to the right column, for every CA module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from certcore.messages import shown_moment
from certcore.model.certificate import Certificate
from certcore.model.deliveries import Deliveries
from certcore.model.events import EventKind
from certcore.model.hints import Hint, Level, Message, Notice
from certcore.model.lifecycle import Status
from certcore.model.views import CertificateView
from certcore.ports.ca_module import WaitingFor
from certcore.services.chain_hints import chain_hints
from certcore.services.preflight_hints import preflight_hints
from certcore.services.renewal_hints import renewal_hints

__all__ = ["MOST_NAMED", "core_hints"]

#: How many other certificates a hint names.
MOST_NAMED: Final = 5


def core_hints(view: CertificateView, others: Sequence[Certificate], deliveries: Deliveries) -> Iterator[Hint]:
    """Hints about a missing CA profile, renewals, changed names, gaps in the chain, failed targets and overlaps.

    Args:
        view: The certificate.
        others: Certificates of the same owner with host names of this one.
        deliveries: The deliveries of its events to observers.
    """
    certificate = view.certificate
    if certificate.authority_id is None:
        if certificate.status is Status.DRAFT:
            text = "No CA profile is chosen: choose one before the CSR is generated."
            message = Message("core.no_authority.draft", text)
        else:
            text = "No CA profile is chosen, so this certificate is not renewed. Choose one to have it renewed."
            message = Message("core.no_authority", text)
        yield Notice(Level.INFO if certificate.status is Status.ACTIVE else Level.WARNING, message)
    yield from _revoked(view)
    yield from _waits_for_administrator(view)
    yield from renewal_hints(view)
    yield from preflight_hints(view)
    yield from _change(view)
    yield from chain_hints(view)
    for observer, behind in deliveries.behind.items():
        if behind.attempts and behind.due_at is not None:
            # Without the reason, which may contain details of the server; `certificates.deliveries` has it.
            text = "The target {target} failed at attempt {times}, and is tried again at {retry_at}."
            facts = {
                "target": observer,
                "times": behind.attempts,
                "retry_at": shown_moment(behind.due_at),
            }
            yield Notice(Level.WARNING, Message("core.target_failed", text, facts))
    yield from _overlaps(certificate, others)


def _revoked(view: CertificateView) -> Iterator[Hint]:
    """The leaf was revoked without a request for this certificate."""
    if view.certificate.status is not Status.REVOKED:
        return
    event = next((event for event in reversed(view.events) if event.kind is EventKind.REVOKED), None)
    if event is not None and event.data.get("noticed"):
        text = (
            "The CA has revoked the leaf of this certificate. The revocation was not requested here: another holder of "
            "the private key may have requested it. Renew it: the new leaf has a new key."
        )
        yield Notice(Level.ERROR, Message("core.revoked_elsewhere", text))


def _waits_for_administrator(view: CertificateView) -> Iterator[Hint]:
    """The operator of the CA profile has to act; the actions of the CA module are the buttons for it."""
    state = None if view.issuance is None or not view.under_way else view.issuance.engine_state
    if state is None or state.waiting_for != WaitingFor.ADMINISTRATOR or state.waiting_since is None:
        return
    text = "The request has been waiting for an administrator since {since}."
    facts = {"since": shown_moment(state.waiting_since)}
    yield Notice(Level.INFO, Message("core.waits_for_administrator", text, facts))


def _change(view: CertificateView) -> Iterator[Hint]:
    """The form has other names than the leaf in service."""
    certificate, active = view.certificate, view.active
    if active is None or active.leaf is None or set(certificate.names) == set(active.names):
        return
    facts = {"names": ", ".join(active.leaf.names[:MOST_NAMED])}
    if view.under_way:
        text = "The leaf for {names} stays in service until the one with the changed names is there."
        yield Notice(Level.INFO, Message("core.change_under_way", text, facts))
    else:
        text = "The leaf in service is for {names}, not for the names of the form. Reissue it to obtain them."
        yield Notice(Level.WARNING, Message("core.change_open", text, facts))


def _overlaps(certificate: Certificate, others: Sequence[Certificate]) -> Iterator[Hint]:
    same = [other for other in others if set(other.names) == set(certificate.names)]
    overlapping = [other for other in others if set(other.names) != set(certificate.names)]
    if same:
        text = "There is another certificate for exactly these names: {others}."
        yield Notice(Level.INFO, Message("core.duplicate", text, {"others": _named(same)}))
    if overlapping:
        text = "Other certificates also contain some of these names: {others}."
        yield Notice(Level.INFO, Message("core.overlap", text, {"others": _named(overlapping)}))


def _named(certificates: Sequence[Certificate]) -> str:
    return ", ".join(f"{certificate.domain} ({certificate.status}, {certificate.id})" for certificate in certificates)
