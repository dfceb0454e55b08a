"""Secrets in memory, and sealed secrets in the store."""

from __future__ import annotations

from typing import Any, Final, Never

from attrs import frozen

__all__ = ["CERTIFICATE_KEY", "SealedSecret", "Secret", "SecretName"]

#: The purpose in the `SecretName` of private keys of certificates; the owner_id is the ID of an issuance.
CERTIFICATE_KEY: Final = "certificate-key"


class Secret:
    """A secret whose value does not appear in repr, str, format, pickles or comparison errors.

    Call `reveal` for the value, as late as possible, and do not keep it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The value as bytes."""
        return self._value

    def reveal_text(self) -> str:
        """The value as text, decoded from UTF-8."""
        return self._value.decode()

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, spec: str) -> str:
        return "Secret(…)"

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("A Secret cannot be pickled or copied out of the process.")


@frozen
class SecretName:
    """The purpose and owner of a sealed secret. The ciphertext is bound to it, so a moved secret cannot be opened."""

    #: The purpose, for example ``certificate-key`` or ``module-secret``.
    purpose: str
    #: The ID of the object that the secret belongs to.
    owner_id: str

    def __str__(self) -> str:
        return f"{self.purpose}/{self.owner_id}"


@frozen
class SealedSecret:
    """A stored secret: encrypted by AES-256-GCM with its own data key, which a key of the keyring wraps."""

    #: The ID of the keyring's key that wraps the data key.
    key_id: str
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes
    #: What the ciphertext is bound to. 1: the secret's name (older versions of certcore). 2: the name and the owner.
    format: int = 1
