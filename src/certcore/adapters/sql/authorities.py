"""The repository of CA profiles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from certcore.adapters.sql import mapping
from certcore.adapters.sql.certificates import SqlCertificates
from certcore.adapters.sql.exact import only
from certcore.adapters.sql.statements import one_row
from certcore.adapters.sql.tables import authorities
from certcore.errors import AlreadyExistsError, InUseError, NotFoundError, StaleWriteError
from certcore.model.authority import CertificateAuthority

__all__ = ["SqlAuthorities"]

_AUTHORITY: Final = authorities.select().where(authorities.c.id == bindparam("row_id"))
_AUTHORITY_NAMED: Final = authorities.select().where(authorities.c.name == bindparam("row_name"))
_NAMES: Final = sa.select(authorities.c.id, authorities.c.name).where(
    authorities.c.id.in_(bindparam("row_ids", expanding=True))
)
_AUTHORITY_UPDATE: Final = authorities.update().where(
    authorities.c.id == bindparam("row_id"), authorities.c.version == bindparam("row_version")
)


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
            raise AlreadyExistsError("authority", authority.name) from None

    def get(self, authority_id: str) -> CertificateAuthority:
        """One profile."""
        row = one_row(self.connection, _AUTHORITY, {"row_id": authority_id}, id=authority_id)
        if row is None:
            raise NotFoundError("authority", authority_id)
        return mapping.authority_of(row)

    def by_name(self, name: str) -> CertificateAuthority | None:
        """The profile of that name."""
        row = only(self.connection.execute(_AUTHORITY_NAMED, {"row_name": name}), name=name)
        return None if row is None else mapping.authority_of(row)

    def names(self, authority_ids: Collection[str]) -> Mapping[str, str]:
        """The names of the profiles with these IDs."""
        rows = self.connection.execute(_NAMES, {"row_ids": sorted(authority_ids)})
        return {row.id: row.name for row in rows}

    def save(self, authority: CertificateAuthority) -> CertificateAuthority:
        """Store an edit if the version is current."""
        saved = evolve(authority, version=authority.version + 1)
        row = mapping.authority_row(saved)
        key = {"row_id": row.pop("id"), "row_version": authority.version}
        try:
            done = self.connection.execute(_AUTHORITY_UPDATE, {**row, **key, "version": saved.version})
        except IntegrityError:
            raise AlreadyExistsError("authority", authority.name) from None
        if done.rowcount == 0:
            stored = self.connection.execute(_AUTHORITY, {"row_id": authority.id}).one_or_none()
            stored_version = None if stored is None else stored.version
            raise StaleWriteError("authority", authority.id, expected=authority.version, found=stored_version)
        return saved

    def delete(self, authority_id: str) -> None:
        """Delete a profile that no certificate uses."""
        authority = self.get(authority_id)
        if users := SqlCertificates(self.connection, writing=False).domains_using(authority_id):
            raise InUseError("authority", authority.name, users)
        try:
            with self.connection.begin_nested():  # without a savepoint, PostgreSQL refuses all queries after an error
                self.connection.execute(authorities.delete().where(authorities.c.id == authority_id))
        except IntegrityError:
            users = SqlCertificates(self.connection, writing=False).domains_using(authority_id)
            raise InUseError("authority", authority.name, users) from None

    def list(self) -> Sequence[CertificateAuthority]:
        """All profiles by name."""
        rows = self.connection.execute(authorities.select().order_by(authorities.c.name))
        return [mapping.authority_of(row) for row in rows]
