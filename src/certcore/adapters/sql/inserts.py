"""Insert rows that may exist already, or that other transactions insert at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import sqlalchemy as sa

from certcore.adapters.sql.statements import change

__all__ = ["insert_new", "replace_or_insert"]

#: The dialects whose INSERT has ON CONFLICT.
_ON_CONFLICT: Final = frozenset({"postgresql", "sqlite"})
#: Returned as the last row ID if the row exists already.
_WAS_THERE: Final = 7


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert a row if its key is new. Waits for other transactions that insert the same key.

    Returns:
        Whether the row was inserted. The transaction continues in both cases.
    """
    statement = _insert_or_nothing(table, connection.dialect.name)
    if statement is not None:
        return change(connection, statement, row) == 1
    # MySQL reports one row in both cases, so an existing row is signalled by the last row ID.
    return connection.execute(_insert_or_lock(table), dict(row)).lastrowid != _WAS_THERE


@lru_cache(maxsize=32)
def _insert_or_lock(table: sa.Table) -> sa.Insert:
    """MySQL's INSERT that locks an existing row as an UPDATE does.

    A plain INSERT that fails leaves a shared lock, so that two waiting transactions would deadlock.
    """
    column = list(table.c)[-1]
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - other databases do not need it

    same = sa.func.if_(sa.func.last_insert_id(_WAS_THERE), column, column)
    return mysql.insert(table).on_duplicate_key_update({column.name: same})


@lru_cache(maxsize=32)
def _insert_or_nothing(table: sa.Table, dialect: str) -> sa.Insert | None:
    return _own_insert(table, dialect).on_conflict_do_nothing() if dialect in _ON_CONFLICT else None


def _own_insert(table: sa.Table, dialect: str) -> Any:
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)  # loads one dialect only


def replace_or_insert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> int | None:
    """Insert a row with a ``version``, or replace the row with the same key.

    Returns:
        The stored version: 1, or one more than before. None if this database does not support it; nothing was done.
    """
    statement = _insert_or_replace(table, connection.dialect.name)
    return None if statement is None else connection.execute(statement, dict(row)).scalar_one()


@lru_cache(maxsize=32)
def _insert_or_replace(table: sa.Table, dialect: str) -> sa.Insert | None:
    if dialect not in _ON_CONFLICT:
        return None
    statement = _own_insert(table, dialect)
    changed = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={**changed, "version": table.c.version + 1}
    )
    replaced: sa.Insert = statement.returning(table.c.version)
    return replaced
