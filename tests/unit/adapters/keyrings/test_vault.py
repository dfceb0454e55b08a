"""Secrets at rest: sealed under their name, opened by the right keyring only, and a keyring that others cannot read."""

import base64
import json
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.keyrings.vault import EnvelopeVault, StaticKeyring, create_keyring_file, open_keyring
from certcore.errors import KeyringError, UnknownSealingKeyError, UnsealError
from certcore.model.secret import Secret, SecretName

VAULT = EnvelopeVault(StaticKeyring.generate())
NAMES = st.builds(SecretName, st.text(max_size=12), st.text(max_size=12))
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


@given(st.binary(max_size=300), NAMES)
def test_what_is_sealed_opens_again(plain, name):
    """Whole, and never twice to the same bytes."""
    first, second = VAULT.seal(Secret(plain), name), VAULT.seal(Secret(plain), name)
    assert VAULT.open(first, name).reveal() == plain
    assert first.ciphertext != second.ciphertext
    assert first.wrapped_key != second.wrapped_key
    if len(plain) > 8:
        assert plain not in first.ciphertext + first.wrapped_key


@given(st.binary(max_size=60), NAMES, NAMES)
def test_a_sealed_secret_opens_under_its_own_name_only(plain, name, other):
    """A ciphertext that is moved to another row does not open, and the error says which row."""
    sealed = VAULT.seal(Secret(plain), name)
    if other == name:
        assert VAULT.open(sealed, other).reveal() == plain
        return
    with pytest.raises(UnsealError) as failed:
        VAULT.open(sealed, other)
    assert str(other) in str(failed.value)


@given(st.binary(max_size=60), NAMES, st.text(max_size=12), st.text(max_size=12))
def test_a_sealed_secret_opens_for_its_own_owner_only(plain, name, owner, other):
    """A secret opens only for its owner; re-wrapping needs no owner and opens nothing."""
    sealed = VAULT.seal(Secret(plain), name, owner=owner)
    for stored in (sealed, VAULT.rewrap(sealed, name)):
        assert VAULT.open(stored, name, owner=owner).reveal() == plain
        if other != owner:
            with pytest.raises(UnsealError):
                VAULT.open(stored, name, owner=other)
        for form in (0, 1, 3):
            with pytest.raises(UnsealError):
                VAULT.open(evolve(stored, format=form), name, owner=owner)


def test_names_do_not_run_into_each_other():
    """The border between purpose and owner is part of what is bound."""
    sealed = VAULT.seal(Secret("x"), SecretName("ab", "c"))
    with pytest.raises(UnsealError):
        VAULT.open(sealed, SecretName("a", "bc"))


@given(st.data())
def test_one_changed_bit_is_noticed(data):
    """In any of the four parts."""
    name = SecretName("certificate-key", "1")
    sealed = VAULT.seal(Secret("a private key"), name)
    part = data.draw(st.sampled_from(["wrapped_key", "nonce", "ciphertext"]))
    changed = bytearray(getattr(sealed, part))
    place = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(UnsealError):
        VAULT.open(evolve(sealed, **{part: bytes(changed)}), name)


@given(st.binary(max_size=80), st.binary(max_size=20), st.binary(max_size=80))
def test_rubbish_in_the_database_is_an_error_of_ours(wrapped, nonce, ciphertext):
    """Cut, empty or foreign bytes raise one clear error."""
    name = SecretName("certificate-key", "1")
    sealed = evolve(VAULT.seal(Secret("x"), name), wrapped_key=wrapped, nonce=nonce, ciphertext=ciphertext)
    with pytest.raises(UnsealError, match="certificate-key/1"):
        VAULT.open(sealed, name)


def test_a_missing_key_is_named():
    """The operator reads which key has to be put back."""
    name = SecretName("certificate-key", "1")
    sealed = VAULT.seal(Secret("x"), name)
    with pytest.raises(UnknownSealingKeyError, match="'k1'"):
        EnvelopeVault(StaticKeyring.generate("k2")).open(sealed, name)
    with pytest.raises(UnsealError):
        EnvelopeVault(StaticKeyring.generate("k1")).open(sealed, name)


def test_several_keys_one_current(monkeypatch):
    """New secrets are sealed with the current key, old ones open with the key that they were sealed with."""
    name = SecretName("certificate-key", "1")
    monkeypatch.setenv("RING", f"old:{KEY}")
    old = EnvelopeVault(open_keyring("env:RING")).seal(Secret("x"), name)
    monkeypatch.setenv("RING", f" new:{OTHER}, old:{KEY} ")
    vault = EnvelopeVault(open_keyring("env:RING"))
    assert vault.open(old, name).reveal() == b"x"
    assert vault.seal(Secret("y"), name).key_id == "new"
    assert vault.keyring.key_ids == {"old", "new"}


def test_keys_are_in_no_repr(tmp_path):
    """A keyring in a log line shows nothing."""
    create_keyring_file(tmp_path / "keyring")
    keyring = open_keyring(str(tmp_path / "keyring"))
    (key,) = json.loads((tmp_path / "keyring").read_text())["keys"].values()
    assert key not in repr(keyring) + repr(EnvelopeVault(keyring))
    assert repr(base64.b64decode(key)) not in repr(keyring)


def test_a_new_keyring_file_is_private(tmp_path):
    """Mode 0600 in a folder of mode 0700, whatever the umask; it opens, and it is never written over."""
    path = tmp_path / "new" / "keyring.json"
    before = os.umask(0)
    try:
        create_keyring_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    content = path.read_bytes()
    with pytest.raises(KeyringError, match="already"):
        create_keyring_file(path)
    assert path.read_bytes() == content
    for url in (str(path), f"file:{path}", f"file://{path}"):
        assert open_keyring(url).current_key_id.startswith("k-")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o644, 0o666])
def test_a_keyring_that_others_can_read_is_refused(tmp_path, mode):
    """One bit for group or others is enough; the message says the mode and the command that mends it."""
    path = tmp_path / "keyring"
    create_keyring_file(path)
    path.chmod(mode)
    with pytest.raises(KeyringError, match=f"mode {mode:04o}") as refused:
        open_keyring(str(path))
    assert f"chmod 600 {path}" in refused.value.advice


def test_what_is_no_file_is_refused(tmp_path):
    """A missing file, a folder, a pipe: at once, and in words."""
    with pytest.raises(KeyringError, match="no keyring file"):
        open_keyring(str(tmp_path / "missing"))
    with pytest.raises(KeyringError, match="not a regular file"):
        open_keyring(str(tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyringError, match="not a regular file"):
        open_keyring(str(tmp_path / "pipe"))
    with pytest.raises(KeyringError, match="cannot be created"):
        create_keyring_file(tmp_path / "pipe" / "keyring")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f":{KEY}",
        "k1:",
        "k1:AAAA",
        "k1:not base64 at all",
        f"k1:{KEY},k1:{OTHER}",
        f"k1:{KEY},",
        "{}",
        "{",
        '{"current": "k1", "keys": {}}',
        '{"current": "k1", "keys": []}',
        json.dumps({"current": ["k1"], "keys": {"k1": KEY}}),
        json.dumps({"current": "k2", "keys": {"k1": KEY}}),
        f'{{"current": "k1", "keys": {{"k1": "{KEY}", "k1": "{OTHER}"}}}}',
        '{"current": "k1", "keys": {"k1": "AAAA"}}',
        '{"current": "k1", "keys": {"k1": 7}}',
    ],
)
def test_what_is_no_keyring_is_refused_without_being_repeated(tmp_path, monkeypatch, text):
    """From a file and from the environment; the message never holds what it read."""
    path = tmp_path / "keyring"
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.setenv("RING", text)
    for url in (str(path), "env:RING"):
        with pytest.raises(KeyringError) as refused:
            open_keyring(url)
        assert KEY not in str(refused.value)
        assert OTHER not in str(refused.value)


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: f"k1:{base64.b64encode(raw).decode()}"))
def test_no_text_breaks_the_keyring(text):
    """Whatever stands in the variable is a keyring or refused."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return
    os.environ["CERTCORE_TEST_RING"] = text
    try:
        keyring = open_keyring("env:CERTCORE_TEST_RING")
    except KeyringError:
        return
    finally:
        del os.environ["CERTCORE_TEST_RING"]
    assert keyring.current_key_id in keyring.key_ids


def test_time_and_ids_of_the_system():
    """UTC now, ids in the order of their making, and rolls of a die between 0 and 1."""
    system = SystemEnvironment()
    now = system.now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    ids = [system.new_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)
    rolls = [system.roll() for _ in range(200)]
    assert all(0 <= roll < 1 for roll in rolls)
    assert len(set(rolls)) > 100
