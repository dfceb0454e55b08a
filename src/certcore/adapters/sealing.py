"""Envelope encryption, and the keyrings that ship with certcore: a file, an environment variable."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore.errors import KeyringRefused, UnknownSealingKey, UnsealFailed
from certcore.model.secret import SealedSecret, Secret, SecretName
from certcore.ports.sealing import Keyring

__all__ = ["EnvelopeVault", "StaticKeyring", "create_keyring_file", "open_keyring"]

_KEY_BYTES: Final = 32
#: NIST SP 800-38D section 8.2: 96 bits.
_NONCE_BYTES: Final = 12
_FORMAT: Final = b"certcore-sealed-1"
_MAX_FILE: Final = 64 * 1024


@frozen(eq=False)
class EnvelopeVault:
    """Seals each secret with its own AES-256-GCM data key, which the keyring wraps (NIST SP 800-38D)."""

    keyring: Keyring

    def seal(self, secret: Secret, name: SecretName) -> SealedSecret:
        """Seal a secret so that it opens only under the same name."""
        bound = _bound_to(name)
        data_key = secrets.token_bytes(_KEY_BYTES)
        key_id, wrapped = self.keyring.wrap(data_key, bound_to=bound)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return SealedSecret(
            key_id=key_id,
            wrapped_key=wrapped,
            nonce=nonce,
            ciphertext=AESGCM(data_key).encrypt(nonce, secret.reveal(), bound),
        )

    def open(self, sealed: SealedSecret, name: SecretName) -> Secret:
        """Open a sealed secret.

        Raises:
            UnknownSealingKey: The keyring lacks the key.
            UnsealFailed: It was changed, moved, or sealed for something else.
        """
        bound = _bound_to(name)
        try:
            data_key = self.keyring.unwrap(sealed.key_id, sealed.wrapped_key, bound_to=bound)
            return Secret(AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, bound))
        except (InvalidTag, ValueError, UnsealFailed):
            raise UnsealFailed(str(name)) from None


@frozen(kw_only=True, eq=False)
class StaticKeyring:
    """A keyring whose keys are in memory; what the file and the environment variable are read into."""

    current_key_id: str
    _keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def generate(cls, key_id: str = "k1") -> StaticKeyring:
        """A keyring with one new key."""
        return cls(current_key_id=key_id, keys={key_id: secrets.token_bytes(_KEY_BYTES)})

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._keys)

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        wrapped = AESGCM(self._keys[self.current_key_id]).encrypt(
            nonce, data_key, _wrapping(self.current_key_id, bound_to)
        )
        return self.current_key_id, nonce + wrapped

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKey: There is no such key here.
            UnsealFailed: The wrapped bytes or what they are bound to changed.
        """
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownSealingKey(key_id)
        nonce, wrapped = wrapped_key[:_NONCE_BYTES], wrapped_key[_NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, wrapped, _wrapping(key_id, bound_to))
        except (InvalidTag, ValueError):
            raise UnsealFailed("data key") from None


def open_keyring(url: str) -> StaticKeyring:
    """Open a keyring: a path, ``file:PATH``, or ``env:VARIABLE``.

    Raises:
        KeyringRefused: It is missing, malformed, or readable by others.
    """
    if url.startswith("env:"):
        variable = url.removeprefix("env:")
        text = os.environ.get(variable, "")
        if not text:
            raise KeyringRefused(f"The environment variable {variable} with the keyring is not set.")
        return _parse(text, f"The environment variable {variable}")
    path = Path(url.removeprefix("file://").removeprefix("file:"))
    return _parse(_read_private_file(path), f"The keyring file {path}")


def create_keyring_file(path: Path) -> None:
    """Create a keyring file with one new key, mode 0600; its folder is made (0700) when it is missing.

    Raises:
        KeyringRefused: There is a file already, or it cannot be written.
    """
    key_id = f"k-{secrets.token_hex(4)}"
    document = {"version": 1, "current": key_id, "keys": {key_id: _encode(secrets.token_bytes(_KEY_BYTES))}}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyringRefused(f"The folder {path.parent} cannot be made: {error.strerror}.") from None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask says
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise KeyringRefused(
            f"There is a keyring at {path} already; it was left as it is.", advice="Use it, or choose another path."
        ) from None
    except OSError as error:
        raise KeyringRefused(f"The keyring file {path} cannot be written: {error.strerror}.") from None


def _read_private_file(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyringRefused(
            f"There is no keyring file at {path}.",
            advice="Create one: certcore init, or CertCore.create_keyring(path).",
        ) from None
    except OSError as error:
        raise KeyringRefused(f"The keyring file {path} cannot be read: {error.strerror}.") from None
    try:
        # Asked of the open file, so that nobody can swap it in between.
        found = os.fstat(descriptor)
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise KeyringRefused(f"The keyring {path} is not a regular file.")
        if mode & 0o077:
            raise KeyringRefused(
                f"The keyring file {path} can be read or changed by others (mode {mode:04o}).",
                advice=f"Run: chmod 600 {path}; if others may have read it, make a new keyring.",
            )
        if found.st_uid not in (os.geteuid(), 0):
            raise KeyringRefused(f"The keyring file {path} belongs to another user.")
        return os.read(descriptor, _MAX_FILE).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _parse(text: str, what: str) -> StaticKeyring:
    text = text.strip()
    if not text.startswith("{"):
        return _parse_short(text, what)
    try:
        document: Any = json.loads(text, object_pairs_hook=_without_duplicates)
        current, keys = document["current"], document["keys"]
        decoded = {key_id: _decode(key) for key_id, key in keys.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeyringRefused(
            f'{what} is not a keyring: {{"version": 1, "current": "ID", "keys": {{"ID": "BASE64 of 32 bytes"}}}}.'
        ) from None
    if not isinstance(current, str) or current not in decoded:
        raise KeyringRefused(f"{what} names a current key that it does not hold.")
    return StaticKeyring(current_key_id=current, keys=decoded)


def _parse_short(text: str, what: str) -> StaticKeyring:
    """``id:base64[,id:base64…]``, the first one current."""
    decoded: dict[str, bytes] = {}
    for entry in text.split(","):
        key_id, separator, key = entry.strip().partition(":")
        try:
            if not separator or not key_id or key_id in decoded:
                raise ValueError  # noqa: TRY301 - one sentence for whatever is wrong
            decoded[key_id] = _decode(key)
        except (ValueError, TypeError):
            raise KeyringRefused(
                f"{what} is not a keyring: ID:BASE64 of 32 bytes, several separated by commas."
            ) from None
    return StaticKeyring(current_key_id=next(iter(decoded)), keys=decoded)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None
    if len(key) != _KEY_BYTES:
        raise ValueError
    return key


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _bound_to(name: SecretName) -> bytes:
    """What a ciphertext is bound to; lengths in front, so that no two names give the same bytes."""
    purpose, owner = name.purpose.encode(), name.owner_id.encode()
    return b"".join((_FORMAT, len(purpose).to_bytes(4), purpose, len(owner).to_bytes(4), owner))


def _wrapping(key_id: str, bound_to: bytes) -> bytes:
    return b"".join((len(key_id).to_bytes(4), key_id.encode(), bound_to))
