"""Rules for sealed secrets: the key of each secret is known, and no newer secret is replaced."""

from __future__ import annotations

import threading

import pytest
from attrs import evolve

from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.storage import Storage

__all__ = ["SecretsContract"]

_EVERY_BYTE = bytes(range(256))
_SEALED = SealedSecret(key_id="k1", wrapped_key=_EVERY_BYTE, nonce=b"\0" * 12, ciphertext=_EVERY_BYTE)


class SecretsContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about the keys of sealed secrets."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    def test_secrets_by_their_key(self, storage: Storage) -> None:
        """The IDs of the keys are listed with the number of secrets that each has sealed. Case distinguishes IDs."""
        with storage.read() as transaction:
            assert transaction.secrets.key_ids() == []
            assert dict(transaction.secrets.count_by_key()) == {}
        self._fill(storage, {"a": "k2", "b": "K2", "c": "k2", "d": "", "e": "ä"})
        with storage.read() as transaction:
            assert transaction.secrets.key_ids() == ["", "K2", "k2", "ä"]
            assert dict(transaction.secrets.count_by_key()) == {"": 1, "K2": 1, "k2": 2, "ä": 1}

    def test_secrets_that_are_sealed_otherwise(self, storage: Storage) -> None:
        """Secrets sealed by other keys are listed by purpose and owner, in pages without gaps, with all fields."""
        names = [SecretName(purpose, owner) for purpose in ("P", "p", "q") for owner in ("A", "a", "a/1", "b")]
        with storage.write() as transaction:
            for number, name in enumerate(reversed(names)):
                transaction.secrets.put(name, evolve(_SEALED, key_id=f"k{number % 3}"))
        expected = [name for number, name in enumerate(reversed(names)) if number % 3 != 1][::-1]
        with storage.read() as transaction:
            names_found = transaction.secrets.sealed_otherwise("k1", limit=100)
            assert [name for name, _ in names_found] == expected
            assert all(transaction.secrets.get(name) == sealed for name, sealed in names_found)
            paged: list[SecretName] = []
            while page := transaction.secrets.sealed_otherwise("k1", limit=3, after=paged[-1] if paged else None):
                assert len(page) <= 3
                paged.extend(name for name, _ in page)
            assert paged == expected
            assert len(transaction.secrets.sealed_otherwise("never there", limit=100)) == len(names)
            between = SecretName("p", "a.")
            assert [name for name, _ in transaction.secrets.sealed_otherwise("k1", limit=1, after=between)] == [
                next(name for name in expected if (name.purpose, name.owner_id) > (between.purpose, between.owner_id))
            ]

    def test_a_secret_is_replaced_only_by_who_knows_it(self, storage: Storage) -> None:
        """Replacing a secret that is not stored changes nothing and returns False."""
        name = SecretName("p", "o")
        new = evolve(_SEALED, key_id="k2", wrapped_key=b"new")
        self._fill(storage, {"o": "k1", "other": "k1"})
        with storage.write() as transaction:
            for old in (
                evolve(_SEALED, key_id="k3"),
                evolve(_SEALED, wrapped_key=b"another"),
                evolve(_SEALED, wrapped_key=_EVERY_BYTE + b"\0"),
                evolve(_SEALED, nonce=b"\1" * 12),
            ):
                assert not transaction.secrets.replace(name, old, new)
            assert not transaction.secrets.replace(SecretName("p", "O"), _SEALED, new)
            assert not transaction.secrets.replace(SecretName("never", "there"), _SEALED, new)
            assert transaction.secrets.get(name) == _SEALED
            assert transaction.secrets.replace(name, _SEALED, new)
            assert transaction.secrets.get(name) == new
            assert not transaction.secrets.replace(name, _SEALED, new)
        with storage.read() as transaction:
            assert transaction.secrets.get(name) == new
            assert transaction.secrets.get(SecretName("p", "other")) == _SEALED

    def test_of_two_replacements_one_is_made(self, storage: Storage) -> None:
        """If threads replace the same secret concurrently after reading it, exactly one of them succeeds."""
        self._fill(storage, {f"o{number}": "k1" for number in range(20)})
        made: list[tuple[int, SealedSecret]] = []

        def replace(worker: int) -> None:
            for number in range(20):
                new = evolve(_SEALED, key_id="k2", wrapped_key=bytes([worker]))
                with storage.write() as transaction:
                    done = transaction.secrets.replace(SecretName("p", f"o{number}"), _SEALED, new)
                if done:
                    made.append((number, new))

        threads = [threading.Thread(target=replace, args=(worker,), daemon=True) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert sorted(number for number, _ in made) == list(range(20))
        with storage.read() as transaction:
            assert all(transaction.secrets.get(SecretName("p", f"o{number}")) == new for number, new in made)

    @staticmethod
    def _fill(storage: Storage, keys: dict[str, str]) -> None:
        with storage.write() as transaction:
            for owner, key_id in keys.items():
                transaction.secrets.put(SecretName("p", owner), evolve(_SEALED, key_id=key_id))
