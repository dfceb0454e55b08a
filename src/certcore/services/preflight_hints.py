"""Hints about the obstacles of the next renewal, from the last preflight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from certcore.messages import Message, shown_moment
from certcore.model.finding import Change
from certcore.model.hints import ActionButton, DnsRecord, DnsRecords, Hint, Level, Notice, RecordState
from certcore.model.lifecycle import Status
from certcore.model.permissions import Permission
from certcore.model.preflight import PREFLIGHT
from certcore.model.readiness import Obstacle, WhoseTurn
from certcore.model.views import CertificateView

__all__ = ["preflight_hints"]

#: How many obstacles are shown.
_MOST_SHOWN: Final = 5


def preflight_hints(view: CertificateView) -> Iterator[Hint]:
    """Hints about the obstacles of the next renewal and who has to act; none while an issuance is under way.

    Args:
        view: The certificate.
    """
    preflight = view.preflight
    if preflight is None or preflight.readiness is None or preflight.checked_at is None:
        return
    if view.under_way or view.certificate.status is not Status.ACTIVE or preflight.readiness.is_ready:
        return
    installed_at = None if view.active is None else view.active.finished_at
    if installed_at is not None and installed_at > preflight.checked_at:
        return  # the leaf in service is newer than the preflight
    blocking = [obstacle for obstacle in preflight.readiness.obstacles if obstacle.blocks]
    facts = {"checked_at": shown_moment(preflight.checked_at), "next_at": shown_moment(preflight.due_at)}
    yield Notice(Level.WARNING, _headline(preflight.readiness.whose_turn, facts))
    for obstacle in blocking[:_MOST_SHOWN]:
        yield from _shown(obstacle, preflight.checked_at)
    if len(blocking) > _MOST_SHOWN:
        more = Message(
            "core.preflight.more",
            "{count} more things are in the way of the renewal.",
            {"count": len(blocking) - _MOST_SHOWN},
            singular="{count} more thing is in the way of the renewal.",
        )
        yield Notice(Level.WARNING, more)
    if view.permitted is None or Permission.CERTIFICATE_CHECK in view.permitted:
        yield ActionButton(name=PREFLIGHT, label=Message("core.preflight.again", "Check the renewal again"))


def _headline(whose_turn: WhoseTurn, facts: dict[str, str]) -> Message:
    match whose_turn:
        case WhoseTurn.OWNER:
            text = (
                "A renewal would not succeed now: the owner of the domain has something to do. The certificate in "
                "service is not affected. Checked at {checked_at}; the next check is at {next_at}."
            )
            return Message("core.preflight.owner", text, facts)
        case WhoseTurn.ADMINISTRATOR:
            text = (
                "A renewal would not succeed now: the administrator has something to do. The certificate in service is "
                "not affected. Checked at {checked_at}; the next check is at {next_at}."
            )
            return Message("core.preflight.administrator", text, facts)
        case WhoseTurn.NOBODY:
            text = (
                "A renewal would not succeed now; this may resolve on its own. The certificate in service is "
                "not affected. Checked at {checked_at}; the next check is at {next_at}."
            )
            return Message("core.preflight.nobody", text, facts)


def _shown(obstacle: Obstacle, checked_at: datetime) -> Iterator[Hint]:
    finding = obstacle.finding
    yield Notice(Level.WARNING, finding.cause)
    yield Notice(Level.INFO, finding.advice)
    rows = tuple(
        DnsRecord(
            name=change.name,
            type=change.type,
            value=change.value,
            state=RecordState.WRONG if finding.seen else RecordState.MISSING,
            seen=finding.seen,
            checked_at=checked_at,
        )
        for change in finding.remedy
        if change.change is Change.SET
    )
    if rows:
        yield DnsRecords(rows)
