"""The repository of schedules and leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from certcore.adapters.sql import mapping
from certcore.adapters.sql.exact import refused_row
from certcore.adapters.sql.statements import change, one_row
from certcore.adapters.sql.tables import schedules
from certcore.errors import LeaseLostError, NotFoundError
from certcore.model.certificate import WITHOUT_LEAF, Schedule
from certcore.model.stored_moments import CLOCK_TOLERANCE, LONGEST_LEASE, LONGEST_SLEEP

__all__ = ["LOCKED", "SqlSchedules"]

#: The columns of a `Schedule`.
_COLUMNS: Final = tuple(column for column in schedules.c if not column.name.startswith("renewal_info"))
_SCHEDULE: Final = sa.select(*_COLUMNS).where(schedules.c.certificate_id == bindparam("row_id"))
#: Reads and locks the schedule of a certificate.
LOCKED: Final = _SCHEDULE.with_for_update()
_SCHEDULE_UPDATE: Final = schedules.update().where(schedules.c.certificate_id == bindparam("row_id"))
_SCHEDULE_UPDATE_HELD: Final = _SCHEDULE_UPDATE.where(schedules.c.token == bindparam("row_token"))
#: Renews a lease; matches no row if the lease was released.
_RENEW: Final = _SCHEDULE_UPDATE_HELD.where(schedules.c.lease_owner != "")
#: Ends a step; matches no row when due_at was changed during the step.
_FINISH: Final = _SCHEDULE_UPDATE_HELD.where(schedules.c.due_at.is_not_distinct_from(bindparam("row_due")))
_FREE: Final = sa.or_(schedules.c.lease_until.is_(None), schedules.c.lease_until <= bindparam("row_now"))
_CLAIMABLE: Final = sa.and_(schedules.c.due_at <= bindparam("row_now"), _FREE)
#: The most urgent are chosen from this many overdue rows, so that the cost does not grow with the backlog.
_CANDIDATES: Final = 1000
_OVERDUE: Final = (
    sa.select(schedules.c.certificate_id, schedules.c.due_at, schedules.c.needed_by)
    .where(_CLAIMABLE)
    .order_by(schedules.c.due_at)
    .limit(_CANDIDATES)
    .subquery("overdue")
)
_URGENCY: Final = (
    sa.func.coalesce(
        sa.type_coerce(_OVERDUE.c.needed_by, sa.BigInteger),
        sa.type_coerce(_OVERDUE.c.due_at, sa.BigInteger) + WITHOUT_LEAF // timedelta(microseconds=1),
    ),
    _OVERDUE.c.due_at,
    _OVERDUE.c.certificate_id,
)
_MOST_URGENT: Final = sa.select(_OVERDUE.c.certificate_id).order_by(*_URGENCY).limit(bindparam("row_limit"))
_LEASED = {
    "lease_owner": bindparam("new_owner"),
    "lease_until": bindparam("new_until"),
    "token": schedules.c.token + 1,
}


def _claim(picked: sa.CTE) -> sa.Executable:
    return (
        schedules.update()
        .where(schedules.c.certificate_id.in_(sa.select(picked.c.certificate_id)))
        .values(_LEASED)
        .returning(*_COLUMNS)
    )


#: The claiming statement of each dialect whose UPDATE can return rows.
_CLAIM: Final = {
    "sqlite": _claim(_MOST_URGENT.cte("picked")),
    "postgresql": _claim(
        _MOST_URGENT.join_from(_OVERDUE, schedules, schedules.c.certificate_id == _OVERDUE.c.certificate_id)
        .where(_CLAIMABLE)  # again: rows may have changed since they were chosen
        .with_for_update(of=schedules, skip_locked=True)
        .cte("picked")
    ),
}
#: Other dialects need three statements: choose rows, lock those that are free, claim them. The choice is separate
#: because MySQL locks every row that it sorts.
_LOCK_FREE: Final = (
    sa.select(*_COLUMNS)
    .where(schedules.c.certificate_id.in_(bindparam("row_ids", expanding=True)), _CLAIMABLE)
    .limit(bindparam("row_limit"))
    .with_for_update(skip_locked=True)
)
_LEASE_ALL: Final = (
    schedules.update().where(schedules.c.certificate_id.in_(bindparam("row_ids", expanding=True))).values(_LEASED)
)
_LEASE: Final = _SCHEDULE_UPDATE_HELD.values(_LEASED)
# The first statement covers rows without a lease, the second one leased rows.
_NEXT_FREE: Final = (
    sa.select(schedules.c.due_at)
    .where(
        schedules.c.due_at.is_not(None),
        sa.or_(schedules.c.lease_until.is_(None), schedules.c.lease_until <= bindparam("row_now")),
    )
    .order_by(schedules.c.due_at)
    .limit(1)
)
_NEXT_LEASED: Final = sa.select(schedules.c.due_at, schedules.c.lease_until).where(
    schedules.c.due_at.is_not(None), schedules.c.lease_until > bindparam("row_now")
)


@frozen(eq=False)
class SqlSchedules:
    """Implements `certcore.ports.storage.ScheduleRepository`."""

    connection: sa.Connection
    writing: bool

    def add(self, schedule: Schedule) -> None:
        """Store the schedule of a new certificate."""
        try:
            self.connection.execute(schedules.insert(), mapping.schedule_row(schedule))
        except IntegrityError as error:
            certificate_id = schedule.certificate_id
            raise refused_row(error, "schedule", certificate_id, parent=("certificate", certificate_id)) from None

    def get(self, certificate_id: str) -> Schedule:
        """The schedule of a certificate."""
        statement = LOCKED if self.writing else _SCHEDULE
        row = one_row(self.connection, statement, {"row_id": certificate_id}, certificate_id=certificate_id)
        if row is None:
            raise NotFoundError("certificate", certificate_id)
        return mapping.schedule_of(row)

    def claim_due(self, *, now: datetime, owner: str, lease_until: datetime, limit: int) -> Sequence[Schedule]:
        """Lease the due schedules, most urgent first; rows that another transaction is claiming are skipped."""
        lease = {"row_now": now, "new_owner": owner, "new_until": lease_until}
        claim = _CLAIM.get(self.connection.dialect.name)
        if claim is not None:
            rows = self.connection.execute(claim, {**lease, "row_limit": limit}).all()
            return sorted(map(mapping.schedule_of, rows), key=lambda schedule: schedule.urgency)
        # More than needed, because other workers choose the same rows.
        choice = {"row_now": now, "row_limit": limit + _CANDIDATES // 10}
        ids = list(self.connection.execute(_MOST_URGENT, choice).scalars())
        locked: list[Schedule] = []
        for start in range(0, len(ids), limit):
            params = {"row_now": now, "row_ids": ids[start : start + limit], "row_limit": limit - len(locked)}
            locked += map(mapping.schedule_of, self.connection.execute(_LOCK_FREE, params))
            if len(locked) == limit:
                break
        if locked:
            self.connection.execute(_LEASE_ALL, {**lease, "row_ids": [schedule.certificate_id for schedule in locked]})
        leased = (evolve(each, lease_owner=owner, lease_until=lease_until, token=each.token + 1) for each in locked)
        return sorted(leased, key=lambda schedule: schedule.urgency)

    def due(self, *, now: datetime, limit: int) -> Sequence[str]:
        """The certificates whose schedules are due and not leased, most urgent first."""
        return list(self.connection.execute(_MOST_URGENT, {"row_now": now, "row_limit": limit}).scalars())

    def claim(self, certificate_id: str, *, now: datetime, owner: str, lease_until: datetime) -> Schedule | None:
        """Lease one certificate; None while another owner's lease runs."""
        stored = self.get(certificate_id)
        if stored.is_leased(now):
            return None
        return self._lease(stored, owner, lease_until)

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease."""
        self._change_held(_RENEW, certificate_id, token, {"lease_until": lease_until})

    def save(self, schedule: Schedule) -> None:
        """Store the schedule if its token is the current one."""
        row = mapping.schedule_row(schedule)
        self._change_held(_SCHEDULE_UPDATE_HELD, row.pop("certificate_id"), row.pop("token"), row)

    def finish(self, schedule: Schedule, *, begun: Schedule) -> Schedule:
        """Store the schedule at the end of a step; a due_at that a user set meanwhile is kept."""
        row = mapping.schedule_row(schedule)
        key = {"row_id": row.pop("certificate_id"), "row_token": row.pop("token"), "row_due": begun.due_at}
        if change(self.connection, _FINISH, {**key, **row}) == 1:
            return schedule
        stored = self.get(schedule.certificate_id)
        if stored.token != schedule.token:
            raise LeaseLostError(schedule.certificate_id)
        merged = evolve(schedule, due_at=stored.due_at, attempts=stored.attempts)
        self.save(merged)
        return merged

    def take_over(self, certificate_id: str, *, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        """End any lease and raise the token."""
        taken_over = self.get(certificate_id).taken_over(due_at, attempts)
        row = mapping.schedule_row(taken_over)
        self.connection.execute(_SCHEDULE_UPDATE, {"row_id": row.pop("certificate_id"), **row})
        return taken_over

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make schedules due that were written under a wrong clock, and end impossibly long leases."""
        written = now + CLOCK_TOLERANCE
        sleeps, leased = written + LONGEST_SLEEP, written + LONGEST_LEASE
        asleep = sa.or_(schedules.c.due_at.is_(None), schedules.c.due_at > now)
        due, free = {"due_at": now}, {"lease_owner": "", "lease_until": None}
        repaired = [
            self._change(sa.and_(schedules.c.written_at > written, asleep), due, limit),
            self._change(sa.and_(schedules.c.written_at.is_(None), schedules.c.due_at > sleeps), due, limit),
            self._change(schedules.c.lease_until > leased, free, limit),
        ]
        return max(repaired)

    def _change(self, condition: sa.ColumnElement[bool], values: dict[str, Any], limit: int) -> int:
        """Update up to ``limit`` rows; rows that another transaction has locked are skipped."""
        rows = sa.select(schedules.c.certificate_id).where(condition).limit(limit)
        ids = list(self.connection.execute(rows.with_for_update(skip_locked=True)).scalars())
        if ids:
            self.connection.execute(schedules.update().where(schedules.c.certificate_id.in_(ids)).values(values))
        return len(ids)

    def next_due(self, *, now: datetime) -> datetime | None:
        """The earliest moment at which something can be claimed."""
        free = self.connection.execute(_NEXT_FREE, {"row_now": now}).scalar_one_or_none()
        leased = self.connection.execute(_NEXT_LEASED, {"row_now": now}).all()
        moments = [max(row.due_at, row.lease_until) for row in leased]
        return min((*moments, *(() if free is None else (free,))), default=None)

    def _lease(self, schedule: Schedule, owner: str, lease_until: datetime) -> Schedule:
        key: dict[str, Any] = {"row_id": schedule.certificate_id, "row_token": schedule.token}
        self.connection.execute(_LEASE, {**key, "new_owner": owner, "new_until": lease_until})
        return evolve(schedule, lease_owner=owner, lease_until=lease_until, token=schedule.token + 1)

    def _change_held(self, statement: sa.Update, certificate_id: str, token: int, values: dict[str, Any]) -> None:
        key = {"row_id": certificate_id, "row_token": token}
        if change(self.connection, statement, {**key, **values}) == 0:
            raise LeaseLostError(certificate_id)
