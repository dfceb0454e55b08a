"""Secrets at rest that cannot be sealed or opened."""

from __future__ import annotations

from collections.abc import Mapping

from certcore.errors.base import CertCoreError

__all__ = [
    "KeyNotOfCertificate",
    "KeyringRefused",
    "SealingError",
    "SealingKeyInUse",
    "UnknownSealingKey",
    "UnsealFailed",
    "WrongSealingKey",
]


class SealingError(CertCoreError):
    """A secret at rest could not be sealed or opened."""


class KeyNotOfCertificate(SealingError):
    """The private key that the database names for a certificate is not the key of its leaf or request."""

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"The private key that the database names for {domain} is not this certificate's; it was not taken out.",
            advice="Somebody has changed the database: compare it with a backup, and reissue the certificate.",
        )
        self.domain = domain


class KeyringRefused(SealingError):
    """The keyring cannot be used as it is: missing, malformed, or readable by others."""


class SealingKeyInUse(SealingError):
    """A key of the keyring cannot be retired: it is the current one, or secrets are still sealed with it.

    Args:
        key_id: The key.
        secrets: How many secrets are sealed with it.
        current: Whether it is the keyring's current key.
    """

    _shown_fields = ("key_id", "secrets", "current")

    def __init__(self, key_id: str, *, secrets: int = 0, current: bool = False) -> None:
        if current:
            what = f"The key {key_id!r} is the keyring's current one: what is new is sealed with it."
            advice = "Make another key the current one first, and re-wrap: certcore keyring use KEY_ID."
        else:
            what = f"The key {key_id!r} is still needed; secrets sealed with it: {secrets}."
            advice = "Re-wrap first: certcore keyring rewrap, or CertCore.sealing_keys.rewrap()."
        super().__init__(what, advice=advice)
        self.key_id = key_id
        self.secrets = secrets
        self.current = current


class UnknownSealingKey(SealingError):
    """Secrets are sealed with a key that the keyring does not hold.

    Args:
        key_id: The key; of several, any of them.
        missing: Of each missing key, how many secrets are sealed with it; None when it is about one secret.
    """

    _shown_fields = ("key_id", "missing")

    def __init__(self, key_id: str, *, missing: Mapping[str, int] | None = None) -> None:
        if missing is None:
            what = f"A secret is sealed with the key {key_id!r}, which the keyring does not hold."
        else:
            keys = ", ".join(f"{one!r} (secrets sealed with it: {missing[one]})" for one in sorted(missing))
            what = f"The keyring does not hold every key of this database; it lacks {keys}."
        super().__init__(
            what,
            advice="Name the keyring that belongs to this database, or put what is missing back into it, from its copy "
            "or from the machine that made it; without it these secrets cannot be opened.",
        )
        self.key_id = key_id
        self.missing = dict(missing or {})


class UnsealFailed(SealingError):
    """A sealed secret was changed, was moved to another row, or belongs to another key."""

    def __init__(self, secret: str) -> None:
        super().__init__(
            f"The sealed secret {secret} does not open: it was changed, moved, or sealed with another key.",
            advice="Restore it from a backup together with its keyring.",
        )
        self.secret = secret


class WrongSealingKey(SealingError):
    """The keyring holds a key of the right id, but not the one that the database's secrets are sealed with."""

    _shown_fields = ("key_id",)

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"The keyring's key {key_id!r} is not the key of that id which this database's secrets are sealed with.",
            advice="Use the keyring that belongs to this database, or restore that key from its copy.",
        )
        self.key_id = key_id
