"""How many connections a process has to its database, and who creates its tables."""

import contextlib
import threading
import time

import pytest
import sqlalchemy as sa

from certcore import CertCore, Status
from certcore.adapters.sql import Pool, migrate_storage, open_storage
from certcore.adapters.sql.schema import HEAD
from certcore.errors import DatabaseOutdatedError, DatabaseTooNewError, InvalidInputError, StorageUnavailableError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import sqlite_with_tables


@pytest.fixture
def keyring(tmp_path):
    CertCore.create_keyring(tmp_path / "keyring.json")
    return tmp_path / "keyring.json"


def _open(url, keyring, **options):
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    return CertCore.open(
        url, keyring=keyring, plugins=[ca.plugin()], installed_plugins=False, environment=environment, **options
    )


class Counter:
    """Counts the connections of an engine: those that are open, and the most that were."""

    def __init__(self, storage):
        self.open, self.most = 0, 0
        engine = storage._database.engine  # noqa: SLF001 - what the database server would count
        sa.event.listen(engine, "connect", lambda *_: self._change(1))
        sa.event.listen(engine, "close", lambda *_: self._change(-1))

    def _change(self, number):
        self.open += number
        self.most = max(self.most, self.open)


def _use(storage, threads, pause=0.02):
    """Read and write in so many threads at once, several times."""
    errors = []

    def work():
        try:
            for _ in range(3):
                with storage.read() as transaction:
                    transaction.authorities.list()
                    time.sleep(pause)
                with storage.write():
                    pass
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert errors == []


@pytest.mark.parametrize(("size", "overflow", "threads"), [(1, 0, 6), (2, 1, 8), (3, 0, 6), (2, 10, 6)])
def test_no_more_connections_than_allowed_and_no_more_kept(tmp_path, size, overflow, threads):
    """Threads share what there is, none waits while a connection is idle, and the surplus is closed afterwards."""
    storage = open_storage(sqlite_with_tables(tmp_path), pool=Pool(size=size, max_overflow=overflow))
    try:
        counter = Counter(storage)
        counter.open = counter.most = 1  # of opening it
        storage.change_mark()
        begun = time.monotonic()
        _use(storage, threads)
        assert time.monotonic() - begun < 5
        assert counter.most <= size + overflow + 1  # one counts commits
        assert counter.open <= size + 1
    finally:
        storage.close()


@pytest.mark.parametrize("fails", [False, True])
def test_closing_a_store_leaves_no_connection_open(tmp_path, fails):
    """A transaction that another thread is in the middle of goes on, and its connection is closed when it ends."""
    storage = open_storage(sqlite_with_tables(tmp_path), pool=Pool(size=3, max_overflow=0))
    counter = Counter(storage)
    counter.open = 1  # of opening it
    with contextlib.suppress(ZeroDivisionError), storage.read() as transaction:
        storage.close()
        assert transaction.authorities.list() == []
        if fails:
            raise ZeroDivisionError
    assert counter.open == 0


def test_a_certificate_is_issued_over_a_single_connection(tmp_path, keyring):
    """No call of a thread needs a second connection while it has one."""
    with _open(sqlite_with_tables(tmp_path), keyring, pool_size=1, max_overflow=0) as core:
        profile = core.authorities.create("test", module="scripted")
        view = core.obtain("shop.example", authority=profile.id, timeout=5)
        assert view.certificate.status is Status.ACTIVE
        assert core.certificates.hints(view.certificate.id)
        assert core.certificates.export(view.certificate.id, "pem", reason="test").files
        core.certificates.delete(view.certificate.id)


@pytest.mark.parametrize(
    "options",
    [
        {"pool_size": 0},
        {"pool_size": 1001},
        {"pool_size": "5"},
        {"max_overflow": -1},
        {"max_overflow": True},
        {"migrate": 1},
    ],
)
def test_other_numbers_are_refused_with_the_name_of_the_option(tmp_path, keyring, options):
    """Nothing is opened or created."""
    with pytest.raises(InvalidInputError) as refused:
        _open(f"sqlite:///{tmp_path}/new.db", keyring, **options)
    assert refused.value.field == next(iter(options))
    assert not (tmp_path / "new.db").exists()


def test_without_migrating_nothing_is_created(tmp_path, keyring):
    """The error says what to run; after that, the store opens."""
    url = f"sqlite:///{tmp_path}/new.db"
    with pytest.raises(DatabaseOutdatedError, match=r"no tables of certcore.*certcore migrate") as refused:
        _open(url, keyring, migrate=False)
    assert refused.value.found is None
    assert not (tmp_path / "new.db").exists()
    assert CertCore.migrate(url)
    assert not CertCore.migrate(url)
    _open(url, keyring, migrate=False).close()


def _set_revision(url, revision):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE certcore_alembic_version SET version_num = :new"), {"new": revision})
    engine.dispose()


def test_an_older_database_is_left_as_it_is(tmp_path, keyring):
    """It names both revisions; a newer one is refused as ever."""
    url = sqlite_with_tables(tmp_path)
    _set_revision(url, "0005")
    with pytest.raises(DatabaseOutdatedError) as refused:
        _open(url, keyring, migrate=False)
    assert (refused.value.found, refused.value.needed) == ("0005", HEAD)
    _set_revision(url, "9999")
    with pytest.raises(DatabaseTooNewError):
        _open(url, keyring, migrate=False)
    with pytest.raises(DatabaseTooNewError):
        CertCore.migrate(url)


def test_migrating_says_from_where_to_where(tmp_path):
    """A new database comes from nowhere; one that cannot be reached is an error of certcore."""
    url = f"sqlite:///{tmp_path}/new.db"
    assert migrate_storage(url) == (None, HEAD)
    assert migrate_storage(url) == (HEAD, HEAD)
    for wrong in ("sqlite:///", "sqlite:", "nonsense", f"sqlite:///{tmp_path}/no/folder.db"):
        with pytest.raises(StorageUnavailableError):
            CertCore.migrate(wrong)
