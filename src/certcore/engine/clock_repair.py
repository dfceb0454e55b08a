"""Repair times that were stored under a wrong clock: times of past events that lie in the future."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from attrs import define, evolve, field

from certcore.engine.apply_step import LeasedCertificate
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action, Status
from certcore.model.notice_policy import without_notices_ahead
from certcore.model.renewal_info import RenewalInfo
from certcore.model.stored_moments import is_ahead, not_ahead
from certcore.model.transitions import transition
from certcore.ports.storage import Storage
from certcore.x509.leaf_checks import CLOCK_TOLERANCE

__all__ = ["Sweep", "repaired"]

_log = logging.getLogger(__name__)
#: Time between two sweeps of one process.
_EVERY: Final = timedelta(minutes=1)
#: Rows per sweep; after a full sweep the next one follows immediately.
_ROWS: Final = 500
_TIME_FOR_A_CLOCK: Final = timedelta(minutes=30)
_MISSED: Final = timedelta(minutes=20)
#: A renewal that failed permanently is retried within this time.
_LONGEST_PAUSE: Final = timedelta(days=7)
#: Renewal information is requested again within this time, or a tenth of the leaf's lifetime.
_LONGEST_QUESTION: Final = timedelta(days=1)


@define(eq=False)
class Sweep:
    """Makes schedules due, about once a minute, that were written under a wrong clock."""

    storage: Storage
    #: When this process swept last.
    _swept_at: datetime | None = field(default=None, init=False)

    def run(self, now: datetime) -> None:
        """Sweep if it is due, or if the clock went back."""
        last = self._swept_at
        if last is not None and timedelta(0) <= now - last < _EVERY:
            return
        with self.storage.write() as transaction:
            rows = transaction.schedules.repair(now=now, limit=_ROWS)
            deliveries = transaction.deliveries.repair(now=now, limit=_ROWS)
        self._swept_at = None if max(rows, deliveries) >= _ROWS else now
        if rows or deliveries:
            _log.warning(
                "%d schedules and %d deliveries were written while a clock was ahead of this one; they are due now.",
                rows,
                deliveries,
            )


def repaired(leased: LeasedCertificate, now: datetime) -> LeasedCertificate:
    """The state without times that were written while a clock was ahead.

    Past events get the current time. A permanent failure under the wrong clock is undone, and the issuance continues.
    Nothing is changed while this machine's own clock seems to be behind, because the leaf in service begins in the
    future.
    """
    leaf = None if leased.active is None else leased.active.leaf
    # An imported leaf may be meant for later.
    is_ours = leased.active is not None and leased.active.purpose is not Purpose.IMPORT
    is_behind = is_ours and leaf is not None and leaf.not_before > now + CLOCK_TOLERANCE
    was_wrong = is_ahead(leased.schedule.written_at, now) and not is_behind
    after = leased
    for issuance in leased.issuances:
        changed = _with_leaf_ahead(_repaired_info(issuance, now), is_behind and issuance is leased.active, now)
        if not is_behind:
            changed = _repaired_history(changed, now, was_wrong=was_wrong)
        if changed is not issuance and changed != issuance:
            after = after.with_issuance(changed)
    if was_wrong:
        after = evolve(after, schedule=evolve(after.schedule, attempts=0))  # pauses are forgotten
    return _going_on(after, now, was_wrong=was_wrong)


def _going_on(leased: LeasedCertificate, now: datetime, *, was_wrong: bool) -> LeasedCertificate:
    """Continue an attempt that failed permanently under the wrong clock, after half an hour.

    It does not continue earlier, because the wrong clock may be this one, so that the failure is real.
    """
    certificate = leased.certificate
    attempt = next((each for each in leased.issuances if each.id == certificate.issuance_id), None)
    if certificate.status is not Status.ERROR or attempt is None or attempt.outcome is not Outcome.FAILED:
        return leased
    engine_state = attempt.engine_state
    if was_wrong:
        return leased.with_issuance(
            evolve(attempt, engine_state=evolve(engine_state, retry_at=now + _TIME_FOR_A_CLOCK))
        )
    if engine_state.retry_at is None or engine_state.retry_at > now:
        return leased
    settled = evolve(engine_state, retry_at=None)
    if now - engine_state.retry_at > _MISSED:  # the clock was behind, and is right again
        return leased.with_issuance(evolve(attempt, engine_state=settled))
    state = attempt.module_state if attempt.needs_clean_up else None
    opened = evolve(attempt, outcome=None, finished_at=None, module_state=state, engine_state=settled)
    status = transition(certificate.status, Action.CHECK_NOW)
    return leased.with_issuance(opened).moved(evolve(certificate, status=status, updated_at=now), None, now)


def _repaired_history(issuance: Issuance, now: datetime, *, was_wrong: bool) -> Issuance:
    state = issuance.engine_state
    if not was_wrong and not issuance.told and not any(is_ahead(moment, now) for moment in _moments(issuance)):
        return issuance
    state = evolve(
        state,
        orders=tuple(not_ahead(at, now) or now for at in state.orders),
        order_refusals=tuple(not_ahead(at, now) or now for at in state.order_refusals),
        rests_until=None if was_wrong or is_ahead(state.rests_until, now, _LONGEST_PAUSE) else state.rests_until,
        waiting_since=not_ahead(state.waiting_since, now),
        kept_since=not_ahead(state.kept_since, now),
        retry_at=None if was_wrong or is_ahead(state.retry_at, now, _LONGEST_PAUSE) else state.retry_at,
    )
    repaired = without_notices_ahead(issuance, now, was_wrong=was_wrong)
    return evolve(
        issuance,
        engine_state=state,
        told=repaired,
        created_at=not_ahead(issuance.created_at, now) or now,
        finished_at=not_ahead(issuance.finished_at, now),
    )


def _moments(issuance: Issuance) -> Iterator[datetime | None]:
    """The times of an issuance that may have been written under a wrong clock."""
    state = issuance.engine_state
    yield from state.orders
    yield from state.order_refusals
    yield from (state.rests_until, state.waiting_since, state.kept_since, state.retry_at)
    yield from (issuance.created_at, issuance.finished_at)


def _with_leaf_ahead(issuance: Issuance, is_ahead_now: bool, now: datetime) -> Issuance:  # noqa: FBT001
    """Note when the leaf in service was first seen before the beginning of its validity."""
    state = issuance.engine_state
    since = state.ahead_since
    if not is_ahead_now:
        return issuance if since is None else evolve(issuance, engine_state=evolve(state, ahead_since=None))
    if since is not None and since <= now:
        return issuance
    return evolve(issuance, engine_state=evolve(state, ahead_since=now))


def _repaired_info(issuance: Issuance, now: datetime) -> Issuance:
    info, leaf = issuance.renewal_info, issuance.leaf
    if info is None or leaf is None or not _is_wrong(info, leaf, now):
        return issuance
    return evolve(issuance, renewal_info=evolve(info, check_at=now, checked_at=not_ahead(info.checked_at, now)))


def _is_wrong(info: RenewalInfo, leaf: Leaf, now: datetime) -> bool:
    if is_ahead(info.checked_at, now):
        return True
    # A check at the end of the leaf means that this CA offers no renewal information.
    longest = max(_LONGEST_QUESTION, leaf.lifetime / 10)
    return info.check_at != leaf.not_after and is_ahead(info.check_at, now, longest)
