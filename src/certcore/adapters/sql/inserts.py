"""Inserting a row that another transaction may be inserting at the same moment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

__all__ = ["insert_new"]

#: Dialect to its own INSERT, which has ON CONFLICT.
_OWN_WORDS: Final[Mapping[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert a row if there is none with its key; waits for another transaction that is inserting the same one.

    Returns:
        Whether it was inserted. The transaction goes on either way.
    """
    statement = _insert_or_nothing(table, connection.dialect.name)
    if statement is not None:
        return connection.execute(statement, dict(row)).rowcount == 1
    try:  # MySQL takes back the statement alone
        connection.execute(table.insert(), dict(row))
    except IntegrityError:
        return False
    return True


@lru_cache(maxsize=32)
def _insert_or_nothing(table: sa.Table, dialect: str) -> sa.Insert | None:
    insert = _OWN_WORDS.get(dialect)
    return None if insert is None else insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
