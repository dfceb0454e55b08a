"""What the SQL store does about `fork`, see `certcore.ports.forks`.

A connection to a server is let go of in the child: its copy of the socket is closed, and nothing is sent, so that the
parent goes on talking over it. SQLAlchemy must not see these connections again either: it would roll them back when
they are collected.

SQLite cannot be treated like that. The library keeps the state of its file locks in memory, once for all connections
of a process, while the system gives none of the locks to the child: connections of the child would rely on locks that
it does not have, or wait for a transaction of its parent that never ends there; and a mutex of the library that a
thread of the parent held stays locked. So before a fork the parent lets its running transactions end, and closes every
connection: the child finds nothing open. Both open new connections when they need them.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa
from attrs import define, field

from certcore.adapters.sql.databases import Database

__all__ = ["Gate", "PooledConnections"]

#: Seconds for which a fork waits for the transactions of other threads.
_PATIENCE: Final = 10.0


@define(eq=False)
class Gate:
    """Lets transactions in. Shut before a fork, it waits for those that run, and keeps new ones waiting."""

    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    #: How many transactions each thread is in.
    _inside: dict[int, int] = field(factory=dict, init=False, repr=False)
    _is_shut: bool = field(default=False, init=False)

    @property
    def is_empty(self) -> bool:
        """Whether there is no transaction."""
        return not self._inside

    @contextmanager
    def passed(self) -> Iterator[None]:
        """A transaction."""
        me = threading.get_ident()
        with self._changed:
            while self._is_shut and me not in self._inside:
                self._changed.wait()
            self._inside[me] = self._inside.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                    self._changed.notify_all()

    def shut(self) -> None:
        """Wait until no other thread is inside, some seconds at most."""
        me, deadline = threading.get_ident(), time.monotonic() + _PATIENCE
        with self._changed:
            self._is_shut = True
            while self._inside.keys() - {me} and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._is_shut = False
            self._changed.notify_all()


class PooledConnections:
    """All connections of an engine, also those in use, so that a child process can let go of its parent's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: SQLAlchemy's records of them.
        self._records: WeakSet[Any] = WeakSet()
        sa.event.listen(database.engine, "connect", lambda _, record: self._records.add(record))

    def let_go(self) -> None:
        """Forget all of them, and give the engine an empty pool."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # psycopg's, of connections that nobody closed
            for record in list(self._records):
                _let_go(record, self._database)
            self._records.clear()
        self._database.engine.dispose(close=False)


def _let_go(record: Any, database: Database) -> None:
    connection = record.dbapi_connection
    in_use = record.fairy_ref() if record.fairy_ref is not None else None
    record.fairy_ref = record.dbapi_connection = None  # else SQLAlchemy rolls it back when the user of it is collected
    if in_use is not None:
        in_use.dbapi_connection = None
    if connection is not None:
        with suppress(Exception):  # boundary: whatever state another thread left it in, it is not used again
            database.let_go(connection)
