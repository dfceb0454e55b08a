"""Envelope encryption, and opening the keyrings that ship with certcore: a file, an environment variable."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore.adapters.keyrings.file import FileKeyring, create_keyring_file
from certcore.adapters.keyrings.static import KEY_BYTES, NONCE_BYTES, StaticKeyring, parse_keyring
from certcore.errors import KeyringError, UnsealError
from certcore.messages import Message
from certcore.model.secret import SealedSecret, Secret, SecretName
from certcore.ports.sealing import Keyring

__all__ = ["EnvelopeVault", "StaticKeyring", "create_keyring_file", "new_record_key", "open_keyring"]

#: The prefixes of the associated data of data keys and of ciphertexts of format 1, and of ciphertexts of format 2,
#: which are bound to the owner. Re-wrapping a data key does not need the owner.
_BOUND_TO_NAME: Final = b"certcore-sealed-1"
_BOUND_TO_OWNER: Final = b"certcore-sealed-2"
_FORMAT: Final = 2


@frozen(eq=False)
class EnvelopeVault:
    """Seals each secret with its own AES-256-GCM data key, which the keyring wraps (NIST SP 800-38D)."""

    keyring: Keyring

    def seal(self, secret: Secret, name: SecretName, *, owner: str = "") -> SealedSecret:
        """Seal a secret so that it opens only under the same name and for the same owner."""
        data_key = secrets.token_bytes(KEY_BYTES)
        key_id, wrapped = self.keyring.wrap(data_key, bound_to=_bound_to(name))
        nonce = secrets.token_bytes(NONCE_BYTES)
        return SealedSecret(
            key_id=key_id,
            wrapped_key=wrapped,
            nonce=nonce,
            ciphertext=AESGCM(data_key).encrypt(nonce, secret.reveal(), _associated(name, owner, _FORMAT)),
            format=_FORMAT,
        )

    def open(self, sealed: SealedSecret, name: SecretName, *, owner: str = "") -> Secret:
        """Open a sealed secret.

        Raises:
            UnknownSealingKeyError: The keyring lacks the key.
            UnsealError: The secret was changed, moved, or sealed for another name or owner.
        """
        try:
            data_key = self.keyring.unwrap(sealed.key_id, sealed.wrapped_key, bound_to=_bound_to(name))
            associated = _associated(name, owner, sealed.format)
            return Secret(AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, associated))
        except (InvalidTag, ValueError, UnsealError):
            raise UnsealError(str(name)) from None

    def rewrap(self, sealed: SealedSecret, name: SecretName) -> SealedSecret:
        """Wrap the data key with the keyring's current key; the secret is not decrypted.

        Raises:
            UnknownSealingKeyError: The keyring lacks the key with which the data key is wrapped.
            UnsealError: The wrapped data key was changed, moved, or sealed for another name.
        """
        bound = _bound_to(name)
        try:
            data_key = self.keyring.unwrap(sealed.key_id, sealed.wrapped_key, bound_to=bound)
        except UnsealError:
            raise UnsealError(str(name)) from None
        key_id, wrapped = self.keyring.wrap(data_key, bound_to=bound)
        return evolve(sealed, key_id=key_id, wrapped_key=wrapped)


def new_record_key() -> Secret:
    """A new random key with which the ends of timelines are sealed."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def open_keyring(url: str) -> Keyring:
    """Open a keyring: a path, ``file:PATH``, or ``env:VARIABLE``.

    Raises:
        KeyringError: The keyring is missing, malformed, or readable by others.
    """
    if url.startswith("env:"):
        variable = url.removeprefix("env:")
        text = os.environ.get(variable, "")
        if not text:
            reason = "The environment variable {variable} with the keyring is not set."
            raise KeyringError(Message("keyring.variable_not_set", reason, {"variable": variable}))
        source = Message("keyring.the_variable", "The environment variable {variable}", {"variable": variable})
        return parse_keyring(text, source)
    return FileKeyring.open(Path(url.removeprefix("file://").removeprefix("file:")))


def _bound_to(name: SecretName) -> bytes:
    """The associated data of a data key."""
    return _joined(_BOUND_TO_NAME, name.purpose, name.owner_id)


def _associated(name: SecretName, owner: str, form: int) -> bytes:
    """The associated data of a ciphertext.

    Raises:
        ValueError: There is no such format.
    """
    match form:
        case 1:
            return _bound_to(name)
        case 2:
            return _joined(_BOUND_TO_OWNER, name.purpose, name.owner_id, owner)
        case _:
            raise ValueError(form)


def _joined(kind: bytes, *texts: str) -> bytes:
    """Texts with length prefixes, so that different lists give different bytes."""
    return b"".join((kind, *(len(encoded).to_bytes(4) + encoded for encoded in (text.encode() for text in texts))))
