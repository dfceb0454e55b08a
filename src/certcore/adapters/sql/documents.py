"""The repository of the modules' documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy import bindparam

from certcore.adapters.sql.inserts import insert_new, replace_or_insert
from certcore.adapters.sql.ranges import after_prefix
from certcore.adapters.sql.statements import change, one_row, rows
from certcore.adapters.sql.tables import documents
from certcore.errors import StaleWriteError
from certcore.ports.storage import Document

__all__ = ["SqlDocuments"]

_THIS: Final = sa.and_(documents.c.namespace == bindparam("row_namespace"), documents.c.key == bindparam("row_key"))
_DOCUMENT: Final = documents.select().where(_THIS)
_DOCUMENT_LOCKED: Final = _DOCUMENT.with_for_update()
_DOCUMENT_VERSION: Final = sa.select(documents.c.version).where(_THIS).with_for_update()
_DOCUMENT_UPDATE: Final = documents.update().where(_THIS, documents.c.version == bindparam("row_version"))
_DOCUMENT_DELETE: Final = documents.delete().where(_THIS)
_FROM: Final = sa.and_(documents.c.namespace == bindparam("row_namespace"), documents.c.key >= bindparam("row_from"))
_DOCUMENTS_DELETE: Final = documents.delete().where(_FROM)
_DOCUMENTS_DELETE_BELOW: Final = _DOCUMENTS_DELETE.where(documents.c.key < bindparam("row_below"))
_DOCUMENTS: Final = documents.select().where(_FROM).order_by(documents.c.key).limit(bindparam("row_limit"))
_DOCUMENTS_BELOW: Final = _DOCUMENTS.where(documents.c.key < bindparam("row_below"))

#: How many named documents are read with one statement.
_NAMED_AT_ONCE: Final = 50


@lru_cache(maxsize=2 * _NAMED_AT_ONCE)
def _documents_named(count: int, *, locked: bool) -> sa.Select[Any]:
    """A query with one parameter per key, because SQLAlchemy compiles a list parameter again for every call."""
    keys: list[sa.BindParameter[str]] = [bindparam(f"row_key_{number}") for number in range(count)]
    named = documents.select().where(documents.c.namespace == bindparam("row_namespace"), documents.c.key.in_(keys))
    ordered = named.order_by(documents.c.key)
    return ordered.with_for_update() if locked else ordered


@frozen(eq=False)
class SqlDocuments:
    """Implements `certcore.ports.storage.DocumentRepository`."""

    connection: sa.Connection
    #: Whether rows are locked when they are read.
    writing: bool

    def get(self, namespace: str, key: str) -> Document | None:
        """The document with a key; None if there is no such document."""
        statement = _DOCUMENT_LOCKED if self.writing else _DOCUMENT
        key_params = {"row_namespace": namespace, "row_key": key}
        row = one_row(self.connection, statement, key_params, namespace=namespace, key=key)
        return None if row is None else Document(key=row.key, value=row.value, version=row.version)

    def get_many(self, namespace: str, keys: Collection[str]) -> Mapping[str, Document]:
        """The named documents that exist."""
        sorted_keys = sorted(keys)
        documents_by_key: dict[str, Document] = {}
        for start in range(0, len(sorted_keys), _NAMED_AT_ONCE):
            batch = sorted_keys[start : start + _NAMED_AT_ONCE]
            values = {f"row_key_{number}": key for number, key in enumerate(batch)}
            statement = _documents_named(len(batch), locked=self.writing)
            for row in rows(self.connection, statement, {"row_namespace": namespace, **values}):
                if row.key in batch:  # a collation may ignore case
                    documents_by_key[row.key] = Document(key=row.key, value=row.value, version=row.version)
        return documents_by_key

    def put(self, namespace: str, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document if the stored version is the expected one."""
        key_params: dict[str, Any] = {"row_namespace": namespace, "row_key": key}
        if version:
            return self._replace(key_params, Document(key=key, value=dict(value), version=version + 1))
        row = {"namespace": namespace, "key": key, "value": value, "version": 1}
        if version is None and (stored := replace_or_insert(self.connection, documents, row)) is not None:
            return Document(key=key, value=dict(value), version=stored)
        if insert_new(self.connection, documents, row):
            return Document(key=key, value=dict(value), version=1)
        stored_version = self.connection.execute(_DOCUMENT_VERSION, key_params).scalar_one()
        if version is not None:
            raise StaleWriteError("document", key, expected=version, found=stored_version)
        return self._replace(key_params, Document(key=key, value=dict(value), version=stored_version + 1))

    def _replace(self, key_params: Mapping[str, Any], document: Document) -> Document:
        """Replace the previous version of a document.

        Raises:
            StaleWriteError: That version is not the stored one.
        """
        before = document.version - 1
        row = {**key_params, "row_version": before, "value": document.value, "version": document.version}
        if change(self.connection, _DOCUMENT_UPDATE, row) == 0:
            stored_version = self.connection.execute(_DOCUMENT_VERSION, key_params).scalar_one_or_none()
            raise StaleWriteError("document", document.key, expected=before, found=stored_version)
        return document

    def delete(self, namespace: str, key: str) -> None:
        """Delete a document if it exists."""
        change(self.connection, _DOCUMENT_DELETE, {"row_namespace": namespace, "row_key": key})

    def delete_prefix(self, namespace: str, prefix: str) -> None:
        """Delete all documents whose key begins with a prefix."""
        params: dict[str, Any] = {"row_namespace": namespace, "row_from": prefix}
        below = after_prefix(prefix)
        if below is None:
            self.connection.execute(_DOCUMENTS_DELETE, params)
        else:
            self.connection.execute(_DOCUMENTS_DELETE_BELOW, {**params, "row_below": below})

    def list(self, namespace: str, *, prefix: str = "", after: str = "", limit: int = 10_000) -> Sequence[Document]:
        """The documents whose key begins with ``prefix`` and follows ``after``, by key."""
        # One more than wanted, because the first may be ``after`` itself.
        params: dict[str, Any] = {"row_namespace": namespace, "row_from": max(prefix, after), "row_limit": limit + 1}
        below = after_prefix(prefix)
        if below is None:
            rows = self.connection.execute(_DOCUMENTS, params)
        else:
            rows = self.connection.execute(_DOCUMENTS_BELOW, {**params, "row_below": below})
        listed = [Document(key=row.key, value=row.value, version=row.version) for row in rows]
        return [document for document in listed if document.key != after][:limit]
