"""Secrets in memory and sealed secrets at rest."""

from __future__ import annotations

from typing import Any, Final, Never

from attrs import frozen

__all__ = ["CERTIFICATE_KEY", "SealedSecret", "Secret", "SecretName"]

#: The purpose of the private keys of certificates; their names end with the id of an issuance.
CERTIFICATE_KEY: Final = "certificate-key"


class Secret:
    """A secret that is hidden in repr, str, format, pickles and comparison errors.

    Take the value out with `reveal`, as late and as briefly as possible.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The secret itself."""
        return self._value

    def reveal_text(self) -> str:
        """The secret as UTF-8 text."""
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
    """The purpose and the id of a sealed secret: bound into the ciphertext, so that a moved secret cannot be opened."""

    #: What the secret is for: ``certificate-key``, ``authority-setting``, ``document``.
    purpose: str
    #: The id of the object that the secret belongs to.
    owner_id: str

    def __str__(self) -> str:
        return f"{self.purpose}/{self.owner_id}"


@frozen
class SealedSecret:
    """A secret at rest: AES-256-GCM under its own data key, which is wrapped by a key of the keyring."""

    #: The keyring key that wrapped the data key.
    key_id: str
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes
    #: What the ciphertext is bound to. 1, as older versions wrote it: to the secret's name. 2: to its owner, too.
    format: int = 1
