"""Keyrings that lack a key or have a wrong one: noticed at the start."""

import base64
import json
import secrets as dice

import pytest
from attrs import evolve

from certcore import CertCore
from certcore.adapters.keyrings.file import remove_key
from certcore.adapters.keyrings.vault import EnvelopeVault, StaticKeyring
from certcore.adapters.memory import MemoryStorage
from certcore.errors import (
    KeyringError,
    SealingKeyInUseError,
    UnknownSealingKeyError,
    WrongSealingKeyError,
)
from certcore.model.secret import Secret, SecretName
from certcore.services.sealing_keys import SealingKeys
from support.inside import inside
from support.sealed_places import fill_core, rewrap_all


def test_a_keyring_without_a_needed_key_is_refused_at_start(place):
    """The error names every missing key, how many secrets are sealed with it, and what to do."""
    with place.open() as core:
        fill_core(core)
        (first,) = place.contents()["keys"]
        second = core.sealing_keys.add()
        core.sealing_keys.make_current(second)
        core.sealing_keys.rewrap(limit=2)
        third = core.sealing_keys.add()
        core.sealing_keys.make_current(third)
        core.sealing_keys.rewrap(limit=1)
        counts = {key.key_id: key.secrets for key in core.sealing_keys.status()}
    assert sum(counts.values()) == 7
    remove_key(place.keyring, first)
    with pytest.raises(UnknownSealingKeyError) as refused:
        place.open()
    assert refused.value.missing == {first: counts[first]}
    assert first in str(refused.value)
    assert f"with it: {counts[first]})" in str(refused.value)
    assert second not in str(refused.value)
    assert refused.value.advice
    remove_key(place.keyring, second)
    with pytest.raises(UnknownSealingKeyError) as refused:
        place.open()
    assert refused.value.as_dict()["params"]["missing"] == {first: counts[first], second: counts[second]}
    assert first in str(refused.value)
    assert second in str(refused.value)


def test_a_wrong_key_of_the_right_id_is_refused_at_start(place):
    """A keyring whose key has the id but not the bytes is an error that names the id; nothing is sealed with it."""
    place.open().close()
    contents = place.contents()
    (key_id,) = contents["keys"]
    wrong = base64.b64encode(dice.token_bytes(32)).decode()
    place.keyring.write_text(json.dumps({**contents, "keys": {key_id: wrong}}))
    with pytest.raises(WrongSealingKeyError, match=key_id) as refused:
        place.open()
    assert refused.value.key_id == key_id
    assert refused.value.advice
    assert wrong not in str(refused.value.as_dict())
    place.keyring.write_text(json.dumps(contents))
    place.open().close()


def test_a_wrong_key_is_noticed_after_a_rotation_too(place, core):
    """The secret that is tried at start is re-wrapped with the others: it speaks for the key that is current."""
    (old,) = place.contents()["keys"]
    new = core.sealing_keys.add()
    core.sealing_keys.make_current(new)
    rewrap_all(core)
    core.sealing_keys.retire(old)
    wrong = base64.b64encode(dice.token_bytes(32)).decode()
    place.keyring.write_text(json.dumps({**place.contents(), "keys": {new: wrong}}))
    with pytest.raises(WrongSealingKeyError, match=new):
        place.open()


def test_a_keyring_that_is_no_file_says_where_its_keys_are_changed():
    """Re-wrapping works with any keyring; what certcore cannot change is refused with advice."""
    ring = StaticKeyring.generate("k1")
    storage = MemoryStorage()
    with CertCore.in_memory(installed_plugins=False, keyring=ring) as core:
        for change in (core.sealing_keys.add, lambda: core.sealing_keys.make_current("k1")):
            with pytest.raises(KeyringError, match="not kept in a file") as refused:
                change()
            assert "environment variable" in refused.value.advice
        with pytest.raises(SealingKeyInUseError):
            core.sealing_keys.retire("k1")
    both = evolve(ring.with_key("k2"), current_key_id="k2")
    name = SecretName("p", "o")
    with storage.write() as transaction:
        transaction.secrets.put(name, EnvelopeVault(ring).seal(Secret("x"), name))
    keys = SealingKeys(storage=storage, vault=EnvelopeVault(both), keyring=both, access=inside(core).access)
    assert keys.rewrap().done == 1
    assert {key.key_id: key.retirable for key in keys.status()} == {"k1": True, "k2": False}
    with pytest.raises(KeyringError, match="not kept in a file"):
        keys.retire("k1")
