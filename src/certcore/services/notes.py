"""What certcore itself says in the right column, whatever the CA module is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.hints import Hint, Level, Message, Notice
from certcore.model.lifecycle import Status
from certcore.model.timeline import Timeline
from certcore.model.views import CertificateView
from certcore.services.chain_notes import chain_hints
from certcore.services.renewal_notes import renewal_hints

__all__ = ["MOST_NAMED", "core_hints"]

#: How many other certificates are named.
MOST_NAMED: Final = 5


def core_hints(view: CertificateView, others: Sequence[Certificate], timeline: Timeline) -> Iterator[Hint]:
    """A missing CA profile, renewals, a change that is on its way, a chain with a gap, late targets, and overlaps.

    Args:
        view: The certificate.
        others: Certificates of the same owner with host names of this one.
        timeline: How far the observers were told of its events.
    """
    certificate = view.certificate
    if certificate.authority_id is None:
        text = "No CA profile is chosen: this certificate is not renewed. Choose one, and it renews from then on."
        if certificate.status is Status.DRAFT:
            text = "No CA profile is chosen: choose one before the CSR is generated."
        level = Level.INFO if certificate.status is Status.ACTIVE else Level.WARNING
        yield Notice(level, Message("core.no_authority", text))
    yield from _revoked(view)
    yield from renewal_hints(view)
    yield from _change(view)
    yield from chain_hints(view)
    for observer, behind in timeline.behind.items():
        if behind.attempts:
            # Not why: that may tell of the server and of other tenants; `certificates.deliveries` has it.
            text = "The target {target} failed at attempt {times}, and is tried again at {retry_at}."
            facts = {
                "target": observer,
                "times": behind.attempts,
                "retry_at": f"{behind.due_at:%Y-%m-%d %H:%M} UTC",
            }
            yield Notice(Level.WARNING, Message("core.target_failed", text, facts))
    yield from _overlaps(certificate, others)


def _revoked(view: CertificateView) -> Iterator[Hint]:
    """The leaf was revoked, and nobody asked for it with this certificate."""
    if view.certificate.status is not Status.REVOKED:
        return
    told = next((one for one in reversed(view.events) if one.kind is EventKind.REVOKED), None)
    if told is not None and told.data.get("noticed"):
        text = (
            "The CA has revoked the leaf of this certificate. It was not asked for here: whoever else has the leaf's "
            "private key may have done so. Renew: the new leaf has a new key."
        )
        yield Notice(Level.ERROR, Message("core.revoked_elsewhere", text))


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
    same = [one for one in others if set(one.names) == set(certificate.names)]
    some = [one for one in others if set(one.names) != set(certificate.names)]
    for key, text, found in (
        ("core.duplicate", "There is another certificate for exactly these names: {others}.", same),
        ("core.overlap", "Some of these names are in other certificates, too: {others}.", some),
    ):
        if found:
            named = ", ".join(f"{one.domain} ({one.status}, {one.id})" for one in found)
            yield Notice(Level.INFO, Message(key, text, {"others": named}))
