"""The interfaces for sealing stored secrets: the vault, and the keyring with the vault's wrapping keys."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from certcore.model.secret import SealedSecret, Secret, SecretName

__all__ = ["ChangesKeys", "Keyring", "Vault"]


@runtime_checkable
class Keyring(Protocol):
    """The wrapping keys, for example in a file, an environment variable, a KMS or an HSM.

    Implementations MUST be thread-safe, and MUST authenticate ``bound_to`` as associated data.
    """

    @property
    def current_key_id(self) -> str:
        """The ID of the key that wraps new data keys."""
        ...

    @property
    def key_ids(self) -> frozenset[str]:
        """The IDs of all keys that can unwrap."""
        ...

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key.

        Args:
            data_key: The key to wrap, 32 bytes.
            bound_to: Associated data, which `unwrap` must get again.

        Returns:
            The ID of the current key, and the wrapped bytes.

        Raises:
            KeyringError: The keyring cannot be used now.
        """
        ...

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKeyError: The keyring does not have that key.
            UnsealError: The wrapped bytes or ``bound_to`` differ from those of `wrap`.
            KeyringError: The keyring cannot be used now.
        """
        ...


@runtime_checkable
class ChangesKeys(Protocol):
    """An optional power of a keyring: certcore can add its keys, make them current and remove them.

    Each change MUST be atomic, and two concurrent changes MUST both take effect.
    """

    def add_key(self) -> str:
        """Add a new random key without making it current; returns its ID.

        Raises:
            KeyringError: The change cannot be stored.
        """
        ...

    def make_current(self, key_id: str) -> None:
        """Wrap new data keys with this key from now on. Does nothing if the key is already current.

        Raises:
            NotFoundError: There is no such key.
            KeyringError: The change cannot be stored.
        """
        ...

    def remove_key(self, key_id: str) -> None:
        """Remove a key permanently.

        Raises:
            NotFoundError: There is no such key.
            SealingKeyInUseError: The key is the current one.
            KeyringError: The change cannot be stored.
        """
        ...


class Vault(Protocol):
    """Seals and opens secrets with envelope encryption."""

    def seal(self, secret: Secret, name: SecretName, *, owner: str = "") -> SealedSecret:
        """Seal a secret so that it can be opened only with the same name and the same owner.

        Args:
            secret: The secret.
            name: Its purpose, and the ID of the object that it belongs to.
            owner: The tenant that owns it; empty for the panel itself.
        """
        ...

    def open(self, sealed: SealedSecret, name: SecretName, *, owner: str = "") -> Secret:
        """Open a sealed secret. The caller names the expected purpose and owner; the stored row is not trusted.

        Args:
            sealed: The sealed secret from the store. Format 1 is not bound to an owner.
            name: As in `seal`.
            owner: As in `seal`.

        Raises:
            UnknownSealingKeyError: The keyring lacks the key.
            UnsealError: The secret was changed, moved, or sealed with another name or owner. MUST NOT return anything
                in this case.
        """
        ...

    def rewrap(self, sealed: SealedSecret, name: SecretName) -> SealedSecret:
        """Wrap the data key of a sealed secret with the keyring's current key. The ciphertext is unchanged.

        The secret itself MUST NOT be opened.

        Raises:
            UnknownSealingKeyError: The keyring lacks the key that wraps the data key now.
            UnsealError: The wrapped data key was changed, moved, or sealed with another name.
        """
        ...
