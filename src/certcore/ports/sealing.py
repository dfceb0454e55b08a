"""Secrets at rest: the vault that seals them, and the keyring that guards the vault's keys."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from certcore.model.secret import SealedSecret, Secret, SecretName

__all__ = ["ChangesKeys", "Keyring", "Vault"]


@runtime_checkable
class Keyring(Protocol):
    """Holds the wrapping keys; a file, an environment variable, a KMS or an HSM.

    Implementations MUST be thread-safe, and MUST bind ``bound_to`` into what they wrap as associated data.
    """

    @property
    def current_key_id(self) -> str:
        """The id of the key that wraps new data keys."""
        ...

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys that can unwrap."""
        ...

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key; returns that key's id and the wrapped bytes."""
        ...

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKeyError: The keyring does not hold that key.
            UnsealError: The wrapped bytes or ``bound_to`` are not what was wrapped.
        """
        ...


@runtime_checkable
class ChangesKeys(Protocol):
    """A power that a keyring may have: its keys are added, made current and removed through certcore.

    Each change MUST be there as a whole or not at all, and two at once MUST lose nothing.
    """

    def add_key(self) -> str:
        """Add a new random key, which is not the current one; returns its id.

        Raises:
            KeyringError: It cannot be stored.
        """
        ...

    def make_current(self, key_id: str) -> None:
        """Wrap what is new with this key; harmless when it is the current one already.

        Raises:
            NotFoundError: There is no such key.
            KeyringError: It cannot be stored.
        """
        ...

    def remove_key(self, key_id: str) -> None:
        """Remove a key for good.

        Raises:
            NotFoundError: There is no such key.
            SealingKeyInUseError: It is the current one.
            KeyringError: It cannot be stored.
        """
        ...


class Vault(Protocol):
    """Seals and opens secrets with envelope encryption."""

    def seal(self, secret: Secret, name: SecretName, *, owner: str = "") -> SealedSecret:
        """Seal a secret so that it opens only under the same name and for the same owner.

        Args:
            secret: What is sealed.
            name: Its purpose, and the id of the object that it belongs to.
            owner: The tenant that owns it; empty for the panel's own.
        """
        ...

    def open(self, sealed: SealedSecret, name: SecretName, *, owner: str = "") -> Secret:
        """Open a sealed secret. The caller says what it is and whose; the stored row is not believed.

        Args:
            sealed: From the store. One of format 1 is not bound to an owner.
            name: As in `seal`.
            owner: As in `seal`.

        Raises:
            UnknownSealingKeyError: The keyring lacks the key.
            UnsealError: Changed, moved, or sealed for something else. MUST never return anything in that case.
        """
        ...

    def rewrap(self, sealed: SealedSecret, name: SecretName) -> SealedSecret:
        """Wrap the data key of a sealed secret with the keyring's current key; the ciphertext stays as it is.

        The secret itself MUST NOT be opened for this.

        Raises:
            UnknownSealingKeyError: The keyring lacks the key that it is sealed with.
            UnsealError: The wrapped data key was changed, moved, or sealed for something else.
        """
        ...
