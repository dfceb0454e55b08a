"""The record of a certificate can be checked with one call."""

import contextlib
import sqlite3

import pytest

from certcore import CertCore
from certcore.adapters.keyrings.vault import StaticKeyring
from certcore.errors import InvalidInputError, NotFoundError
from certcore.model.timeline import Timeline, chain
from certcore.services.timeline_seal_key import RECORD_KEY
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import sqlite_with_tables
from support.inside import inside


@pytest.fixture
def store(tmp_path):
    """A core on a file, a certificate with a record of seven events, and the file."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    file = tmp_path / "certcore.db"
    with CertCore.open(
        sqlite_with_tables(tmp_path),
        keyring=StaticKeyring.generate(),
        plugins=[ca.plugin()],
        installed_plugins=False,
        environment=environment,
    ) as core:
        authority = core.authorities.create("test", module="scripted")
        certificate_id = core.certificates.create("shop.example", authority=authority.id, actor="anna").id
        for wildcard in (True, False, True):
            core.certificates.edit(certificate_id, wildcard=wildcard, actor="bert")
        core.certificates.generate_csr(certificate_id, actor="anna")
        core.reconcile(certificate_id)
        core.certificates.private_key(certificate_id, reason="moving", actor="mallory")
        yield core, certificate_id, file


def _sql(file, statement, *values):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()


def test_an_untouched_record_is_intact(store):
    """All events are read, of a deleted certificate too; a hash that was kept is found in it."""
    core, certificate_id, _ = store
    check = core.certificates.verify_timeline(certificate_id)
    assert (check.intact, check.fault, check.events) == (True, "", 7)
    core.certificates.edit(certificate_id, renewal=core.certificates.get(certificate_id).renewal)
    core.certificates.delete(certificate_id)
    later = core.certificates.verify_timeline(certificate_id, head=check.head)
    assert later.intact
    assert later.events > check.events
    assert core.certificates.timeline(certificate_id)[6].hash == check.head
    assert [event.number for event in core.certificates.timeline(certificate_id, after=5, limit=2)] == [6, 7]
    with pytest.raises(NotFoundError):
        core.certificates.verify_timeline("nobody")
    with pytest.raises(InvalidInputError, match="limit"):
        core.certificates.timeline(certificate_id, limit=0)


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        ("UPDATE certcore_events SET actor = 'bert' WHERE number = 7", "event 7 (key_revealed,"),
        ("UPDATE certcore_events SET data = '{}' WHERE number = 7", "event 7 "),
        ("UPDATE certcore_events SET at = at + 1 WHERE number = 2", "event 2 "),
        ("DELETE FROM certcore_events WHERE number = 4", "event 4 is missing"),
        ("DELETE FROM certcore_events WHERE number = 1", "event 1 is missing"),
        ("DELETE FROM certcore_events WHERE number = 7", "ends with event 6, but 7 were written"),
        ("DELETE FROM certcore_events", "ends with event 0, but 7 were written"),
        ("UPDATE certcore_events SET number = 8 WHERE number = 7", "event 7 is missing"),
    ],
)
def test_what_was_tampered_with_is_named(store, tamper, fault):
    """A changed, missing or moved event is a fault that says which one, wherever it is in the record."""
    core, certificate_id, file = store
    _sql(file, tamper)
    check = core.certificates.verify_timeline(certificate_id)
    assert not check.intact
    assert fault in check.fault


def test_a_record_written_anew_is_found_with_a_hash_from_before(store):
    """Who may write to the database can put a record back; a hash that was kept elsewhere tells of it."""
    core, certificate_id, file = store
    kept = core.certificates.verify_timeline(certificate_id).head
    record = core.certificates.timeline(certificate_id)
    with inside(core).storage.read() as transaction:
        key = inside(core).vault.open(transaction.secrets.get(RECORD_KEY), RECORD_KEY).reveal()
    chained, timeline = chain(record[:-1], Timeline(certificate_id=certificate_id), key)
    _sql(file, "DELETE FROM certcore_events WHERE number = 7")
    _sql(
        file, "UPDATE certcore_timelines SET length = ?, head = ?, seal = ?", len(chained), timeline.head, timeline.seal
    )
    assert core.certificates.verify_timeline(certificate_id).intact
    check = core.certificates.verify_timeline(certificate_id, head=kept)
    assert not check.intact
    assert "rewritten" in check.fault
