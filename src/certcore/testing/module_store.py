"""A module's documents in memory, for the tests of CA modules."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from certcore.errors import StaleWriteError
from certcore.ports.storage import Document

__all__ = ["MemoryDocuments"]


class MemoryDocuments:
    """`certcore.ports.ca_module.Documents` in memory and thread-safe; secrets are kept, but not sealed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: dict[str, tuple[str, int]] = {}
        self._secrets: dict[str, bytes] = {}
        self._commits = 0
        #: How many orders were announced.
        self.orders_announced = 0

    def get(self, key: str) -> Document | None:
        """One document; None if it does not exist."""
        with self._lock:
            return self._document(key) if key in self._documents else None

    @property
    def with_outcome(self) -> _Changes:
        """Changes that a step stores with its outcome; here they are stored at once."""
        return _Changes(self)

    def get_many(self, keys: Collection[str]) -> Mapping[str, Document]:
        """Those of the named documents that are there."""
        with self._lock:
            return {key: self._document(key) for key in keys if key in self._documents}

    def change_mark(self) -> object | None:
        """How many changes were stored."""
        return self._commits

    def refresh(self) -> None:
        """Nothing is remembered here but what is stored."""

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document, if the stored version is the one demanded.

        Raises:
            StaleWriteError: It is not.
            TypeError: The value is not plain JSON.
        """
        with self._lock:
            stored_version = self._documents[key][1] if key in self._documents else 0
            if version is not None and version != stored_version:
                raise StaleWriteError("document", key, expected=version, found=stored_version or None)
            self._put(key, value)
            return self._document(key)

    def put_many(
        self,
        values: Mapping[str, Mapping[str, Any]],
        *,
        versions: Mapping[str, int] | None = None,
        announces_order: bool = False,
        change: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]] | None = None,
        delete: Collection[str] = (),
    ) -> None:
        """Store several documents at once; an order that is announced is added to `orders_announced`.

        Raises:
            StaleWriteError: A demanded version is not the stored one.
            TypeError: A value is not plain JSON.
        """
        with self._lock:
            for key, version in (versions or {}).items():
                stored_version = self._documents[key][1] if key in self._documents else 0
                if version != stored_version:
                    raise StaleWriteError("document", key, expected=version, found=stored_version or None)
            for key, value in values.items():
                self._put(key, value)
            self._delete(delete)
            for key, each in (change or {}).items():
                self._change(key, each)
            self.orders_announced += announces_order

    def delete(self, *keys: str) -> None:
        """Delete documents; missing ones are no error."""
        with self._lock:
            self._delete(keys)

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        """The documents whose key begins with ``prefix``, by key."""
        with self._lock:
            return [self._document(key) for key in sorted(self._documents) if key.startswith(prefix) and key > after]

    def seal(self, key: str, secret: bytes) -> bool:
        """Keep a secret under this key if there is none yet; returns whether it was kept."""
        with self._lock:
            if key in self._secrets:
                return False
            self._secrets[key] = secret
            return True

    def unseal(self, key: str) -> bytes | None:
        """The secret under this key; None if it does not exist."""
        with self._lock:
            return self._secrets.get(key)

    def delete_secret(self, key: str) -> None:
        """Delete a secret; a missing one is no error."""
        with self._lock:
            self._secrets.pop(key, None)

    def change(self, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> None:
        """Change a document as it stands; see `certcore.ports.documents.DocumentChanges.change`."""
        with self._lock:
            self._change(key, change)

    def _change(self, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> None:
        value = change(self._document(key).value if key in self._documents else {})
        if value is not None:
            self._put(key, value)

    def _delete(self, keys: Collection[str]) -> None:
        self._commits += 1
        for key in keys:
            self._documents.pop(key, None)

    def _put(self, key: str, value: Mapping[str, Any]) -> None:
        # As text, so that nobody changes a stored document through a reference, and only JSON gets in.
        old = self._documents[key][1] if key in self._documents else 0
        self._documents[key] = (json.dumps(value), old + 1)
        self._commits += 1

    def _document(self, key: str) -> Document:
        text, version = self._documents[key]
        return Document(key=key, value=json.loads(text), version=version)


class _Changes:
    """`certcore.ports.ca_module.DocumentChanges` that are stored at once."""

    def __init__(self, documents: MemoryDocuments) -> None:
        self._documents = documents

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        self._documents.put(key, value)

    def change(self, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> None:
        self._documents.change(key, change)

    def delete(self, *keys: str) -> None:
        self._documents.delete(*keys)

    def delete_prefix(self, prefix: str) -> None:
        self._documents.delete(*(document.key for document in self._documents.list(prefix)))
