"""Databases for tests: SQLite files that have our tables already, and the fixtures of the servers."""

import contextlib
import functools
import re
import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from certcore.adapters.sql import open_storage
from certcore.adapters.sql.schema import VERSION_TABLE
from certcore.adapters.sql.tables import metadata
from certcore.testing.databases import MariaDB, PostgreSQL
from certcore.testing.server import ProgramMissingError
from support.examples import is_fast

#: The fixtures of the servers. `tests/conftest.py` marks the tests that ask for one as integration tests.
DATABASE_SERVERS = ("postgresql", "mariadb")


@functools.cache
def _template():
    """An empty database of the newest revision, made once per process: copies of it cost nothing."""
    folder = tempfile.TemporaryDirectory(prefix="certcore-template-")
    path = Path(folder.name) / "certcore.db"
    open_storage(f"sqlite:///{path}").close()
    assert [file.name for file in path.parent.iterdir()] == [path.name], "the database was closed as one file"
    return folder, path


def sqlite_with_tables(folder, name="certcore.db"):
    """The URL of a database in a folder; a file that is missing is made, with our tables."""
    path = Path(folder) / name
    if not path.exists():
        shutil.copyfile(_template()[1], path)
        path.chmod(0o600)
    return f"sqlite:///{path}"


@contextlib.contextmanager
def connected(url):
    """A connection to a database, without certcore."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _running(kind):
    if is_fast():
        pytest.fail(f"`make check` starts no server: mark the test that asks for {kind.__name__} as integration.")
    try:
        server = kind.start()
    except ProgramMissingError as error:  # one that is there and does not work is nothing to pass over
        pytest.skip(str(error))
    with server:
        yield server


def database_server(item):
    """The server whose fixture a test asks for, itself or by the name that is its parameter."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    asked = {*getattr(item, "fixturenames", ()), *(value for value in parameters if isinstance(value, str))}
    return next((server for server in DATABASE_SERVERS if server in asked), None)


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server for all tests of this process."""
    yield from _running(PostgreSQL)


@pytest.fixture(scope="session")
def mariadb():
    """A MariaDB server for all tests of this process."""
    yield from _running(MariaDB)


@pytest.fixture(scope="session")
def postgresql_url(postgresql):
    """A database with our tables."""
    return _with_tables(postgresql)


@pytest.fixture(scope="session")
def mariadb_url(mariadb):
    """A database with our tables."""
    return _with_tables(mariadb)


def _with_tables(server):
    url = server.new_database()
    open_storage(url).close()
    return url


def migrate_by_alembic(connection, revision="head"):
    """Goes through the migrations to a revision, also in an empty database."""
    config = Config()
    config.set_main_option("script_location", "certcore:adapters/sql/migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.commit()


#: What a server's catalogue says of our tables, but for the order of columns.
_CATALOGUES = {
    "postgresql": (
        """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, collation_name
        FROM information_schema.columns WHERE table_name LIKE 'certcore%%'
        """,
        "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'certcore%%'",
        """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid::regclass::text LIKE 'certcore%%'
        """,
    ),
    "mariadb": (
        """
        SELECT table_name, column_name, column_type, is_nullable, column_default, collation_name, extra
        FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name LIKE 'certcore%%'
        """,
        """
        SELECT table_name, index_name, non_unique, seq_in_index, column_name, sub_part
        FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name LIKE 'certcore%%'
        """,
        """
        SELECT constraint_name, table_name, referenced_table_name, update_rule, delete_rule
        FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()
        """,
        """
        SELECT constraint_name, table_name, column_name, referenced_table_name, referenced_column_name
        FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND table_name LIKE 'certcore%%'
        """,
        """
        SELECT table_name, engine, table_collation FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name LIKE 'certcore%%'
        """,
    ),
}


def schema_of(connection):
    """Everything that a database says about our tables, whatever the order of columns, and how many rows they have."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        described = _schema_of_sqlite(connection)
    else:
        queries = _CATALOGUES["postgresql" if dialect == "postgresql" else "mariadb"]
        described = [sorted(repr(tuple(row)) for row in connection.exec_driver_sql(query)) for query in queries]
    count = sa.select(sa.func.count())
    names = [*metadata.tables, VERSION_TABLE]
    return described, {name: connection.execute(count.select_from(sa.table(name))).scalar() for name in names}


def _schema_of_sqlite(connection):
    def pragma(name, of):
        return [row._asdict() for row in connection.exec_driver_sql(f"PRAGMA {name}({of})")]

    def without(rows, *columns):
        return sorted(repr({key: value for key, value in row.items() if key not in columns}) for row in rows)

    tables = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    return {
        table: (
            without(pragma("table_xinfo", table), "cid"),
            without(pragma("foreign_key_list", table), "id"),
            sorted(
                (
                    index["name"] if index["origin"] == "c" else index["origin"],  # SQLite numbers the others
                    index["unique"],
                    [
                        (column["name"], column["desc"], column["coll"])
                        for column in pragma("index_xinfo", index["name"])
                    ],
                )
                for index in pragma("index_list", table)
            ),
            sorted(re.findall(r"CONSTRAINT \w+|AUTOINCREMENT", sql)),
        )
        for table, sql in tables
    }


@pytest.fixture
def emptied():
    """Empties the tables of a database: faster than making them anew."""

    def empty(url):
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        engine.dispose()
        return url

    return empty


@pytest.fixture
def opened():
    """Opens stores, and closes them at the end."""
    with contextlib.ExitStack() as closing:
        yield lambda url: closing.enter_context(contextlib.closing(open_storage(url)))
