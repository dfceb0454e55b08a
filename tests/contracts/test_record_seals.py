"""A writer of the database who makes a whole new record, or cuts its end off, and corrects the rest is noticed."""

import contextlib

import pytest
import sqlalchemy as sa

from certcore import CertCore
from certcore.adapters.sql import mapping
from certcore.adapters.sql.tables import events, secrets, timelines
from certcore.model.timeline import Timeline, chain
from certcore.services.timeline_seal_key import RECORD_KEY
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import ScriptedCA
from support.databases import sqlite_with_tables
from support.inside import inside


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return sqlite_with_tables(tmp_path)
    return request.getfixturevalue("emptied")(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def reopen(url, tmp_path):
    """Opens the store anew each time."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    environment = FrozenEnvironment()
    ca = ScriptedCA(now=environment.now())
    with contextlib.ExitStack() as closing:

        def open_one():
            options = {"plugins": [ca.plugin()], "installed_plugins": False, "environment": environment}
            return closing.enter_context(CertCore.open(url, keyring=tmp_path / "keyring.json", **options))

        yield open_one


def _told(core):
    profile = core.authorities.create("test", module="scripted")
    certificate_id = core.certificates.create("shop.example", authority=profile.id).id
    core.certificates.edit(certificate_id, wildcard=True, actor="mallory")
    core.certificates.edit(certificate_id, wildcard=False)
    assert not core.certificates.verify_timeline(certificate_id).fault
    return certificate_id


def _write(url, *statements):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


def _forged(core, one, key=b""):
    """The record with another actor, chained as it should be."""
    with inside(core).storage.read() as transaction:
        told = transaction.events.following(one, 0)
    from attrs import evolve

    return chain([evolve(event, actor="alice") for event in told], Timeline(certificate_id=one), key)


@pytest.mark.parametrize("seal", ["kept", "", "made with another key"])
def test_a_record_that_was_made_anew_is_noticed(url, reopen, seal):
    """Every event with a new hash, and the timeline's row corrected: the check says that the seal is missing."""
    core = reopen()
    one = _told(core)
    forged, timeline = _forged(core, one, b"k" * 32)
    row = {"length": timeline.length, "head": timeline.head}
    row |= {} if seal == "kept" else {"seal": timeline.seal if seal else ""}
    rows = [mapping.event_row(event) for event in forged]
    _write(
        url,
        *(
            events.update()
            .where(events.c.certificate_id == one, events.c.number == each["number"])
            .values(actor=each["actor"], hash=each["hash"])
            for each in rows
        ),
        timelines.update().where(timelines.c.certificate_id == one).values(row),
    )
    assert "seal" in core.certificates.verify_timeline(one).fault
    assert "seal" in reopen().certificates.verify_timeline(one).fault


def test_an_end_that_was_cut_off_is_noticed(url, reopen):
    """The last event deleted, and length and head put back: the seal was of another end."""
    core = reopen()
    one = _told(core)
    before = core.certificates.timeline(one)[-2]
    _write(
        url,
        events.delete().where(events.c.certificate_id == one, events.c.number > before.number),
        timelines.update()
        .where(timelines.c.certificate_id == one)
        .values(length=before.number, head=before.hash, offered=0),
    )
    assert "seal" in core.certificates.verify_timeline(one).fault


def test_a_seal_of_another_certificate_does_not_count(url, reopen):
    """A row of one timeline in the place of another's is noticed, also when its key was made anew."""
    core = reopen()
    one = _told(core)
    _write(url, secrets.delete().where(secrets.c.purpose == RECORD_KEY.purpose))
    assert "seal" in core.certificates.verify_timeline(one).fault
    assert "seal" in reopen().certificates.verify_timeline(one).fault


def test_records_from_before_there_were_seals_get_one(url, reopen, caplog):
    """The first process that opens an older store seals what is there, says so, and the record goes on under seal."""
    core = reopen()
    one = _told(core)
    _write(
        url,
        timelines.update().values(seal=""),
        secrets.delete().where(secrets.c.purpose == RECORD_KEY.purpose),
    )
    core = reopen()
    assert "sealed with a new key" in caplog.text
    assert not core.certificates.verify_timeline(one).fault
    core.certificates.edit(one, wildcard=True)
    assert not core.certificates.verify_timeline(one).fault
    assert not reopen().certificates.verify_timeline(one).fault
