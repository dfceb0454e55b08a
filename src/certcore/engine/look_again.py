"""Compute the time of the next look: bounded by the kind of wait, the leaf in service and the number of looks."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve

from certcore.messages import Message, shown_moment
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.ports.ca_module import WaitingFor

__all__ = ["STALLED", "bounded", "looked", "not_too_often", "stalled"]

#: Problem type of an attempt that waits longer than usual.
STALLED: Final = "urn:certcore:stalled"
#: Longest time between two looks, by what the attempt waits for.
_LONGEST: Final = MappingProxyType(
    {
        WaitingFor.AUTHORITY: timedelta(hours=6),
        WaitingFor.OWNER: timedelta(days=1),
        WaitingFor.ADMINISTRATOR: timedelta(days=1),
        WaitingFor.TURN: timedelta(days=7),
    }
)
#: A look is due at the latest after this share of the remaining lifetime of the leaf, but no earlier than `_LEAST`.
_SHARE: Final = 10
_LEAST: Final = timedelta(minutes=1)
#: Steps that may follow each other immediately, plus some per name. After that, one step a minute.
_STEPS: Final = 40
_STEPS_PER_NAME: Final = 8
_STEP_EVERY: Final = timedelta(minutes=1)
#: For this time after the wait began, the owner is assumed to be setting records, and a look counts as a fifth of a
#: step: no CA is asked, and the owner should see the effect of a change within 20 seconds.
_OWNER_AT_WORK: Final = timedelta(hours=1)
_LOOK_FOR_OWNER: Final = 0.2
#: An attempt counts as stalled after this time and this number of looks.
_STALLED_FOR: Final = MappingProxyType(
    {
        WaitingFor.AUTHORITY: timedelta(days=1),
        WaitingFor.TURN: timedelta(days=7),
    }
)
_STALLED_LOOKS: Final = 4


def bounded(certificate: Certificate, until: datetime, kind: WaitingFor, now: datetime) -> datetime:
    """Limit the time of the next look to what the kind of wait and the leaf in service allow.

    Args:
        certificate: The certificate.
        until: The time that the module or the CA asked for.
        kind: What the attempt waits for.
        now: The present moment.
    """
    longest = _LONGEST[kind]
    if certificate.status is Status.ACTIVE and certificate.not_after is not None:
        longest = min(longest, max((certificate.not_after - now) / _SHARE, _LEAST))
    return min(max(until, now), now + longest)


def looked(issuance: Issuance, kind: WaitingFor, now: datetime) -> Issuance:
    """Count a step that ended in a wait: the number of looks, and the steps that may still follow immediately."""
    state = issuance.engine_state
    is_same = state.waiting_for == kind and state.waiting_since is not None
    most = float(_STEPS + _STEPS_PER_NAME * len(issuance.names))
    left = most
    if state.stepped_at is not None:
        passed = max(now - state.stepped_at, timedelta(0)) / _STEP_EVERY
        left = min(most, state.steps_left + passed)
    since = state.waiting_since if is_same and state.waiting_since is not None else now
    is_at_work = kind is WaitingFor.OWNER and now - since < _OWNER_AT_WORK
    state = evolve(
        state,
        waiting_for=str(kind),
        waiting_since=since,
        looks=state.looks + 1 if is_same else 1,
        steps_left=max(left - (_LOOK_FOR_OWNER if is_at_work else 1.0), -1.0),
        stepped_at=now,
    )
    return evolve(issuance, engine_state=state)


def not_too_often(issuance: Issuance, look_again: datetime, now: datetime) -> datetime:
    """Postpone the next look when steps followed each other too fast. Call `looked` first."""
    left = issuance.engine_state.steps_left
    return look_again if left >= 0 else max(look_again, now + _STEP_EVERY * -left)


def stalled(issuance: Issuance, kind: WaitingFor, now: datetime) -> Problem | None:
    """The problem of a wait that lasts longer than usual, else None. Call `looked` first."""
    longest = _STALLED_FOR.get(kind)
    state = issuance.engine_state
    since = state.waiting_since
    if longest is None or since is None or now - since < longest or state.looks < _STALLED_LOOKS:
        return None
    params = {"since": shown_moment(since), "count": state.looks}
    if kind is WaitingFor.AUTHORITY:
        text = "The CA has been processing this order since {since}; it was checked {count} times."
        title = Message("core.stalled.authority", text, params)
    else:
        text = "This order has waited for its turn since {since}; it was checked {count} times."
        title = Message("core.stalled.turn", text, params)
    advice = "Check the page of the CA profile and ask the CA, or cancel this attempt and start another one."
    return Problem(type=STALLED, title=title, advice=Message("core.stalled.advice", advice))
