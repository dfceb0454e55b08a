"""Secrets at rest: the vault that seals them, and the keyring that guards the vault's keys."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from certcore.model.secret import SealedSecret, Secret, SecretName

__all__ = ["Keyring", "Vault"]


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
            UnknownSealingKey: The keyring does not hold that key.
            UnsealFailed: The wrapped bytes or ``bound_to`` are not what was wrapped.
        """
        ...


class Vault(Protocol):
    """Seals and opens secrets with envelope encryption."""

    def seal(self, secret: Secret, name: SecretName) -> SealedSecret:
        """Seal a secret so that it opens only under the same name."""
        ...

    def open(self, sealed: SealedSecret, name: SecretName) -> Secret:
        """Open a sealed secret.

        Raises:
            UnknownSealingKey: The keyring lacks the key.
            UnsealFailed: Changed, moved, or sealed for something else. MUST never return anything in that case.
        """
        ...
