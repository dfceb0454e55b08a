"""`SqlStorage`: transactions on a database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, field
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from certcore.adapters.sql.connections import Connections, ReadyConnections, Watch, driver_error
from certcore.adapters.sql.databases import Database, Pool, driver_connection, find_database
from certcore.adapters.sql.forking import PooledConnections
from certcore.adapters.sql.group_commit import Group, WriteQueue
from certcore.adapters.sql.schema import HEAD, bring_up_to_date, require_up_to_date, revision_of
from certcore.adapters.sql.timelines import Heads
from certcore.adapters.sql.transaction import SqlTransaction
from certcore.errors import StorageBusyError, StorageError, StorageUnavailableError
from certcore.forks import Gate, renew_after_fork
from certcore.messages import Message
from certcore.ports.storage import LockWait

__all__ = ["SqlStorage", "find_revision", "migrate_storage", "open_storage"]

#: Name of the savepoint of a transaction that shares a commit.
_MEMBER: Final = "certcore_member"
_CLOSED: Final = Message("storage.closed", "This store is closed.")


@define(eq=False)
class _Own:
    """The parts of a store that belong to one process; a fork gets new ones."""

    connections: Connections
    readers: ReadyConnections
    writers: ReadyConnections
    #: Threads wait here for their turn to write, if the database has one writer at a time. The database's own
    #: lock, which is polled, is left for other processes.
    queue: WriteQueue = field(factory=WriteQueue, init=False)
    #: Delays transactions during a fork, if the database needs that.
    gate: Gate = field(factory=Gate, init=False)
    heads: Heads = field(factory=Heads, init=False)
    #: The threads that are inside a writing transaction.
    writing: set[int] = field(factory=set, init=False)
    #: Whether the process was forked during a transaction that should have ended before the fork.
    is_spoilt: bool = False
    #: Identity of the database file; None for servers.
    file_identity: object = None
    #: Detects commits of other connections; None if the database has no data version.
    watch: Watch | None = None

    @classmethod
    def of(cls, database: Database, *, is_spoilt: bool = False) -> _Own:
        """Create the parts for this process and the current database file."""
        connections = Connections.of(database)
        readers, writers = (connections.kept_ready(dict(each)) for each in (database.reading, database.writing))
        identity = database.file_identity() if database.file_identity is not None else None
        watch = Watch(connections, database.data_version) if database.data_version else None
        return cls(
            connections=connections,
            readers=readers,
            writers=writers,
            is_spoilt=is_spoilt,
            file_identity=identity,
            watch=watch,
        )

    def close(self) -> None:
        """Close the connections between two transactions."""
        self.readers.close()
        self.writers.close()
        if self.watch is not None:
            self.watch.close()


@define(eq=False)
class SqlStorage:
    """A store in a SQL database; build one with `open_storage`. Implements `certcore.ports.storage.Storage`."""

    _database: Database = field(repr=False)
    _pooled: PooledConnections = field(repr=False)
    _read_only: bool = field(default=False, kw_only=True)
    _own: _Own = field(init=False, repr=False)
    _record_key: bytes = field(default=b"", init=False, repr=False)
    _closed: bool = field(default=False, init=False)
    #: Locked while the store switches to another file.
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
        """Let the parent use the database again."""
        self._own.gate.open()

    def after_fork(self) -> None:
        """Leave all connections to the parent."""
        self._pooled.let_go()
        self._replacing = threading.Lock()
        self._own = _Own.of(self._database, is_spoilt=self._own.is_spoilt or not self._own.gate.is_empty)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Begin a transaction that reads one consistent state."""
        own = self._present()
        with self._connection(own, own.readers, self._begin_read) as connection:
            yield SqlTransaction(connection, False, own.heads, self._record_key)

    @contextmanager
    def write(self, lock_wait: LockWait = LockWait.SHORT) -> Iterator[SqlTransaction]:
        """Begin a transaction that commits when the block ends, and rolls back if it raises."""
        if self._read_only:
            raise StorageError(Message("storage.for_reading", "This database was opened for reading."))
        me, own = threading.get_ident(), self._present()
        if me in own.writing:
            raise RuntimeError("This thread is inside a writing transaction already; a second would never begin.")
        seconds = self._database.lock_waits[lock_wait]
        own.writing.add(me)
        try:
            if self._database.one_writer:
                yield from self._write_in_turn(own, seconds)
                return
            with self._connection(own, own.writers, self._begin_write(seconds)) as connection:
                yield self._writing(own, connection)
                self._refuse_forked(own)
                _commit(connection)
        finally:
            own.writing.discard(me)

    def _write_in_turn(self, own: _Own, seconds: float) -> Iterator[SqlTransaction]:
        """A writing transaction in a database with one writer; waiting threads may share its commit."""
        since = time.monotonic()
        group = own.queue.take(seconds)
        if group is None:
            raise _locked_database()
        if group.connection is not None:
            yield from self._join(own, group, group.connection)
            return
        failure: BaseException | None = None
        try:
            left = max(0.0, seconds - (time.monotonic() - since))
            with self._connection(own, own.writers, self._begin_write(left)) as connection:
                yield self._writing(own, connection)
                self._refuse_forked(own)
                own.queue.share(group, connection)
                _commit(connection)
        except BaseException as error:  # boundary: the group has to learn that it was not committed
            failure = error
            raise
        finally:
            if own is self._own:
                own.queue.leave(group, failure)

    def _join(self, own: _Own, group: Group, connection: sa.Connection) -> Iterator[SqlTransaction]:
        """Write on the connection of another thread, which commits for both."""
        driver = driver_connection(connection)
        is_written = False
        try:
            with self._errors():
                driver.execute(f"SAVEPOINT {_MEMBER}")
                try:
                    yield self._writing(own, connection)
                    self._refuse_forked(own)
                    driver.execute(f"RELEASE {_MEMBER}")
                    is_written = True
                except BaseException:  # boundary: rolls back, whatever the block raised
                    if own is self._own:
                        self._roll_back(driver, group)
                    raise
        finally:
            if own is self._own:
                own.queue.step_back(group)
                if not is_written:
                    # Writes of other members may be the reason, for example of a stale version. The caller will read
                    # them next, so the error is raised only after they are committed.
                    own.queue.outcome(group)
        failure = own.queue.outcome(group)
        self._refuse_forked(own)
        if failure is not None:
            reason = failure.text if isinstance(failure, StorageError) else type(failure).__name__
            text = "The thread that commits for this group failed: {reason}"
            message = Message("storage.not_committed", text, {"reason": reason})
            raise StorageUnavailableError(message, advice=self._database.advice)

    def _roll_back(self, driver: Any, group: Group) -> None:
        try:
            driver.execute(f"ROLLBACK TO {_MEMBER}")
            driver.execute(f"RELEASE {_MEMBER}")
        except driver_error(self._database.engine) as error:  # for example, a full disk ended the whole transaction
            group.error = error

    def _writing(self, own: _Own, connection: sa.Connection) -> SqlTransaction:
        return SqlTransaction(connection, True, own.heads, self._record_key)

    def _present(self) -> _Own:
        """Return the parts for this process and the current database file.

        A restore, for example, replaces the file, and open connections would continue with the removed one. Readers
        switch to the new file. Writers refuse: writes to the old file are lost, and both files must not use the same
        write-ahead log of SQLite.
        """
        own = self._own
        if self._database.file_identity is None or self._closed or self._database.file_identity() == own.file_identity:
            return own
        if not self._read_only:
            text = "The database file was replaced while this program had it open."
            advice = "Start this program again. Stop all programs that use a SQLite database before it is restored."
            raise StorageUnavailableError(
                Message("storage.replaced", text), advice=Message("storage.replaced.advice", advice)
            )
        with self._replacing:
            if self._own is own:
                self._own = _Own.of(self._database, is_spoilt=own.is_spoilt)
                own.connections.shut()
                own.close()
                self._database.engine.dispose()
            return self._own

    def _begin_write(self, lock_wait: float) -> Callable[[sa.Connection], object]:
        return lambda connection: self._database.begin_write(connection, lock_wait)

    def _begin_read(self, connection: sa.Connection) -> None:
        if self._database.begin_read:
            driver_connection(connection).execute(self._database.begin_read)

    def change_mark(self) -> object | None:
        """Another value after each commit to a SQLite file; None for servers."""
        own = self._present()
        if own.watch is None:
            return None
        if self._closed:
            raise StorageUnavailableError(_CLOSED)
        self._refuse_forked(own)
        with self._errors():
            return own.watch.mark(own.gate)

    def use_record_key(self, key: bytes) -> None:
        """Seal the ends of timelines with this key."""
        self._record_key = key

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._own.connections.shut()
        self._own.close()
        self._database.engine.dispose()

    @contextmanager
    def _connection(
        self, own: _Own, ready: ReadyConnections, begin: Callable[[sa.Connection], object]
    ) -> Iterator[sa.Connection]:
        if self._closed:
            raise StorageUnavailableError(_CLOSED)
        self._refuse_forked(own)
        with own.gate.passed() if self._database.closes_for_fork else nullcontext():
            yield from self._transaction(own, ready, begin)

    def _transaction(
        self, own: _Own, ready: ReadyConnections, begin: Callable[[sa.Connection], object]
    ) -> Iterator[sa.Connection]:
        with self._errors():
            connection = ready.take()
            try:
                connection.begin()  # so that it also ends when there is no statement
                begin(connection)
                yield connection
                self._refuse_forked(own)
                self._database.end_read(connection)
                connection.rollback()  # ends a read; after a commit it does nothing
            except BaseException as error:  # boundary: rolls back, whatever the block raised
                if own is not self._own:
                    if isinstance(error, Exception):
                        self._refuse_forked(own)
                    raise
                lost = isinstance(error, driver_error(self._database.engine))  # from `begin`
                if lost:
                    connection.invalidate()
                ready.put_back(connection)
                if lost or (isinstance(error, DBAPIError) and error.connection_invalidated):
                    # The server went away, so the other connections are lost, too.
                    ready.drop()
                raise
            ready.keep(connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Convert the exceptions of the database and its driver to errors of certcore."""
        try:
            yield
        except AssertionError as error:
            if _interrupted(error):
                raise KeyboardInterrupt from None
            raise
        except (SQLAlchemyError, UnicodeError) as error:  # a UnicodeError for text with surrogates
            raise _unavailable(error, self._database) from None
        except driver_error(self._database.engine) as error:
            raise _unavailable(error, self._database) from None

    def _refuse_forked(self, own: _Own) -> None:
        """Refuse to continue the parent's transaction in a child process."""
        if own is not self._own or own.is_spoilt:
            advice = "Do not fork while the same thread is inside a certcore call."
            raise StorageUnavailableError(
                Message("storage.forked", "This process was forked during a transaction."),
                advice=Message("storage.forked.advice", advice),
            ) from None


def open_storage(url: str, *, read_only: bool = False, migrate: bool = True, pool: Pool | None = None) -> SqlStorage:
    """Open a database, creating or migrating its tables.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, ``postgresql://user:password@host/name`` or
            ``mysql://user:password@host/name`` (MariaDB too). On a server, the database must exist; only its tables are
            created.
        read_only: Whether nothing is created, migrated or written, so that the login needs no right to write.
        migrate: Whether tables are created or migrated. If not, they must be of this version of certcore.
        pool: How many connections there may be.

    Raises:
        DatabaseOutdatedError: With ``migrate=False``: the tables are missing, or of an older certcore.
        StorageUnavailableError: The database cannot be reached, created or used, or its driver is not installed. With
            ``read_only``: the tables are missing, or of an older certcore.
        DatabaseTooNewError: The tables are of a newer certcore.
    """
    database = find_database(url, read_only=read_only, pool=pool, creates=migrate)
    pooled = PooledConnections(database)
    try:
        with database.engine.connect() as connection:
            if read_only or not migrate:
                require_up_to_date(connection)
            else:
                bring_up_to_date(connection, database.lock_schema)
    except (SQLAlchemyError, driver_error(database.engine), OSError) as error:
        database.engine.dispose()
        raise _unavailable(error, database) from None
    except BaseException:  # boundary: dispose of the engine that is not returned
        database.engine.dispose()
        raise
    return SqlStorage(database, pooled, read_only=read_only)


def migrate_storage(url: str) -> tuple[str | None, str]:
    """Create or migrate the tables of a database.

    Args:
        url: As for `open_storage`.

    Returns:
        The schema revision before, which is None if there were no tables, and the one now.

    Raises:
        DatabaseTooNewError: A newer certcore wrote it.
        StorageUnavailableError: As for `open_storage`.
    """
    database = find_database(url)
    try:
        with database.engine.connect() as connection:
            before = revision_of(connection)
            connection.rollback()
            bring_up_to_date(connection, database.lock_schema)
    except (SQLAlchemyError, driver_error(database.engine), OSError) as error:
        raise _unavailable(error, database) from None
    finally:
        database.engine.dispose()
    return before, HEAD


def find_revision(url: str) -> str | None:
    """The schema revision of a database; None if no certcore has made its tables there. Nothing is created.

    Args:
        url: As for `open_storage`.

    Raises:
        StorageUnavailableError: The database cannot be reached or used, or its driver is not installed.
    """
    database = find_database(url, read_only=True)
    try:
        with database.engine.connect() as connection:
            return revision_of(connection)
    except (SQLAlchemyError, driver_error(database.engine), OSError) as error:
        raise _unavailable(error, database) from None
    finally:
        database.engine.dispose()


def _commit(connection: sa.Connection) -> None:
    """Commit. After a commit that fails, SQLAlchemy leaves the transaction open; the connection is not used again."""
    try:
        connection.commit()
    except BaseException:  # boundary: also after an interrupt, which may have left it unfinished
        connection.invalidate()
        raise


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error was raised while a KeyboardInterrupt was handled.

    SQLAlchemy asserts at the end of a rollback that the transaction has ended. After an interrupt in the middle it has
    not, and the caller would get an AssertionError instead of the KeyboardInterrupt.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _locked_database() -> StorageUnavailableError:
    advice = "Look for a program that keeps a transaction open; then try again."
    return StorageUnavailableError(
        Message("storage.locked", "Another process has kept the database locked for too long."),
        advice=Message("storage.locked.advice", advice),
    )


def _unavailable(error: Exception, database: Database) -> StorageError:
    """Convert an error of the database, without the statement and its values."""
    if isinstance(error, PoolTimeout):
        return StorageUnavailableError(
            Message("storage.all_in_use", "All connections to the database are in use."),
            advice=Message("storage.all_in_use.advice", "Use fewer threads at once."),
        )
    reason = (str(error.orig if isinstance(error, DBAPIError) else error).splitlines() or [type(error).__name__])[0]
    if database.one_writer and ("locked" in reason or "busy" in reason):
        return _locked_database()
    if database.is_lock_conflict(error.orig if isinstance(error, DBAPIError) else error):
        text = "Another transaction holds a lock on these rows ({reason})."
        advice = "Try again. If it persists, look for a program that keeps a transaction open."
        return StorageBusyError(
            Message("storage.busy", text, {"reason": reason}), advice=Message("storage.busy.advice", advice)
        )
    if isinstance(error, (DataError, IntegrityError, UnicodeError)):
        text = "The database refused the write: {reason}."
        return StorageError(Message("storage.refused", text, {"reason": reason}))
    failed = Message("storage.failed", "The database failed: {reason}.", {"reason": reason})
    return StorageUnavailableError(failed, advice=database.advice)
