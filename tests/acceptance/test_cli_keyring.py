"""`certcore keyring`: the sealing key is changed from the command line, and nothing is lost on the way."""

import json
import stat

import pytest

from certcore.core import CertCore
from support.inside import inside


@pytest.fixture
def used(store):
    """A store with a key and a secret, and one key in its keyring."""
    domain = f"shop{len(store.json('cert', 'list')['certificates'])}.example"
    store.inside("cert", "create", domain, "--authority", "dead")
    store.inside("cert", "csr", domain)
    return store


def _keys(store):
    return {key["key_id"]: key for key in store.json("keyring", "status")["keys"]}


def _current(store):
    (found,) = [key_id for key_id, one in _keys(store).items() if one["current"]]
    return found


def test_a_key_is_changed_with_five_commands(used):
    """Status, add, use, rewrap, retire: each says what it did, and in the end the keyring holds the new key alone."""
    old = _current(used)
    sealed = _keys(used)[old]["secrets"]
    assert sealed >= 2
    assert "current" in used("keyring", "status").stdout
    added = used("keyring", "add").stdout
    (new,) = _keys(used).keys() - {old}
    assert f"certcore keyring use {new}" in added
    assert _current(used) == old
    assert "certcore keyring rewrap" in used("keyring", "use", new).stdout
    assert _keys(used)[old] == {"key_id": old, "current": False, "in_keyring": True, "secrets": sealed}
    done = used("keyring", "rewrap")
    assert f"Re-wrapped: {sealed}. Still sealed with another key: 0." in done.stdout
    assert f"Re-wrapped {sealed}, 0 left." in done.stderr
    assert new not in used("keyring", "retire", old).stdout
    assert list(json.loads(used.keyring.read_text())["keys"]) == [new]
    assert stat.S_IMODE(used.keyring.stat().st_mode) == 0o600
    assert _keys(used) == {new: {"key_id": new, "current": True, "in_keyring": True, "secrets": sealed}}
    with CertCore.open(f"sqlite:///{used.database}", keyring=used.keyring) as core:
        for certificate in core.certificates.list().items:
            assert core.certificates.private_key(certificate.id, reason="test").reveal().startswith(b"-----BEGIN")


def test_every_answer_comes_as_json(used):
    """Machines read what was added, made current, re-wrapped and retired; progress stays on stderr."""
    old = _current(used)
    new = used.json("keyring", "add")["added"]
    assert used.json("keyring", "use", new) == {"current": new}
    answer = used.json("keyring", "rewrap")
    assert answer == {"rewrapped": _keys(used)[new]["secrets"], "left": 0, "failed": []}
    assert used.json("keyring", "rewrap") == {"rewrapped": 0, "left": 0, "failed": []}
    assert used.json("keyring", "retire", old) == {"retired": old}


def test_what_must_not_be_done_is_refused(used):
    """Retiring what is needed or current, and naming what is not there: exit code 1, advice, no change."""
    old = _current(used)
    new = used.json("keyring", "add")["added"]
    used.inside("keyring", "use", new)
    content = used.keyring.read_bytes()
    error = used.json("keyring", "retire", old, expect=1)["error"]
    assert (error["code"], error["params"]["secrets"]) == ("sealing_key_in_use", _keys(used)[old]["secrets"])
    assert "certcore keyring rewrap" in error["advice"]
    assert used.json("keyring", "retire", new, expect=1)["error"]["params"]["current"] is True
    for command in ("use", "retire"):
        error = used.json("keyring", command, "nope", expect=1)["error"]
        assert (error["code"], "certcore keyring status" in error["advice"]) == ("not_found", True)
        used.inside("keyring", command, expect=2)
    assert used.keyring.read_bytes() == content
    used.inside("keyring", "rewrap")
    used.inside("keyring", "retire", old)


def test_a_missing_key_is_named_by_every_command(used):
    """With a keyring that lacks a key nothing starts: the error names the key and how many secrets need it."""
    current = _current(used)
    needed = _keys(used)[current]["secrets"]
    lacking = used.folder / "lacking.json"
    CertCore.create_keyring(lacking)
    for command in (("cert", "list"), ("keyring", "status"), ("keyring", "retire", current)):
        error = used.json(*command, "--keyring", lacking, expect=1)["error"]
        assert (error["code"], error["params"]["missing"]) == ("unknown_sealing_key", {current: needed})
        assert current in error["message"]
        assert error["advice"]


def test_what_is_left_is_a_failure(used):
    """When a secret cannot be re-wrapped, the command names it, does all others, and ends with exit code 1."""
    old = _current(used)
    with CertCore.open(f"sqlite:///{used.database}", keyring=used.keyring) as core:
        storage = inside(core).storage
        with storage.write() as transaction:
            name = transaction.secrets.names("certificate-key")[0]
            good = transaction.secrets.get(name)
            broken = type(good)(old, good.wrapped_key[::-1], good.nonce, good.ciphertext)
            assert transaction.secrets.replace(name, good, broken)
        new = used.json("keyring", "add")["added"]
        used.inside("keyring", "use", new)
        answer = used.json("keyring", "rewrap", expect=1)
        assert (answer["left"], answer["failed"]) == (1, [str(name)])
        assert str(name) in used.inside("keyring", "rewrap", expect=1).stdout
        used.inside("keyring", "retire", old, expect=1)
        with storage.write() as transaction:
            assert transaction.secrets.replace(name, broken, good)
    assert used.json("keyring", "rewrap")["left"] == 0
    used.inside("keyring", "retire", old)


def test_a_keyring_in_a_variable_is_changed_there(used):
    """Status and rewrap work; adding says that the variable is the place to change."""
    contents = json.loads(used.keyring.read_text())
    variable = {"RING": ",".join(f"{key_id}:{key}" for key_id, key in contents["keys"].items())}
    assert _current(used) in used("keyring", "status", "--keyring", "env:RING", env=variable).stdout
    done = used("keyring", "add", "--keyring", "env:RING", env=variable, expect=1)
    assert "environment variable" in done.stderr
    assert contents["keys"][_current(used)] not in done.stdout + done.stderr
