"""Fork handling of the SQL store, see `certcore.forks`.

The child abandons the connections to a server: it closes its copies of the sockets and sends nothing, so that the
parent can go on using the connections. SQLAlchemy must not keep them either, because it would roll them back when they
are garbage-collected.

This does not work for SQLite. The library keeps the state of its file locks in memory, once for all connections of a
process, but the child inherits none of these locks from the system. Connections of the child would rely on locks that
it does not have, or wait for a transaction of the parent that never ends in the child. A mutex that a thread of the
parent held would stay locked. So before a fork, the parent lets running transactions end and closes all connections.
Afterwards, both processes open new connections when they need them.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa

from certcore.adapters.sql.databases import Database

__all__ = ["PooledConnections"]


class PooledConnections:
    """All connections of an engine, so that a child process can abandon those of its parent."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: SQLAlchemy's records of the connections.
        self._records: WeakSet[Any] = WeakSet()
        sa.event.listen(database.engine, "connect", lambda _, record: self._records.add(record))

    def let_go(self) -> None:
        """Abandon all connections and give the engine an empty pool."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # psycopg warns of unclosed connections
            for record in list(self._records):
                _let_go(record, self._database)
            self._records.clear()
        self._database.engine.dispose(close=False)


def _let_go(record: Any, database: Database) -> None:
    connection = record.dbapi_connection
    in_use = record.fairy_ref() if record.fairy_ref is not None else None
    record.fairy_ref = record.dbapi_connection = None  # otherwise SQLAlchemy rolls it back in garbage collection
    if in_use is not None:
        in_use.dbapi_connection = None
    if connection is not None:
        with suppress(Exception):  # boundary: another thread may have been using it; it is not used again
            database.let_go(connection)
