"""A module's documents in memory, for the tests of CA modules."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from certcore.errors import StaleWrite
from certcore.ports.storage import Document

__all__ = ["MemoryDocuments"]


class MemoryDocuments:
    """`certcore.ports.ca_module.Documents` in memory and thread-safe; secrets are kept, but not sealed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: dict[str, tuple[str, int]] = {}
        self._secrets: dict[str, bytes] = {}

    def get(self, key: str) -> Document | None:
        """One document; None when there is none."""
        with self._lock:
            return self._document(key) if key in self._documents else None

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document, if the stored version is the one demanded.

        Raises:
            StaleWrite: It is not.
            TypeError: The value is not plain JSON.
        """
        with self._lock:
            found = self._documents[key][1] if key in self._documents else 0
            if version is not None and version != found:
                raise StaleWrite("document", key, expected=version, found=found or None)
            self._put(key, value)
            return self._document(key)

    def put_many(self, values: Mapping[str, Mapping[str, Any]], *, versions: Mapping[str, int] | None = None) -> None:
        """Store several documents at once.

        Raises:
            StaleWrite: A demanded version is not the stored one.
            TypeError: A value is not plain JSON.
        """
        with self._lock:
            for key, version in (versions or {}).items():
                found = self._documents[key][1] if key in self._documents else 0
                if version != found:
                    raise StaleWrite("document", key, expected=version, found=found or None)
            for key, value in values.items():
                self._put(key, value)

    def delete(self, *keys: str) -> None:
        """Delete documents; missing ones are no error."""
        with self._lock:
            for key in keys:
                self._documents.pop(key, None)

    def list(self, prefix: str = "") -> Sequence[Document]:
        """The documents whose key begins with ``prefix``, by key."""
        with self._lock:
            return [self._document(key) for key in sorted(self._documents) if key.startswith(prefix)]

    def seal(self, key: str, secret: bytes) -> bool:
        """Keep a secret under this key if there is none yet; returns whether it was kept."""
        with self._lock:
            if key in self._secrets:
                return False
            self._secrets[key] = secret
            return True

    def unseal(self, key: str) -> bytes | None:
        """The secret under this key; None when there is none."""
        with self._lock:
            return self._secrets.get(key)

    def delete_secret(self, key: str) -> None:
        """Delete a secret; a missing one is no error."""
        with self._lock:
            self._secrets.pop(key, None)

    def _put(self, key: str, value: Mapping[str, Any]) -> None:
        # As text, so that nobody changes a stored document through a reference, and only JSON gets in.
        old = self._documents[key][1] if key in self._documents else 0
        self._documents[key] = (json.dumps(value), old + 1)

    def _document(self, key: str) -> Document:
        text, version = self._documents[key]
        return Document(key=key, value=json.loads(text), version=version)
