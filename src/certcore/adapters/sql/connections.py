"""The connections of one process: kept open between transactions, and never more than the limit."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from attrs import define, field

from certcore.adapters.sql.databases import Database, driver_connection
from certcore.forks import Gate

__all__ = ["Connections", "ReadyConnections", "Watch", "driver_error"]

#: Seconds after which an idle connection is tested before use: servers and firewalls close idle connections.
_IDLE: Final = 15.0
#: Seconds that the close before a fork waits for a thread that holds a lock.
_PATIENCE: Final = 1.0
_Connection = TypeVar("_Connection")
#: Connections, each with the time.monotonic() of the end of its last transaction.
_Idle = deque[tuple[sa.Connection, float]]


def driver_error(engine: sa.Engine) -> type[Exception]:
    """The error class of the driver, for calls that bypass SQLAlchemy."""
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    return error


@define(eq=False)
class Connections:
    """All connections of a process. If one kind needs a connection, an idle one of another kind may be given up for it.

    SQLAlchemy's pool opens the connections, and lets threads wait when all are in use. Connections that are kept ready
    between transactions stay outside of the pool, because taking one from it costs as much as a small statement. So
    connections are counted here: one is put back into the pool only if a thread waits there, and closed if enough are
    idle.
    """

    engine: sa.Engine
    #: How many connections are kept ready between transactions.
    most_idle: int
    ready: list[ReadyConnections] = field(factory=list, init=False)
    #: How many connections are outside of SQLAlchemy's pool, or are about to be taken from it without waiting.
    _taken: int = field(default=0, init=False)
    #: How many threads wait for a connection that no other thread has put back for them yet.
    _waiting: int = field(default=0, init=False)
    _is_shut: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @classmethod
    def of(cls, database: Database) -> Connections:
        """The connections to a database."""
        return cls(engine=database.engine, most_idle=database.pool_size)

    def kept_ready(self, options: dict[str, Any]) -> ReadyConnections:
        """Connections with these execution options."""
        ready = ReadyConnections(self, options)
        self.ready.append(ready)
        return ready

    def take(self, take: Callable[[], _Connection], idle: _Idle) -> sa.Connection | _Connection:
        """Take a working idle connection, or else one from SQLAlchemy's pool, which waits if all are in use."""
        while True:
            pool: Any = self.engine.pool
            given_up, waits = None, False
            with self._lock:
                kept = idle.pop() if idle else None
                if kept is None:
                    if self._taken < pool.size():
                        self._taken += 1
                    elif (other := next((each.idle for each in self.ready if each.idle), None)) is not None:
                        given_up, _ = other.popleft()
                    else:
                        self._waiting += 1
                        waits = True
            if kept is None:
                return self._from_pool(take, given_up, waits=waits)
            connection, since = kept
            if time.monotonic() - since < _IDLE or self._lives(connection):
                return connection
            connection.invalidate()
            self.put_back(connection)

    def _from_pool(
        self, take: Callable[[], _Connection], given_up: sa.Connection | None, *, waits: bool
    ) -> _Connection:
        try:
            if given_up is not None:
                given_up.close()
            return take()
        except BaseException:  # boundary: a thread that gave up no longer waits and has no connection
            with self._lock:
                if waits and self._waiting:
                    self._waiting -= 1
                else:
                    self._taken -= 1
            raise

    def keep(self, connection: sa.Connection, idle: _Idle) -> None:
        """Keep a connection after a successful transaction, unless a thread waits for one or enough are idle."""
        with self._lock:
            is_full = self._is_shut or sum(len(each.idle) for each in self.ready) >= self.most_idle
            if not self._waiting and not is_full:
                idle.append((connection, time.monotonic()))
                return
            is_awaited = bool(self._waiting)
            self._count_returned()
        if not is_awaited:
            connection.invalidate()  # closes it, so that SQLAlchemy's pool does not keep it
        connection.close()

    def shut(self) -> None:
        """From now on, close each connection when its transaction ends."""
        with self._lock:
            self._is_shut = True

    def put_back(self, connection: sa.Connection) -> None:
        """Return a connection to SQLAlchemy's pool, which keeps it unless it was invalidated."""
        self.count_returned()
        if self._is_shut:  # the pool was disposed of and would leave the connection open
            connection.invalidate()
        connection.close()

    def take_all(self, idle: _Idle) -> list[sa.Connection]:
        """Take all idle connections of a kind, in order to close them.

        Takes none if another thread holds the lock for more than a second: a fork must not wait forever.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            return []
        try:
            connections = [connection for connection, _ in idle]
            idle.clear()
            for _ in connections:
                self._count_returned()
        finally:
            self._lock.release()
        return connections

    def count_returned(self) -> None:
        """Count a connection that was returned to SQLAlchemy's pool, or is about to be."""
        with self._lock:
            self._count_returned()

    def _count_returned(self) -> None:
        """Count it for a waiting thread, if there is one. The caller holds the lock."""
        if self._waiting:
            self._waiting -= 1
        else:
            self._taken -= 1

    def _lives(self, connection: sa.Connection) -> bool:
        try:
            return self.engine.dialect.do_ping(driver_connection(connection))
        except driver_error(self.engine):
            return False


@define(eq=False)
class ReadyConnections:
    """Connections of one kind."""

    _all: Connections
    _options: dict[str, Any]
    #: The connections that are between two transactions. Changed under the lock of `Connections`.
    idle: _Idle = field(factory=deque, init=False)

    def take(self) -> sa.Connection:
        """Take a working connection."""
        return self._all.take(self._connect, self.idle)

    def keep(self, connection: sa.Connection) -> None:
        """Keep a connection after a successful transaction, or hand it to a thread that waits."""
        self._all.keep(connection, self.idle)

    def put_back(self, connection: sa.Connection) -> None:
        """Give up a connection after a transaction that failed."""
        self._all.put_back(connection)

    def close(self) -> None:
        """Put all idle connections back into SQLAlchemy's pool."""
        for connection in self._all.take_all(self.idle):
            connection.close()

    def drop(self) -> None:
        """Close all idle connections; the next one is new."""
        for connection in self._all.take_all(self.idle):
            connection.invalidate()
            connection.close()

    def _connect(self) -> sa.Connection:
        connection = self._all.engine.connect()
        return connection.execution_options(**self._options) if self._options else connection


@define(eq=False)
class Watch:
    """A separate connection that only detects commits of other connections."""

    connections: Connections
    statement: str
    _connection: Any = field(default=None, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def mark(self, gate: Gate) -> object:
        """A value that differs after each commit; values of two watches are never equal."""
        with self._lock:
            if self._connection is not None:
                return self._counted()
        with gate.passed(), self._lock:  # a fork closes the connection, and none is opened while it lasts
            if self._connection is None:
                self._connection = self.connections.take(self.connections.engine.raw_connection, deque())
            return self._counted()

    def _counted(self) -> object:
        return self, self._connection.driver_connection.execute(self.statement).fetchone()[0]

    def close(self) -> None:
        """Close the connection; the next `mark` opens another one.

        If another thread holds the lock for more than a second, it stays open: a fork must not wait forever.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            if self._connection is not None:
                self._connection.invalidate()
                self.connections.count_returned()
                self._connection = None
        finally:
            self._lock.release()
