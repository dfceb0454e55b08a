"""Open the keyring of a URL, and check that it belongs to a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from certcore.adapters.keyrings.vault import EnvelopeVault, open_keyring
from certcore.errors import KeyringError, UnknownSealingKeyError, UnsealError, WrongSealingKeyError
from certcore.messages import Message
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import Keyring
from certcore.ports.storage import Storage

__all__ = ["check_keyring", "keyring_of"]

_KEYRING_CHECK: Final = SecretName("keyring-check", "1")


def keyring_of(url: str, by_plugin: Callable[[str], Keyring | None]) -> Keyring:
    """The keyring of a path, ``file:PATH``, ``env:VARIABLE``, or of a URL that a plugin knows.

    Args:
        url: The keyring's URL or path.
        by_plugin: Asks the plugins for the keyring of a URL; returns None if no plugin knows the URL.

    Raises:
        KeyringError: The URL is unknown, or the keyring cannot be used.
    """
    scheme, separator, _ = url.partition(":")
    if separator and len(scheme) > 1 and scheme not in ("file", "env"):
        keyring = by_plugin(url)
        if keyring is None:
            text = "Use a path, file:PATH or env:VARIABLE, or install the plugin for it."
            raise KeyringError(
                Message("keyring.no_plugin", "No plugin opens a keyring of the kind {kind}.", {"kind": repr(scheme)}),
                advice=Message("keyring.no_plugin.advice", text),
            )
        return keyring
    return open_keyring(url)


def check_keyring(storage: Storage, vault: EnvelopeVault) -> None:
    """Refuse a keyring of another database, before anything is sealed with the wrong key.

    Raises:
        UnknownSealingKeyError: Secrets are sealed with keys that the keyring lacks.
        WrongSealingKeyError: The keyring has another key with the same ID.
    """
    with storage.read() as transaction:
        needed = transaction.secrets.key_ids()
        sealed = transaction.secrets.get(_KEYRING_CHECK)
    if needed and (missing := set(needed) - vault.keyring.key_ids):
        with storage.read() as transaction:
            counts = transaction.secrets.count_by_key()
        raise UnknownSealingKeyError(min(missing), missing={key_id: counts.get(key_id, 0) for key_id in missing})
    if sealed is not None:
        try:
            vault.open(sealed, _KEYRING_CHECK)
        except UnsealError:
            raise WrongSealingKeyError(sealed.key_id) from None
        return
    fresh = vault.seal(Secret(b"certcore"), _KEYRING_CHECK)
    with storage.write() as transaction:
        if transaction.secrets.get(_KEYRING_CHECK) is None:
            transaction.secrets.put(_KEYRING_CHECK, fresh)
