"""The repository of sealed secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy import bindparam

from certcore.adapters.sql.exact import only
from certcore.adapters.sql.inserts import insert_new
from certcore.adapters.sql.ranges import after_prefix
from certcore.adapters.sql.tables import secrets
from certcore.model.secret import SealedSecret, SecretName

__all__ = ["SqlSecrets"]

_SECRET: Final = secrets.select().where(
    secrets.c.purpose == bindparam("row_purpose"), secrets.c.owner_id == bindparam("row_owner")
)
_SECRET_UPDATE: Final = secrets.update().where(
    secrets.c.purpose == bindparam("row_purpose"), secrets.c.owner_id == bindparam("row_owner")
)
_SECRET_DELETE: Final = secrets.delete().where(
    secrets.c.purpose == bindparam("row_purpose"), secrets.c.owner_id == bindparam("row_owner")
)
#: A wrapped key has a random nonce, so it identifies the stored value.
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


@frozen(eq=False)
class SqlSecrets:
    """Implements `certcore.ports.storage.SecretRepository`."""

    connection: sa.Connection

    def put(self, name: SecretName, sealed: SealedSecret) -> None:
        """Store a sealed secret, replacing one of the same name."""
        row = {**_secret_key(name), **_sealed_columns(sealed)}
        if self.connection.execute(_SECRET_UPDATE, row).rowcount == 0 and not self.add(name, sealed):
            self.connection.execute(_SECRET_UPDATE, row)  # inserted by another transaction meanwhile

    def add(self, name: SecretName, sealed: SealedSecret) -> bool:
        """Store a sealed secret unless there is one of that name."""
        return insert_new(self.connection, secrets, {**_name_columns(name), **_sealed_columns(sealed)})

    def get(self, name: SecretName) -> SealedSecret | None:
        """The sealed secret with a name; None if there is no such secret."""
        row = only(self.connection.execute(_SECRET, _secret_key(name)), **_name_columns(name))
        return None if row is None else _sealed_of(row)

    def delete(self, name: SecretName) -> None:
        """Delete a sealed secret if it exists."""
        self.connection.execute(_SECRET_DELETE, _secret_key(name))

    def names(self, purpose: str, *, prefix: str = "") -> Sequence[SecretName]:
        """The names of the secrets of a purpose whose owner_id begins with ``prefix``."""
        column = secrets.c.owner_id
        statement = sa.select(column).where(secrets.c.purpose == purpose, column >= prefix).order_by(column)
        if (below := after_prefix(prefix)) is not None:
            statement = statement.where(column < below)
        return [SecretName(purpose, owner_id) for owner_id in self.connection.execute(statement).scalars()]

    def key_ids(self) -> Sequence[str]:
        """The IDs of the keys that secrets are sealed with."""
        key_ids: list[str] = []  # one lookup per key, because DISTINCT would read every row
        following = self.connection.execute(_FIRST_KEY).scalar_one()
        while following is not None:
            key_ids.append(following)
            following = self.connection.execute(_NEXT_KEY, {"row_key": following}).scalar_one()
        return key_ids

    def count_by_key(self) -> Mapping[str, int]:
        """How many secrets are sealed with each key."""
        return {row.key_id: row.sealed for row in self.connection.execute(_COUNT_BY_KEY)}

    def sealed_otherwise(
        self, key_id: str, *, limit: int, after: SecretName | None = None
    ) -> Sequence[tuple[SecretName, SealedSecret]]:
        """Secrets that are sealed with other keys than this one, by name."""
        column = secrets.c
        statement = _SEALED_OTHERWISE
        params: dict[str, Any] = {"row_key": key_id, "row_limit": limit}
        if after is not None:
            # Not a row comparison, for which MySQL would read the index from its start.
            statement = statement.where(
                column.purpose >= bindparam("row_purpose"),
                sa.or_(column.purpose > bindparam("row_purpose"), column.owner_id > bindparam("row_owner")),
            )
            params |= _secret_key(after)
        rows = self.connection.execute(statement, params)
        return [(SecretName(row.purpose, row.owner_id), _sealed_of(row)) for row in rows]

    def replace(self, name: SecretName, old: SealedSecret, new: SealedSecret) -> bool:
        """Replace a sealed secret if the stored one is unchanged."""
        row = {**_secret_key(name), "row_key": old.key_id, "row_wrapped": old.wrapped_key, "row_nonce": old.nonce}
        return self.connection.execute(_SECRET_REPLACE, {**row, **_sealed_columns(new)}).rowcount == 1


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
