"""`certcore init`, where a store is, and what is said when it cannot be used."""

import json
import shutil
import sqlite3
import stat

import pytest

from certcore.adapters.sql.schema import VERSION_TABLE


def test_init_says_where_everything_is_and_may_be_run_again(certcore):
    """`init` creates keyring and database; the second run changes nothing and says so."""
    first = certcore.json("init")
    assert first["database"] == {"location": str(certcore.database), "created": True}
    assert first["keyring"] == {"location": str(certcore.keyring), "created": True}
    key = certcore.keyring.read_bytes()
    second = certcore.json("init")
    assert not second["database"]["created"]
    assert not second["keyring"]["created"]
    assert certcore.keyring.read_bytes() == key
    assert "already exists" in certcore("init").stdout


def test_init_says_of_a_servers_database_whether_its_tables_were_there(certcore, postgresql):
    """The first `init` on an empty database has created the tables; the second has not; no other keyring fits them."""
    database = ("--database", postgresql.new_database())
    keyring = ("--keyring", certcore.folder / "server.json")
    assert certcore.json("init", *database, *keyring)["database"]["created"]
    assert not certcore.json("init", *database, *keyring)["database"]["created"]
    lost = certcore.folder / "lost-server.json"
    refused = certcore.json("init", *database, "--keyring", lost, expect=1)["error"]
    assert "Restore the keyring" in refused["advice"]
    assert not lost.exists()


def test_nobody_else_can_read_the_store(store):
    """The folder that `init` makes, the keyring and the database are their owner's alone."""
    assert stat.S_IMODE(store.database.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.keyring.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.database.stat().st_mode) == 0o600


def test_by_default_the_store_is_in_the_users_own_folder(certcore):
    """Without options and variables everything is in one private folder below the user's data folder."""
    nowhere = {"CERTCORE_DATABASE_URL": "", "CERTCORE_KEYRING": ""}
    certcore("init", env=nowhere)
    folder = certcore.folder / "data" / "certcore"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} >= {"certcore.db", "keyring.json"}
    certcore("cert", "list", env=nowhere)


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_the_database_is_a_url_or_a_path(store, form):
    """`--database` takes the path of a SQLite file as well as a URL, and goes before the variable."""
    elsewhere = {"CERTCORE_DATABASE_URL": str(store.folder / "nowhere.db")}
    done = store("authority", "list", "--database", form.format(store.database), "--json", env=elsewhere)
    assert [authority["name"] for authority in json.loads(done.stdout)["authorities"]] == ["dead"]


def test_without_init_every_command_says_to_run_it(certcore):
    """A store that is not there is not made by accident: the message names `certcore init`."""
    missing = certcore.folder / "missing" / "certcore.db"
    done = certcore("cert", "list", "--database", missing, expect=1)
    assert "certcore init" in done.stderr
    assert not missing.exists()


def test_a_lost_keyring_is_not_replaced(store):
    """`init` makes no new keyring for a database that was sealed with another one."""
    lost = store.folder / "lost.json"
    done = store("init", "--keyring", lost, expect=1)
    assert "Restore the keyring" in done.stderr
    assert not lost.exists()


def test_a_keyring_that_others_can_read_is_refused(store):
    """The message names the file and the command that helps."""
    open_to_all = store.folder / "open.json"
    shutil.copyfile(store.keyring, open_to_all)
    open_to_all.chmod(0o644)
    done = store("cert", "list", "--keyring", open_to_all, expect=1)
    assert f"chmod 600 {open_to_all}" in done.stderr


def test_another_databases_keyring_is_refused(store):
    """A keyring that does not belong to the database is refused before anything is sealed with it."""
    store("init", "--database", store.folder / "other.db", "--keyring", store.folder / "other.json")
    error = store.json("cert", "list", "--keyring", store.folder / "other.json", expect=1)["error"]
    assert error["code"] in {"unknown_sealing_key", "unseal_error"}
    assert error["advice"]


def test_a_newer_databases_version_is_named(store):
    """A database that a newer certcore wrote is left alone; the message says to upgrade."""
    newer = store.folder / "newer.db"
    with sqlite3.connect(store.database) as source, sqlite3.connect(newer) as copy:
        source.backup(copy)
        copy.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        copy.commit()
    source.close()
    copy.close()
    done = store("cert", "list", "--database", newer, expect=1)
    assert "9999" in done.stderr
    assert "Upgrade certcore" in done.stderr


@pytest.mark.parametrize(
    "database", ["/", "nonsense://x/y", "://", "{store}/keyring.json", "a?b.db", "/dev/null/certcore.db"]
)
def test_what_is_no_database_is_refused_with_a_sentence(store, database):
    """Whatever is named as database: exit code 1 and one sentence that is no bug report."""
    database = database.format(store=store.database.parent)
    for command in ("init", "cert list"):
        error = store.json(*command.split(), "--database", database, expect=1)["error"]
        assert error["message"].endswith(".")
        assert "bug" not in error["message"]


def test_a_plugin_that_cannot_be_used_is_told_by_every_command(store, tmp_path, monkeypatch):
    """Name, cause, place and advice on stderr, and the command goes on; CERTCORE_DEBUG=1 shows the way there."""
    info = tmp_path / "broken_house-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-house\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[certcore]\nhouse = broken_house\npuq_acme = broken_house\n")
    (tmp_path / "broken_house.py").write_text(
        "import sys\n\n\ndef licence():\n    sys.exit('no s3cr3t')\n\n\nlicence()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = store.inside("authority", "list")
    told = done.stderr.replace("\n", " ")
    assert "The plugin house could not be loaded: it cannot be imported: raised SystemExit" in told
    assert f"{tmp_path / 'broken_house.py'}:5" in told
    assert "Report this to the author of the plugin." in told
    taken = "The plugin puq_acme (broken-house 1.0) could not be loaded: the name 'puq_acme' belongs to certcore."
    assert taken in told
    assert "in licence" not in told
    monkeypatch.setenv("CERTCORE_DEBUG", "1")
    told = store.inside("authority", "list").stderr
    assert "line 5, in licence" in told
    assert "s3cr3t" not in told
    assert store.json("authority", "list")


def test_a_plugin_that_cannot_be_used_is_told_once(store, tmp_path):
    """One line on stderr for each broken plugin, without frames, whatever the command."""
    info = tmp_path / "broken_house-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-house\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[certcore]\nhouse = broken_house\n")
    (tmp_path / "broken_house.py").write_text("raise ValueError\n")
    for command in ("init", "cert list", "run --once"):
        process = store.start(*command.split(), prelude=f"import sys; sys.path.insert(0, {str(tmp_path)!r})")
        (told,) = process.communicate(timeout=120)[1].splitlines()
        assert told.startswith("The plugin house could not be loaded: it cannot be imported: raised ValueError")


def test_a_database_is_migrated_without_its_keyring(certcore, tmp_path):
    """The tables are made, once; the second time there is nothing to do."""
    database = tmp_path / "panel.db"
    made = json.loads(certcore("migrate", "--database", database, "--json").stdout)
    assert (made["before"], made["database"]) == (None, str(database))
    assert "up to date" in certcore("migrate", "--database", database).stdout
