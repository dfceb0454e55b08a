"""What all tests share."""

import contextlib
import os
import sys
import threading

import pytest
import sqlalchemy as sa
from hypothesis import settings

from certcore.adapters.sql import open_storage
from certcore.adapters.sql.tables import metadata
from certcore.testing.databases import MariaDB, PostgreSQL
from certcore.testing.server import ProgramMissing

# A loaded machine is slow, not wrong; and CI must find today what it found yesterday.
settings.register_profile("certcore", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("certcore")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that use Pebble, or a database server, on one worker each.

    Pebble hangs when too much happens at once; and a server that is started once serves them all.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        if item.get_closest_marker("pebble"):
            item.add_marker(pytest.mark.xdist_group("pebble"))
        else:
            for server in ("postgresql", "mariadb"):
                if server in getattr(item, "fixturenames", ()):
                    item.add_marker(pytest.mark.xdist_group(server))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """No coverage in slow tests: what they cover others do, too, and measuring makes them three times as slow.

    This is what pytest-cov's ``no_cover`` is for, which does nothing in the workers of xdist.
    """
    if not item.get_closest_marker("slow"):
        return (yield)
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(in_threads)
        sys.settrace(here)


def _running(kind):
    try:
        server = kind.start()
    except ProgramMissing as error:  # one that is there and does not work is nothing to pass over
        pytest.skip(str(error))
    with server:
        yield server


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
