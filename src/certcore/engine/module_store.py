"""The documents and secrets of a module, kept in the storage and the vault, and their use within one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from attrs import define, field, frozen

from certcore.engine.order_limit import OrderCount
from certcore.errors import LeaseLostError, StaleWriteError
from certcore.model.certificate import Schedule
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import Vault
from certcore.ports.storage import Document, DocumentRepository, Storage, Transaction

__all__ = ["OpenStep", "StoredDocuments"]

_Change = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
_NOTHING: Final[Mapping[str, Any]] = {}


@define(eq=False)
class OpenStep:
    """A running step of a certificate: its lease, the documents it has read, and the changes it will store."""

    #: The step's lease. Without it nothing is written, for example after a pause in which another process took over.
    lease: Schedule
    #: Counts an order that the module announces; None while the module may place none.
    order_count: OrderCount | None = field(default=None, init=False)
    #: Whether the step may be taken again from the state before it, see `certcore.ports.ca_module.Waiting.repeatable`.
    is_repeatable: bool = field(default=False, init=False)
    #: The documents as this step has read them, by namespace and key; None for a missing document.
    _read: dict[tuple[str, str], Document | None] = field(factory=dict, init=False, repr=False)
    _changes: list[Callable[[DocumentRepository], object]] = field(factory=list, init=False, repr=False)

    @property
    def has_changes(self) -> bool:
        """Whether there are changes to be stored with the outcome."""
        return bool(self._changes)

    def known(self, namespace: str, keys: Collection[str]) -> dict[str, Document | None]:
        """The named documents that this step has read, by key."""
        return {key: self._read[namespace, key] for key in keys if (namespace, key) in self._read}

    def note(self, namespace: str, documents: Mapping[str, Document | None]) -> None:
        """Remember documents as they are stored now."""
        self._read.update({(namespace, key): document for key, document in documents.items()})

    def forget(self, namespace: str, keys: Collection[str] | None = None) -> None:
        """Forget documents of a namespace; all of them if ``keys`` is None."""
        for known in [known for known in list(self._read) if known[0] == namespace]:
            if keys is None or known[1] in keys:
                self._read.pop(known, None)

    def change(self, change: Callable[[DocumentRepository], object]) -> None:
        """Store a change with the outcome."""
        self._changes.append(change)

    def store(self, transaction: Transaction) -> None:
        """Store the changes."""
        for change in self._changes:
            change(transaction.documents)


@define(eq=False)
class StoredDocuments:
    """The documents of one module; implements `certcore.ports.ca_module.Documents`."""

    storage: Storage
    vault: Vault
    namespace: str
    #: The step that uses these documents; None outside of a step.
    step: OpenStep | None = None

    @property
    def with_outcome(self) -> _Changes:
        """Changes that are stored together with the step's outcome; outside of a step, at once."""
        return _Changes(self)

    def get(self, key: str) -> Document | None:
        """One document; None if it does not exist."""
        return self.get_many((key,)).get(key)

    def get_many(self, keys: Collection[str]) -> Mapping[str, Document]:
        """The named documents that exist."""
        known = {} if self.step is None else self.step.known(self.namespace, keys)
        missing = [key for key in keys if key not in known]
        if missing:
            with self.storage.read() as transaction:
                stored = transaction.documents.get_many(self.namespace, missing)
            read: dict[str, Document | None] = {key: stored.get(key) for key in missing}
            if self.step is not None:
                self.step.note(self.namespace, read)
            known |= read
        return {key: document for key, document in known.items() if document is not None}

    def change_mark(self) -> object | None:
        """A value that differs after each commit; None if the store cannot tell this without a query."""
        return self.storage.change_mark()

    def refresh(self) -> None:
        """Ask the database again."""
        if self.step is not None:
            self.step.forget(self.namespace)

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document.

        Raises:
            StaleWriteError: The expected version is not the stored one.
            LeaseLostError: Another worker, or a user's action, took the certificate over.
        """
        versions = {} if version is None else {key: version}
        return self._put_many({key: value}, versions)[key]

    def put_many(
        self,
        values: Mapping[str, Mapping[str, Any]],
        *,
        versions: Mapping[str, int] | None = None,
        announces_order: bool = False,
        change: Mapping[str, _Change] | None = None,
        delete: Collection[str] = (),
    ) -> None:
        """Store several documents in one transaction, and count the order that is about to be placed in it.

        Raises:
            StaleWriteError: An expected version is not the stored one.
            LeaseLostError: As `put`.
        """
        count = self.step.order_count if announces_order and self.step is not None else None

        def more(stored: DocumentRepository) -> None:
            for key in sorted(delete):
                stored.delete(self.namespace, key)
            for key, each in sorted((change or {}).items()):
                _change(self.namespace, key, each, stored)

        self._put_many(values, versions or {}, count, more)
        if self.step is not None:
            self.step.forget(self.namespace, {*delete, *(change or {})})

    def delete(self, *keys: str) -> None:
        """Delete documents in one transaction."""
        if not keys:
            return
        with self._write() as transaction:
            for key in keys:
                transaction.documents.delete(self.namespace, key)
        self._note(dict.fromkeys(keys))

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        """The documents whose key begins with ``prefix``."""
        with self.storage.read() as transaction:
            return transaction.documents.list(self.namespace, prefix=prefix, after=after)

    def seal(self, key: str, secret: bytes) -> bool:
        """Seal a secret unless the key has one already; returns whether it was stored."""
        name = self._name(key)
        sealed = self.vault.seal(Secret(secret), name)
        with self._write() as transaction:
            return transaction.secrets.add(name, sealed)

    def unseal(self, key: str) -> bytes | None:
        """The secret under this key."""
        name = self._name(key)
        with self.storage.read() as transaction:
            sealed = transaction.secrets.get(name)
        return None if sealed is None else self.vault.open(sealed, name).reveal()

    def delete_secret(self, key: str) -> None:
        """Delete a secret."""
        with self._write() as transaction:
            transaction.secrets.delete(self._name(key))

    def _put_many(
        self,
        values: Mapping[str, Mapping[str, Any]],
        versions: Mapping[str, int],
        count: OrderCount | None = None,
        more: Callable[[DocumentRepository], object] = lambda _: None,
    ) -> Mapping[str, Document]:
        try:
            with self._write() as transaction:
                stored = {
                    key: transaction.documents.put(self.namespace, key, values[key], version=versions.get(key))
                    for key in sorted(values)  # always in this order, so that two writers never wait for each other
                }
                announced_at = None if count is None else count.store(transaction)
                more(transaction.documents)  # last, because all writers may change the same document here
        except StaleWriteError:
            if self.step is not None:
                self.step.forget(self.namespace, values.keys())
            raise
        if count is not None:
            count.announced_at = announced_at
        self._note(stored)
        return stored

    def _note(self, documents: Mapping[str, Document | None]) -> None:
        if self.step is not None:
            self.step.note(self.namespace, documents)

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with self.storage.write() as transaction:
            if self.step is not None:
                lease = self.step.lease
                stored = transaction.schedules.get(lease.certificate_id)
                if stored.token != lease.token:
                    raise LeaseLostError(lease.certificate_id)
            yield transaction

    def _name(self, key: str) -> SecretName:
        return SecretName("module-secret", f"{self.namespace}/{key}")


@frozen(eq=False)
class _Changes:
    """Implements `certcore.ports.ca_module.DocumentChanges`."""

    documents: StoredDocuments

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Store a document."""
        self._store(lambda stored: stored.put(self.documents.namespace, key, value))

    def change(self, key: str, change: _Change) -> None:
        """Change a document."""
        self._store(partial(_change, self.documents.namespace, key, change))

    def delete(self, *keys: str) -> None:
        """Delete documents."""
        for key in keys:
            self._store(partial(_delete, self.documents.namespace, key))

    def delete_prefix(self, prefix: str) -> None:
        """Delete documents by the beginning of their keys."""
        self._store(lambda stored: stored.delete_prefix(self.documents.namespace, prefix))

    def _store(self, change: Callable[[DocumentRepository], object]) -> None:
        step = self.documents.step
        if step is not None:
            step.change(change)
            return
        with self.documents.storage.write() as transaction:
            change(transaction.documents)


def _change(namespace: str, key: str, change: _Change, stored: DocumentRepository) -> None:
    document = stored.get(namespace, key)
    if document is None:
        first = change(_NOTHING)
        if first is None:
            return
        with suppress(StaleWriteError):  # another transaction has stored the document meanwhile
            stored.put(namespace, key, first, version=0)
            return
        document = stored.get(namespace, key)
    value = change(_NOTHING if document is None else document.value)
    if value is not None:
        stored.put(namespace, key, value)


def _delete(namespace: str, key: str, stored: DocumentRepository) -> None:
    stored.delete(namespace, key)
