"""The repositories of events and timelines."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, field, frozen
from sqlalchemy import bindparam

from certcore.adapters.sql import mapping
from certcore.adapters.sql.exact import only
from certcore.adapters.sql.inserts import insert_new
from certcore.adapters.sql.statements import change, one_row
from certcore.adapters.sql.tables import counters, events, timelines
from certcore.errors import NotFoundError
from certcore.model.events import Event
from certcore.model.timeline import Timeline, chain, seal_of

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
#: The last position. In a database with one writer at a time, the insert itself assigns the next one, because
#: transactions commit in the order of their positions.
_LAST: Final = sa.select(sa.func.coalesce(sa.func.max(events.alias("before").c.position), 0))
_EVENT_INSERT_NUMBERED: Final = events.insert().inline().values(position=_LAST.scalar_subquery() + 1)
_UNNUMBERED: Final = (
    sa.select(events.c.sequence)
    .where(events.c.position.is_(None))
    .order_by(events.c.sequence)
    .limit(bindparam("row_limit"))
)
_NUMBER: Final = events.update().where(events.c.sequence == bindparam("row_sequence"))
_LAST_POSITION: Final = sa.select(counters.c.value).where(counters.c.name == "events").with_for_update()
_COUNT_POSITIONS: Final = counters.update().where(counters.c.name == "events")

_TIMELINE: Final = timelines.select().where(timelines.c.certificate_id == bindparam("row_id"))
_TIMELINE_LOCKED: Final = _TIMELINE.with_for_update()
_UPDATE: Final = timelines.update().where(timelines.c.certificate_id == bindparam("row_id"))
#: Compares the head as well as the length, because an event that was rolled back may have had the same number.
_EXTEND: Final = _UPDATE.where(
    timelines.c.length == bindparam("row_length"), timelines.c.head == bindparam("row_head")
).values(
    length=bindparam("new_length"),
    head=bindparam("new_head"),
    seal=bindparam("new_seal"),
    pending_since=sa.func.coalesce(
        timelines.c.pending_since, bindparam("new_pending", type_=timelines.c.pending_since.type)
    ),
)
_UNSEALED: Final = timelines.select().where(timelines.c.seal == "").with_for_update()
_SEAL: Final = _UPDATE.values(seal=bindparam("new_seal"))
#: How many heads are remembered.
_MOST: Final = 10_000


@define(eq=False)
class Heads:
    """A cache of the ends of timelines that this process wrote. It saves a query; updates check the cached value."""

    _last: OrderedDict[str, Timeline] = field(factory=OrderedDict, init=False, repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def guess(self, certificate_id: str) -> Timeline | None:
        """The timeline as it was last written here; None if unknown. Only its length and head may be used."""
        with self._lock:
            return self._last.get(certificate_id)

    def note(self, timeline: Timeline) -> None:
        """Remember the state of a timeline that was written."""
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
    #: The key that seals the ends of the timelines.
    key: bytes = field(default=b"", repr=False)

    def append(self, events: Iterable[Event]) -> None:
        """Store events; the database gives each the next sequence number."""
        new = list(events)
        of_certificate: dict[str, list[Event]] = {}
        for event in new:
            of_certificate.setdefault(event.certificate_id, []).append(event)
        # Always in the same order; otherwise two transactions could wait for each other.
        chained = {
            certificate_id: iter(self._extend(certificate_id, of_certificate[certificate_id]))
            for certificate_id in sorted(of_certificate)
        }
        statement = _EVENT_INSERT_NUMBERED if self.connection.dialect.name == "sqlite" else _EVENT_INSERT
        for event in new:  # one by one, because the order of the numbers in a bulk insert is undefined
            change(self.connection, statement, mapping.event_row(next(chained[event.certificate_id])))

    def of_certificate(self, certificate_id: str, *, limit: int = 200) -> Sequence[Event]:
        """The newest events of a certificate, oldest first."""
        rows = self.connection.execute(_EVENTS_OF, {"row_id": certificate_id, "row_limit": limit}).all()
        return [mapping.event_of(row) for row in reversed(rows)]

    def following(self, certificate_id: str, number: int, *, limit: int = 200) -> Sequence[Event]:
        """The events of a certificate with higher numbers than this one."""
        params = {"row_id": certificate_id, "row_number": number, "row_limit": limit}
        return [mapping.event_of(row) for row in self.connection.execute(_EVENTS_FOLLOWING, params)]

    def after(self, sequence: int, *, limit: int = 100) -> Sequence[Event]:
        """The events of all certificates that follow a sequence number."""
        rows = self.connection.execute(_EVENTS_AFTER, {"row_sequence": sequence, "row_limit": limit})
        return [mapping.event_of(row) for row in rows]

    def feed(
        self, *, after: int | None = None, owner: str | None = None, descending: bool = False, limit: int = 100
    ) -> Sequence[Event]:
        """The numbered events around a position."""
        position = events.c.position
        statement = events.select().where(position.is_not(None)).limit(limit)
        if owner is not None:
            statement = statement.where(events.c.owner == owner)
        if after is not None:
            statement = statement.where(position < after if descending else position > after)
        rows = self.connection.execute(statement.order_by(position.desc() if descending else position))
        return [mapping.event_of(row) for row in rows]

    def number(self, *, limit: int) -> int:
        """Give positions to committed events, under a lock that ends with the transaction.

        The holder of the lock sees all earlier positions. Events that commit later get later positions, whatever their
        sequence numbers are.
        """
        if not self.has_unnumbered():
            return 0
        last = self.connection.execute(_LAST_POSITION).scalar_one_or_none()
        if last is None:
            # The first time: the migration has given positions to the events of older versions.
            insert_new(
                self.connection, counters, {"name": "events", "value": self.connection.execute(_LAST).scalar_one()}
            )
            last = self.connection.execute(_LAST_POSITION).scalar_one()
        sequences = list(self.connection.execute(_UNNUMBERED, {"row_limit": limit}).scalars())
        if not sequences:
            return 0
        numbers = [
            {"row_sequence": sequence, "position": last + number} for number, sequence in enumerate(sequences, 1)
        ]
        self.connection.execute(_NUMBER, numbers)
        self.connection.execute(_COUNT_POSITIONS, {"value": last + len(sequences)})
        return len(sequences)

    def has_unnumbered(self) -> bool:
        """Whether there are events without a position."""
        if self.connection.dialect.name == "sqlite":
            return False
        return self.connection.execute(_UNNUMBERED, {"row_limit": 1}).first() is not None

    def _extend(self, certificate_id: str, new: Sequence[Event]) -> Sequence[Event]:
        """Take the next numbers of a timeline; its row stays locked until the transaction ends."""
        guess = self.heads.guess(certificate_id)
        if guess is not None and (chained := self._extend_from(guess, new)) is not None:
            return chained
        row = one_row(self.connection, _TIMELINE_LOCKED, {"row_id": certificate_id})
        if row is None:
            chained, started = chain(new, Timeline(certificate_id=certificate_id), self.key)
            if insert_new(self.connection, timelines, mapping.timeline_row(started)):
                self.heads.note(started)
                return chained
            # Another transaction has extended the timeline meanwhile.
            row = self.connection.execute(_TIMELINE_LOCKED, {"row_id": certificate_id}).one()
        stored = self._extend_from(mapping.timeline_of(row), new)
        if stored is None:  # pragma: no cover - the row is locked
            raise RuntimeError("A locked row changed.")
        return stored

    def _extend_from(self, timeline: Timeline, new: Sequence[Event]) -> Sequence[Event] | None:
        chained, extended = chain(new, timeline, self.key)
        changed = change(
            self.connection,
            _EXTEND,
            {
                "row_id": timeline.certificate_id,
                "row_length": timeline.length,
                "row_head": timeline.head,
                "new_length": extended.length,
                "new_head": extended.head,
                "new_seal": extended.seal,
                "new_pending": chained[0].at,
            },
        )
        if changed == 0:
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
            raise NotFoundError("certificate", certificate_id)
        return mapping.timeline_of(row)

    def seal_all(self, key: bytes) -> int:
        """Seal the timelines that have no seal."""
        rows = self.connection.execute(_UNSEALED).all()
        for row in rows:
            values = {"row_id": row.certificate_id, "new_seal": seal_of(mapping.timeline_of(row), key)}
            self.connection.execute(_SEAL, values)
        return len(rows)
