"""Whether a leaf in service is in danger because its renewal is late, and the cause of the delay."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.renewal_moment import renewal_moment

__all__ = ["Danger", "danger_at", "danger_of", "what_keeps_it"]


class Danger(StrEnum):
    """How much of the time between the due time of the renewal and the leaf's end has passed without a new leaf."""

    NONE = "none"
    #: A third.
    WARNING = "warning"
    #: Two thirds, or all of it.
    ERROR = "error"


def danger_at(certificate: Certificate, active: Issuance, danger: Danger) -> datetime | None:
    """The moment at which a leaf in service reaches a level of danger; None if it does not renew automatically."""
    leaf = active.leaf
    if leaf is None or not certificate.renews_itself or certificate.status not in (Status.ACTIVE, Status.EXPIRED):
        return None
    start = renewal_moment(certificate, active, leaf)
    if active.finished_at is not None:
        start = max(start, active.finished_at)  # the leaf was already old when it was imported
    if start >= leaf.not_after:
        return None  # the leaf had already expired
    thirds = {Danger.NONE: 0, Danger.WARNING: 1, Danger.ERROR: 2}[danger]
    return start + (leaf.not_after - start) * thirds / 3


def danger_of(certificate: Certificate, active: Issuance | None, now: datetime) -> Danger:
    """The level of danger of a leaf in service, whatever delays its renewal."""
    if active is None:
        return Danger.NONE
    for danger in (Danger.ERROR, Danger.WARNING):
        at = danger_at(certificate, active, danger)
        if at is not None and at <= now:
            return danger
    return Danger.NONE


def what_keeps_it(certificate: Certificate, attempt: Issuance | None) -> Problem:
    """Why a renewal is late: the last failure, or whom it waits for.

    Args:
        certificate: The certificate.
        attempt: The issuance under way, or the last one that failed; None if there is none.
    """
    if certificate.problem is not None:
        return certificate.problem
    waiting_for = "" if attempt is None or attempt.outcome is not None else attempt.engine_state.waiting_for
    match waiting_for:
        case "owner":
            title = Message("renewal.waits.owner", "The renewal waits for the owner of the domain.")
            advice = Message("renewal.waits.owner.advice", "The certificate's page shows what to set.")
        case "administrator":
            title = Message("renewal.waits.administrator", "The renewal waits for an administrator.")
            text = "The certificate's page shows what has to be decided."
            advice = Message("renewal.waits.administrator.advice", text)
        case "turn":
            text = "The renewal waits for its turn: a limit of the CA is reached."
            title = Message("renewal.waits.turn", text)
            advice = Message("renewal.waits.turn.advice", "Look at the CA profile's page.")
        case "authority":
            title = Message("renewal.waits.authority", "The CA is processing the renewal.")
            advice = Message("renewal.waits.authority.advice", "If it lasts, ask the CA.")
        case _:
            title = Message("renewal.not_done", "The renewal has not been done yet.")
            advice = Message("renewal.not_done.advice", "Check that a worker is running and healthy.")
    return Problem(type="urn:certcore:renewal-waits", title=title, advice=advice)
