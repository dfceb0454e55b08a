"""The repositories of events, and of how far they have been delivered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, evolve, field, frozen
from sqlalchemy import bindparam

from certcore.adapters.sql import mapping
from certcore.adapters.sql.exact import only
from certcore.adapters.sql.inserts import insert_new
from certcore.adapters.sql.tables import events, timelines
from certcore.errors import LeaseLost, NotFound
from certcore.model.clocks import CLOCK_TOLERANCE, LONGEST_LEASE, LONGEST_RETRY
from certcore.model.events import Event
from certcore.model.timeline import Behind, Timeline, chain, seal_of

__all__ = ["Heads", "SqlEvents", "SqlTimelines"]

_EVENTS_OF: Final = (
    events.select()
    .where(events.c.certificate_id == bindparam("row_id"))
    .order_by(events.c.number.desc())
    .limit(bindparam("row_limit"))
)
_EVENTS_FOLLOWING: Final = (
    events.select()
    .where(events.c.certificate_id == bindparam("row_id"), events.c.number > bindparam("row_number"))
    .order_by(events.c.number)
    .limit(bindparam("row_limit"))
)
_EVENTS_AFTER: Final = (
    events.select()
    .where(events.c.sequence > bindparam("row_sequence"))
    .order_by(events.c.sequence)
    .limit(bindparam("row_limit"))
)
_EVENT_INSERT: Final = events.insert().inline()

_TIMELINE: Final = timelines.select().where(timelines.c.certificate_id == bindparam("row_id"))
_TIMELINE_LOCKED: Final = _TIMELINE.with_for_update()
_UPDATE: Final = timelines.update().where(timelines.c.certificate_id == bindparam("row_id"))
#: The head as well as the length: one that was rolled back may have had the same number.
_EXTEND: Final = _UPDATE.where(
    timelines.c.length == bindparam("row_length"), timelines.c.head == bindparam("row_head")
).values(
    length=bindparam("new_length"),
    head=bindparam("new_head"),
    seal=bindparam("new_seal"),
    due_at=bindparam("new_due"),
)
_UNSEALED: Final = timelines.select().where(timelines.c.seal == "").with_for_update()
_SEAL: Final = _UPDATE.values(seal=bindparam("new_seal"))
_UPDATE_HELD: Final = _UPDATE.where(timelines.c.token == bindparam("row_token"))
_SETTLE: Final = _UPDATE_HELD.values(
    delivered=bindparam("new_delivered"),
    behind=bindparam("new_behind", type_=timelines.c.behind.type),
    due_at=sa.case(
        (timelines.c.length > bindparam("new_delivered"), bindparam("row_now", type_=timelines.c.due_at.type)),
        else_=bindparam("new_due", type_=timelines.c.due_at.type),
    ),
    lease_owner="",
    lease_until=None,
)
_CLAIMABLE: Final = (
    timelines.select()
    .where(
        timelines.c.due_at <= bindparam("row_now"),
        sa.or_(timelines.c.lease_until.is_(None), timelines.c.lease_until <= bindparam("row_now")),
    )
    .order_by(timelines.c.due_at)
    .limit(bindparam("row_limit"))
    .with_for_update(skip_locked=True)
)
_LEASE: Final = (
    timelines.update()
    .where(timelines.c.certificate_id.in_(bindparam("row_ids", expanding=True)))
    .values(lease_owner=bindparam("new_owner"), lease_until=bindparam("new_until"), token=timelines.c.token + 1)
)
_DUE: Final = sa.select(timelines.c.certificate_id).where(timelines.c.due_at <= bindparam("row_now")).limit(1)
#: How many heads are remembered.
_MOST: Final = 10_000


@define(eq=False)
class Heads:
    """What this process wrote last to some timelines: a guess that saves a query, and that the database checks."""

    _last: OrderedDict[str, Timeline] = field(factory=OrderedDict, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def guess(self, certificate_id: str) -> Timeline | None:
        """The timeline as it probably is; only its length and its head count."""
        with self._lock:
            return self._last.get(certificate_id)

    def note(self, timeline: Timeline) -> None:
        """Remember what was written."""
        with self._lock:
            self._last[timeline.certificate_id] = timeline
            self._last.move_to_end(timeline.certificate_id)
            while len(self._last) > _MOST:
                self._last.popitem(last=False)


@frozen(eq=False)
class SqlEvents:
    """Implements `certcore.ports.timelines.EventRepository`."""

    connection: sa.Connection
    heads: Heads
    #: Seals the ends of the timelines.
    key: bytes = field(default=b"", repr=False)

    def append(self, events: Iterable[Event]) -> None:
        """Store events; the database gives each the next sequence number."""
        new = list(events)
        of_certificate: dict[str, list[Event]] = {}
        for event in new:
            of_certificate.setdefault(event.certificate_id, []).append(event)
        # In one order for everybody: else two could wait for each other.
        chained = {one: iter(self._extend(one, of_certificate[one])) for one in sorted(of_certificate)}
        for event in new:  # one by one: the order of a bulk insert's numbers is the database's secret
            self.connection.execute(_EVENT_INSERT, mapping.event_row(next(chained[event.certificate_id])))

    def of_certificate(self, certificate_id: str, *, limit: int = 200) -> Sequence[Event]:
        """The newest events of a certificate, oldest first."""
        rows = self.connection.execute(_EVENTS_OF, {"row_id": certificate_id, "row_limit": limit}).all()
        return [mapping.event_of(row) for row in reversed(rows)]

    def following(self, certificate_id: str, number: int, *, limit: int = 200) -> Sequence[Event]:
        """The events of a certificate that follow one of its numbers."""
        wanted = {"row_id": certificate_id, "row_number": number, "row_limit": limit}
        return [mapping.event_of(row) for row in self.connection.execute(_EVENTS_FOLLOWING, wanted)]

    def after(self, sequence: int, *, limit: int = 100) -> Sequence[Event]:
        """The events of all certificates that follow a sequence number."""
        rows = self.connection.execute(_EVENTS_AFTER, {"row_sequence": sequence, "row_limit": limit})
        return [mapping.event_of(row) for row in rows]

    def _extend(self, certificate_id: str, new: Sequence[Event]) -> Sequence[Event]:
        """Take the next numbers of a timeline; its row stays locked until the transaction ends."""
        guess = self.heads.guess(certificate_id)
        if guess is not None and (chained := self._extend_from(guess, new)) is not None:
            return chained
        row = self.connection.execute(_TIMELINE_LOCKED, {"row_id": certificate_id}).one_or_none()
        if row is None:
            chained, started = chain(new, Timeline(certificate_id=certificate_id), self.key)
            if insert_new(self.connection, timelines, mapping.timeline_row(started)):
                self.heads.note(started)
                return chained
            # Another transaction came between.
            row = self.connection.execute(_TIMELINE_LOCKED, {"row_id": certificate_id}).one()
        stored = self._extend_from(mapping.timeline_of(row), new)
        if stored is None:  # pragma: no cover - the row is locked
            raise RuntimeError("A locked row changed.")
        return stored

    def _extend_from(self, timeline: Timeline, new: Sequence[Event]) -> Sequence[Event] | None:
        chained, extended = chain(new, timeline, self.key)
        done = self.connection.execute(
            _EXTEND,
            {
                "row_id": timeline.certificate_id,
                "row_length": timeline.length,
                "row_head": timeline.head,
                "new_length": extended.length,
                "new_head": extended.head,
                "new_seal": extended.seal,
                "new_due": extended.due_at,
            },
        )
        if done.rowcount == 0:
            return None
        self.heads.note(extended)
        return chained


@frozen(eq=False)
class SqlTimelines:
    """Implements `certcore.ports.timelines.TimelineRepository`."""

    connection: sa.Connection

    def get(self, certificate_id: str) -> Timeline:
        """The timeline of a certificate."""
        row = only(self.connection.execute(_TIMELINE, {"row_id": certificate_id}), certificate_id=certificate_id)
        if row is None:
            raise NotFound("certificate", certificate_id)
        return mapping.timeline_of(row)

    def claim_due(
        self, *, now: datetime, owner: str, lease_until: datetime, limit: int, without: Collection[str] = ()
    ) -> Sequence[Timeline]:
        """Lease what is due, longest overdue first; rows that another transaction is claiming are skipped."""
        claimable = _without(_CLAIMABLE, without)
        rows = self.connection.execute(claimable, {"row_now": now, "row_limit": limit}).all()
        found = [mapping.timeline_of(row) for row in rows]
        if found:
            ids = [one.certificate_id for one in found]
            self.connection.execute(_LEASE, {"row_ids": ids, "new_owner": owner, "new_until": lease_until})
        return [evolve(one, lease_owner=owner, lease_until=lease_until, token=one.token + 1) for one in found]

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal."""
        rows = self.connection.execute(_UNSEALED).all()
        for row in rows:
            values = {"row_id": row.certificate_id, "new_seal": seal_of(mapping.timeline_of(row), key)}
            self.connection.execute(_SEAL, values)
        return len(rows)

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease."""
        key = {"row_id": certificate_id, "row_token": token}
        if self.connection.execute(_UPDATE_HELD, {**key, "lease_until": lease_until}).rowcount == 0:
            raise LeaseLost(certificate_id)

    def settle(
        self,
        certificate_id: str,
        *,
        token: int,
        delivered: int,
        behind: Mapping[str, Behind],
        now: datetime,
        due_at: datetime | None,
    ) -> None:
        """Store how far the delivery came, and end the lease."""
        values = {
            "row_id": certificate_id,
            "row_token": token,
            "row_now": now,
            "new_delivered": delivered,
            "new_behind": mapping.behind_json(behind),
            "new_due": due_at,
        }
        if self.connection.execute(_SETTLE, values).rowcount == 0:
            raise LeaseLost(certificate_id)

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make due what is further ahead than it can be, and end leases likewise."""
        late, leased = now + LONGEST_RETRY + CLOCK_TOLERANCE, now + LONGEST_LEASE + CLOCK_TOLERANCE
        free = {"lease_owner": "", "lease_until": None}
        return max(
            self._change(timelines.c.due_at > late, {"due_at": now}, limit),
            self._change(sa.and_(timelines.c.due_at.is_not(None), timelines.c.lease_until > leased), free, limit),
        )

    def _change(self, condition: sa.ColumnElement[bool], values: dict[str, Any], limit: int) -> int:
        """Change up to so many rows; those that another transaction holds are left for the next time."""
        rows = sa.select(timelines.c.certificate_id).where(condition).limit(limit)
        ids = list(self.connection.execute(rows.with_for_update(skip_locked=True)).scalars())
        if ids:
            self.connection.execute(timelines.update().where(timelines.c.certificate_id.in_(ids)).values(values))
        return len(ids)

    def is_due(self, *, now: datetime, without: Collection[str] = ()) -> bool:
        """Whether there is anything to deliver now."""
        return self.connection.execute(_without(_DUE, without), {"row_now": now}).one_or_none() is not None


def _without(statement: sa.Select[Any], ids: Collection[str]) -> sa.Select[Any]:
    return statement.where(timelines.c.certificate_id.not_in(sorted(ids))) if ids else statement
