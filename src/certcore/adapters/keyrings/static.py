"""A keyring whose keys are in memory, and its two text formats."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore.errors import KeyringError, UnknownSealingKeyError, UnsealError
from certcore.messages import Message

__all__ = ["KEY_BYTES", "NONCE_BYTES", "StaticKeyring", "new_key_id", "parse_keyring"]

#: The JSON form of a keyring, for error messages.
_LONG_FORM: Final = '{"version": 1, "current": "ID", "keys": {"ID": "BASE64 of 32 bytes"}}'
KEY_BYTES: Final = 32
#: NIST SP 800-38D section 8.2: 96 bits.
NONCE_BYTES: Final = 12


@frozen(kw_only=True, eq=False)
class StaticKeyring:
    """A keyring whose keys are in memory, as parsed from a file or an environment variable."""

    current_key_id: str
    _keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def generate(cls, key_id: str = "k1") -> StaticKeyring:
        """A keyring with one new key."""
        return cls(current_key_id=key_id, keys={key_id: secrets.token_bytes(KEY_BYTES)})

    def with_key(self, key_id: str) -> StaticKeyring:
        """The keyring with an additional new key."""
        return evolve(self, keys={**self._keys, key_id: secrets.token_bytes(KEY_BYTES)})

    def without_key(self, key_id: str) -> StaticKeyring:
        """The keyring without a key."""
        return evolve(self, keys={stored_id: key for stored_id, key in self._keys.items() if stored_id != key_id})

    def to_text(self) -> str:
        """The keyring as JSON with its keys unencrypted, only for its file."""
        keys = {key_id: base64.b64encode(key).decode() for key_id, key in self._keys.items()}
        return json.dumps({"version": 1, "current": self.current_key_id, "keys": keys}, indent=2) + "\n"

    @property
    def key_ids(self) -> frozenset[str]:
        """The IDs of all keys."""
        return frozenset(self._keys)

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        wrapped = AESGCM(self._keys[self.current_key_id]).encrypt(
            nonce, data_key, _wrapping(self.current_key_id, bound_to)
        )
        return self.current_key_id, nonce + wrapped

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKeyError: There is no such key here.
            UnsealError: The wrapped bytes or what they are bound to changed.
        """
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownSealingKeyError(key_id)
        nonce, wrapped = wrapped_key[:NONCE_BYTES], wrapped_key[NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, wrapped, _wrapping(key_id, bound_to))
        except (InvalidTag, ValueError):
            raise UnsealError("data key") from None


def new_key_id() -> str:
    """A random ID for a new key."""
    return f"k-{secrets.token_hex(4)}"


def parse_keyring(text: str, source: Message) -> StaticKeyring:
    """Read a keyring from its JSON, or from ``ID:BASE64[,ID:BASE64…]``.

    Args:
        text: The text.
        source: Where the text comes from, as the beginning of a sentence.

    Raises:
        KeyringError: The text is not a keyring; the error does not repeat it.
    """
    text = text.strip()
    if not text.startswith("{"):
        return _parse_short(text, source)
    try:
        document: Any = json.loads(text, object_pairs_hook=_without_duplicates)
        current, keys = document["current"], document["keys"]
        decoded = {key_id: _decode(key) for key_id, key in keys.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        params = {"what": source, "form": _LONG_FORM}
        raise KeyringError(Message("keyring.not_json", "{what} is not a keyring: {form}.", params)) from None
    if not isinstance(current, str) or current not in decoded:
        reason = "{what} names a current key that it does not contain."
        raise KeyringError(Message("keyring.no_current_key", reason, {"what": source}))
    return StaticKeyring(current_key_id=current, keys=decoded)


def _parse_short(text: str, source: Message) -> StaticKeyring:
    """Read ``id:base64[,id:base64…]``; the first key is the current one."""
    decoded: dict[str, bytes] = {}
    for entry in text.split(","):
        key_id, separator, key = entry.strip().partition(":")
        try:
            if not separator or not key_id or key_id in decoded:
                raise ValueError  # noqa: TRY301 - one message for all format errors
            decoded[key_id] = _decode(key)
        except (ValueError, TypeError):
            reason = "{what} is not a keyring: ID:BASE64 of 32 bytes, several separated by commas."
            raise KeyringError(Message("keyring.not_keys", reason, {"what": source})) from None
    return StaticKeyring(current_key_id=next(iter(decoded)), keys=decoded)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError
    return unique


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None
    if len(key) != KEY_BYTES:
        raise ValueError
    return key


def _wrapping(key_id: str, bound_to: bytes) -> bytes:
    return b"".join((len(key_id).to_bytes(4), key_id.encode(), bound_to))
