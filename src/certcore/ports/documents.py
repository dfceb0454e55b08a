"""The interface of a CA module's store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from certcore.ports.storage import Document

__all__ = ["DocumentChanges", "Documents"]


class DocumentChanges(Protocol):
    """Changes of a module's documents that are stored in one transaction with the outcome of a step."""

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Store a document, replacing any version."""
        ...

    def change(self, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> None:
        """Change the version of a document that is stored when the outcome is stored.

        Args:
            key: The document's key.
            change: Gets the stored value (empty if there is no document) and returns the new value, or None to keep the
                document. It runs inside the transaction, perhaps more than once, so it MUST be fast and MUST NOT have
                side effects.
        """
        ...

    def delete(self, *keys: str) -> None:
        """Delete documents. A missing document is not an error."""
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Delete all documents whose key begins with ``prefix``."""
        ...


class Documents(Protocol):
    """A module's store of small JSON documents: namespaced, versioned and shared by all processes.

    The changes by `put`, `put_many`, `delete`, `seal` and `delete_secret` are durable when the call returns. Use them
    for what must be stored before anything is sent to the outside. `with_outcome` needs no additional transaction.

    Within a step, each document is read from the database once, so that the step sees one state. The step sees its own
    writes. After a `StaleWriteError`, the documents of the refused write are read again; `refresh` does so for all.

    Within a step, every write raises a `LeaseLostError` if another worker or a user's action has taken over the
    certificate. Do not catch it.
    """

    @property
    def with_outcome(self) -> DocumentChanges:
        """Changes that are stored in the same transaction as the step's outcome, in the order of the calls.

        `get` does not return them before that. If the outcome cannot be stored, they are not stored either. Outside a
        step they are stored at once.
        """
        ...

    def get(self, key: str) -> Document | None:
        """One document; None if it does not exist."""
        ...

    def get_many(self, keys: Collection[str]) -> Mapping[str, Document]:
        """The documents with these keys, by key, read in one transaction. Missing documents are left out."""
        ...

    def change_mark(self) -> object | None:
        """A value that changes whenever any process commits anything to the store.

        The call takes microseconds and sends no query. None if the store has no such value.
        """
        ...

    def refresh(self) -> None:
        """Drop all documents that were read in this step, so that they are read from the database again."""
        ...

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document.

        Args:
            key: The document's key, at most 500 characters.
            value: Plain JSON.
            version: The version that must be stored now; 0 if there must be no document; None to replace any version.

        Returns:
            The document with its new version.

        Raises:
            StaleWriteError: Another version is stored. Nothing is written.
        """
        ...

    def put_many(
        self,
        values: Mapping[str, Mapping[str, Any]],
        *,
        versions: Mapping[str, int] | None = None,
        announces_order: bool = False,
        change: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]] | None = None,
        delete: Collection[str] = (),
    ) -> None:
        """Store several documents in one transaction.

        Args:
            values: The new values by key; may be empty.
            versions: The required versions of some of the documents, as in `put`.
            announces_order: True if the step will request an order from the CA next. The engine counts the order in
                this transaction, so that a crash between the request and the answer loses no count. The result of the
                step then says whether the order was placed (`Waiting.ordered`). A second announcement in the same step
                means that the CA refused the first request.
            change: Functions for further documents to change at the end of the transaction, by key, as in
                `DocumentChanges.change`.
            delete: The keys of documents to delete in the same transaction. A missing document is not an error.

        Raises:
            StaleWriteError: Another version of a document is stored. Nothing is written.
        """
        ...

    def delete(self, *keys: str) -> None:
        """Delete documents. A missing document is not an error."""
        ...

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        """At most 10,000 documents whose key begins with ``prefix`` and comes after ``after``, by key."""
        ...

    def seal(self, key: str, secret: bytes) -> bool:
        """Seal a secret under a key, unless there is already one; returns whether it was stored."""
        ...

    def unseal(self, key: str) -> bytes | None:
        """The secret under a key; None if it does not exist."""
        ...

    def delete_secret(self, key: str) -> None:
        """Delete a secret. A missing secret is not an error."""
        ...
