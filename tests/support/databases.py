"""Databases for tests: SQLite files that have our tables already, and the fixtures of the servers."""

import contextlib
import functools
import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from certcore.adapters.sql import open_storage
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
