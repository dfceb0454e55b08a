"""The connections of one process: kept open between transactions, and never more than the limit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from attrs import define, field

from certcore.adapters.sql.databases import Database
from certcore.forks import Gate

__all__ = ["Connections", "ReadyConnections", "Watch", "driver_connection", "driver_error"]

#: Seconds after which an idle connection is tested before use: servers and firewalls close idle connections.
_IDLE: Final = 15.0
#: Seconds that the close before a fork waits for a thread that counts commits.
_WATCH_PATIENCE: Final = 1.0
_Connection = TypeVar("_Connection")


def driver_connection(connection: sa.Connection) -> Any:
    """The driver's connection: beginning a transaction on it costs a tenth."""
    return connection.connection.driver_connection


def driver_error(engine: sa.Engine) -> type[Exception]:
    """The error class of the driver, for calls that bypass SQLAlchemy."""
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    return error


@define(eq=False)
class Connections:
    """All connections of a process. An idle one of one kind is given up when another kind needs a connection.

    SQLAlchemy's pool bounds how many there are, and counts those that are kept ready as in use. So a thread that asks
    it for one announces that first: where no more may be opened, connections then go back to the pool.
    """

    engine: sa.Engine
    #: How many connections are kept ready between transactions.
    most_idle: int
    ready: list[ReadyConnections] = field(factory=list, init=False)
    _waiting: deque[None] = field(factory=deque, init=False)

    @classmethod
    def of(cls, database: Database) -> Connections:
        """Those of a database."""
        return cls(engine=database.engine, most_idle=database.pool_size)

    def kept_ready(self, options: dict[str, Any]) -> ReadyConnections:
        """Connections with these execution options."""
        ready = ReadyConnections(self, options)
        self.ready.append(ready)
        return ready

    def open(self, take: Callable[[], _Connection]) -> _Connection:
        """Take a connection from SQLAlchemy's pool, which waits for one if all are in use."""
        self._waiting.append(None)
        try:
            if self.is_exhausted:
                self._give_up_one()
            return take()
        finally:
            self._waiting.pop()

    @property
    def is_exhausted(self) -> bool:
        """Whether threads ask for more connections than may be opened: idle ones have to be handed over."""
        pool: Any = self.engine.pool
        return bool(self._waiting) and pool.checkedout() + len(self._waiting) > pool.size()

    @property
    def is_full(self) -> bool:
        """Whether enough connections are kept ready."""
        return sum(each.idle for each in self.ready) >= self.most_idle

    def _give_up_one(self) -> None:
        for each in self.ready:
            if each.give_up_one():
                return


@define(eq=False)
class ReadyConnections:
    """Idle connections of one kind. Taking one from SQLAlchemy's pool costs as much as a small statement."""

    _all: Connections
    _options: dict[str, Any]
    _idle: deque[tuple[sa.Connection, float]] = field(factory=deque, init=False)

    @property
    def idle(self) -> int:
        """How many there are."""
        return len(self._idle)

    def take(self) -> sa.Connection:
        """Take a working connection."""
        return self._kept() or self._all.open(self._take_any)

    def keep(self, connection: sa.Connection) -> None:
        """Keep a connection after a successful transaction, or hand it to a thread that waits."""
        if self._all.is_exhausted:
            connection.close()  # back to SQLAlchemy's pool, where the thread waits
        elif self._all.is_full:
            connection.invalidate()  # closes it; SQLAlchemy's pool would keep it
            connection.close()
        else:
            self._idle.append((connection, time.monotonic()))

    def give_up_one(self) -> bool:
        """Return an idle connection to SQLAlchemy's pool; returns whether there was one."""
        try:
            connection, _ = self._idle.popleft()
        except IndexError:
            return False
        connection.close()
        return True

    def close(self) -> None:
        """Close all of them."""
        while self._idle:
            self._idle.pop()[0].close()

    def drop(self) -> None:
        """Drop all idle connections; the next one is new."""
        while self._idle:
            connection, _ = self._idle.pop()
            connection.invalidate()
            connection.close()

    def _kept(self) -> sa.Connection | None:
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if time.monotonic() - since < _IDLE or self._lives(connection):
                return connection
            connection.invalidate()
            connection.close()
        return None

    def _take_any(self) -> sa.Connection:
        """One that was kept since the first look, or one of SQLAlchemy's pool."""
        kept = self._kept()
        if kept is not None:
            return kept
        connection = self._all.engine.connect()
        return connection.execution_options(**self._options) if self._options else connection

    def _lives(self, connection: sa.Connection) -> bool:
        try:
            return self._all.engine.dialect.do_ping(driver_connection(connection))
        except driver_error(self._all.engine):
            return False


@define(eq=False)
class Watch:
    """A connection of its own that only counts what other connections commit."""

    connections: Connections
    statement: str
    _connection: Any = field(default=None, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def mark(self, gate: Gate) -> object:
        """Another value after each commit; values of two watches are never equal."""
        with self._lock:
            if self._connection is not None:
                return self._counted()
        with gate.passed(), self._lock:  # a fork closes the connection, and none is opened while it lasts
            if self._connection is None:
                self._connection = self.connections.open(self.connections.engine.raw_connection)
            return self._counted()

    def _counted(self) -> object:
        return self, self._connection.driver_connection.execute(self.statement).fetchone()[0]

    def close(self) -> None:
        """Close the connection; the next mark opens another one.

        A thread that counts for more than a second keeps it: a fork must not wait forever.
        """
        if not self._lock.acquire(timeout=_WATCH_PATIENCE):
            return
        try:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection = None
        finally:
            self._lock.release()
