"""Every store passes the contract of `certcore.ports.storage`, and SQLite's keeps some promises of its own."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from certcore.adapters.memory import MemoryStorage
from certcore.adapters.sql import mapping, open_storage, schema, tables
from certcore.adapters.sql.schema import HEAD, VERSION_TABLE
from certcore.adapters.sql.tables import metadata
from certcore.errors import DatabaseTooNewError, NotFoundError, StorageUnavailableError
from certcore.model.certificate import Schedule
from certcore.ports.storage import LockWait
from certcore.testing.contracts.samples import NOW, sample_authority, sample_certificate, sample_issuance
from certcore.testing.contracts.storage import StorageContract
from support.databases import migrate_by_alembic, schema_of, sqlite_with_tables


class TestMemory(StorageContract):
    """The in-memory twin."""

    @pytest.fixture
    def storage(self):
        with contextlib.closing(MemoryStorage()) as storage:
            yield storage


class TestSqlite(StorageContract):
    """SQLAlchemy on SQLite."""

    @pytest.fixture
    def storage(self, tmp_path, opened):
        return opened(sqlite_with_tables(tmp_path))


def test_a_change_mark_tells_of_the_commits_of_others(tmp_path, opened):
    """Another process has connections of its own; SQLite counts what they commit, and never for a closed store."""
    url = sqlite_with_tables(tmp_path)
    watching, writing = opened(url), opened(url)
    marks = [watching.change_mark()]
    for number in range(3):
        with writing.write() as transaction:
            transaction.documents.put("module", f"key{number}", {})
        marks.append(watching.change_mark())
        assert watching.change_mark() == marks[-1]
    assert len(set(marks)) == 4
    watching.close()
    with pytest.raises(StorageUnavailableError, match="closed"):
        watching.change_mark()


class TestPostgresql(StorageContract):
    """SQLAlchemy on PostgreSQL."""

    @pytest.fixture
    def storage(self, postgresql_url, emptied, opened):
        return opened(emptied(postgresql_url))


class TestMariadb(StorageContract):
    """SQLAlchemy on MariaDB."""

    @pytest.fixture
    def storage(self, mariadb_url, emptied, opened):
        return opened(emptied(mariadb_url))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "certcore.db"


@pytest.fixture
def database(path):
    sqlite_with_tables(path.parent)
    return path


def test_what_is_stored_is_there_after_a_restart(path):
    """A database that is opened again has everything that was committed."""
    for expected in (None, {"x": 1}):
        with contextlib.closing(open_storage(f"sqlite:///{path}")) as storage:
            with storage.read() as transaction:
                found = transaction.documents.get("n", "k")
            assert (found and found.value) == expected
            with storage.write() as transaction:
                transaction.documents.put("n", "k", {"x": 1})


def test_nobody_else_can_read_the_file(path):
    """The database and its companions are readable by their owner alone, whatever the umask is."""
    old = os.umask(0)
    try:
        storage = open_storage(f"sqlite:///{path}")
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {})
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        storage.close()
    finally:
        os.umask(old)
    assert path.name in modes
    assert set(modes.values()) == {0o600}


def test_the_database_is_safe(database):
    """Write-ahead log, foreign keys and full synchronisation are on: a power cut loses no committed step."""
    with contextlib.closing(open_storage(f"sqlite:///{database}")) as storage, storage.read() as transaction:
        pragmas = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [transaction.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert found == ["wal", 1, 2, 30_000]


def test_migrations_make_what_the_tables_declare(path):
    """The schema after all migrations equals the declared one, and HEAD names the newest revision."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        migrate_by_alembic(connection)
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
    engine.dispose()
    config = Config()
    config.set_main_option("script_location", "certcore:adapters/sql/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_new_database_equals_one_that_went_through_all_migrations(tmp_path):
    """A new one is made at once: columns, defaults, indexes, constraints with their names, and the revision agree."""
    schemas = []
    open_storage(f"sqlite:///{tmp_path}/new.db").close()
    for name in ("new", "migrated"):
        engine = sa.create_engine(f"sqlite:///{tmp_path}/{name}.db")
        with engine.connect() as connection:
            if name == "migrated":
                migrate_by_alembic(connection)
            schemas.append((schema_of(connection), schema.revision_of(connection)))
        engine.dispose()
    assert schemas[0] == schemas[1]


def test_a_database_of_an_older_version_keeps_everything(path):
    """A migration that rewrites a table keeps the rows that refer to it."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        migrate_by_alembic(connection, "0005")
    old = sa.MetaData()
    old.reflect(engine)
    rows = {
        "certcore_authorities": mapping.authority_row(sample_authority()) | {"version": 1},
        "certcore_certificates": mapping.certificate_row(sample_certificate()) | {"version": 3},
        "certcore_issuances": mapping.issuance_row(sample_issuance(module_state={"a": [1]})),
        "certcore_schedules": mapping.schedule_row(Schedule(certificate_id="certificate-1", due_at=NOW)),
    }
    with engine.begin() as connection:
        for name, row in rows.items():
            declared = tables.metadata.tables[name]
            stored = {column: value for column, value in row.items() if column in old.tables[name].columns}
            connection.execute(declared.insert().values(stored))
    engine.dispose()
    with contextlib.closing(open_storage(f"sqlite:///{path}")) as storage, storage.read() as transaction:
        assert transaction.certificates.get("certificate-1") == sample_certificate(version=3)
        assert transaction.issuances.get("issuance-1") == sample_issuance(module_state={"a": [1]})
        assert transaction.schedules.get("certificate-1").due_at == NOW
        assert transaction.authorities.get("authority-1") == sample_authority()
    with contextlib.closing(open_storage(f"sqlite:///{path}")) as storage, storage.write() as transaction:
        with pytest.raises(NotFoundError):
            transaction.certificates.add(sample_certificate(2, authority_id="nobody"))
        transaction.certificates.delete("certificate-1")
        assert transaction.issuances.of_certificate("certificate-1") == []


def test_a_database_from_a_newer_version_is_refused(database):
    """A schema revision that this version does not know is an error that names both, and nothing is changed."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        connection.commit()
    before = database.read_bytes()
    with pytest.raises(DatabaseTooNewError, match=f"'9999'.*'{HEAD}'"):
        open_storage(f"sqlite:///{database}")
    assert database.read_bytes() == before


def test_a_database_may_be_shared(path):
    """Tables of an application in the same database, Alembic's too, are left alone."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
        connection.execute("CREATE TABLE certificates (id TEXT)")
        connection.commit()
    open_storage(f"sqlite:///{path}").close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("theirs",)]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {name for name in tables if not name.startswith(("certcore_", "sqlite_"))} == {
        "alembic_version",
        "certificates",
    }


@pytest.mark.slow(reason="starts interpreters")
def test_two_processes_may_create_it_at_once(path):
    """Processes that open a new database in the same moment all succeed, and it is created once."""
    script = "import sys; from certcore.adapters.sql import open_storage; open_storage(sys.argv[1]).close()"
    command = [sys.executable, "-c", script, f"sqlite:///{path}"]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(one.communicate(timeout=240)[1], one.returncode) for one in running] == [("", 0)] * 3
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall() == [(HEAD,)]


def test_an_interrupt_in_the_middle_of_a_rollback_stays_one(database):
    """Ctrl-C there makes SQLAlchemy's own check fail; whoever ends on an interrupt sees it, and the store goes on."""
    storage, before = open_storage(f"sqlite:///{database}"), sys.getprofile()

    def strike(frame, event, _):
        if event == "call" and frame.f_code.co_name == "_deactivate_from_connection":
            sys.setprofile(before)
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt), storage.read():
            sys.setprofile(strike)
    finally:
        sys.setprofile(before)
    with storage.write() as transaction:
        assert transaction.documents.put("n", "k", {}).version == 1
    storage.close()


def test_a_writer_waits_for_another_process(database):
    """While another process writes, a writer waits instead of failing, and then sees what was written."""
    storage = open_storage(f"sqlite:///{database}")
    other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO certcore_documents VALUES ('n', 'k', '{}', 1)")
    seen = []

    def write():
        with storage.write() as transaction:
            seen.append(transaction.documents.put("n", "k", {}).version)

    waiting = threading.Thread(target=write)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    other.execute("COMMIT")
    waiting.join(120)
    assert seen == [2]
    other.close()
    storage.close()


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///{folder}/missing/certcore.db",
        "sqlite:///{folder}",
        "oracle://somewhere/db",
        "nonsense://x",
    ],
)
def test_what_cannot_be_opened_is_refused_in_words(tmp_path, url):
    """An invalid URL, a missing folder or an unknown kind of database raises an error with advice."""
    with pytest.raises(StorageUnavailableError) as caught:
        open_storage(url.format(folder=tmp_path))
    assert caught.value.advice


def test_a_file_that_is_no_database_is_refused_and_kept(path):
    """A file of another kind is neither opened nor changed."""
    path.write_bytes(b"important notes " * 1000)
    with pytest.raises(StorageUnavailableError, match="not a database"):
        open_storage(f"sqlite:///{path}")
    assert path.read_bytes() == b"important notes " * 1000


def test_errors_do_not_carry_what_was_being_stored(database):
    """A database that fails in the middle says so without the values, which may be secrets."""
    storage = open_storage(f"sqlite:///{database}")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE certcore_documents")
    with pytest.raises(StorageUnavailableError) as caught, storage.write() as transaction:
        transaction.documents.put("n", "k", {"canary": "s3cr3t-value"})
    assert "s3cr3t" not in f"{caught.value} {caught.value.as_dict()} {caught.value.__context__}"
    storage.close()


def test_opening_it_twice_in_one_process_keeps_its_locks(database):
    """A second store on the same file does not take the first one's locks away: no stranger removes its log."""
    first = open_storage(f"sqlite:///{database}")
    with first.write() as transaction:
        transaction.documents.put("n", "k", {})
    log = database.with_name(f"{database.name}-wal")
    before = log.stat().st_ino
    open_storage(f"sqlite:///{database}").close()
    # Whoever closes the last connection removes the log; this one must see that it is not the last.
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version'); c.close()"
    subprocess.run([sys.executable, "-c", script, str(database)], check=True)
    assert log.stat().st_ino == before
    first.close()


@pytest.mark.slow(reason="waits for a lock for a second")
def test_giving_a_lease_back_does_not_wait_behind_a_locked_database(tmp_path, opened):
    """Another program locks SQLite, and a writer waits for it: who does not want to wait is told within seconds."""
    path = tmp_path / "certcore.db"
    storage = opened(sqlite_with_tables(tmp_path))
    waiting, done = threading.Event(), threading.Event()

    def write():
        waiting.set()
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {"x": 1})
        done.set()

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=write)
        writer.start()
        assert waiting.wait(60)
        begun = time.monotonic()
        with pytest.raises(StorageUnavailableError, match="locked"), storage.write(LockWait.NONE):
            pass
        assert time.monotonic() - begun < 10
        assert not done.is_set()
        other.execute("ROLLBACK")
    writer.join(60)
    assert done.is_set()
