"""Decide the next task of a certificate: a pure function of its state and the clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.model.certificate import Certificate
from certcore.model.issuance import TOO_MUCH, Issuance, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.renewal_moment import renewal_moment

__all__ = ["Decision", "Task", "decide", "end_of_change", "is_late", "is_lost_change"]

_TIME_FOR_A_CHANGE: Final = timedelta(days=1)
#: How long a leaf in service that is not valid yet is left alone.
_TIME_FOR_A_CLOCK: Final = timedelta(minutes=30)
_A_MINUTE: Final = timedelta(minutes=1)


class Task(StrEnum):
    """The kinds of step."""

    #: not_after has passed: mark it expired.
    EXPIRE = "expire"
    #: Marked expired, but not_after has not passed: mark it active.
    REINSTATE = "reinstate"
    #: Ask the CA module for the next step of the current issuance.
    ADVANCE = "advance"
    #: Let the module remove what a finished issuance left outside, such as TXT values.
    CLEAN_UP = "clean_up"
    #: Continue with a fallback: the current CA keeps failing for reasons of its own.
    FALL_BACK = "fall_back"
    #: Renew the names in service: an issuance for changed names does not succeed, and the leaf ends soon.
    SET_CHANGE_ASIDE = "set_change_aside"
    #: Ask the CA for renewal information about the leaf in service.
    ASK_RENEWAL_INFO = "ask_renewal_info"
    #: Start an issuance while the leaf stays in service.
    START_RENEWAL = "start_renewal"
    #: Do nothing now.
    REST = "rest"


@frozen(kw_only=True)
class Decision:
    """The next task; for `Task.REST`, when to look again (None: only after a user's action)."""

    task: Task
    issuance: Issuance | None = None
    look_again: datetime | None = None


def end_of_change(certificate: Certificate, issuances: Sequence[Issuance]) -> datetime | None:
    """When the names in service are renewed although other names were requested; None if no other names were.

    An issuance for other names may take half of the time from the renewal time to the leaf's end, but at least a day,
    or half of the leaf's remaining time if that is less. Without this bound, an alias that cannot be validated
    would let the certificate expire.

    Args:
        certificate: The certificate.
        issuances: Its live issuances.
    """
    by_id = {issuance.id: issuance for issuance in issuances}
    current, active = by_id.get(certificate.issuance_id or ""), by_id.get(certificate.active_issuance_id or "")
    if active is None or active.leaf is None or not certificate.renews_itself:
        return None
    attempt = current if current is not None and current.outcome is None else None
    names = set(certificate.names if attempt is None else attempt.names)
    if names == set(active.names) or certificate.status not in (Status.ACTIVE, Status.EXPIRED):
        return None
    ends, late = active.leaf.not_after, _late_at(certificate, active, active.leaf)
    if attempt is None:
        return late
    # An issuance for the same names at a fallback does not restart that time.
    attempt_dates = (each.created_at for each in issuances if each.number > active.number and set(each.names) == names)
    began = min(attempt_dates, default=attempt.created_at)
    time = _TIME_FOR_A_CHANGE if ends <= began else min(_TIME_FOR_A_CHANGE, (ends - began) / 2)
    return max(late, began + time)


def _late_at(certificate: Certificate, active: Issuance, leaf: Leaf) -> datetime:
    """The midpoint between the renewal time and the end of the leaf."""
    renew_at = renewal_moment(certificate, active, leaf)
    return renew_at + (leaf.not_after - renew_at) / 2


def is_late(certificate: Certificate, active: Issuance, now: datetime) -> bool:
    """Whether half of the time from the renewal time to the end of the leaf in service has passed."""
    return active.leaf is None or now >= _late_at(certificate, active, active.leaf)


def is_lost_change(certificate: Certificate, issuances: Sequence[Issuance], now: datetime) -> bool:
    """Whether a change of the names has used up its time, see `end_of_change`."""
    end = end_of_change(certificate, issuances)
    return end is not None and now >= end


def _ask_at(certificate: Certificate, active: Issuance, now: datetime) -> datetime | None:
    """When the CA is asked for renewal information; None: never."""
    if active.authority_id is None and certificate.authority_id is None:
        return None  # an imported leaf of an unknown CA
    if active.renewal_info is not None:
        return active.renewal_info.check_at
    # An imported leaf may come from the CA profile that was chosen for it later.
    return now if active.purpose is Purpose.IMPORT else None


def _leaves(certificate: Certificate, attempt: Issuance) -> bool:
    """Whether an issuance moves to another CA: its CA keeps failing, or was removed from the certificate."""
    if attempt.authority_id not in (certificate.authority_id, *certificate.fallbacks):
        return True
    return attempt.authority_failures >= TOO_MUCH and bool(certificate.fallbacks)


def decide(
    certificate: Certificate, issuances: Sequence[Issuance], now: datetime, *, clean_up: bool = True
) -> Decision:
    """Decide the next task.

    Args:
        certificate: The certificate.
        issuances: Its live issuances.
        now: The time to decide for.
        clean_up: Whether `Task.CLEAN_UP` may be chosen.
    """
    by_id = {issuance.id: issuance for issuance in issuances}
    current = by_id.get(certificate.issuance_id or "")
    active = by_id.get(certificate.active_issuance_id or "")
    if (task := _by_the_clock(certificate, now)) is not None:
        return Decision(task=task)
    for issuance in issuances:
        if clean_up and issuance.needs_clean_up and issuance.outcome is not None:
            return Decision(task=Task.CLEAN_UP, issuance=issuance)
    stopped = certificate.status in (Status.DRAFT, Status.ERROR, Status.REVOKED)
    if current is not None and current.outcome is None and not stopped:
        if is_lost_change(certificate, issuances, now):
            return Decision(task=Task.SET_CHANGE_ASIDE, issuance=active)
        return Decision(task=Task.FALL_BACK if _leaves(certificate, current) else Task.ADVANCE, issuance=current)
    if certificate.status not in (Status.ACTIVE, Status.EXPIRED):
        is_error = certificate.status is Status.ERROR and current is not None
        return Decision(task=Task.REST, look_again=current.engine_state.retry_at if current and is_error else None)
    # A failed change of the names delays the renewal of the names in service only while that change has time.
    is_other = current is not None and active is not None and set(current.names) != set(active.names)
    waits = not (is_other and is_lost_change(certificate, issuances, now))
    return _beside_leaf(certificate, active, current.engine_state.retry_at if current and waits else None, now)


def _by_the_clock(certificate: Certificate, now: datetime) -> Task | None:
    ends = certificate.not_after
    if certificate.status is Status.ACTIVE and ends is not None and ends <= now:
        return Task.EXPIRE
    if certificate.status is Status.EXPIRED and ends is not None and ends > now + _A_MINUTE:
        return Task.REINSTATE
    return None


def _beside_leaf(
    certificate: Certificate, active: Issuance | None, retry_at: datetime | None, now: datetime
) -> Decision:
    """Decide without a current attempt; after a permanent failure, renew no earlier than ``retry_at``."""
    renew_at = ask_at = None
    if active is not None and active.leaf is not None:
        if certificate.status is Status.ACTIVE:
            ask_at = _ask_at(certificate, active, now)
            if ask_at is not None and ask_at <= now:
                return Decision(task=Task.ASK_RENEWAL_INFO, issuance=active)
        if certificate.renews_itself:
            renew_at = renewal_moment(certificate, active, active.leaf)
            if (since := active.engine_state.ahead_since) is not None:
                # The leaf is not valid yet, or this clock is behind, which is usually corrected soon.
                renew_at = min(renew_at, since + _TIME_FOR_A_CLOCK)
            if retry_at is not None:
                renew_at = max(renew_at, retry_at)
            if renew_at <= now:
                return Decision(task=Task.START_RENEWAL, issuance=active)
    ends = certificate.not_after if certificate.status is Status.ACTIVE else None
    looks = [at for at in (renew_at, ask_at, ends) if at is not None]
    return Decision(task=Task.REST, look_again=min(looks, default=None))
