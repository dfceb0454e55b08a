"""The databases that there are adapters for: how each is reached, and how a transaction begins in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from certcore.adapters.sql.server_tls import mysql_tls
from certcore.errors import StorageUnavailable
from certcore.ports.storage import LockWait

__all__ = ["Database", "find_database"]

#: Seconds that a transaction waits for a row that another one has locked. PostgreSQL takes 0 for no limit.
_LOCK_WAITS: Final = MappingProxyType({LockWait.NONE: 0.05, LockWait.SHORT: 3.0, LockWait.LONG: 30.0})
#: In SQLite it is the whole database that is locked, which happens all the time and is over soon.
_SQLITE_WAITS: Final = MappingProxyType({LockWait.NONE: 1.0, LockWait.SHORT: 30.0, LockWait.LONG: 30.0})
#: Seconds that a process waits for another one that creates or migrates the tables.
_SCHEMA_TIMEOUT: Final = 30
#: Lock not available, deadlock, and serialization failure; lock wait timeout, deadlock, NOWAIT, and a row that changed.
_POSTGRESQL_CONFLICTS: Final = frozenset({"55P03", "40P01", "40001"})
_MYSQL_CONFLICTS: Final = frozenset({1205, 1213, 3572, 1020})
#: Under which key a connection remembers how long it waits.
_WAITS: Final = "certcore_lock_wait"
#: Seconds for which a transaction may do nothing before the server ends it: that of a process which was stopped in
#: the middle would keep its certificate from everybody else, past its lease.
_IDLE_TRANSACTION: Final = 60
#: Seconds to reach a server.
_CONNECT_TIMEOUT: Final = 10
#: Seconds that a server may take for an answer to whoever only reads small rows.
_ANSWER_TIMEOUT: Final = 10
POOL_SIZE: Final = 10
_POOL_OVERFLOW: Final = 50
#: Seconds to wait for a connection when all are in use.
_POOL_TIMEOUT: Final = 30
#: Of the lock under which one process creates or migrates the tables; "certcore" in ASCII.
_SCHEMA_LOCK: Final = 0x63657274636F7265
_READER_ADVICE: Final = (
    "SQLite's readers need the files that end in -wal and -shm, too: they are there while a worker runs; otherwise the "
    "reader has to be permitted to make them in the folder."
)
_KNOWN: Final = "sqlite:///certcore.db, postgresql://user:password@host/name or mysql://user:password@host/name"

_Options = Mapping[str, Any]
_NOTHING: Final[_Options] = MappingProxyType({})


@frozen(kw_only=True, eq=False)
class Database:
    """A database with what is special about its kind."""

    engine: sa.Engine
    #: Whether it lets one writer in at a time; its threads then queue up in this process.
    one_writer: bool = False
    #: Whether the library itself keeps locks of files for the process, so that nothing may be open during a fork.
    closes_for_fork: bool = False
    #: Gives a connection of the parent up in a child process, without a word to the server.
    let_go: Callable[[Any], object] = lambda _: None
    #: What begins a transaction that reads; where it is empty, the driver begins one with the first statement.
    begin_read: str = ""
    #: Begins a transaction that writes, and that waits for locks for so many seconds at most.
    begin_write: Callable[[sa.Connection, float], object]
    #: How many seconds that is.
    lock_waits: Mapping[LockWait, float] = _LOCK_WAITS
    #: Whether an error of the driver says that another transaction was in the way, and that the database works.
    is_lock_conflict: Callable[[Any], bool] = lambda _: False
    #: Execution options of connections that read: one consistent state for the whole transaction.
    reading: _Options = _NOTHING
    #: Execution options of connections that write: what is read under a lock is what was committed last.
    writing: _Options = _NOTHING
    #: Keeps other processes out while the tables are created or migrated, until the connection's transaction ends.
    lock_schema: Callable[[sa.Connection], object]
    #: What tells the file of the database from another one of the same name, where it is a file.
    file_identity: Callable[[], object] | None = None
    #: What to do when it fails.
    advice: str


def find_database(url: str, *, read_only: bool = False) -> Database:
    """The database of a URL; nothing is connected to yet.

    Args:
        url: As for `certcore.adapters.sql.open_storage`.
        read_only: Whether it will only be read. A SQLite file is then opened for reading; a server that does not
            answer is given up after seconds.

    Raises:
        StorageUnavailable: The URL is none, or of a kind that there is no adapter or no driver for.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise StorageUnavailable("The database URL is not one.", advice=f"Use {_KNOWN}.") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, read_only=read_only)
        case "postgresql" | "postgres":
            return _postgresql(parsed, read_only=read_only)
        case "mysql" | "mariadb":
            return _mysql(parsed, read_only=read_only)
        case kind:
            what = f"There is no adapter for databases of the kind {kind!r}."
            raise StorageUnavailable(what, advice=f"Use {_KNOWN}.")


def _sqlite(url: sa.URL, *, read_only: bool) -> Database:
    path = url.database or ""
    if path in ("", ":memory:") or path.startswith("file:"):
        raise StorageUnavailable(
            "A SQLite database needs a plain path to a file.",
            advice="Use sqlite:///certcore.db, or CertCore.in_memory() for a store that lives as long as the object.",
        )
    if read_only:
        _require_readable(Path(path))
        # Percent-encoded as in SQLite's own URIs; SQLAlchemy hands it on as it is.
        url = url.set(database=f"file:{quote(str(Path(path).absolute()))}", query={"mode": "ro", "uri": "true"})
    else:
        _create_private(Path(path))
    inherited: list[Any] = []
    connect = {"timeout": _SCHEMA_TIMEOUT, "check_same_thread": False}
    engine = _engine(url, "sqlite+pysqlite", "", connect)
    sa.event.listen(engine, "connect", _prepare_sqlite_reader if read_only else _prepare_sqlite)
    return Database(
        engine=engine,
        one_writer=True,
        closes_for_fork=True,
        let_go=inherited.append,  # never closed: that would act on the file with locks that are the parent's
        begin_read="BEGIN",
        begin_write=_begin_sqlite,
        lock_waits=_SQLITE_WAITS,
        lock_schema=lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"),
        file_identity=lambda: _file_identity(Path(path)),
        advice=_READER_ADVICE if read_only else "Check the database file, its disk and its rights.",
    )


def _postgresql(url: sa.URL, *, read_only: bool) -> Database:
    # Prepared statements would stay behind in a connection pooler such as PgBouncer.
    connect = {"connect_timeout": _CONNECT_TIMEOUT, "prepare_threshold": None}
    if read_only:
        connect["tcp_user_timeout"] = _ANSWER_TIMEOUT * 1000  # a network that swallows packets ends the connection
    return Database(
        engine=_engine(url, "postgresql+psycopg", "postgresql", connect),
        let_go=_let_go_of_postgresql,
        begin_write=_begin_postgresql,
        is_lock_conflict=lambda error: getattr(error, "sqlstate", None) in _POSTGRESQL_CONFLICTS,
        reading={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        writing={"isolation_level": "READ COMMITTED"},
        lock_schema=lambda connection: connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"),
        advice="Check the database server, the URL and the rights of its user.",
    )


def _let_go_of_postgresql(connection: Any) -> None:
    """Close this process's copy of the socket; psycopg itself leaves connections of another process alone."""
    if not connection.closed:
        os.close(connection.fileno())


def _mysql(url: sa.URL, *, read_only: bool) -> Database:
    # Whatever the server's defaults are, what does not fit is refused, not cut.
    strict = "SET SESSION sql_mode = 'STRICT_ALL_TABLES'"
    limit = f" /*M!100300 , SESSION idle_write_transaction_timeout = {_IDLE_TRANSACTION} */"  # MariaDB alone has it
    url, tls = mysql_tls(url)
    connect = {"connect_timeout": _CONNECT_TIMEOUT, "charset": "utf8mb4", "init_command": strict + limit, **tls}
    if read_only:
        connect["read_timeout"] = _ANSWER_TIMEOUT
    inherited: list[Any] = []

    def let_go(connection: Any) -> None:
        """Close this process's copy of the socket; PyMySQL has no public way that sends nothing.

        The connection is kept: to collect it would be to wait for the buffer that another thread was reading from.
        """
        inherited.append(connection)
        if connection._sock is not None:  # noqa: SLF001
            os.close(connection._sock.detach())  # noqa: SLF001

    return Database(
        engine=_engine(url, f"{url.get_backend_name()}+pymysql", "mysql", connect),
        let_go=let_go,
        reading={"isolation_level": "REPEATABLE READ"},
        begin_write=_begin_mysql,
        is_lock_conflict=lambda error: next(iter(getattr(error, "args", ())), None) in _MYSQL_CONFLICTS,
        writing={"isolation_level": "READ COMMITTED"},
        lock_schema=_lock_mysql_schema,
        advice="Check the database server, the URL and the rights of its user.",
    )


def _begin_sqlite(connection: sa.Connection, lock_wait: float) -> None:
    driver = _driver(connection)
    milliseconds = max(1, round(lock_wait)) * 1000
    if connection.info.get(_WAITS) != milliseconds:
        driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
        connection.info[_WAITS] = milliseconds
    driver.execute("BEGIN IMMEDIATE")


def _begin_postgresql(connection: sa.Connection, lock_wait: float) -> None:
    # For the transaction alone: a connection pooler gives the session to others.
    limits = {"lock_timeout": lock_wait, "idle_in_transaction_session_timeout": _IDLE_TRANSACTION}
    settings = (f"set_config('{name}', '{seconds * 1000:.0f}ms', true)" for name, seconds in limits.items())
    _driver(connection).execute("SELECT " + ", ".join(settings))


def _begin_mysql(connection: sa.Connection, lock_wait: float) -> None:
    seconds = int(lock_wait)  # 0 does not wait
    if connection.info.get(_WAITS) != seconds:
        # The second is for locks on whole tables, and is a year by default.
        limits = f"SESSION innodb_lock_wait_timeout = {seconds}, SESSION lock_wait_timeout = {max(1, seconds)}"
        connection.exec_driver_sql(f"SET {limits}")
        connection.info[_WAITS] = seconds


def _driver(connection: sa.Connection) -> Any:
    """The driver's own connection: beginning a transaction through it costs a tenth."""
    return connection.connection.driver_connection


def _lock_mysql_schema(connection: sa.Connection) -> None:
    """A lock of the session: MySQL ends a transaction with every statement that changes a table's definition."""
    name = "CONCAT('certcore:', DATABASE())"
    if connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {_SCHEMA_TIMEOUT})").scalar() != 1:
        raise StorageUnavailable("Another process is migrating the database.", advice="Try again when it has ended.")
    connection.detach()  # the lock ends with the session; this one is not used for anything else


def _engine(url: sa.URL, driver: str, extra: str, connect: dict[str, Any]) -> sa.Engine:
    try:
        return sa.create_engine(
            url.set(drivername=driver),
            hide_parameters=True,  # an error must not carry what was being stored
            pool_size=POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_timeout=_POOL_TIMEOUT,
            connect_args=connect,
        )
    except (ImportError, NoSuchModuleError):
        raise StorageUnavailable(
            f"The driver for {driver.partition('+')[0]} is not installed.",
            advice=f"Install it: pip install 'certcore[{extra}]'.",
        ) from None


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


def _file_identity(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        raise StorageUnavailable(
            f"The database file {path} is not there any more: {error.strerror}.",
            advice="Put it back. What was written since it was taken away would be lost.",
        ) from None
    return status.st_dev, status.st_ino


def _require_readable(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise StorageUnavailable(
            f"The database file {path} cannot be read: {error.strerror}.",
            advice="Check the path, and that this user may read the file, and the files that begin with its name.",
        ) from None


def _prepare_sqlite_reader(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_ANSWER_TIMEOUT * 1000}").close()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_SCHEMA_TIMEOUT * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a committed step survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
