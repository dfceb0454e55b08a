"""Inserting a row that another transaction may be inserting at the same moment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

__all__ = ["insert_new"]

#: Dialect to its own INSERT, which has ON CONFLICT.
_OWN_WORDS: Final[Mapping[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
#: The number, which no row has, that says: there is a row already.
_WAS_THERE: Final = 7


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert a row if there is none with its key; waits for another transaction that is inserting the same one.

    Returns:
        Whether it was inserted. The transaction goes on either way.
    """
    statement = _insert_or_nothing(table, connection.dialect.name)
    if statement is not None:
        return connection.execute(statement, dict(row)).rowcount == 1
    # MySQL counts one row in either case, so that the one that was there says so by a number that it leaves.
    return connection.execute(_insert_or_lock(table), dict(row)).lastrowid != _WAS_THERE


@lru_cache(maxsize=32)
def _insert_or_lock(table: sa.Table) -> sa.Insert:
    """MySQL's INSERT that locks the row where there is one, as for an update.

    After one that fails, two that waited for the same row would both hold it for reading, and for each other.
    """
    column = list(table.c)[-1]
    same = sa.func.if_(sa.func.last_insert_id(_WAS_THERE), column, column)
    return mysql.insert(table).on_duplicate_key_update({column.name: same})


@lru_cache(maxsize=32)
def _insert_or_nothing(table: sa.Table, dialect: str) -> sa.Insert | None:
    insert = _OWN_WORDS.get(dialect)
    return None if insert is None else insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
