"""The repository of the observers' cursors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam

from certcore.adapters.sql import mapping
from certcore.adapters.sql.inserts import insert_new
from certcore.adapters.sql.tables import deliveries, observers, timelines
from certcore.errors import LeaseLostError
from certcore.model.deliveries import DeliveryCursor, KnownObserver
from certcore.model.stored_moments import CLOCK_TOLERANCE, LONGEST_LEASE, LONGEST_RETRY

__all__ = ["SqlDeliveries"]

_KEY: Final = (deliveries.c.certificate_id, deliveries.c.observer)
_OF_THESE: Final = sa.and_(
    deliveries.c.certificate_id.in_(bindparam("row_ids", expanding=True)),
    deliveries.c.observer.in_(bindparam("row_observers", expanding=True)),
)
_NOW: Final = bindparam("row_now", type_=deliveries.c.due_at.type)
_OF_OBSERVERS: Final = deliveries.c.observer.in_(bindparam("row_observers", expanding=True))
_OF_CERTIFICATE: Final = (
    deliveries.select().where(deliveries.c.certificate_id == bindparam("row_id")).order_by(deliveries.c.observer)
)

_PENDING: Final = (
    timelines.select()
    .where(timelines.c.pending_since.is_not(None))
    .order_by(timelines.c.pending_since)
    .limit(bindparam("row_limit"))
    .with_for_update(skip_locked=True)
)
_THERE: Final = sa.select(*_KEY).where(_OF_THESE)
_FREE: Final = _THERE.with_for_update(skip_locked=True)
_TIMELINE_OF_CURSOR: Final = timelines.c.certificate_id == deliveries.c.certificate_id
#: The length is copied into the cursor's row: on PostgreSQL, after waiting for that row, `_SETTLE` reads only it again.
_EXTEND: Final = (
    deliveries.update()
    .where(_OF_THESE)
    .values(
        length=sa.select(timelines.c.length).where(_TIMELINE_OF_CURSOR).scalar_subquery(),
        due_at=sa.func.coalesce(
            deliveries.c.due_at,
            sa.select(
                sa.case(
                    (timelines.c.pending_since < _NOW, timelines.c.pending_since),
                    else_=_NOW,
                )
            )
            .where(_TIMELINE_OF_CURSOR)
            .scalar_subquery(),
        ),
    )
)
_OFFERED: Final = (
    timelines.update()
    .where(timelines.c.certificate_id.in_(bindparam("row_ids", expanding=True)))
    .values(offered=timelines.c.length, pending_since=None)
)

_CLAIMABLE: Final = (
    deliveries.select()
    .where(
        _OF_OBSERVERS,
        deliveries.c.due_at <= _NOW,
        sa.or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= _NOW),
    )
    .order_by(deliveries.c.due_at, *_KEY)
    .limit(bindparam("row_limit"))
    .with_for_update(skip_locked=True)
)
_UPDATE: Final = deliveries.update().where(
    deliveries.c.certificate_id == bindparam("row_id"), deliveries.c.observer == bindparam("row_observer")
)
_LEASE: Final = _UPDATE.values(
    lease_owner=bindparam("new_owner"), lease_until=bindparam("new_until"), token=deliveries.c.token + 1
)
#: Compares the owner as well as the token, because the tokens of a deleted and recreated cursor begin again.
_UPDATE_HELD: Final = _UPDATE.where(
    deliveries.c.token == bindparam("row_token"), deliveries.c.lease_owner == bindparam("row_owner")
)
_SETTLE: Final = _UPDATE_HELD.values(
    delivered=bindparam("new_delivered"),
    attempts=bindparam("new_attempts"),
    failing_since=bindparam("new_failing_since"),
    reason=bindparam("new_reason"),
    due_at=sa.case(
        (
            deliveries.c.length > bindparam("new_delivered"),
            bindparam("new_due", type_=deliveries.c.due_at.type),
        ),
        else_=sa.null(),
    ),
    lease_owner="",
    lease_until=None,
)
_FAILING: Final = (
    deliveries.select()
    .where(_OF_OBSERVERS, deliveries.c.due_at.is_not(None), deliveries.c.attempts > 0)
    .order_by(*_KEY)
    .limit(bindparam("row_limit"))
)
_FAILED_OF: Final = (
    deliveries.select()
    .where(
        deliveries.c.certificate_id.in_(bindparam("row_ids", expanding=True)), deliveries.c.failing_since.is_not(None)
    )
    .order_by(*_KEY)
)
_RETRY_NOW: Final = deliveries.update().where(
    deliveries.c.certificate_id == bindparam("row_id"),
    deliveries.c.failing_since.is_not(None),
    deliveries.c.due_at.is_not(None),
)
_IS_DUE: Final = sa.select(
    sa.or_(
        sa.exists(sa.select(timelines.c.certificate_id).where(timelines.c.pending_since.is_not(None))),
        sa.exists(sa.select(deliveries.c.certificate_id).where(_OF_OBSERVERS, deliveries.c.due_at <= _NOW)),
    )
)

_OBSERVERS: Final = observers.select().order_by(observers.c.name)
_OBSERVERS_LOCKED: Final = _OBSERVERS.with_for_update()
_SAVE_OBSERVER: Final = observers.update().where(observers.c.name == bindparam("row_name"))
_FORGET_OBSERVER: Final = observers.delete().where(observers.c.name == bindparam("row_name"))
_CURSORS_OF: Final = sa.select(deliveries.c.certificate_id).where(deliveries.c.observer == bindparam("row_observer"))
_CURSORS_FREE: Final = _CURSORS_OF.limit(bindparam("row_limit")).with_for_update(skip_locked=True)
_FORGET_CURSORS: Final = deliveries.delete().where(
    deliveries.c.observer == bindparam("row_observer"),
    deliveries.c.certificate_id.in_(bindparam("row_ids", expanding=True)),
)


@frozen(eq=False)
class SqlDeliveries:
    """Implements `certcore.ports.deliveries.DeliveryRepository`."""

    connection: sa.Connection

    def of_certificate(self, certificate_id: str) -> Sequence[DeliveryCursor]:
        """The cursors of a certificate."""
        rows = self.connection.execute(_OF_CERTIFICATE, {"row_id": certificate_id})
        return [mapping.cursor_of(row) for row in rows]

    def is_due(self, *, observers: Collection[str], now: datetime) -> bool:
        """Whether there are new events, or due deliveries to these observers."""
        params = {"row_observers": sorted(observers), "row_now": now}
        return bool(self.connection.execute(_IS_DUE, params).scalar_one())

    def offer(self, *, observers: Collection[str], now: datetime, limit: int) -> int:
        """Make deliveries of new events: extend the cursors of pending timelines. Locked rows are skipped."""
        pending = self.connection.execute(_PENDING, {"row_limit": limit}).all()
        if not pending:
            return 0
        params = {"row_ids": [row.certificate_id for row in pending], "row_observers": sorted(observers)}
        known_cursors = {tuple(row) for row in self.connection.execute(_THERE, params)}
        free = {tuple(row) for row in self.connection.execute(_FREE, params)}
        left = {certificate_id for certificate_id, _ in known_cursors - free}
        offered = {row.certificate_id: row.offered for row in pending if row.certificate_id not in left}
        if not offered:
            return 0
        new = [
            DeliveryCursor(certificate_id=certificate_id, observer=observer, delivered=number, length=number)
            for certificate_id, number in sorted(offered.items())
            for observer in sorted(observers)
            if (certificate_id, observer) not in known_cursors
        ]
        if new:
            self.connection.execute(deliveries.insert(), [mapping.cursor_row(cursor) for cursor in new])
        params["row_ids"] = sorted(offered)
        self.connection.execute(_EXTEND, {**params, "row_now": now})
        self.connection.execute(_OFFERED, {"row_ids": sorted(offered)})
        return len(offered)

    def claim_due(
        self, *, observers: Collection[str], now: datetime, owner: str, lease_until: datetime, limit: int
    ) -> Sequence[DeliveryCursor]:
        """Lease the due deliveries; rows that another transaction is claiming are skipped."""
        params = {"row_observers": sorted(observers), "row_now": now, "row_limit": limit}
        due = [mapping.cursor_of(row) for row in self.connection.execute(_CLAIMABLE, params)]
        if due:
            lease = {"new_owner": owner, "new_until": lease_until}
            self.connection.execute(_LEASE, [{**_key(cursor), **lease} for cursor in due])
        return [evolve(cursor, lease_owner=owner, lease_until=lease_until, token=cursor.token + 1) for cursor in due]

    def renew_lease(self, cursor: DeliveryCursor, *, lease_until: datetime) -> None:
        """Extend a lease."""
        if self.connection.execute(_UPDATE_HELD, {**_held(cursor), "lease_until": lease_until}).rowcount == 0:
            raise LeaseLostError(cursor.certificate_id)

    def settle(self, cursor: DeliveryCursor) -> None:
        """Store the progress of a delivery, and end its lease."""
        values = {
            **_held(cursor),
            "new_delivered": cursor.delivered,
            "new_attempts": cursor.attempts,
            "new_failing_since": cursor.failing_since,
            "new_reason": cursor.reason,
            "new_due": cursor.due_at,
        }
        if self.connection.execute(_SETTLE, values).rowcount == 0:
            raise LeaseLostError(cursor.certificate_id)

    def failing(self, *, observers: Collection[str], limit: int) -> Sequence[DeliveryCursor]:
        """The cursors whose last delivery failed."""
        rows = self.connection.execute(_FAILING, {"row_observers": sorted(observers), "row_limit": limit})
        return [mapping.cursor_of(row) for row in rows]

    def failed_of(self, certificate_ids: Collection[str]) -> Sequence[DeliveryCursor]:
        """The cursors of these certificates whose last delivery failed."""
        rows = self.connection.execute(_FAILED_OF, {"row_ids": sorted(certificate_ids)})
        return [mapping.cursor_of(row) for row in rows]

    def retry_now(self, certificate_id: str, *, observer: str | None, now: datetime) -> int:
        """Make failed deliveries that wait for their retry due now."""
        statement = _RETRY_NOW.values(due_at=now)
        if observer is not None:
            statement = statement.where(deliveries.c.observer == observer)
        return self.connection.execute(statement, {"row_id": certificate_id}).rowcount

    def repair(self, *, now: datetime, limit: int) -> int:
        """Repair times that are impossibly far ahead: make such deliveries due, and end such leases."""
        late, leased = now + LONGEST_RETRY + CLOCK_TOLERANCE, now + LONGEST_LEASE + CLOCK_TOLERANCE
        leased_too_long = sa.and_(deliveries.c.due_at.is_not(None), deliveries.c.lease_until > leased)
        return max(
            self._change(deliveries.c.due_at > late, {"due_at": now}, limit),
            self._change(leased_too_long, {"lease_until": None}, limit),
        )

    def _change(self, condition: sa.ColumnElement[bool], values: dict[str, Any], limit: int) -> int:
        """Change at most ``limit`` rows; rows that another transaction has locked are skipped."""
        rows = self.connection.execute(
            sa.select(*_KEY).where(condition).limit(limit).with_for_update(skip_locked=True)
        ).all()
        if rows:
            keys = [{"row_id": row.certificate_id, "row_observer": row.observer} for row in rows]
            self.connection.execute(_UPDATE.values(values), keys)
        return len(rows)

    def known_observers(self, *, lock: bool = False) -> Sequence[KnownObserver]:
        """All known observers."""
        rows = self.connection.execute(_OBSERVERS_LOCKED if lock else _OBSERVERS)
        return [KnownObserver(name=row.name, seen_at=row.seen_at, missed_since=row.missed_since) for row in rows]

    def save_observer(self, observer: KnownObserver) -> None:
        """Store an observer."""
        values = {"seen_at": observer.seen_at, "missed_since": observer.missed_since}
        if not insert_new(self.connection, observers, {"name": observer.name, **values}):
            self.connection.execute(_SAVE_OBSERVER, {"row_name": observer.name, **values})

    def forget_observer(self, name: str, *, limit: int) -> bool:
        """Delete an observer with its cursors; cursors that another transaction has locked stay for the next call."""
        ids = list(self.connection.execute(_CURSORS_FREE, {"row_observer": name, "row_limit": limit}).scalars())
        if ids:
            self.connection.execute(_FORGET_CURSORS, {"row_observer": name, "row_ids": ids})
        if self.connection.execute(_CURSORS_OF.limit(1), {"row_observer": name}).first() is not None:
            return False
        self.connection.execute(_FORGET_OBSERVER, {"row_name": name})
        return True


def _key(cursor: DeliveryCursor) -> dict[str, Any]:
    return {"row_id": cursor.certificate_id, "row_observer": cursor.observer}


def _held(cursor: DeliveryCursor) -> dict[str, Any]:
    return {**_key(cursor), "row_token": cursor.token, "row_owner": cursor.lease_owner}
