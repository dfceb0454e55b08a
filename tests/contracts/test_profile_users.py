"""Who uses a CA profile is found by indexes: a deletion must not look at every certificate while others wait."""

import contextlib

import pytest
import sqlalchemy as sa

from certcore.adapters.sql import open_storage
from certcore.adapters.sql.schema import VERSION_TABLE
from certcore.errors import InUseError
from certcore.testing.contracts.samples import sample_authority, sample_certificate
from support.databases import sqlite_with_tables


@pytest.fixture
def url(tmp_path):
    return sqlite_with_tables(tmp_path)


def fill(storage):
    """Three profiles: one that is used, one that is a fallback, and one that nobody uses."""
    with storage.write() as transaction:
        for number in (1, 2, 3):
            transaction.authorities.add(sample_authority(number))
        transaction.certificates.add(sample_certificate(1, fallbacks=("authority-2",)))


def plans(storage, work):
    """How SQLite finds what each of the statements is about."""
    statements = []
    with storage.write() as transaction:
        connection = transaction.connection

        def note(_connection, _cursor, statement, parameters, _context, _many):
            statements.append((statement, parameters))

        sa.event.listen(connection.engine, "before_cursor_execute", note)
        try:
            work(transaction)
        finally:
            sa.event.remove(connection.engine, "before_cursor_execute", note)
        found = [
            row.detail
            for statement, parameters in statements
            if statement.startswith(("SELECT", "DELETE", "UPDATE"))
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
        assert found
        return found


def test_deleting_an_unused_profile_scans_no_table(url):
    """Neither certificates nor issuances nor fallbacks are looked through; each is asked by an index."""
    with contextlib.closing(open_storage(url)) as storage:
        fill(storage)
        found = plans(storage, lambda transaction: transaction.authorities.delete("authority-3"))
        assert any("certcore_certificates" in one for one in found)
        assert any("certcore_fallbacks" in one for one in found)
        assert not [one for one in found if one.startswith("SCAN") and "certcore_" in one], found
        # What SQLite does by itself for the foreign keys of the profile.
        with storage.read() as transaction:
            indexed = {
                tuple(get_index["column_names"])[:1]
                for get_index in sa.inspect(transaction.connection).get_indexes("certcore_certificates")
            }
        assert ("authority_id",) in indexed


def test_a_profile_that_is_a_fallback_is_in_use(url):
    """Also after an edit, and no more when the edit takes it away, or when the certificate goes."""
    with contextlib.closing(open_storage(url)) as storage:
        fill(storage)
        with pytest.raises(InUseError), storage.write() as transaction:
            transaction.authorities.delete("authority-2")
        with storage.write() as transaction:
            stored = transaction.certificates.get(sample_certificate(1).id)
            transaction.certificates.save(sample_certificate(1, fallbacks=("authority-3",), version=stored.version))
        with storage.write() as transaction:
            transaction.authorities.delete("authority-2")
        with pytest.raises(InUseError), storage.write() as transaction:
            transaction.authorities.delete("authority-3")
        with storage.write() as transaction:
            transaction.certificates.delete(sample_certificate(1).id)
            transaction.authorities.delete("authority-3")


def test_fallbacks_of_an_older_database_are_found(url):
    """The migration writes down who has which profile as a fallback."""
    with contextlib.closing(open_storage(url)) as storage:
        fill(storage)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE certcore_fallbacks")
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0007'")
    engine.dispose()
    with contextlib.closing(open_storage(url)) as storage, storage.read() as transaction:
        domain = sample_certificate(1).domain.ascii
        assert transaction.certificates.domains_using("authority-2") == [domain]
        assert transaction.certificates.domains_using("authority-3") == []
