"""Create and migrate the tables. Alembic is loaded only when there is something to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from certcore.adapters.sql.tables import metadata
from certcore.errors import DatabaseOutdatedError, DatabaseTooNewError

__all__ = ["HEAD", "VERSION_TABLE", "bring_up_to_date", "require_up_to_date", "revision_of"]

#: The newest revision; a test compares it with the migrations.
HEAD: Final = "0016"
#: A separate table, because an application in the same database may use Alembic, too.
VERSION_TABLE: Final = "certcore_alembic_version"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: The table as Alembic creates it.
_versions: Final = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def bring_up_to_date(connection: sa.Connection, lock: Callable[[sa.Connection], object]) -> None:
    """Create or migrate the tables in one transaction; does nothing if they are current.

    Args:
        connection: A connection outside of any transaction.
        lock: Locks out other processes until the connection's transaction ends. If two processes open a new database
            at once, the second one finds the tables of the first.

    Raises:
        DatabaseTooNewError: This certcore does not know the revision.
    """
    if revision_of(connection) == HEAD:
        return
    connection.rollback()
    with _without_foreign_keys(connection):
        lock(connection)
        revision = revision_of(connection)
        existing = _existing_tables(connection) if revision is None else []
        if revision is None and _is_new(connection, existing):
            _create(connection, existing)
        elif revision != HEAD:
            _migrate(connection, revision)
        connection.commit()


def require_up_to_date(connection: sa.Connection) -> None:
    """Refuse a database whose tables are not of this version; changes nothing.

    Raises:
        DatabaseOutdatedError: It has no tables yet, or the tables of an older certcore.
        DatabaseTooNewError: This certcore does not know the revision.
    """
    revision = revision_of(connection)
    connection.rollback()
    if revision == HEAD:
        return
    if revision is None or revision < HEAD:  # revisions are numbers of four digits
        raise DatabaseOutdatedError(revision, HEAD)
    raise DatabaseTooNewError(revision, HEAD)


@contextmanager
def _without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """Switch foreign keys off: migrations of SQLite copy tables, which would delete referring rows."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")  # has no effect inside a transaction
    connection.rollback()
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.rollback()


def revision_of(connection: sa.Connection) -> str | None:
    """The schema revision of a database; None if no version of certcore has made its tables there."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608


def _existing_tables(connection: sa.Connection) -> Sequence[sa.Table]:
    names = set(sa.inspect(connection).get_table_names())
    return [table for table in (*metadata.sorted_tables, _versions) if table.name in names]


def _is_new(connection: sa.Connection, existing: Iterable[sa.Table]) -> bool:
    """Whether no existing table has rows: there are no tables, or their creation was interrupted."""
    return not any(connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).all() for table in existing)


def _create(connection: sa.Connection, existing: Sequence[sa.Table]) -> None:
    """Create the tables of the newest revision directly, which takes a tenth of the time of all migrations.

    Tests compare the result with that of the migrations. The revision is stored last, because MySQL commits each
    statement.
    """
    for table in reversed(existing):
        table.drop(connection)
    metadata.create_all(connection, checkfirst=False)
    _versions.create(connection, checkfirst=False)
    connection.execute(_versions.insert().values(version_num=HEAD))


def _migrate(connection: sa.Connection, revision: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - 0.1 s that an up-to-date database does not need
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if revision is not None:
        known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
        if revision not in known:
            raise DatabaseTooNewError(revision, HEAD)
    command.upgrade(config, "head")
