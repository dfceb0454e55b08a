"""`run` that lost work: it names what was lost, goes on with the others, and does not end with 0."""

import contextlib
import sqlite3

import pytest


def _sql(store, statement, *values):
    with contextlib.closing(sqlite3.connect(store.database)) as connection, connection:
        return connection.execute(statement, values).fetchall()


@pytest.fixture
def broken(store):
    """A certificate whose row nobody can read, before one that is in order; both are due."""
    ids = {}
    for name in ("broken.demo.test", "sound.demo.test"):
        ids[name] = store.json("cert", "create", name, "--authority", "dead")["id"]
        store.inside("cert", "csr", name)
    one = ids["broken.demo.test"]
    _sql(store, "UPDATE certcore_issuances SET key_type = 'none of ours' WHERE certificate_id = ?", one)
    yield one
    _sql(store, "UPDATE certcore_issuances SET key_type = 'ec-p256' WHERE certificate_id = ?", one)
    for name in ids:
        store.inside("cert", "delete", name, "--yes")


def test_run_once_names_the_steps_that_were_lost(store, broken):
    """Exit code 1; the others have had their step, and the lost one waits for its next try."""
    said = store.json("run", "--once", expect=1)
    assert said["looked_at"] == 2
    assert [(one["id"], one["domain"]) for one in said["lost"]] == [(broken, "broken.demo.test")]
    assert "ValueError" in said["lost"][0]["reason"]
    assert store.json("run", "--once")["lost"] == []
    ((lease, attempts),) = _sql(
        store, "SELECT lease_until, attempts FROM certcore_schedules WHERE certificate_id = ?", broken
    )
    assert (lease, attempts) == (None, 1)


def test_run_until_idle_names_the_steps_that_were_lost(store, broken):
    """Exit code 1, in words, though nothing is left to do now."""
    said = store("run", "--until-idle", expect=1).stdout
    assert "A step of broken.demo.test failed and will be tried again later" in said
    assert "Nothing is left" not in said
    _sql(store, "UPDATE certcore_schedules SET due_at = 1 WHERE certificate_id = ?", broken)
    told = store.json("run", "--until-idle", expect=1)
    assert told["outcome"] == "idle"
    assert [one["id"] for one in told["lost"]] == [broken]
    assert told["threads_replaced"] == 0


def test_a_request_whose_module_is_not_there_is_named(store):
    """It waits for nobody but the administrator: exit code 1, with the reason, from cron and by hand."""
    settings = ("--set", "tech_zone=acme.panel.test")
    profile = store.json("authority", "add", "gone", "--module", "puq_acme", *settings)["id"]
    one = store.json("cert", "create", "gone.demo.test", "--authority", "gone")["id"]
    store.inside("cert", "csr", one)
    _sql(store, "UPDATE certcore_authorities SET module = 'gone' WHERE id = ?", profile)
    said = store.json("run", "--once", expect=1)
    assert [lost["id"] for lost in said["lost"]] == [one]
    assert "'gone'" in said["lost"][0]["reason"]
    told = store("run", "--until-idle", expect=1).stdout
    assert "A step of gone.demo.test failed and will be tried again later" in told
    assert "gone.demo.test waits" not in told
    _sql(store, "UPDATE certcore_authorities SET module = 'puq_acme' WHERE id = ?", profile)
    store.inside("cert", "delete", one, "--yes")
    store.inside("authority", "remove", "gone")


@pytest.mark.parametrize("user", ["", "root"])
def test_an_empty_user_does_not_leave_root_serving(store, user):
    """A variable that was not set in a script is not taken for "stay who you are"."""
    said = store("dns", "serve", "--listen", "127.0.0.1:0", "--user", user, expect=1)
    assert "--user" in said.stderr
