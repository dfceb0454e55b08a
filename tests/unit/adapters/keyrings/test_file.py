"""Changing the keyring file: as a whole, privately, one after the other, and seen by whoever has it open."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading

import pytest

from certcore.adapters.keyrings.file import FileKeyring, add_key, create_keyring_file, make_current, remove_key
from certcore.adapters.keyrings.vault import EnvelopeVault, open_keyring
from certcore.errors import KeyringError, NotFoundError, SealingKeyInUseError, UnknownSealingKeyError
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import ChangesKeys, Keyring
from support.threads import run_all

NAME = SecretName("certificate-key", "1")


@pytest.fixture
def path(tmp_path):
    """A keyring file with one key."""
    create_keyring_file(tmp_path / "keyring.json")
    return tmp_path / "keyring.json"


def _content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_key_is_added_made_current_and_removed(path):
    """Each change does that and nothing else: no other key is touched."""
    before = _content(path)
    old = before["current"]
    new = add_key(path)
    added = _content(path)
    assert added["current"] == old
    assert added["keys"][old] == before["keys"][old]
    assert set(added["keys"]) == {old, new}
    make_current(path, new)
    make_current(path, new)
    assert _content(path) == {**added, "current": new}
    remove_key(path, old)
    assert _content(path) == {**added, "current": new, "keys": {new: added["keys"][new]}}


def test_what_cannot_be_done_changes_nothing(path):
    """The current key is never removed, and a key that is not there is neither made current nor removed."""
    add_key(path)
    content, current = path.read_bytes(), _content(path)["current"]
    with pytest.raises(SealingKeyInUseError, match=current):
        remove_key(path, current)
    for change in (make_current, remove_key):
        with pytest.raises(NotFoundError, match="'nope'"):
            change(path, "nope")
    assert path.read_bytes() == content
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_at_every_moment_the_file_is_whole_and_private(path):
    """While it is changed a reader finds a usable keyring of mode 0600, whatever the umask; nothing stays behind."""
    ended = threading.Event()
    seen = set()

    def change():
        try:
            for _ in range(40):
                make_current(path, add_key(path))
        finally:
            ended.set()

    def read():
        while not ended.is_set():
            for one in path.parent.iterdir():
                try:
                    assert stat.S_IMODE(one.stat().st_mode) == 0o600
                except FileNotFoundError:
                    continue  # renamed since
            content = _content(path)
            assert content["current"] in content["keys"]
            assert open_keyring(str(path)).current_key_id in open_keyring(str(path)).key_ids
            seen.add(len(content["keys"]))

    before = os.umask(0)
    try:
        run_all(change, read)
    finally:
        os.umask(before)
    assert seen
    assert len(_content(path)["keys"]) == 41
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_two_at_once_lose_nothing(path):
    """Keys that threads and processes add at the same time are all there afterwards."""
    script = (
        "import sys; from pathlib import Path; from certcore.adapters.keyrings.file import add_key\n"
        "for _ in range(10): print(add_key(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(path)]
    added = []
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    run_all(*[lambda: added.extend(add_key(path) for _ in range(10))] * 2)
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        added += out.split()
    assert len(set(added)) == 40
    assert set(added) < set(_content(path)["keys"])


def test_a_change_waits_for_another(path):
    """While somebody else holds the file, a change waits; then it is made on what they left."""
    current = _content(path)["current"]
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        changing = threading.Thread(target=add_key, args=(path,), daemon=True)
        changing.start()
        changing.join(0.3)
        assert changing.is_alive()
        assert list(_content(path)["keys"]) == [current]
    changing.join(120)
    assert len(_content(path)["keys"]) == 2


def test_a_file_that_others_can_read_is_not_changed(path):
    """Its keys may be known to others: the message names the mode, and the file stays."""
    path.chmod(0o644)
    content = path.read_bytes()
    with pytest.raises(KeyringError, match="mode 0644"):
        add_key(path)
    assert path.read_bytes() == content


def test_what_cannot_be_changed_is_refused_in_words(tmp_path, path):
    """A missing file, a folder, a full one: a sentence each, and nothing is made."""
    with pytest.raises(KeyringError, match="no keyring file"):
        add_key(tmp_path / "missing")
    with pytest.raises(KeyringError, match="cannot be written"):
        add_key(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]
    content = _content(path)
    (key,) = content["keys"].values()
    keys = content["keys"]
    while len(filled := json.dumps({**content, "keys": keys}, indent=2)) + 66 <= 64 * 1024:  # one more fits
        keys[f"k-{len(keys):08}"] = key
    path.write_text(filled)
    with pytest.raises(KeyringError, match="full") as refused:
        add_key(path)
    assert "Retire" in refused.value.advice
    assert _content(path)["keys"] == keys


def test_a_link_stays_a_link(path, tmp_path):
    """What the link points to is changed, in its own folder."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.json"
    link.symlink_to(path)
    new = add_key(link)
    assert link.is_symlink()
    assert new in _content(path)["keys"]
    assert [path.name for path in link.parent.iterdir()] == [link.name]


def test_the_short_form_keeps_its_keys(path):
    """A file of the form ID:BASE64,ID:BASE64 can be changed, too: what was sealed with its keys opens."""
    add_key(path)
    keys = _content(path)["keys"]
    path.write_text(",".join(f"{key_id}:{key}" for key_id, key in keys.items()))
    sealed = EnvelopeVault(open_keyring(str(path))).seal(Secret("x"), NAME)
    assert sealed.key_id == next(iter(keys))
    new = add_key(path)
    assert EnvelopeVault(open_keyring(str(path))).open(sealed, NAME) == Secret("x")
    assert _content(path)["current"] == sealed.key_id
    assert set(_content(path)["keys"]) == {*keys, new}


def test_who_has_it_open_needs_no_restart(path):
    """Who opened the file before seals with the new key from the change on, and opens what others sealed with it."""
    running, other = (EnvelopeVault(FileKeyring.open(path)) for _ in range(2))
    old = running.seal(Secret("old"), NAME)
    new_key = add_key(path)
    assert running.seal(Secret("x"), NAME).key_id == old.key_id
    make_current(path, new_key)
    assert running.seal(Secret("x"), NAME).key_id == new_key
    sealed = EnvelopeVault(open_keyring(str(path))).seal(Secret("new"), NAME)
    assert other.open(sealed, NAME) == Secret("new")
    assert other.open(old, NAME) == Secret("old")
    remove_key(path, old.key_id)
    assert running.keyring.key_ids == {new_key}
    with pytest.raises(UnknownSealingKeyError, match=old.key_id):
        running.open(old, NAME)


def test_a_file_that_is_taken_away_is_no_trouble(path):
    """Who opened it before goes on with the keys in memory, and finds it again when it is back."""
    vault = EnvelopeVault(FileKeyring.open(path))
    before = vault.seal(Secret("x"), NAME)
    away = path.rename(path.with_name("away"))
    after = vault.seal(Secret("y"), NAME)
    assert vault.open(before, NAME) == Secret("x")
    with pytest.raises(UnknownSealingKeyError):
        vault.keyring.unwrap("k-other", b"", bound_to=b"")
    away.rename(path)
    new = add_key(path)
    make_current(path, new)
    assert vault.seal(Secret("z"), NAME).key_id == new
    assert vault.open(after, NAME) == Secret("y")


def test_nothing_is_sealed_with_a_keyring_that_was_spoilt(path):
    """When the file became rubbish, sealing is refused, not done with a key that may be gone; opening goes on."""
    vault = EnvelopeVault(FileKeyring.open(path))
    before = vault.seal(Secret("x"), NAME)
    good = path.read_bytes()
    path.write_text("rubbish")
    with pytest.raises(KeyringError, match="not a keyring"):
        vault.seal(Secret("y"), NAME)
    assert vault.open(before, NAME) == Secret("x")
    path.write_bytes(good)
    assert vault.seal(Secret("y"), NAME).key_id == before.key_id


def test_threads_share_it_while_it_changes(path):
    """Threads that seal and open all the time meet no error while keys are added and made current."""
    vault = EnvelopeVault(FileKeyring.open(path))
    ended = threading.Event()
    used = set()

    def change():
        try:
            for _ in range(30):
                make_current(path, add_key(path))
        finally:
            ended.set()

    def work():
        while not ended.is_set():
            sealed = vault.seal(Secret("x"), NAME)
            assert vault.open(sealed, NAME) == Secret("x")
            assert vault.open(vault.rewrap(sealed, NAME), NAME) == Secret("x")
            used.add(sealed.key_id)

    run_all(change, work, work)
    assert used <= set(_content(path)["keys"])
    assert vault.seal(Secret("x"), NAME).key_id == _content(path)["current"]


def test_a_file_can_be_changed_and_a_variable_cannot(path, monkeypatch):
    """The keyring in a file has the power to change its keys; that in an environment variable says it has not."""
    monkeypatch.setenv("RING", path.read_text())
    for url, changes in ((str(path), True), ("env:RING", False)):
        keyring = open_keyring(url)
        assert isinstance(keyring, Keyring)
        assert isinstance(keyring, ChangesKeys) is changes


def test_a_changed_keyring_shows_nothing(path):
    """Neither the keyring of a file nor its errors hold a key."""
    keyring = FileKeyring.open(path)
    add_key(path)
    assert len(keyring.key_ids) == 2
    for key in _content(path)["keys"].values():
        assert key not in repr(keyring)
