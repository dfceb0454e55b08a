"""Compare keys exactly, even if a database's collation is looser; and find out why a new row was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from certcore.errors import AlreadyExistsError, CertCoreError, NotFoundError

__all__ = ["has_keys", "only", "refused_row"]

#: The errors of SQLite, PostgreSQL (SQLSTATE) and MariaDB for a key that another row has.
_TAKEN: Final = frozenset({"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE", "23505", 1062})


def only(result: sa.CursorResult[Any], **keys: str) -> sa.Row[Any] | None:
    """The row of a result if it has exactly the requested keys, else None.

    Args:
        result: The result of a query by a key.
        keys: The columns of the key with their requested values.
    """
    row = result.one_or_none()
    return row if has_keys(row, keys) else None


def has_keys(row: Any, keys: Mapping[str, str]) -> bool:
    """Whether there is a row, with exactly these values in the columns of its key."""
    return row is not None and all(getattr(row, column) == value for column, value in keys.items())


def refused_row(error: IntegrityError, kind: str, row_id: str, *, parent: tuple[str, str | None]) -> CertCoreError:
    """The error for a new row that the database refused: its ID is taken, or its parent is missing.

    Args:
        error: The error of the database.
        kind: The kind of the stored object.
        row_id: The ID of the row.
        parent: Kind and ID of the object that the row belongs to.
    """
    cause: Any = error.orig
    codes = {getattr(cause, "sqlite_errorname", None), getattr(cause, "sqlstate", None), *cause.args[:1]}
    if _TAKEN.isdisjoint(codes):
        return NotFoundError(parent[0], parent[1] or "")
    return AlreadyExistsError(kind, row_id)
