"""The keys that secrets are sealed with: who needs which, adding and retiring them, re-wrapping while work goes on."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from certcore.errors import InvalidInput, KeyringRefused, NotFound, SealingKeyInUse, UnknownSealingKey, UnsealFailed
from certcore.model.bounds import whole_number
from certcore.model.permissions import Permission
from certcore.model.secret import SecretName
from certcore.ports.sealing import ChangesKeys, Keyring, Vault
from certcore.ports.storage import LockWait, Storage
from certcore.services.access import Access
from certcore.services.identifiers import check_id

__all__ = ["RewrapProgress", "SealingKeyUse", "SealingKeys"]

_MOST_AT_ONCE: Final = 10_000


@frozen(kw_only=True)
class SealingKeyUse:
    """One sealing key, and what needs it."""

    key_id: str
    #: Whether what is new is sealed with it.
    current: bool
    #: Whether the keyring of this process holds it.
    in_keyring: bool
    #: How many secrets are sealed with it.
    secrets: int

    @property
    def retirable(self) -> bool:
        """Whether it may go: nothing needs it, and what is new is sealed with another one."""
        return self.in_keyring and not self.current and self.secrets == 0


@frozen(kw_only=True)
class RewrapProgress:
    """What one call of `SealingKeys.rewrap` did."""

    #: How many secrets were wrapped anew.
    done: int
    #: How many secrets are still sealed with another key than the current one.
    left: int
    #: Those of this batch that could not be: changed in the database, or sealed with a key that the keyring lacks.
    failed: tuple[SecretName, ...]
    #: Hand it to the next call as ``after``; None when there is nothing behind it.
    next: SecretName | None


@frozen(kw_only=True, eq=False)
class SealingKeys:
    """The keys of the keyring in operation.

    To change the key: `add`, `make_current`, `rewrap` until nothing is left, `retire` the old one.
    """

    storage: Storage
    vault: Vault
    keyring: Keyring
    access: Access

    def status(self, *, actor: str = "system") -> tuple[SealingKeyUse, ...]:
        """Every key of the keyring, and every key that a secret is sealed with, by id.

        Raises:
            KeyringRefused: The keyring cannot be used.
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.KEYRING_VIEW)
        return self._uses()

    def _uses(self) -> tuple[SealingKeyUse, ...]:
        with self.storage.read() as transaction:
            needed = transaction.secrets.count_by_key()
        held, current = self.keyring.key_ids, self.keyring.current_key_id
        return tuple(
            SealingKeyUse(
                key_id=key_id,
                current=key_id == current,
                in_keyring=key_id in held,
                secrets=needed.get(key_id, 0),
            )
            for key_id in sorted(held | needed.keys())
        )

    def add(self, *, actor: str = "system") -> str:
        """Add a new random key to the keyring; what is new goes on being sealed with the current one.

        Returns:
            The new key's id.

        Raises:
            KeyringRefused: This keyring is not changed by certcore, or its file cannot be written.
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.KEYRING_CHANGE)
        return self._changeable().add_key()

    def make_current(self, key_id: str, *, actor: str = "system") -> None:
        """Seal what is new with this key. Every process has to hold it by then.

        Raises:
            NotFound: The keyring holds no such key.
            KeyringRefused: This keyring is not changed by certcore, or its file cannot be written.
            AccessDenied: The policy said no.
        """
        self._require(actor, key_id)
        self._changeable().make_current(key_id)

    def rewrap(self, *, limit: int = 100, after: SecretName | None = None, actor: str = "system") -> RewrapProgress:
        """Wrap the data keys of some secrets with the current key, while work goes on; any number may do so at once.

        Only the wrapped data keys change: no secret is opened. A secret that somebody replaces meanwhile stays as it
        was replaced.

        Args:
            limit: Of how many secrets at most, 1 to 10000.
            after: Where the call before ended (`RewrapProgress.next`); None begins anew.
            actor: Who does this.

        Raises:
            InvalidInput: The limit is none.
            KeyringRefused: The keyring cannot be used.
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.KEYRING_CHANGE)
        whole_number("limit", limit, 1, _MOST_AT_ONCE)
        if after is not None and not isinstance(after, SecretName):
            raise InvalidInput("after", "must be what the call before has returned as next.")
        with self.storage.read() as transaction:
            batch = transaction.secrets.sealed_otherwise(self.keyring.current_key_id, limit=limit, after=after)
        done = 0
        failed: list[SecretName] = []
        for name, old in batch:
            try:
                new = self.vault.rewrap(old, name)
            except (UnknownSealingKey, UnsealFailed):
                failed.append(name)  # one that is broken does not keep the others back
                continue
            # One transaction each: in a longer one, rows locked in this order and by others in theirs could end in a
            # deadlock; and nobody waits long for it.
            with self.storage.write(LockWait.LONG) as transaction:
                done += transaction.secrets.replace(name, old, new)
        return RewrapProgress(
            done=done,
            left=self._left(),
            failed=tuple(failed),
            next=batch[-1][0] if len(batch) == limit else None,
        )

    def _check_retirable(self, key_id: str) -> None:
        found = next((one for one in self._uses() if one.key_id == key_id), None)
        if found is None or not found.in_keyring:
            raise NotFound("sealing key", key_id)
        if not found.retirable:
            raise SealingKeyInUse(key_id, secrets=found.secrets, current=found.current)

    def retire(self, key_id: str, *, actor: str = "system") -> None:
        """Take a key that nothing needs any more out of the keyring.

        Raises:
            NotFound: The keyring holds no such key.
            SealingKeyInUse: It is the current key, or secrets are still sealed with it; the error says how many.
            KeyringRefused: Nothing needs it, but this keyring is not changed by certcore, or cannot be written.
            AccessDenied: The policy said no.
        """
        self._require(actor, key_id)
        self._check_retirable(key_id)
        self._changeable().remove_key(key_id)

    def _require(self, actor: str, key_id: str) -> None:
        """Go on only if the actor may change this key; who may not even see the keys learns of none."""
        check_id("key_id", key_id)
        change, sees = Permission.KEYRING_CHANGE, Permission.KEYRING_VIEW
        self.access.require_visible(actor, change, key_id, sees=sees, kind="sealing key")

    def _left(self) -> int:
        with self.storage.read() as transaction:
            needed = transaction.secrets.count_by_key()
        current = self.keyring.current_key_id
        return sum(count for key_id, count in needed.items() if key_id != current)

    def _changeable(self) -> ChangesKeys:
        if isinstance(self.keyring, ChangesKeys):
            return self.keyring
        raise KeyringRefused(
            "This keyring is not kept in a file, so certcore does not change its keys.",
            advice="Change them where they are kept, then restart every process. In an environment variable, of "
            "ID:BASE64,ID:BASE64 the first is the current key; the URL of a PKCS#11 token names it with object=.",
        )
