"""A wrapper for keyrings of plugins, which converts their exceptions to PluginError and checks their results."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from certcore.adapters.keyrings.file import FileKeyring
from certcore.adapters.keyrings.static import StaticKeyring
from certcore.model.plugin_calls import call_plugin
from certcore.model.plugin_results import UnexpectedResultError, conform, with_article
from certcore.ports.sealing import ChangesKeys, Keyring

__all__ = ["guarded"]


def guarded(keyring: Keyring) -> Keyring:
    """Wrap a keyring so that its errors name it; keyrings of certcore are returned unchanged."""
    if type(keyring) in (FileKeyring, StaticKeyring):
        return keyring
    name = type(keyring).__name__
    return _ChangingKeyring(keyring, name) if isinstance(keyring, ChangesKeys) else _GuardedKeyring(keyring, name)


@frozen(eq=False)
class _GuardedKeyring:
    inner: Any
    name: str

    @property
    def current_key_id(self) -> str:
        """The ID of the key that wraps new data keys."""
        key_id: str = call_plugin(
            self.name, "Keyring.current_key_id", getattr, self.inner, "current_key_id", returns=str
        )
        return key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The IDs of all keys that can unwrap."""
        key_ids: frozenset[str] = call_plugin(
            self.name, "Keyring.key_ids", getattr, self.inner, "key_ids", returns=_key_ids
        )
        return key_ids

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key."""
        wrapped: tuple[str, bytes] = self._call("wrap", data_key, bound_to=bound_to, returns=tuple[str, bytes])
        return wrapped

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key."""
        data_key: bytes = self._call("unwrap", key_id, wrapped_key, bound_to=bound_to, returns=bytes)
        return data_key

    def _call(self, method: str, *arguments: Any, returns: Any, **named: Any) -> Any:
        def call() -> object:
            return getattr(self.inner, method)(*arguments, **named)

        return call_plugin(self.name, f"Keyring.{method}", call, returns=returns)


@frozen(eq=False)
class _ChangingKeyring(_GuardedKeyring):
    def add_key(self) -> str:
        """Add a new random key."""
        key_id: str = self._call("add_key", returns=str)
        return key_id

    def make_current(self, key_id: str) -> None:
        """Make a key the current one."""
        self._call("make_current", key_id, returns=None)

    def remove_key(self, key_id: str) -> None:
        """Remove a key permanently."""
        self._call("remove_key", key_id, returns=None)


def _key_ids(returned: object) -> frozenset[str]:
    if not isinstance(returned, (set, frozenset)):
        raise UnexpectedResultError(f"{with_article(returned)}, where a set of key ids is expected")
    return frozenset(conform(tuple(returned), tuple[str, ...]))
