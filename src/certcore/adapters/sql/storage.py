"""`SqlStorage`: transactions on a database."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, field, frozen
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from certcore.adapters.sql.certificates import SqlCertificates, SqlIssuances, SqlSchedules
from certcore.adapters.sql.records import SqlAuthorities, SqlDocuments, SqlEvents, SqlSecrets
from certcore.adapters.sql.schema import bring_up_to_date
from certcore.errors import StorageError, StorageUnavailable

__all__ = ["SqlStorage", "open_storage"]

#: Milliseconds that a writer waits for another process's transaction.
_BUSY_TIMEOUT: Final = 30_000
_POOL_SIZE: Final = 10
_POOL_OVERFLOW: Final = 50
#: Seconds to wait for a connection when all are in use.
_POOL_TIMEOUT: Final = 30


@frozen(eq=False)
class SqlTransaction:
    """The repositories on one connection; implements `certcore.ports.storage.Transaction`."""

    connection: sa.Connection
    writing: bool

    @property
    def certificates(self) -> SqlCertificates:
        """The certificates."""
        return SqlCertificates(self.connection, self.writing)

    @property
    def issuances(self) -> SqlIssuances:
        """Their issuances."""
        return SqlIssuances(self.connection)

    @property
    def schedules(self) -> SqlSchedules:
        """When each is looked at next."""
        return SqlSchedules(self.connection, self.writing)

    @property
    def authorities(self) -> SqlAuthorities:
        """The CA profiles."""
        return SqlAuthorities(self.connection)

    @property
    def secrets(self) -> SqlSecrets:
        """The sealed secrets."""
        return SqlSecrets(self.connection)

    @property
    def events(self) -> SqlEvents:
        """The timelines."""
        return SqlEvents(self.connection)

    @property
    def documents(self) -> SqlDocuments:
        """The modules' documents."""
        return SqlDocuments(self.connection)


@define(eq=False)
class SqlStorage:
    """A store in a SQL database; build one with `open_storage`. Implements `certcore.ports.storage.Storage`."""

    _engine: sa.Engine = field(repr=False)
    #: SQLite lets one write at a time. Threads queue up here, where nobody has to sleep and to look again; the
    #: database's own lock is between processes.
    _turn: Any = field(factory=threading.Lock, init=False, repr=False)
    #: Connections between two transactions: taking one from SQLAlchemy's pool costs as much as a small statement.
    _ready: deque[sa.Connection] = field(factory=deque, init=False, repr=False)
    _writer: int | None = field(default=None, init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """A transaction that sees one consistent state."""
        with self._connection("BEGIN") as connection:
            yield SqlTransaction(connection, writing=False)

    @contextmanager
    def write(self) -> Iterator[SqlTransaction]:
        """A transaction that commits when the block ends, and rolls back when it raises."""
        me = threading.get_ident()
        if self._writer == me:
            raise RuntimeError("This thread is inside a writing transaction already; a second would never begin.")
        with self._turn:
            self._writer = me
            try:
                with self._connection("BEGIN IMMEDIATE") as connection:
                    yield SqlTransaction(connection, writing=True)
                    connection.commit()
            finally:
                self._writer = None

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        while self._ready:
            self._ready.pop().close()
        self._engine.dispose()

    def _take(self) -> sa.Connection:
        try:
            return self._ready.pop()
        except IndexError:
            return self._engine.connect()

    def _keep(self, connection: sa.Connection) -> None:
        if self._closed or len(self._ready) >= _POOL_SIZE:
            connection.close()
        else:
            self._ready.append(connection)

    @contextmanager
    def _connection(self, begin: str) -> Iterator[sa.Connection]:
        if self._closed:
            raise StorageUnavailable("This store is closed.")
        try:
            connection = self._take()
            try:
                _driver(connection).execute(begin)
                yield connection
                connection.rollback()  # ends a read; after a commit it does nothing
            except BaseException:  # boundary: rolls back, whatever the block raised
                connection.close()
                raise
            self._keep(connection)
        except SQLAlchemyError as error:
            raise _unavailable(error) from None
        except _driver_error(self._engine) as error:
            raise _unavailable(error) from None


def open_storage(url: str) -> SqlStorage:
    """Open a database, creating or migrating it.

    Args:
        url: ``sqlite:///relative/path`` or ``sqlite:////absolute/path``.

    Raises:
        StorageUnavailable: It cannot be reached, created or used.
        DatabaseTooNew: A newer certcore wrote it.
    """
    engine = _sqlite(url)
    try:
        with engine.connect() as connection:
            bring_up_to_date(connection, lambda: _driver(connection).execute("BEGIN IMMEDIATE"))
    except (SQLAlchemyError, _driver_error(engine), OSError) as error:
        engine.dispose()
        raise _unavailable(error) from None
    except BaseException:  # boundary: an engine that nobody will hold is disposed of
        engine.dispose()
        raise
    return SqlStorage(engine)


def _sqlite(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise StorageUnavailable(
            "The database URL is not one.", advice="Use a URL such as sqlite:///certcore.db."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise StorageUnavailable(
            f"Databases of the kind {parsed.get_backend_name()!r} are not supported yet.",
            advice="Use SQLite: sqlite:///certcore.db.",
        )
    path = parsed.database or ""
    if path in ("", ":memory:") or path.startswith("file:"):
        raise StorageUnavailable(
            "A SQLite database needs a plain path to a file.",
            advice="Use sqlite:///certcore.db, or CertCore.in_memory() for a store that lives as long as the object.",
        )
    _create_private(Path(path))
    engine = sa.create_engine(
        parsed.set(drivername="sqlite+pysqlite"),
        hide_parameters=True,  # an error must not carry what was being stored
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_TIMEOUT,
        connect_args={"timeout": _BUSY_TIMEOUT / 1000, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare)
    return engine


def _create_private(path: Path) -> None:
    """Create the file before SQLite does, so that nobody else can read it; its companions take its mode over.

    A file that is there is not opened: closing it would drop the locks that this process's other connections hold.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StorageUnavailable(
            f"The database file {path} cannot be opened: {error.strerror}.",
            advice="Check that its folder exists and that this user may write there.",
        ) from None


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a committed step survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _driver(connection: sa.Connection) -> Any:
    """The driver's own connection: beginning a transaction through it costs a tenth."""
    return connection.connection.driver_connection


def _driver_error(engine: sa.Engine) -> type[Exception]:
    """What the driver raises where SQLAlchemy does not stand in between."""
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    return error


def _unavailable(error: Exception) -> StorageError:
    """What the database said, without the statement and its values."""
    if isinstance(error, PoolTimeout):
        return StorageUnavailable("All connections to the database are in use.", advice="Use fewer threads at once.")
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error).splitlines()[0]
    if "locked" in said or "busy" in said:
        return StorageUnavailable(
            "The database is locked by another process for too long.",
            advice="Look for a program that keeps a transaction open; then try again.",
        )
    return StorageUnavailable(
        f"The database failed: {said}.", advice="Check the database file, its disk and its rights."
    )
