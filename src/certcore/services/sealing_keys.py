"""Sealing keys: show their use; add, make current, re-wrap and retire them while the store is in use."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from certcore.errors import (
    InvalidInputError,
    KeyringError,
    NotFoundError,
    SealingKeyInUseError,
    UnknownSealingKeyError,
    UnsealError,
)
from certcore.messages import Message
from certcore.model.identifiers import check_id
from certcore.model.input_limits import whole_number
from certcore.model.permissions import Permission
from certcore.model.secret import SecretName
from certcore.ports.sealing import ChangesKeys, Keyring, Vault
from certcore.ports.storage import LockWait, Storage
from certcore.services.access import Access

__all__ = ["RewrapProgress", "SealingKeyUse", "SealingKeys"]

_MOST_AT_ONCE: Final = 10_000


@frozen(kw_only=True)
class SealingKeyUse:
    """A sealing key, and how many secrets are sealed with it."""

    key_id: str
    #: Whether new secrets are sealed with it.
    current: bool
    #: Whether the keyring of this process has it.
    in_keyring: bool
    #: The number of secrets sealed with it.
    secrets: int

    @property
    def retirable(self) -> bool:
        """Whether it can be retired: no secret needs it, and it is not the current key."""
        return self.in_keyring and not self.current and self.secrets == 0


@frozen(kw_only=True)
class RewrapProgress:
    """The result of one call of `SealingKeys.rewrap`."""

    #: The number of secrets that were re-wrapped.
    done: int
    #: The number of secrets that are sealed with another key than the current one.
    left: int
    #: The secrets of this batch that could not be re-wrapped: they were changed in the database, or are sealed with a
    #: key that the keyring lacks.
    failed: tuple[SecretName, ...]
    #: Pass this to the next call as ``after``; None at the end.
    next: SecretName | None


@frozen(kw_only=True, eq=False)
class SealingKeys:
    """The calls for the sealing keys: `certcore.CertCore.sealing_keys`.

    To change the key, call `add`, then `make_current`, then `rewrap` until nothing is left, then `retire` with the old
    key.
    """

    _storage: Storage
    _vault: Vault
    _keyring: Keyring
    _access: Access

    def status(self, *, actor: str = "system") -> tuple[SealingKeyUse, ...]:
        """All keys of the keyring and all keys with which secrets are sealed, by ID.

        Raises:
            KeyringError: The keyring cannot be used.
            AccessDeniedError: The policy refused.
        """
        self._access.require(actor, Permission.KEYRING_VIEW)
        return self._uses()

    def _uses(self) -> tuple[SealingKeyUse, ...]:
        with self._storage.read() as transaction:
            needed = transaction.secrets.count_by_key()
        key_ids, current = self._keyring.key_ids, self._keyring.current_key_id
        return tuple(
            SealingKeyUse(
                key_id=key_id,
                current=key_id == current,
                in_keyring=key_id in key_ids,
                secrets=needed.get(key_id, 0),
            )
            for key_id in sorted(key_ids | needed.keys())
        )

    def add(self, *, actor: str = "system") -> str:
        """Add a new random key to the keyring, without making it current.

        Returns:
            The ID of the new key.

        Raises:
            KeyringError: certcore cannot change this keyring, or its file cannot be written.
            AccessDeniedError: The policy refused.
        """
        self._access.require(actor, Permission.KEYRING_CHANGE)
        return self._changeable().add_key()

    def make_current(self, key_id: str, *, actor: str = "system") -> None:
        """Seal new secrets with this key from now on. All processes must have loaded it before.

        Raises:
            NotFoundError: The keyring has no such key.
            KeyringError: certcore cannot change this keyring, or its file cannot be written.
            AccessDeniedError: The policy refused.
        """
        self._require(actor, key_id)
        self._changeable().make_current(key_id)

    def rewrap(self, *, limit: int = 100, after: SecretName | None = None, actor: str = "system") -> RewrapProgress:
        """Re-wrap the data keys of some secrets with the current key. Several processes may do so at the same time.

        Only the wrapped data keys change; no secret is opened. A secret that is replaced meanwhile is not overwritten.

        Args:
            limit: The largest number of secrets, 1 to 10000.
            after: Where the previous call ended (`RewrapProgress.next`); None for the beginning.
            actor: Who makes the call.

        Raises:
            InvalidInputError: The limit is out of range.
            KeyringError: The keyring cannot be used.
            AccessDeniedError: The policy refused.
        """
        self._access.require(actor, Permission.KEYRING_CHANGE)
        whole_number("limit", limit, 1, _MOST_AT_ONCE)
        if after is not None and not isinstance(after, SecretName):
            raise InvalidInputError("after", Message("input.not_next", "must be the next value of the previous call."))
        with self._storage.read() as transaction:
            batch = transaction.secrets.sealed_otherwise(self._keyring.current_key_id, limit=limit, after=after)
        done = 0
        failed: list[SecretName] = []
        for name, old in batch:
            try:
                new = self._vault.rewrap(old, name)
            except (UnknownSealingKeyError, UnsealError):
                failed.append(name)  # a broken secret does not stop the others
                continue
            # One transaction for each: a longer one could deadlock with transactions that lock the rows in another
            # order, and others would wait for it.
            with self._storage.write(LockWait.LONG) as transaction:
                done += transaction.secrets.replace(name, old, new)
        return RewrapProgress(
            done=done,
            left=self._left(),
            failed=tuple(failed),
            next=batch[-1][0] if len(batch) == limit else None,
        )

    def _check_retirable(self, key_id: str) -> None:
        use = next((use for use in self._uses() if use.key_id == key_id), None)
        if use is None or not use.in_keyring:
            raise NotFoundError("sealing key", key_id)
        if not use.retirable:
            raise SealingKeyInUseError(key_id, secrets=use.secrets, current=use.current)

    def retire(self, key_id: str, *, actor: str = "system") -> None:
        """Remove a key that no secret needs from the keyring.

        Raises:
            NotFoundError: The keyring has no such key.
            SealingKeyInUseError: The key is current, or secrets are still sealed with it; the error has their number.
            KeyringError: certcore cannot change this keyring, or its file cannot be written.
            AccessDeniedError: The policy refused.
        """
        self._require(actor, key_id)
        self._check_retirable(key_id)
        self._changeable().remove_key(key_id)

    def _require(self, actor: str, key_id: str) -> None:
        """Raise an error unless the actor may change this key; a `NotFoundError` if the actor may not see the keys."""
        check_id("key_id", key_id)
        change, sees = Permission.KEYRING_CHANGE, Permission.KEYRING_VIEW
        self._access.require_visible(actor, change, key_id, sees=sees, kind="sealing key")

    def _left(self) -> int:
        with self._storage.read() as transaction:
            needed = transaction.secrets.count_by_key()
        current = self._keyring.current_key_id
        return sum(count for key_id, count in needed.items() if key_id != current)

    def _changeable(self) -> ChangesKeys:
        if isinstance(self._keyring, ChangesKeys):
            return self._keyring
        raise KeyringError(
            Message(
                "core.keyring_not_changeable",
                "This keyring is not kept in a file, so certcore does not change its keys.",
            ),
            advice=Message(
                "core.keyring_not_changeable.advice",
                (
                    "Change them where they are kept, then restart every process. In an environment "
                    "variable, ID:BASE64,ID:BASE64, the first key is the current one; the URL of a PKCS#11 "
                    "token names it with object=."
                ),
            ),
        )
