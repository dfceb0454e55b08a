"""Creating and migrating the tables; Alembic is only loaded when there is something to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from certcore.errors import DatabaseTooNew, StorageUnavailable

__all__ = ["HEAD", "VERSION_TABLE", "bring_up_to_date", "require_up_to_date"]

#: The newest revision; a test holds it against the migrations.
HEAD: Final = "0011"
#: A table of our own: the database may be shared with an application that uses Alembic, too.
VERSION_TABLE: Final = "certcore_alembic_version"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def bring_up_to_date(connection: sa.Connection, lock: Callable[[sa.Connection], object]) -> None:
    """Create the tables, or migrate them, all in one transaction; nothing happens when they are as they should be.

    Args:
        connection: Outside of any transaction.
        lock: Keeps other processes out until the connection's transaction ends: of two that open a new database at
            once, the second finds everything done.

    Raises:
        DatabaseTooNew: The revision is none that this certcore knows.
    """
    if _revision(connection) == HEAD:
        return
    connection.rollback()
    with _without_foreign_keys(connection):
        lock(connection)
        found = _revision(connection)
        if found != HEAD:
            _migrate(connection, found)
        connection.commit()


def require_up_to_date(connection: sa.Connection) -> None:
    """Refuse a database whose tables are not those of this certcore; nothing is changed.

    Raises:
        StorageUnavailable: It has no tables yet, or those of an older certcore.
        DatabaseTooNew: The revision is none that this certcore knows.
    """
    found = _revision(connection)
    connection.rollback()
    if found == HEAD:
        return
    if found is None or found < HEAD:  # revisions are numbers of four digits
        raise StorageUnavailable(
            "The tables of the database are not there, or of an older certcore.",
            advice="Open it once with a program that may write, for example `certcore run --once`, then try again.",
        )
    raise DatabaseTooNew(found, HEAD)


@contextmanager
def _without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """SQLite's tables are changed by writing them anew; with foreign keys on, that deletes what refers to them."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")  # nothing happens inside a transaction: hence out here
    connection.rollback()
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.rollback()


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608


def _migrate(connection: sa.Connection, found: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - 0.1 s that an up-to-date database does not need
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if found is not None:
        known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
        if found not in known:
            raise DatabaseTooNew(found, HEAD)
    command.upgrade(config, "head")
