"""A module's own small store, on top of the storage and the vault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import frozen

from certcore.errors import LeaseLost
from certcore.model.certificate import Schedule
from certcore.model.secret import Secret, SecretName
from certcore.ports.sealing import Vault
from certcore.ports.storage import Document, Storage, Transaction

__all__ = ["StoredDocuments"]


@frozen(eq=False)
class StoredDocuments:
    """The documents of one module; implements `certcore.ports.ca_module.Documents`."""

    storage: Storage
    vault: Vault
    namespace: str
    #: What is written is written under this lease: a process that was paused past it changes nothing any more.
    lease: Schedule | None = None

    def get(self, key: str) -> Document | None:
        """One document; None when there is none."""
        with self.storage.read() as transaction:
            return transaction.documents.get(self.namespace, key)

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document.

        Raises:
            StaleWrite: The demanded version is not the stored one.
            LeaseLost: Another worker, or a user's action, took the certificate over.
        """
        with self._write() as transaction:
            return transaction.documents.put(self.namespace, key, value, version=version)

    def put_many(self, values: Mapping[str, Mapping[str, Any]], *, versions: Mapping[str, int] | None = None) -> None:
        """Store several documents in one transaction.

        Raises:
            StaleWrite: A demanded version is not the stored one.
            LeaseLost: As `put`.
        """
        demanded = versions or {}
        with self._write() as transaction:
            for key in sorted(values):  # in one order, so that two writers never wait for each other
                transaction.documents.put(self.namespace, key, values[key], version=demanded.get(key))

    def delete(self, *keys: str) -> None:
        """Delete documents in one transaction."""
        if not keys:
            return
        with self._write() as transaction:
            for key in keys:
                transaction.documents.delete(self.namespace, key)

    def list(self, prefix: str = "") -> Sequence[Document]:
        """The documents whose key begins with ``prefix``."""
        with self.storage.read() as transaction:
            return transaction.documents.list(self.namespace, prefix=prefix)

    def seal(self, key: str, secret: bytes) -> bool:
        """Seal a secret unless there is one already."""
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

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with self.storage.write() as transaction:
            if self.lease is not None:
                stored = transaction.schedules.get(self.lease.certificate_id)
                if stored.token != self.lease.token:
                    raise LeaseLost(self.lease.certificate_id)
            yield transaction

    def _name(self, key: str) -> SecretName:
        return SecretName("module-secret", f"{self.namespace}/{key}")
