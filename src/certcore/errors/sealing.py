"""Errors about stored secrets and the keyring."""

from __future__ import annotations

from collections.abc import Mapping

from certcore.errors.base import CertCoreError
from certcore.messages import Message

__all__ = [
    "KeyringError",
    "SealingError",
    "SealingKeyInUseError",
    "StoredKeyMismatchError",
    "UnknownSealingKeyError",
    "UnsealError",
    "WrongSealingKeyError",
]


class SealingError(CertCoreError):
    """A stored secret could not be sealed or opened."""

    code = "sealing_error"


class StoredKeyMismatchError(SealingError):
    """The private key that is stored for a certificate does not belong to its leaf or CSR.

    Args:
        domain: The certificate's primary name.
    """

    code = "stored_key_mismatch"
    param_names = ("domain",)

    def __init__(self, domain: str) -> None:
        text = (
            "The private key that the database stores for {domain} does not belong to this certificate; it was not "
            "exported."
        )
        advice = "Somebody has changed the database: compare it with a backup, and reissue the certificate."
        super().__init__(
            Message("error.stored_key_mismatch", text, {"domain": domain}),
            advice=Message("error.stored_key_mismatch.advice", advice),
        )
        self.domain = domain


class KeyringError(SealingError):
    """The keyring cannot be used, for example because it is missing, malformed, or readable by other users."""

    code = "keyring_error"


class SealingKeyInUseError(SealingError):
    """A key of the keyring cannot be retired: it is the current one, or secrets are still sealed with it.

    Args:
        key_id: The key's ID.
        secrets: How many secrets are sealed with the key.
        current: Whether the key is the keyring's current key.
    """

    code = "sealing_key_in_use"
    http_status = 409
    param_names = ("key_id", "secrets", "current")

    def __init__(self, key_id: str, *, secrets: int = 0, current: bool = False) -> None:
        params = {"key_id": repr(key_id), "count": secrets}
        if current:
            text = "The key {key_id} is the keyring's current key, which seals new secrets."
            message = Message("error.sealing_key_in_use.current", text, params)
            text = "First make another key the current one and re-wrap: certcore keyring use KEY_ID."
            advice = Message("error.sealing_key_in_use.current_advice", text)
        else:
            text = "The key {key_id} is still needed; secrets sealed with it: {count}."
            message = Message("error.sealing_key_in_use", text, params)
            text = "Re-wrap first: certcore keyring rewrap, or CertCore.sealing_keys.rewrap()."
            advice = Message("error.sealing_key_in_use.advice", text)
        super().__init__(message, advice=advice)
        self.key_id = key_id
        self.secrets = secrets
        self.current = current


class UnknownSealingKeyError(SealingError):
    """Secrets are sealed with a key that the keyring does not hold.

    Args:
        key_id: The ID of the missing key, or of any of several.
        missing: The number of secrets that are sealed with each missing key, by ID; None if one secret was opened.
    """

    code = "unknown_sealing_key"
    param_names = ("key_id", "missing")

    def __init__(self, key_id: str, *, missing: Mapping[str, int] | None = None) -> None:
        if missing is None:
            text = "A secret is sealed with the key {key_id}, which the keyring does not hold."
            message = Message("error.unknown_sealing_key", text, {"key_id": repr(key_id)})
        else:
            keys = ", ".join(f"{key_id!r} (secrets sealed with it: {missing[key_id]})" for key_id in sorted(missing))
            text = "The keyring does not hold every key of this database; it lacks {keys}."
            message = Message("error.unknown_sealing_key.several", text, {"keys": keys})
        advice = (
            "Use the keyring that belongs to this database, or restore the missing keys from a copy or from the "
            "machine that made them; without them these secrets cannot be opened."
        )
        super().__init__(message, advice=Message("error.unknown_sealing_key.advice", advice))
        self.key_id = key_id
        self.missing = dict(missing or {})


class UnsealError(SealingError):
    """A sealed secret was changed, was moved to another row, or was sealed with another key.

    Args:
        secret: The name of the secret.
    """

    code = "unseal_error"
    param_names = ("secret",)

    def __init__(self, secret: str) -> None:
        text = "The sealed secret {secret} cannot be opened: it was changed, moved, or sealed with another key."
        super().__init__(
            Message("error.unseal_error", text, {"secret": secret}),
            advice=Message("error.unseal_error.advice", "Restore it from a backup together with its keyring."),
        )
        self.secret = secret


class WrongSealingKeyError(SealingError):
    """A key of the keyring has the right ID, but is not the key that sealed the secrets of the database.

    Args:
        key_id: The key's ID.
    """

    code = "wrong_sealing_key"
    param_names = ("key_id",)

    def __init__(self, key_id: str) -> None:
        text = "The keyring's key {key_id} differs from the key of that ID that sealed the secrets of this database."
        advice = "Use the keyring that belongs to this database, or restore that key from its copy."
        super().__init__(
            Message("error.wrong_sealing_key", text, {"key_id": repr(key_id)}),
            advice=Message("error.wrong_sealing_key.advice", advice),
        )
        self.key_id = key_id
