"""The repositories of CA profiles, sealed secrets and the modules' documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from certcore.adapters.sql import mapping
from certcore.adapters.sql.certificates import SqlCertificates
from certcore.adapters.sql.exact import only
from certcore.adapters.sql.inserts import insert_new
from certcore.adapters.sql.ranges import after_prefix
from certcore.adapters.sql.tables import authorities, documents, secrets
from certcore.errors import AlreadyExists, InUse, NotFound, StaleWrite
from certcore.model.authority import CertificateAuthority
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.storage import Document

__all__ = ["SqlAuthorities", "SqlDocuments", "SqlSecrets"]

_AUTHORITY: Final = authorities.select().where(authorities.c.id == bindparam("row_id"))
_AUTHORITY_NAMED: Final = authorities.select().where(authorities.c.name == bindparam("row_name"))
_AUTHORITY_UPDATE: Final = authorities.update().where(
    authorities.c.id == bindparam("row_id"), authorities.c.version == bindparam("row_version")
)

_SECRET: Final = secrets.select().where(
    secrets.c.purpose == bindparam("row_purpose"), secrets.c.owner_id == bindparam("row_owner")
)
_SECRET_UPDATE: Final = secrets.update().where(
    secrets.c.purpose == bindparam("row_purpose"), secrets.c.owner_id == bindparam("row_owner")
)
_SECRET_DELETE: Final = secrets.delete().where(
    secrets.c.purpose == bindparam("row_purpose"), secrets.c.owner_id == bindparam("row_owner")
)
#: A wrapped key is made with a random nonce, so it tells what is stored from everything else.
_SECRET_REPLACE: Final = _SECRET_UPDATE.where(
    secrets.c.key_id == bindparam("row_key"),
    secrets.c.wrapped_key == bindparam("row_wrapped"),
    secrets.c.nonce == bindparam("row_nonce"),
)
_FIRST_KEY: Final = sa.select(sa.func.min(secrets.c.key_id))
_NEXT_KEY: Final = _FIRST_KEY.where(secrets.c.key_id > bindparam("row_key"))
_COUNT_BY_KEY: Final = sa.select(secrets.c.key_id, sa.func.count().label("sealed")).group_by(secrets.c.key_id)
_SEALED_OTHERWISE: Final = (
    secrets.select()
    .where(secrets.c.key_id != bindparam("row_key"))
    .order_by(secrets.c.purpose, secrets.c.owner_id)
    .limit(bindparam("row_limit"))
)

_THIS: Final = sa.and_(documents.c.namespace == bindparam("row_namespace"), documents.c.key == bindparam("row_key"))
_DOCUMENT: Final = documents.select().where(_THIS)
_DOCUMENT_LOCKED: Final = _DOCUMENT.with_for_update()
_DOCUMENT_VERSION: Final = sa.select(documents.c.version).where(_THIS).with_for_update()
_DOCUMENT_UPDATE: Final = documents.update().where(_THIS)
_DOCUMENT_DELETE: Final = documents.delete().where(_THIS)
_DOCUMENTS: Final = (
    documents.select()
    .where(documents.c.namespace == bindparam("row_namespace"), documents.c.key >= bindparam("row_from"))
    .order_by(documents.c.key)
    .limit(bindparam("row_limit"))
)
_DOCUMENTS_BELOW: Final = _DOCUMENTS.where(documents.c.key < bindparam("row_below"))


@frozen(eq=False)
class SqlAuthorities:
    """Implements `certcore.ports.storage.AuthorityRepository`."""

    connection: sa.Connection

    def add(self, authority: CertificateAuthority) -> None:
        """Store a new profile."""
        row = {**mapping.authority_row(authority), "version": authority.version}
        try:
            self.connection.execute(authorities.insert(), row)
        except IntegrityError:
            raise AlreadyExists("authority", authority.name) from None

    def get(self, authority_id: str) -> CertificateAuthority:
        """One profile."""
        row = only(self.connection.execute(_AUTHORITY, {"row_id": authority_id}), id=authority_id)
        if row is None:
            raise NotFound("authority", authority_id)
        return mapping.authority_of(row)

    def by_name(self, name: str) -> CertificateAuthority | None:
        """The profile of that name."""
        row = only(self.connection.execute(_AUTHORITY_NAMED, {"row_name": name}), name=name)
        return None if row is None else mapping.authority_of(row)

    def save(self, authority: CertificateAuthority) -> CertificateAuthority:
        """Store an edit, if nobody else was faster."""
        saved = evolve(authority, version=authority.version + 1)
        row = mapping.authority_row(saved)
        key = {"row_id": row.pop("id"), "row_version": authority.version}
        try:
            done = self.connection.execute(_AUTHORITY_UPDATE, {**row, **key, "version": saved.version})
        except IntegrityError:
            raise AlreadyExists("authority", authority.name) from None
        if done.rowcount == 0:
            stored = self.connection.execute(_AUTHORITY, {"row_id": authority.id}).one_or_none()
            found = None if stored is None else stored.version
            raise StaleWrite("authority", authority.id, expected=authority.version, found=found)
        return saved

    def delete(self, authority_id: str) -> None:
        """Delete a profile that no certificate uses."""
        authority = self.get(authority_id)
        if users := SqlCertificates(self.connection, writing=False).domains_using(authority_id):
            raise InUse("authority", authority.name, users)
        try:
            with self.connection.begin_nested():  # PostgreSQL answers no question in a transaction with an error
                self.connection.execute(authorities.delete().where(authorities.c.id == authority_id))
        except IntegrityError:
            users = SqlCertificates(self.connection, writing=False).domains_using(authority_id)
            raise InUse("authority", authority.name, users) from None

    def list(self) -> Sequence[CertificateAuthority]:
        """All profiles by name."""
        rows = self.connection.execute(authorities.select().order_by(authorities.c.name))
        return [mapping.authority_of(row) for row in rows]


@frozen(eq=False)
class SqlSecrets:
    """Implements `certcore.ports.storage.SecretRepository`."""

    connection: sa.Connection

    def put(self, name: SecretName, sealed: SealedSecret) -> None:
        """Store a sealed secret, replacing one of the same name."""
        row = {**_secret_key(name), **_sealed_columns(sealed)}
        if self.connection.execute(_SECRET_UPDATE, row).rowcount == 0 and not self.add(name, sealed):
            self.connection.execute(_SECRET_UPDATE, row)  # another writer came between

    def add(self, name: SecretName, sealed: SealedSecret) -> bool:
        """Store a sealed secret unless there is one of that name."""
        return insert_new(self.connection, secrets, {**_name_columns(name), **_sealed_columns(sealed)})

    def get(self, name: SecretName) -> SealedSecret | None:
        """A sealed secret; None when there is none."""
        row = only(self.connection.execute(_SECRET, _secret_key(name)), **_name_columns(name))
        return None if row is None else _sealed_of(row)

    def delete(self, name: SecretName) -> None:
        """Delete a sealed secret; nothing happens when there is none."""
        self.connection.execute(_SECRET_DELETE, _secret_key(name))

    def names(self, purpose: str, *, prefix: str = "") -> Sequence[SecretName]:
        """The names of the secrets of a purpose whose owner_id begins with ``prefix``."""
        column = secrets.c.owner_id
        statement = sa.select(column).where(secrets.c.purpose == purpose, column >= prefix).order_by(column)
        if (below := after_prefix(prefix)) is not None:
            statement = statement.where(column < below)
        return [SecretName(purpose, owner_id) for owner_id in self.connection.execute(statement).scalars()]

    def key_ids(self) -> Sequence[str]:
        """The ids of the keys that secrets are sealed with."""
        found: list[str] = []  # from one to the next: DISTINCT would look at every row
        following = self.connection.execute(_FIRST_KEY).scalar_one()
        while following is not None:
            found.append(following)
            following = self.connection.execute(_NEXT_KEY, {"row_key": following}).scalar_one()
        return found

    def count_by_key(self) -> Mapping[str, int]:
        """How many secrets are sealed with each key."""
        return {row.key_id: row.sealed for row in self.connection.execute(_COUNT_BY_KEY)}

    def sealed_otherwise(
        self, key_id: str, *, limit: int, after: SecretName | None = None
    ) -> Sequence[tuple[SecretName, SealedSecret]]:
        """Secrets that are sealed with another key than this one, by name."""
        column = secrets.c
        statement = _SEALED_OTHERWISE
        wanted: dict[str, Any] = {"row_key": key_id, "row_limit": limit}
        if after is not None:
            # Not as a comparison of pairs, for which MySQL reads the index from its beginning.
            statement = statement.where(
                column.purpose >= bindparam("row_purpose"),
                sa.or_(column.purpose > bindparam("row_purpose"), column.owner_id > bindparam("row_owner")),
            )
            wanted |= _secret_key(after)
        rows = self.connection.execute(statement, wanted)
        return [(SecretName(row.purpose, row.owner_id), _sealed_of(row)) for row in rows]

    def replace(self, name: SecretName, old: SealedSecret, new: SealedSecret) -> bool:
        """Put a sealed secret in another's place if that one is still there."""
        row = {**_secret_key(name), "row_key": old.key_id, "row_wrapped": old.wrapped_key, "row_nonce": old.nonce}
        return self.connection.execute(_SECRET_REPLACE, {**row, **_sealed_columns(new)}).rowcount == 1


@frozen(eq=False)
class SqlDocuments:
    """Implements `certcore.ports.storage.DocumentRepository`."""

    connection: sa.Connection
    #: Whether rows that are read are about to be written.
    writing: bool

    def get(self, namespace: str, key: str) -> Document | None:
        """One document; None when there is none."""
        statement = _DOCUMENT_LOCKED if self.writing else _DOCUMENT
        this = {"row_namespace": namespace, "row_key": key}
        row = only(self.connection.execute(statement, this), namespace=namespace, key=key)
        return None if row is None else Document(key=row.key, value=row.value, version=row.version)

    def put(self, namespace: str, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document, if the stored version is the one demanded."""
        this: dict[str, Any] = {"row_namespace": namespace, "row_key": key}
        found = self.connection.execute(_DOCUMENT_VERSION, this).scalar_one_or_none()
        if version is not None and version != (found or 0):
            raise StaleWrite("document", key, expected=version, found=found)
        if found is None:
            row = {"namespace": namespace, "key": key, "value": value, "version": 1}
            if insert_new(self.connection, documents, row):
                return Document(key=key, value=dict(value), version=1)
            found = self.connection.execute(_DOCUMENT_VERSION, this).scalar_one()  # another writer came between
            if version is not None:
                raise StaleWrite("document", key, expected=version, found=found)
        document = Document(key=key, value=dict(value), version=found + 1)
        self.connection.execute(_DOCUMENT_UPDATE, {**this, "value": document.value, "version": document.version})
        return document

    def delete(self, namespace: str, key: str) -> None:
        """Delete a document; nothing happens when there is none."""
        self.connection.execute(_DOCUMENT_DELETE, {"row_namespace": namespace, "row_key": key})

    def list(self, namespace: str, *, prefix: str = "", limit: int = 10_000) -> Sequence[Document]:
        """The documents whose key begins with ``prefix``, by key."""
        wanted: dict[str, Any] = {"row_namespace": namespace, "row_from": prefix, "row_limit": limit}
        below = after_prefix(prefix)
        if below is None:
            rows = self.connection.execute(_DOCUMENTS, wanted)
        else:
            rows = self.connection.execute(_DOCUMENTS_BELOW, {**wanted, "row_below": below})
        return [Document(key=row.key, value=row.value, version=row.version) for row in rows]


def _name_columns(name: SecretName) -> dict[str, str]:
    return {"purpose": name.purpose, "owner_id": name.owner_id}


def _sealed_columns(sealed: SealedSecret) -> dict[str, Any]:
    columns = ("key_id", "wrapped_key", "nonce", "ciphertext", "format")
    return {column: getattr(sealed, column) for column in columns}


def _sealed_of(row: Any) -> SealedSecret:
    return SealedSecret(
        key_id=row.key_id,
        wrapped_key=row.wrapped_key,
        nonce=row.nonce,
        ciphertext=row.ciphertext,
        format=row.format,
    )


def _secret_key(name: SecretName) -> dict[str, str]:
    return {"row_purpose": name.purpose, "row_owner": name.owner_id}
