"""The supported databases: how to connect to each, and how to begin transactions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from certcore.adapters.sql.schema import HEAD
from certcore.adapters.sql.server_tls import mysql_tls
from certcore.errors import DatabaseOutdatedError, StorageUnavailableError
from certcore.forks import delays_fork
from certcore.messages import Message
from certcore.ports.storage import LockWait

__all__ = ["Database", "Pool", "driver_connection", "find_database"]

#: Seconds that a transaction waits for a row that another one has locked. PostgreSQL takes 0 for no limit.
_LOCK_WAITS: Final = MappingProxyType({LockWait.NONE: 0.05, LockWait.SHORT: 3.0, LockWait.LONG: 30.0})
#: SQLite locks the whole database for each write, so short waits are normal.
_SQLITE_WAITS: Final = MappingProxyType({LockWait.NONE: 1.0, LockWait.SHORT: 30.0, LockWait.LONG: 30.0})
#: Seconds that a process waits for another one that creates or migrates the tables.
_SCHEMA_TIMEOUT: Final = 30
#: Error codes of conflicts. PostgreSQL: lock not available, deadlock, serialization failure. MySQL: lock wait timeout,
#: deadlock, NOWAIT, changed row.
_POSTGRESQL_CONFLICTS: Final = frozenset({"55P03", "40P01", "40001"})
_MYSQL_CONFLICTS: Final = frozenset({1205, 1213, 3572, 1020})
#: Key in a connection's info for its current lock timeout.
_WAITS: Final = "certcore_lock_wait"
#: Seconds after which the server ends an idle transaction. Otherwise a stopped process would lock its certificate
#: for longer than its lease.
_IDLE_TRANSACTION: Final = 60
#: Seconds to reach a server.
_CONNECT_TIMEOUT: Final = 10
#: Seconds that a server may take to answer a read-only client.
_ANSWER_TIMEOUT: Final = 10
#: How often a connection runs a statement before PostgreSQL prepares it.
_PREPARED_AFTER: Final = 3
#: Seconds to wait for a connection when all are in use.
_POOL_TIMEOUT: Final = 30
#: ID of the lock for creating or migrating the tables: "certcore" in ASCII.
_SCHEMA_LOCK: Final = 0x63657274636F7265
_READER_ADVICE: Final = Message(
    "storage.advice.reader",
    "SQLite readers also need the files that end in -wal and -shm. They exist while a worker runs; otherwise the "
    "reader needs permission to create them in the folder.",
)
_FILE_ADVICE: Final = Message("storage.advice.file", "Check the database file, its disk and its rights.")
_SERVER_ADVICE: Final = Message(
    "storage.advice.server", "Check the database server, the URL and the rights of its user."
)
_USE: Final = Message(
    "storage.advice.url",
    "Use {urls}.",
    {"urls": "sqlite:///certcore.db, postgresql://user:password@host/name, mysql://user:password@host/name"},
)

_Options = Mapping[str, Any]
_NOTHING: Final[_Options] = MappingProxyType({})


@frozen(kw_only=True, eq=False)
class Database:
    """A database and the specifics of its kind."""

    engine: sa.Engine
    #: How many connections are kept open between transactions.
    pool_size: int
    #: Whether there is one writer at a time; threads then wait for their turn in this process.
    one_writer: bool = False
    #: Whether the library holds file locks per process, so that all connections are closed for a fork.
    closes_for_fork: bool = False
    #: Abandons a connection of the parent in a child process, without sending anything to the server.
    let_go: Callable[[Any], object] = lambda _: None
    #: Statement that begins a read; empty if the driver begins a transaction with the first statement.
    begin_read: str = ""
    #: Ends a read in the driver, for databases where a rollback would cost more.
    end_read: Callable[[sa.Connection], object] = lambda _: None
    #: Begins a write that waits at most this many seconds for locks.
    begin_write: Callable[[sa.Connection, float], object]
    #: Lock timeouts in seconds.
    lock_waits: Mapping[LockWait, float] = _LOCK_WAITS
    #: Whether a driver error means a conflict with another transaction.
    is_lock_conflict: Callable[[Any], bool] = lambda _: False
    #: Execution options of reading connections: one snapshot for the whole transaction.
    reading: _Options = _NOTHING
    #: Execution options of writing connections: a locked row is read in its last committed state.
    writing: _Options = _NOTHING
    #: Locks out other processes that create or migrate the tables, until the transaction ends.
    lock_schema: Callable[[sa.Connection], object]
    #: Identifies the database file; None for servers.
    file_identity: Callable[[], object] | None = None
    #: A statement whose result differs after each commit of another connection; empty for servers.
    data_version: str = ""
    #: Advice when the database fails.
    advice: Message


@frozen(kw_only=True)
class Pool:
    """How many connections a process has to a database."""

    #: How many connections are kept open between transactions.
    size: int = 10
    #: How many more may be open at once; they are closed after their transaction.
    max_overflow: int = 50


def find_database(url: str, *, read_only: bool = False, pool: Pool | None = None, creates: bool = True) -> Database:
    """Find the database of a URL, without connecting.

    Args:
        url: As for `certcore.adapters.sql.open_storage`.
        read_only: Whether the database will only be read. A SQLite file is then opened read-only, and a server must
            answer within 10 seconds.
        pool: How many connections there may be.
        creates: Whether a missing SQLite file is created.

    Raises:
        DatabaseOutdatedError: A SQLite file is missing, and ``creates`` is false.
        StorageUnavailableError: The URL is invalid, or there is no adapter or driver for its kind of database.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise StorageUnavailableError(Message("storage.no_url", "The database URL is invalid."), advice=_USE) from None
    pool = pool or Pool()
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, pool, read_only=read_only, creates=creates)
        case "postgresql" | "postgres":
            return _postgresql(parsed, pool, read_only=read_only)
        case "mysql" | "mariadb":
            return _mysql(parsed, pool, read_only=read_only)
        case kind:
            text = "There is no adapter for databases of the kind {kind}."
            raise StorageUnavailableError(Message("storage.unknown_kind", text, {"kind": repr(kind)}), advice=_USE)


def _sqlite(url: sa.URL, pool: Pool, *, read_only: bool, creates: bool) -> Database:
    path = url.database or ""
    if path in ("", ":memory:") or path.startswith("file:"):
        advice = "Use sqlite:///certcore.db, or CertCore.in_memory() for a store that lives as long as the object."
        raise StorageUnavailableError(
            Message("storage.no_path", "A SQLite database needs a plain path to a file."),
            advice=Message("storage.no_path.advice", advice),
        )
    if read_only:
        _require_readable(Path(path))
        # Percent-encoded as in SQLite's URIs; SQLAlchemy passes the path on unchanged.
        url = url.set(database=f"file:{quote(str(Path(path).absolute()))}", query={"mode": "ro", "uri": "true"})
    elif creates:
        _create_private(Path(path))
    elif not Path(path).exists():
        raise DatabaseOutdatedError(None, HEAD)
    inherited: list[Any] = []
    connect = {"timeout": _SCHEMA_TIMEOUT, "check_same_thread": False}
    # One more, for the connection that detects commits and is never used for a transaction.
    engine = _engine(url, "sqlite+pysqlite", "", connect, pool.size + pool.max_overflow + 1)
    sa.event.listen(engine, "connect", _prepare_sqlite_reader if read_only else _prepare_sqlite)
    return Database(
        engine=engine,
        pool_size=pool.size,
        one_writer=True,
        closes_for_fork=True,
        let_go=inherited.append,  # never closed, because closing would release the parent's locks
        begin_read="BEGIN",
        begin_write=_begin_sqlite,
        lock_waits=_SQLITE_WAITS,
        lock_schema=lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"),
        file_identity=partial(_file_identity, path),
        data_version="PRAGMA data_version",
        advice=_READER_ADVICE if read_only else _FILE_ADVICE,
    )


def _postgresql(url: sa.URL, pool: Pool, *, read_only: bool) -> Database:
    connect = {"connect_timeout": _CONNECT_TIMEOUT, "prepare_threshold": None}
    if read_only:
        connect["tcp_user_timeout"] = _ANSWER_TIMEOUT * 1000  # ends connections when packets are lost
    engine = _engine(url, "postgresql+psycopg", "postgresql", connect, pool.size + pool.max_overflow)
    sa.event.listen(engine, "connect", _prepare_postgresql)
    return Database(
        engine=engine,
        pool_size=pool.size,
        let_go=_let_go_of_postgresql,
        end_read=lambda connection: driver_connection(connection).commit(),  # a rollback would drop prepared statements
        begin_write=_begin_postgresql,
        is_lock_conflict=lambda error: getattr(error, "sqlstate", None) in _POSTGRESQL_CONFLICTS,
        reading={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        # `_begin_postgresql` begins the transaction, with a statement of its own.
        writing={"isolation_level": "AUTOCOMMIT"},
        lock_schema=lambda connection: connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"),
        advice=_SERVER_ADVICE,
    )


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """Let the server keep the plans of statements, unless a connection pooler such as PgBouncer is in between.

    A pooler may run each transaction in another session, where the statements are not prepared. A pooler is detected by
    the process ID: the one sent when connecting differs from that of the process that answers.
    """
    answers = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    connection.rollback()
    if answers == connection.info.backend_pid:
        connection.prepare_threshold = _PREPARED_AFTER


def _let_go_of_postgresql(connection: Any) -> None:
    """Close this process's copy of the socket; psycopg itself leaves connections of another process alone."""
    if not connection.closed:
        os.close(connection.fileno())


def _mysql(url: sa.URL, pool: Pool, *, read_only: bool) -> Database:
    # Values that do not fit are refused instead of truncated.
    strict = "SET SESSION sql_mode = 'STRICT_ALL_TABLES'"
    limit = f" /*M!100300 , SESSION idle_write_transaction_timeout = {_IDLE_TRANSACTION} */"  # MariaDB only
    url, tls = mysql_tls(url)
    connect = {"connect_timeout": _CONNECT_TIMEOUT, "charset": "utf8mb4", "init_command": strict + limit, **tls}
    if read_only:
        connect["read_timeout"] = _ANSWER_TIMEOUT
    inherited: list[Any] = []

    def let_go(connection: Any) -> None:
        """Close this process's copy of the socket. PyMySQL has no public method that does this without sending.

        The connection object is kept, because its garbage collection could wait for a buffer that another thread was
        reading from.
        """
        inherited.append(connection)
        if connection._sock is not None:  # noqa: SLF001
            os.close(connection._sock.detach())  # noqa: SLF001

    driver = f"{url.get_backend_name()}+pymysql"
    return Database(
        engine=_engine(url, driver, "mysql", connect, pool.size + pool.max_overflow),
        pool_size=pool.size,
        let_go=let_go,
        reading={"isolation_level": "REPEATABLE READ"},
        begin_write=_begin_mysql,
        is_lock_conflict=lambda error: next(iter(getattr(error, "args", ())), None) in _MYSQL_CONFLICTS,
        writing={"isolation_level": "READ COMMITTED"},
        lock_schema=_lock_mysql_schema,
        advice=_SERVER_ADVICE,
    )


def _begin_sqlite(connection: sa.Connection, lock_wait: float) -> None:
    driver = driver_connection(connection)
    milliseconds = max(1, round(lock_wait)) * 1000
    if connection.info.get(_WAITS) != milliseconds:
        driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
        connection.info[_WAITS] = milliseconds
    driver.execute("BEGIN IMMEDIATE")


def _begin_postgresql(connection: sa.Connection, lock_wait: float) -> None:
    # Set for this transaction only, because a pooler may share the session. One statement sets both.
    limits = {"lock_timeout": lock_wait, "idle_in_transaction_session_timeout": _IDLE_TRANSACTION}
    settings = (f"SET LOCAL {name} = {seconds * 1000:.0f}" for name, seconds in limits.items())
    driver_connection(connection).execute("; ".join(("BEGIN ISOLATION LEVEL READ COMMITTED", *settings)))


def _begin_mysql(connection: sa.Connection, lock_wait: float) -> None:
    seconds = int(lock_wait)  # 0 does not wait
    if connection.info.get(_WAITS) != seconds:
        # The second one is for metadata locks on tables; its default is a year.
        limits = f"SESSION innodb_lock_wait_timeout = {seconds}, SESSION lock_wait_timeout = {max(1, seconds)}"
        connection.exec_driver_sql(f"SET {limits}")
        connection.info[_WAITS] = seconds


def driver_connection(connection: sa.Connection) -> Any:
    """The driver's connection. Beginning a transaction on it takes a tenth of the time that SQLAlchemy needs."""
    return connection.connection.driver_connection


def _lock_mysql_schema(connection: sa.Connection) -> None:
    """Lock in the session: in MySQL, every DDL statement ends the transaction."""
    name = "CONCAT('certcore:', DATABASE())"
    if connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {_SCHEMA_TIMEOUT})").scalar() != 1:
        raise StorageUnavailableError(
            Message("storage.migrating", "Another process is migrating the database."),
            advice=Message("storage.migrating.advice", "Try again when the migration has ended."),
        )
    connection.detach()  # the lock lasts as long as the session, so the connection is not reused


def _engine(url: sa.URL, driver: str, extra: str, connect: dict[str, Any], most: int) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url.set(drivername=driver),
            hide_parameters=True,  # errors must not contain stored values
            pool_size=most,  # `certcore.adapters.sql.connections` decides how many are kept
            max_overflow=0,
            pool_timeout=_POOL_TIMEOUT,
            connect_args=connect,
        )
    except (ImportError, NoSuchModuleError):
        text = "The driver for {database} is not installed."
        command = f"pip install 'certcore[{extra}]'"
        raise StorageUnavailableError(
            Message("storage.no_driver", text, {"database": driver.partition("+")[0]}),
            advice=Message("storage.no_driver.advice", "Install it: {command}.", {"command": command}),
        ) from None
    sa.event.listen(engine, "do_connect", _connected)
    return engine


def _connected(dialect: sa.Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Connect while no thread forks, because drivers prepare TLS even if the server offers none."""
    with delays_fork():
        return dialect.connect(*arguments, **options)


def _create_private(path: Path) -> None:
    """Create the file before SQLite does, so that no other user can read it; its other files get the same mode.

    An existing file is not opened, because closing it would release the locks of this process's other connections.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        text = "The database file {path} cannot be opened: {reason}."
        advice = "Check that its folder exists and that this user may write there."
        raise StorageUnavailableError(
            Message("storage.not_opened", text, {"path": str(path), "reason": error.strerror}),
            advice=Message("storage.not_opened.advice", advice),
        ) from None


def _file_identity(path: str) -> object:
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every transaction
    except OSError as error:
        text = "The database file {path} no longer exists: {reason}."
        advice = "Put it back. What was written after its removal would be lost."
        raise StorageUnavailableError(
            Message("storage.gone", text, {"path": path, "reason": error.strerror}),
            advice=Message("storage.gone.advice", advice),
        ) from None
    return status.st_dev, status.st_ino


def _require_readable(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        text = "The database file {path} cannot be read: {reason}."
        advice = "Check the path, and that this user may read the file, and the files that begin with its name."
        raise StorageUnavailableError(
            Message("storage.unreadable", text, {"path": str(path), "reason": error.strerror}),
            advice=Message("storage.unreadable.advice", advice),
        ) from None


def _prepare_sqlite_reader(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_ANSWER_TIMEOUT * 1000}").close()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_SCHEMA_TIMEOUT * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a committed step survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
