"""The sealing keys in operation: rotated while work goes on, and retired when nothing needs them."""

import tempfile
import threading
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

import certcore
from certcore import CertCore
from certcore.adapters.keyrings.file import add_key, make_current
from certcore.adapters.keyrings.vault import EnvelopeVault, open_keyring
from certcore.errors import (
    AccessDeniedError,
    InvalidInputError,
    NotFoundError,
    SealingKeyInUseError,
)
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import Vault
from support.examples import examples
from support.inside import inside
from support.sealed_places import opened_secrets, rewrap_all, sealed_secrets
from support.threads import run_all


def test_a_key_is_changed_from_end_to_end(place, core):
    """Add, make current, re-wrap, retire: afterwards everything opens with the new key, also after a restart."""
    before, plain = sealed_secrets(core), opened_secrets(core)
    assert {name.purpose for name in before} == {
        "keyring-check",
        "record-key",
        "authority-setting",
        "certificate-key",
        "module-secret",
    }
    (old,) = {sealed.key_id for sealed in before.values()}
    new = core.sealing_keys.add()
    core.sealing_keys.make_current(new)
    done, progress = rewrap_all(core, limit=2)
    assert (done, progress.left, progress.failed) == (len(before), 0, ())
    core.sealing_keys.retire(old)
    assert list(place.contents()["keys"]) == [new]
    assert opened_secrets(core) == plain
    with place.open() as again:
        assert opened_secrets(again) == plain
        (only,) = again.sealing_keys.status()
        assert (only.key_id, only.current, only.in_keyring, only.secrets) == (new, True, True, len(before))


def test_only_the_wrapped_key_changes(core):
    """The ciphertext of a re-wrapped secret is the same, byte by byte: no private key was opened for it."""
    before = sealed_secrets(core)
    core.sealing_keys.make_current(core.sealing_keys.add())
    rewrap_all(core)
    after = sealed_secrets(core)
    assert after.keys() == before.keys()
    for name, sealed in after.items():
        assert evolve(sealed, key_id=before[name].key_id, wrapped_key=before[name].wrapped_key) == before[name]
        assert sealed.key_id != before[name].key_id
        assert sealed.wrapped_key != before[name].wrapped_key


def test_status_says_who_needs_which_key(core):
    """Every key with its use; a key that was just added is used by nothing, and may go again."""
    (only,) = core.sealing_keys.status()
    new = core.sealing_keys.add()
    found = {key.key_id: key for key in core.sealing_keys.status()}
    assert found == {
        only.key_id: only,
        new: evolve(only, key_id=new, current=False, secrets=0),
    }
    assert only.secrets == len(sealed_secrets(core)) == 7
    assert found[new].retirable
    assert not only.retirable
    core.sealing_keys.retire(new)
    assert core.sealing_keys.status() == (only,)


def test_retiring_is_refused_while_something_needs_the_key(place, core):
    """The error says how many secrets need it, or that it is current; then nothing has changed."""
    (old,) = place.contents()["keys"]
    with pytest.raises(SealingKeyInUseError, match="current") as refused:
        core.sealing_keys.retire(old)
    assert refused.value.as_dict()["params"]["current"] is True
    new = core.sealing_keys.add()
    core.sealing_keys.make_current(new)
    with pytest.raises(SealingKeyInUseError, match="with it: 7") as refused:
        core.sealing_keys.retire(old)
    assert refused.value.as_dict()["params"]["secrets"] == 7
    for expected in (6, 5, 4, 3, 2, 1):
        core.sealing_keys.rewrap(limit=1)
        with pytest.raises(SealingKeyInUseError) as refused:
            core.sealing_keys.retire(old)
        assert (refused.value.secrets, refused.value.current) == (expected, False)
        assert set(place.contents()["keys"]) == {old, new}
    assert "with it: 1." in str(refused.value)
    core.sealing_keys.rewrap(limit=1)
    assert {key.key_id: key.retirable for key in core.sealing_keys.status()} == {old: True, new: False}
    core.sealing_keys.retire(old)
    with pytest.raises(NotFoundError, match=old):
        core.sealing_keys.retire(old)


@pytest.mark.slow(reason="four threads seal and open many keys")
def test_the_key_is_changed_while_work_goes_on(place, core):
    """Others seal and open all the time, in threads and through a second opening: nobody fails, nothing is lost."""
    (old,) = place.contents()["keys"]
    authority = core.authorities.get("test")
    begun = threading.Barrier(4, timeout=120)
    names = set()

    def work(one, worker):
        begun.wait()
        for number in range(15):
            draft = one.certificates.create(f"w{worker}-{number}.example", authority=authority.id)
            issuance = one.certificates.generate_csr(draft.id)
            assert one.certificates.view(issuance.id).issuance.csr_pem
            if worker == 1:  # others would only hear that this one was faster
                one.authorities.edit(authority.id, settings={"api_key": f"key-{number}"})
            documents = inside(one).contexts.documents(inside(one).plugins.module("scripted"))
            assert documents.seal(f"{worker}-{number}", f"{worker}-{number}".encode())
            assert documents.unseal(f"{worker}-{number}") == f"{worker}-{number}".encode()
            names.add(f"scripted/{worker}-{number}")

    def rotate():
        begun.wait()
        for _ in range(4):
            core.sealing_keys.make_current(core.sealing_keys.add())
            rewrap_all(core, limit=7)

    with place.open() as other:
        run_all(partial(work, core, 1), partial(work, other, 2), partial(work, core, 3), rotate)
        _, progress = rewrap_all(core)
        assert (progress.left, progress.failed) == (0, ())
        for one in core.sealing_keys.status():
            if not one.current:
                core.sealing_keys.retire(one.key_id)
        assert len(place.contents()["keys"]) == 1
        assert old not in place.contents()["keys"]
        plain = opened_secrets(other)
    assert {name.owner_id for name in plain if name.purpose == "module-secret"} == {"scripted/account", *names}
    assert len([name for name in plain if name.purpose == "certificate-key"]) == 3 + 45
    assert plain[next(name for name in plain if name.purpose == "authority-setting")] == Secret("key-14")
    assert all(plain[SecretName("module-secret", name)].reveal_text() == name.partition("/")[2] for name in names)


def test_two_may_re_wrap_at_once(place, core):
    """Each secret is counted once, all open, and nothing is left, however many do it."""
    plain = opened_secrets(core)
    core.sealing_keys.make_current(core.sealing_keys.add())
    begun = threading.Barrier(3, timeout=120)
    done = []

    def rewrap(one):
        begun.wait()
        done.append(rewrap_all(one, limit=2)[0])

    with place.open() as other:
        run_all(lambda: rewrap(core), lambda: rewrap(other), lambda: rewrap(core))
    assert sum(done) == len(plain)
    assert core.sealing_keys.rewrap().left == 0
    assert opened_secrets(core) == plain


@frozen(eq=False)
class Meddling:
    """A vault during whose re-wrapping somebody else changes the secret in the database."""

    vault: Vault
    meddle: object

    def seal(self, secret, name):
        return self.vault.seal(secret, name)

    def open(self, sealed, name):
        return self.vault.open(sealed, name)

    def rewrap(self, sealed, name):
        self.meddle(name)
        return self.vault.rewrap(sealed, name)


@pytest.mark.parametrize("meanwhile", ["replaced", "deleted"])
def test_what_changes_meanwhile_stays_as_it_was_changed(core, meanwhile):
    """A secret that is replaced or deleted between the reading and the writing is not put back."""
    keys = core.sealing_keys
    target = next(name for name in sealed_secrets(core) if name.purpose == "module-secret")
    fresh = inside(core).vault.seal(Secret("newer"), target)

    def meddle(name):
        if name == target:
            with inside(core).storage.write() as transaction:
                if meanwhile == "replaced":
                    transaction.secrets.put(target, fresh)
                else:
                    transaction.secrets.delete(target)

    keys.make_current(keys.add())
    progress = evolve(keys, vault=Meddling(inside(core).vault, meddle)).rewrap()
    assert progress.done == 6
    assert progress.failed == ()
    if meanwhile == "replaced":
        assert progress.left == 1
        assert sealed_secrets(core)[target] == fresh
        assert keys.rewrap().left == 0
        assert opened_secrets(core)[target] == Secret("newer")
    else:
        assert progress.left == 0
        assert target not in sealed_secrets(core)


def test_what_is_broken_does_not_keep_the_others_back(core):
    """A secret that was changed in the database is named, the others are re-wrapped, and its key is not retired."""
    keys = core.sealing_keys
    first = min(sealed_secrets(core), key=lambda name: (name.purpose, name.owner_id))
    with inside(core).storage.write() as transaction:
        sealed = transaction.secrets.get(first)
        transaction.secrets.put(first, evolve(sealed, wrapped_key=sealed.wrapped_key[::-1]))
    keys.make_current(keys.add())
    failed, after, calls = [], None, 0
    while calls == 0 or after is not None:
        progress = keys.rewrap(limit=1, after=after)
        failed += progress.failed
        after, calls = progress.next, calls + 1
    assert failed == [first]
    assert progress.left == 1
    assert calls <= len(sealed_secrets(core)) + 1
    with pytest.raises(SealingKeyInUseError, match="with it: 1"):
        keys.retire(sealed.key_id)


def test_what_a_straggler_seals_with_the_old_key_is_seen(place, core):
    """A process with an old copy of the keyring seals with the old key after the re-wrap: retiring is refused."""
    (old,) = place.contents()["keys"]
    copy = place.folder / "copy.json"
    new = core.sealing_keys.add()
    copy.write_bytes(place.keyring.read_bytes())  # it has both keys, as every machine should by now
    copy.chmod(0o600)
    with place.open(keyring=copy) as straggler:
        core.sealing_keys.make_current(new)
        rewrap_all(core)
        inside(straggler).contexts.documents(inside(straggler).plugins.module("scripted")).seal("late", b"x")
        with pytest.raises(SealingKeyInUseError, match="with it: 1"):
            core.sealing_keys.retire(old)
        assert core.sealing_keys.rewrap().done == 1
        core.sealing_keys.retire(old)


class NoRotation:
    """A policy that lets nobody touch the keys."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action):
        return None if actor == "root" or not action.startswith("keyring.") else False


def test_the_policy_is_asked(place):
    """Whoever may not change keys changes nothing, and does not see them either."""
    with place.open(plugins=[NoRotation()]) as core:
        keys = core.sealing_keys
        new = keys.add(actor="root")
        content = place.keyring.read_bytes()
        for refused in (
            lambda: keys.status(actor="eve"),
            lambda: keys.add(actor="eve"),
            lambda: keys.make_current(new, actor="eve"),
            lambda: keys.rewrap(actor="eve"),
            lambda: keys.retire(new, actor="eve"),
        ):
            with pytest.raises((AccessDeniedError, NotFoundError)):
                refused()
        assert place.keyring.read_bytes() == content
        keys.make_current(new, actor="root")
        assert keys.rewrap(actor="root").left == 0


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_batch_has_a_size(core, limit):
    """An invalid limit is refused before anything happens."""
    with pytest.raises(InvalidInputError, match="limit"):
        core.sealing_keys.rewrap(limit=limit)


STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "seal", "restart"]), st.just(0)),
    st.tuples(st.sampled_from(["use", "retire", "reseal", "drop"]), st.integers(0, 5)),
    st.tuples(st.just("rewrap"), st.integers(1, 4)),
)


@examples(40)
@given(st.lists(STEPS, max_size=25))
def test_whatever_the_order_every_secret_opens(steps):
    """After any sequence of adding, using, re-wrapping and retiring, all secrets open and the counts are right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keyring.json"
        CertCore.create_keyring(path)
        ring = open_keyring(str(path))
        with CertCore.in_memory(installed_plugins=False, keyring=ring) as core:
            keys = core.sealing_keys
            wanted, ids = {}, [ring.current_key_id]
            own = set(sealed_secrets(core))
            sealed_with = dict.fromkeys(own, ring.current_key_id)
            current = ring.current_key_id
            for number, (step, argument) in enumerate(steps):
                key_id = ids[argument % len(ids)]
                name = sorted(wanted, key=str)[argument % len(wanted)] if wanted else None
                match step:
                    case "add":
                        ids.append(keys.add())
                    case "use":
                        keys.make_current(key_id)
                        current = key_id
                    case "seal" | "reseal":
                        if step == "seal" or name is None:
                            name = SecretName("p", f"o{number}")
                        wanted[name] = Secret(f"value {number}")
                        sealed_with[name] = current
                        with inside(core).storage.write() as transaction:
                            transaction.secrets.put(name, inside(core).vault.seal(wanted[name], name))
                    case "drop" if name is not None:
                        del wanted[name], sealed_with[name]
                        with inside(core).storage.write() as transaction:
                            transaction.secrets.delete(name)
                    case "rewrap":
                        others = sum(one != current for one in sealed_with.values())
                        progress = keys.rewrap(limit=argument)
                        assert (progress.done, progress.failed) == (min(argument, others), ())
                        assert progress.left == others - progress.done
                        sealed_with = {name: sealed.key_id for name, sealed in sealed_secrets(core).items()}
                    case "retire":
                        if key_id == current or key_id in sealed_with.values():
                            with pytest.raises(SealingKeyInUseError):
                                keys.retire(key_id)
                        else:
                            keys.retire(key_id)
                            ids.remove(key_id)
                    case "restart":
                        keys = evolve(keys, vault=EnvelopeVault(open_keyring(str(path))))
                status = {key.key_id: key for key in keys.status()}
                assert status.keys() == set(ids)
                assert [one.key_id for one in status.values() if one.current] == [current]
                assert {key_id: one.secrets for key_id, one in status.items()} == {
                    key_id: list(sealed_with.values()).count(key_id) for key_id in ids
                }
                opened = {name: inside(core).vault.open(sealed, name) for name, sealed in sealed_secrets(core).items()}
                assert {name: secret for name, secret in opened.items() if name not in own} == wanted


def test_the_files_functions_and_the_service_are_one(place, core):
    """What is changed in the file behind a running process is what that process uses."""
    new = add_key(place.keyring)
    make_current(place.keyring, new)
    assert {key.key_id: key.current for key in core.sealing_keys.status()}[new]
    assert core.sealing_keys.rewrap().left == 0
