"""The tables of databases: made at once or by migrations, shared with others, and migrated with their rows."""

import contextlib
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from certcore.adapters.sql import open_storage
from certcore.adapters.sql.schema import HEAD, VERSION_TABLE, revision_of
from certcore.adapters.sql.tables import metadata
from certcore.errors import DatabaseTooNewError, StorageUnavailableError
from certcore.model.events import Event, EventKind
from certcore.model.timeline import first_fault
from support.databases import DATABASE_SERVERS, connected, migrate_by_alembic, schema_of

REVISIONS = list(ScriptDirectory(str(files("certcore") / "adapters/sql/migrations")).walk_revisions())


@pytest.fixture(params=DATABASE_SERVERS)
def url(request):
    """A database with nothing in it."""
    return request.getfixturevalue(request.param).new_database()


def test_migrations_make_what_the_tables_declare(url):
    """The schema after all migrations equals the declared one."""
    with connected(url) as connection:
        migrate_by_alembic(connection)
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD


@pytest.mark.parametrize("kind", DATABASE_SERVERS)
def test_a_new_database_equals_one_that_went_through_all_migrations(request, kind):
    """A new one is made at once: columns, defaults, indexes, constraints with their names, and the revision agree."""
    new, migrated = (request.getfixturevalue(kind).new_database() for _ in range(2))
    open_storage(new).close()
    with connected(migrated) as connection:
        migrate_by_alembic(connection)
        expected = schema_of(connection), revision_of(connection)
    with connected(new) as connection:
        assert (schema_of(connection), revision_of(connection)) == expected


def test_a_creation_that_was_cut_off_is_done_anew(mariadb):
    """MariaDB keeps each statement: the tables so far, without rows and without a revision, are made again."""
    new, cut_off = mariadb.new_database(), mariadb.new_database()
    open_storage(new).close()
    with connected(cut_off) as connection:
        metadata.create_all(connection, tables=metadata.sorted_tables[:-2])
        connection.exec_driver_sql("DROP INDEX ix_certcore_certificates_late ON certcore_certificates")
        connection.commit()
    open_storage(cut_off).close()
    with connected(new) as connection:
        expected = schema_of(connection)
    with connected(cut_off) as connection:
        assert schema_of(connection) == expected


def test_tables_with_rows_and_no_revision_are_left_alone(url):
    """Where somebody has removed the revision, nothing is dropped: the database is refused, as it is."""
    with contextlib.closing(open_storage(url)) as storage, storage.write() as transaction:
        transaction.documents.put("n", "k", {})
    with connected(url) as connection:
        connection.exec_driver_sql(f"DELETE FROM {VERSION_TABLE}")
        connection.commit()
        before = schema_of(connection)
    with pytest.raises(StorageUnavailableError):
        open_storage(url)
    with connected(url) as connection:
        assert schema_of(connection) == before


def test_several_processes_may_create_it_at_once(url):
    """One makes the tables, the others wait for it."""
    script = f"from certcore.adapters.sql import open_storage; open_storage({url!r}).close()"
    running = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(one.communicate(timeout=240)[1], one.returncode) for one in running] == [("", 0)] * 3


def test_a_database_from_a_newer_version_is_refused(url):
    """And left as it is."""
    open_storage(url).close()
    with connected(url) as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        connection.commit()
    with pytest.raises(DatabaseTooNewError, match="'9999'"):
        open_storage(url)


def test_a_database_may_be_shared(url):
    """An application's own tables, Alembic's too, are left alone."""
    with connected(url) as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(10))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
        connection.commit()
        open_storage(url).close()
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == ["theirs"]


@pytest.fixture(params=[*DATABASE_SERVERS, "sqlite"])
def any_url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/certcore.db"
    return request.getfixturevalue(request.param).new_database()


@pytest.fixture(scope="module")
def sqlite_revisions(tmp_path_factory):
    """A SQLite database of each revision, made on the way from the first to the last."""
    folder = tmp_path_factory.mktemp("revisions")
    for revision in reversed(REVISIONS):
        with connected(f"sqlite:///{folder}/certcore.db") as connection:
            migrate_by_alembic(connection, revision.revision)
        shutil.copyfile(folder / "certcore.db", folder / revision.revision)
    return folder


@pytest.mark.parametrize("revision", [revision.revision for revision in REVISIONS])
def test_every_revision_leads_forwards(any_url, revision, request):
    """A database that an older certcore left behind is migrated when it is opened, and keeps its rows."""
    url = sa.make_url(any_url)
    if url.get_backend_name() == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_revisions") / revision, url.database)
    with connected(any_url) as connection:
        migrate_by_alembic(connection, revision)
        row = {"namespace": "n", "key": "k", "value": {"x": 1}, "version": 3}
        connection.execute(metadata.tables["certcore_documents"].insert(), row)
        connection.commit()
    with contextlib.closing(open_storage(any_url)) as storage, storage.read() as transaction:
        assert transaction.documents.get("n", "k").value == {"x": 1}
    with connected(any_url) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("cut_off", [False, True], ids=["at once", "after one that was cut off"])
def test_keys_of_an_older_database_become_exact(mariadb, cut_off):
    """On MariaDB no key pads any more after the migration, foreign keys are as before, and rows are kept."""
    url = mariadb.new_database()
    with connected(url) as connection:
        migrate_by_alembic(connection, "0006")
        assert _collations(connection) == {"utf8mb4_bin"}
        before = _foreign_keys(connection)
        insert = "INSERT INTO certcore_documents (namespace, `key`, value, version) VALUES ('n', 'k', '{}', 1)"
        connection.exec_driver_sql(insert)
        if cut_off:  # a server that was stopped in the middle: the statements so far stay
            connection.exec_driver_sql("ALTER TABLE certcore_secrets ADD format INTEGER NOT NULL DEFAULT 1")
            connection.exec_driver_sql("ALTER TABLE certcore_names DROP FOREIGN KEY fk_certcore_names_certificate_id")
            column = "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL"
            connection.exec_driver_sql(f"ALTER TABLE certcore_names MODIFY certificate_id {column}")
        connection.commit()
    with contextlib.closing(open_storage(url)) as storage, storage.read() as transaction:
        assert transaction.documents.get("n", "k").version == 1
        assert transaction.documents.get("n", "k ") is None
    with connected(url) as connection:
        assert _collations(connection) == {"utf8mb4_nopad_bin"}
        later = {"certcore_fallbacks", "certcore_preflights"}  # of revisions after that
        assert [foreign_key for foreign_key in _foreign_keys(connection) if foreign_key[0] not in later] == before
        assert len(before) == 4


def _collations(connection):
    found = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
    ours = f"{found} AND data_type = 'varchar' AND table_name LIKE 'certcore%%' AND table_name <> '{VERSION_TABLE}'"
    return set(connection.exec_driver_sql(ours).scalars())


def _foreign_keys(connection):
    inspector = sa.inspect(connection)
    return sorted(
        (name, key["name"], *key["constrained_columns"], key["referred_table"], key["options"].get("ondelete", ""))
        for name in inspector.get_table_names()
        for key in inspector.get_foreign_keys(name)
    )


def test_a_record_from_before_is_chained(any_url):
    """Events of an older certcore get their chain when the database is migrated; none is delivered a second time."""
    with connected(any_url) as connection:
        migrate_by_alembic(connection, "0002")
        for number, certificate_id in enumerate("abaabb", 1):
            columns = "certificate_id, kind, at, actor, from_status, to_status, data"
            values = f"'{certificate_id}', 'edited', {number}000000, 'ä', 'draft', NULL, '{{\"n\":1}}'"
            connection.exec_driver_sql(f"INSERT INTO certcore_events ({columns}) VALUES ({values})")
        cursor = {"namespace": "certcore", "key": "outbox", "value": {"sequence": 4}, "version": 3}
        connection.execute(metadata.tables["certcore_documents"].insert(), cursor)
        connection.commit()
    with contextlib.closing(open_storage(any_url)) as storage, storage.write() as transaction:
        for certificate_id, delivered in (("a", 3), ("b", 1)):
            timeline = transaction.timelines.get(certificate_id)
            record = transaction.events.following(certificate_id, 0)
            assert first_fault(record, length=0, head="") is None
            assert (timeline.length, timeline.head, timeline.offered) == (3, record[-1].hash, delivered)
        until = datetime(2030, 1, 2, tzinfo=UTC)
        now = datetime(2030, 1, 1, tzinfo=UTC)
        assert transaction.deliveries.offer(observers=["o"], now=now, limit=9) == 1
        due = transaction.deliveries.claim_due(observers=["o"], now=now, owner="o", lease_until=until, limit=9)
        assert [(one.certificate_id, one.delivered, one.length) for one in due] == [("b", 1, 3)]
        assert transaction.documents.get("certcore", "outbox") is None
        transaction.events.append([Event(certificate_id="a", kind=EventKind.DELETED, at=until)])
        assert transaction.events.of_certificate("a", limit=1)[0].sequence > 6
