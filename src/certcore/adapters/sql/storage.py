"""`SqlStorage`: transactions on a database."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, field, frozen
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from certcore.adapters.sql.certificates import SqlCertificates, SqlIssuances
from certcore.adapters.sql.databases import POOL_SIZE, Database, find_database
from certcore.adapters.sql.forking import Gate, PooledConnections
from certcore.adapters.sql.records import SqlAuthorities, SqlDocuments, SqlSecrets
from certcore.adapters.sql.schedules import SqlSchedules
from certcore.adapters.sql.schema import bring_up_to_date, require_up_to_date
from certcore.adapters.sql.timelines import Heads, SqlEvents, SqlTimelines
from certcore.errors import StorageBusy, StorageError, StorageUnavailable
from certcore.ports.forks import renew_after_fork
from certcore.ports.storage import LockWait

__all__ = ["SqlStorage", "open_storage"]

#: Seconds after which an idle connection is asked whether it is still one: servers and firewalls end idle ones.
_IDLE: Final = 15.0


@frozen(eq=False)
class SqlTransaction:
    """The repositories on one connection; implements `certcore.ports.storage.Transaction`."""

    connection: sa.Connection
    writing: bool
    heads: Heads
    record_key: bytes = field(default=b"", repr=False)

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
        """What happened."""
        return SqlEvents(self.connection, self.heads, self.record_key)

    @property
    def timelines(self) -> SqlTimelines:
        """How far the events have been delivered."""
        return SqlTimelines(self.connection)

    @property
    def documents(self) -> SqlDocuments:
        """The modules' documents."""
        return SqlDocuments(self.connection, self.writing)


@define(eq=False)
class _Ready:
    """Connections between two transactions: taking one from SQLAlchemy's pool costs as much as a small statement."""

    engine: sa.Engine
    options: dict[str, Any]
    _idle: deque[tuple[sa.Connection, float]] = field(factory=deque, init=False)

    def take(self) -> sa.Connection:
        """A connection that works."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < _IDLE or self._lives(connection):
                return connection
            connection.invalidate()
            connection.close()
        connection = self.engine.connect()
        return connection.execution_options(**self.options) if self.options else connection

    def keep(self, connection: sa.Connection) -> None:
        """Put it back after a transaction that went well."""
        if len(self._idle) >= POOL_SIZE:
            connection.close()
        else:
            self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close all of them."""
        while self._idle:
            self._idle.pop()[0].close()

    def drop(self) -> None:
        """Forget all of them: the next one is new."""
        while self._idle:
            connection, _ = self._idle.pop()
            connection.invalidate()
            connection.close()

    def _lives(self, connection: sa.Connection) -> bool:
        try:
            return self.engine.dialect.do_ping(_driver(connection))
        except _driver_error(self.engine):
            return False


@define(eq=False)
class _Own:
    """What of a store belongs to one process; a fork gets another one."""

    readers: _Ready
    writers: _Ready
    #: Where the database lets one write at a time, threads queue up here, where nobody has to sleep and to look
    #: again; the database's own lock is between processes.
    turn: Any = field(factory=threading.Lock, init=False)
    #: Lets transactions in, where they have to be over before the process forks.
    gate: Gate = field(factory=Gate, init=False)
    heads: Heads = field(factory=Heads, init=False)
    #: The threads that are inside a writing transaction.
    writing: set[int] = field(factory=set, init=False)
    #: Whether the process was forked in the middle of a transaction that had to be over.
    is_spoilt: bool = False
    #: The file that the connections are to, where the database is one.
    file_identity: object = None

    @classmethod
    def of(cls, database: Database, *, is_spoilt: bool = False) -> _Own:
        """For this process, and the file that is there now."""
        readers, writers = (_Ready(database.engine, dict(one)) for one in (database.reading, database.writing))
        identity = database.file_identity() if database.file_identity is not None else None
        return cls(readers=readers, writers=writers, is_spoilt=is_spoilt, file_identity=identity)

    def close(self) -> None:
        """Close the connections between two transactions."""
        self.readers.close()
        self.writers.close()


@define(eq=False)
class SqlStorage:
    """A store in a SQL database; build one with `open_storage`. Implements `certcore.ports.storage.Storage`."""

    _database: Database = field(repr=False)
    _pooled: PooledConnections = field(repr=False)
    _read_only: bool = field(default=False, kw_only=True)
    _own: _Own = field(init=False, repr=False)
    _record_key: bytes = field(default=b"", init=False, repr=False)
    _closed: bool = field(default=False, init=False)
    #: Held while the store turns to another file.
    _replacing: Any = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._own = _Own.of(self._database)
        renew_after_fork(self)

    def before_fork(self) -> None:
        """See `certcore.adapters.sql.forking`."""
        if self._database.closes_for_fork and not self._closed:
            self._own.gate.shut()
            with suppress(Exception):  # boundary: a connection that does not close must not keep a process from forking
                self._own.close()
                self._database.engine.dispose()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._own.gate.open()

    def after_fork(self) -> None:
        """Leave all connections to the parent."""
        self._pooled.let_go()
        self._replacing = threading.Lock()
        self._own = _Own.of(self._database, is_spoilt=self._own.is_spoilt or not self._own.gate.is_empty)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """A transaction that sees one consistent state."""
        own = self._present()
        with self._connection(own, own.readers, self._begin_read) as connection:
            yield SqlTransaction(connection, False, own.heads, self._record_key)

    @contextmanager
    def write(self, lock_wait: LockWait = LockWait.SHORT) -> Iterator[SqlTransaction]:
        """A transaction that commits when the block ends, and rolls back when it raises."""
        if self._read_only:
            raise StorageError("This database was opened for reading.")
        me, own = threading.get_ident(), self._present()
        if me in own.writing:
            raise RuntimeError("This thread is inside a writing transaction already; a second would never begin.")
        with self._turn_within(own, self._database.lock_waits[lock_wait]) as seconds:
            own.writing.add(me)
            try:
                with self._connection(
                    own, own.writers, lambda new: self._database.begin_write(new, seconds)
                ) as connection:
                    yield SqlTransaction(connection, True, own.heads, self._record_key)
                    self._refuse_forked(own)
                    connection.commit()
            finally:
                own.writing.discard(me)

    def _present(self) -> _Own:
        """What belongs to this process and to the database's file.

        A restore, say, puts another file into the place, and connections would go on with the one that was removed.
        Readers turn to the new one. Writers refuse: what they write to the old one is lost, and what the two have in
        common, SQLite's write-ahead log, must not be used by both.
        """
        own = self._own
        if self._database.file_identity is None or self._closed or self._database.file_identity() == own.file_identity:
            return own
        if not self._read_only:
            raise StorageUnavailable(
                "The database file was replaced by another one while this program has it open.",
                advice="Start this program again. Stop all programs that use a SQLite database before it is restored.",
            )
        with self._replacing:
            if self._own is own:
                self._own = _Own.of(self._database, is_spoilt=own.is_spoilt)
                own.close()
                self._database.engine.dispose()
            return self._own

    @contextmanager
    def _turn_within(self, own: _Own, seconds: float) -> Iterator[float]:
        """Wait for this thread's turn to write, where there is one at a time; yields how many seconds are left."""
        if not self._database.one_writer:
            yield seconds
            return
        since = time.monotonic()
        if not own.turn.acquire(timeout=seconds):
            raise _locked_database()
        try:
            yield max(0.0, seconds - (time.monotonic() - since))
        finally:
            own.turn.release()

    def _begin_read(self, connection: sa.Connection) -> None:
        if self._database.begin_read:
            _driver(connection).execute(self._database.begin_read)

    def use_record_key(self, key: bytes) -> None:
        """Seal the ends of timelines with this key."""
        self._record_key = key

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._own.close()
        self._database.engine.dispose()

    @contextmanager
    def _connection(
        self, own: _Own, ready: _Ready, begin: Callable[[sa.Connection], object]
    ) -> Iterator[sa.Connection]:
        if self._closed:
            raise StorageUnavailable("This store is closed.")
        self._refuse_forked(own)
        with own.gate.passed() if self._database.closes_for_fork else nullcontext():
            yield from self._transaction(own, ready, begin)

    def _transaction(
        self, own: _Own, ready: _Ready, begin: Callable[[sa.Connection], object]
    ) -> Iterator[sa.Connection]:
        try:
            connection = ready.take()
            try:
                connection.begin()  # so that it is ended here, also when no statement comes
                begin(connection)
                yield connection
                self._refuse_forked(own)
                connection.rollback()  # ends a read; after a commit it does nothing
            except BaseException as error:  # boundary: rolls back, whatever the block raised
                if own is not self._own:
                    if isinstance(error, Exception):
                        self._refuse_forked(own)
                    raise
                lost = isinstance(error, _driver_error(self._database.engine))  # by beginning, without SQLAlchemy
                if lost:
                    connection.invalidate()
                connection.close()
                if lost or (isinstance(error, DBAPIError) and error.connection_invalidated):
                    # The server went away; the others are of no use either.
                    ready.drop()
                raise
            if self._closed:
                connection.close()
            else:
                ready.keep(connection)
        except AssertionError as error:
            if _interrupted(error):
                raise KeyboardInterrupt from None
            raise
        except (SQLAlchemyError, UnicodeError) as error:  # text with surrogates: drivers raise that as it is
            raise _unavailable(error, self._database) from None
        except _driver_error(self._database.engine) as error:
            raise _unavailable(error, self._database) from None

    def _refuse_forked(self, own: _Own) -> None:
        """Refuse to go on in a child process with the transaction of its parent."""
        if own is not self._own or own.is_spoilt:
            raise StorageUnavailable(
                "This process was forked in the middle of a transaction.",
                advice="Fork where no call of certcore is running in the thread that forks.",
            ) from None


def open_storage(url: str, *, read_only: bool = False) -> SqlStorage:
    """Open a database, creating or migrating its tables.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, ``postgresql://user:password@host/name`` or
            ``mysql://user:password@host/name`` (MariaDB too). Of a server's database only the tables are created,
            never the database itself.
        read_only: Nothing is created, migrated or written; the login needs no right to.

    Raises:
        StorageUnavailable: It cannot be reached, created or used, or its driver is not installed; with ``read_only``,
            its tables are not there or of an older certcore.
        DatabaseTooNew: A newer certcore wrote it.
    """
    database = find_database(url, read_only=read_only)
    pooled = PooledConnections(database)
    try:
        with database.engine.connect() as connection:
            if read_only:
                require_up_to_date(connection)
            else:
                bring_up_to_date(connection, database.lock_schema)
    except (SQLAlchemyError, _driver_error(database.engine), OSError) as error:
        database.engine.dispose()
        raise _unavailable(error, database) from None
    except BaseException:  # boundary: an engine that nobody will hold is disposed of
        database.engine.dispose()
        raise
    return SqlStorage(database, pooled, read_only=read_only)


def _driver(connection: sa.Connection) -> Any:
    """The driver's own connection: beginning a transaction through it costs a tenth."""
    return connection.connection.driver_connection


def _driver_error(engine: sa.Engine) -> type[Exception]:
    """What the driver raises where SQLAlchemy does not stand in between."""
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    return error


def _interrupted(error: BaseException | None) -> bool:
    """Whether it came up on the way out after Ctrl-C.

    SQLAlchemy asserts at the end of a rollback that the transaction has ended; where the interrupt struck in the middle
    it has not, and whoever waits for a KeyboardInterrupt would see a bug instead.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _locked_database() -> StorageUnavailable:
    return StorageUnavailable(
        "The database is locked by another process for too long.",
        advice="Look for a program that keeps a transaction open; then try again.",
    )


def _unavailable(error: Exception, database: Database) -> StorageError:
    """What the database said, without the statement and its values."""
    if isinstance(error, PoolTimeout):
        return StorageUnavailable("All connections to the database are in use.", advice="Use fewer threads at once.")
    said = (str(error.orig if isinstance(error, DBAPIError) else error).splitlines() or [type(error).__name__])[0]
    if database.one_writer and ("locked" in said or "busy" in said):
        return _locked_database()
    if database.is_lock_conflict(error.orig if isinstance(error, DBAPIError) else error):
        return StorageBusy(
            f"Another transaction has locked what was to be written ({said}).",
            advice="It is enough to try again. If it lasts, look for a program that keeps a transaction open.",
        )
    if isinstance(error, (DataError, IntegrityError, UnicodeError)):
        return StorageError(f"The database refused what was to be written: {said}.")
    return StorageUnavailable(f"The database failed: {said}.", advice=database.advice)
