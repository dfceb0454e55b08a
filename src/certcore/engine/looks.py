"""When to look again: bounded by the kind of wait, the leaf in service, and how often was looked."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve

from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.ports.ca_module import WaitingFor

__all__ = ["STALLED", "bounded", "looked", "not_too_often", "stalled"]

#: The type of the problem of an attempt that waits for longer than is usual.
STALLED: Final = "urn:certcore:stalled"
#: A module may let so much time pass between two looks.
_LONGEST: Final = MappingProxyType(
    {
        WaitingFor.AUTHORITY: timedelta(hours=6),
        WaitingFor.OWNER: timedelta(days=1),
        WaitingFor.TURN: timedelta(days=7),
    }
)
#: The share of the time that the leaf in service has left, and the least that is always permitted.
_SHARE: Final = 10
_LEAST: Final = timedelta(minutes=1)
#: Steps that may follow each other at once, and some more for each name; from then on one in a minute.
_STEPS: Final = 40
_STEPS_PER_NAME: Final = 8
_STEP_EVERY: Final = timedelta(minutes=1)
#: A CA that has been at work for so long, and was asked so often, is said to be stuck.
_STALLED_FOR: Final = MappingProxyType(
    {
        WaitingFor.AUTHORITY: timedelta(days=1),
        WaitingFor.TURN: timedelta(days=7),
    }
)
_STALLED_LOOKS: Final = 4


def bounded(certificate: Certificate, until: datetime, kind: WaitingFor, now: datetime) -> datetime:
    """A moment of the next look, no further ahead than this kind of wait and the leaf in service permit.

    Args:
        certificate: Whose it is.
        until: The moment that the module, or the CA, has named.
        kind: Whom the attempt waits for.
        now: The present moment.
    """
    longest = _LONGEST[kind]
    if certificate.status is Status.ACTIVE and certificate.not_after is not None:
        longest = min(longest, max((certificate.not_after - now) / _SHARE, _LEAST))
    return min(max(until, now), now + longest)


def looked(issuance: Issuance, kind: WaitingFor, now: datetime) -> Issuance:
    """The issuance after a step that waits: the looks are counted, and so are the steps that may follow at once."""
    state = issuance.engine_state
    is_same = state.waiting_for == kind and state.waiting_since is not None
    most = float(_STEPS + _STEPS_PER_NAME * len(issuance.names))
    left = most
    if state.stepped_at is not None:
        passed = max(now - state.stepped_at, timedelta(0)) / _STEP_EVERY
        left = min(most, state.steps_left + passed)
    state = evolve(
        state,
        waiting_for=str(kind),
        waiting_since=state.waiting_since if is_same else now,
        looks=state.looks + 1 if is_same else 1,
        steps_left=max(left - 1, -1.0),
        stepped_at=now,
    )
    return evolve(issuance, engine_state=state)


def not_too_often(issuance: Issuance, look_again: datetime, now: datetime) -> datetime:
    """The moment of the next look, later when steps have followed each other too fast (after `looked`)."""
    left = issuance.engine_state.steps_left
    return look_again if left >= 0 else max(look_again, now + _STEP_EVERY * -left)


def stalled(issuance: Issuance, kind: WaitingFor, now: datetime) -> Problem | None:
    """What to say of a wait that lasts for longer than is usual; None as long as it does not (after `looked`)."""
    longest = _STALLED_FOR.get(kind)
    state = issuance.engine_state
    since = state.waiting_since
    if longest is None or since is None or now - since < longest or state.looks < _STALLED_LOOKS:
        return None
    who = "The CA has been at work on this order" if kind is WaitingFor.AUTHORITY else "This order has waited its turn"
    return Problem(
        type=STALLED,
        title=f"{who} since {since:%Y-%m-%d %H:%M} UTC, and was looked at {state.looks} times.",
        advice="Look at the page of the CA profile and ask the CA, or give this attempt up and begin another one.",
    )
