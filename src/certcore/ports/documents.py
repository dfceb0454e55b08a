"""A module's own small store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from certcore.ports.storage import Document

__all__ = ["DocumentChanges", "Documents"]


class DocumentChanges(Protocol):
    """Changes of a module's documents that are stored together with the outcome of a step."""

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Store a document, whatever is there."""
        ...

    def change(self, key: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> None:
        """Change a document as it stands when the outcome is stored.

        Args:
            key: The document's key.
            change: Gets the stored value, an empty one when there is no document, and returns the new value, or None
                to leave it alone. It runs inside the transaction, perhaps more than once: it MUST be fast and change
                nothing else.
        """
        ...

    def delete(self, *keys: str) -> None:
        """Delete documents; missing ones are no error."""
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Delete all documents whose key begins with ``prefix``."""
        ...


class Documents(Protocol):
    """A module's own small store: namespaced, versioned, shared by all processes.

    What `put`, `put_many`, `delete`, `seal` and `delete_secret` store is durable when they return: use them for what
    has to be stored before anybody outside hears of it. `with_outcome` costs no transaction of its own.

    Inside of a step, a document is read from the database once: the step sees one state. Its own writes are seen, a
    write that is refused is forgotten, and `refresh` forgets everything.
    """

    @property
    def with_outcome(self) -> DocumentChanges:
        """Changes that are stored in the transaction that stores the step's outcome, in the order of the calls.

        They are not seen by `get` before. When the outcome cannot be stored, neither are they. Outside of a step they
        are stored at once.
        """
        ...

    def get(self, key: str) -> Document | None:
        """One document; None if it does not exist."""
        ...

    def get_many(self, keys: Collection[str]) -> Mapping[str, Document]:
        """Those of the named documents that are there, by key; read in one transaction."""
        ...

    def change_mark(self) -> object | None:
        """A value that is another one when anybody has committed anything to the store since.

        It takes microseconds and asks no server; None where the store cannot tell in this way.
        """
        ...

    def refresh(self) -> None:
        """Forget what was read in this step, so that the database is asked again."""
        ...

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document; ``version`` 0 requires that there is none yet, n requires version n, None requires nothing.

        Raises:
            StaleWriteError: The requirement is not met.
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
        """Store several documents in one transaction, replacing what is there.

        Args:
            values: By key; may be empty.
            versions: What is demanded of some of them, as in `put`; when one demand is not met, nothing is stored.
            announces_order: This step is about to ask the CA for an order. The engine counts it in this transaction,
                so that a crash between the request and its answer loses no count. `Waiting.ordered` and its likes
                then say whether it was placed. A second announcement in one step says that the CA has refused what
                the first one was about.
            change: Further documents to change as they stand, at the end of the same transaction: see
                `DocumentChanges.change`.
            delete: Keys of documents to delete in the same transaction; missing ones are no error.

        Raises:
            StaleWriteError: A demand is not met.
        """
        ...

    def delete(self, *keys: str) -> None:
        """Delete documents; missing ones are no error."""
        ...

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        """The documents whose key begins with ``prefix`` and follows ``after``, by key; 10,000 at most."""
        ...

    def seal(self, key: str, secret: bytes) -> bool:
        """Seal a secret under this key if there is none yet; returns whether it was stored (False: one was there)."""
        ...

    def unseal(self, key: str) -> bytes | None:
        """The secret under this key; None if it does not exist."""
        ...

    def delete_secret(self, key: str) -> None:
        """Delete a secret; a missing one is no error."""
        ...
