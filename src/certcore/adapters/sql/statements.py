"""Statements that are built once and executed often: compiled once for each database, and executed as text.

When SQLAlchemy executes one of its statement objects, it builds a key of the whole statement, looks up the compiled
text, and builds a context and a result with many features. That takes several times as long as executing the text.
SQLAlchemy's events and errors are the same in both cases.

A module must keep its statements, because a statement that is built in a call would be compiled in each call.
Parameters must not be lists.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.exc import MultipleResultsFound, StatementError

from certcore.adapters.sql.exact import has_keys

__all__ = ["change", "one_row", "rows"]

#: How many compiled statements are kept, for all databases of the process.
_MOST: Final = 256
_Converter = Callable[[Any], Any]


def change(connection: sa.Connection, statement: sa.Insert | sa.Update | sa.Delete, params: Mapping[str, Any]) -> int:
    """Execute a statement that returns no rows.

    Args:
        connection: A connection inside a transaction.
        statement: A statement that its module keeps.
        params: All parameters. As in SQLAlchemy, parameters with the name of a column are written to it.

    Returns:
        How many rows were changed.
    """
    text = _compiled(statement, connection.dialect, tuple(params))
    return connection.exec_driver_sql(text.text, text.bound(params)).rowcount


def rows(connection: sa.Connection, query: sa.Select[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a query; the attributes of a row are its columns.

    Args:
        connection: A connection inside a transaction.
        query: A query that its module keeps.
        params: All parameters.
    """
    text = _compiled(query, connection.dialect, tuple(params))
    read = _row_reader(query, connection.dialect)
    return [read(row) for row in connection.exec_driver_sql(text.text, text.bound(params))]


def one_row(connection: sa.Connection, query: sa.Select[Any], params: Mapping[str, Any], **keys: str) -> Any | None:
    """The row of a query by a key; None if no row has exactly this key, see `certcore.adapters.sql.exact`.

    Args:
        connection: A connection inside a transaction.
        query: A query that its module keeps.
        params: All parameters.
        keys: The columns of the key with their requested values.

    Raises:
        MultipleResultsFound: The query has more than one row.
    """
    matching_rows = rows(connection, query, params)
    if len(matching_rows) > 1:
        raise MultipleResultsFound("Multiple rows were found when one or none was required")
    row = matching_rows[0] if matching_rows else None
    return row if has_keys(row, keys) else None


@frozen(eq=False)
class _Text:
    """A statement as text, with the information for passing its parameters."""

    text: str
    #: The names of the parameters in their order; None if the driver accepts named parameters.
    order: Sequence[str] | None
    #: The converters of parameters whose type the database does not accept.
    converters: Mapping[str, _Converter]
    #: The parameters whose value is part of the statement.
    constants: Mapping[str, Any]

    def bound(self, params: Mapping[str, Any]) -> Any:
        """The parameters as the driver needs them.

        Raises:
            StatementError: One of them cannot be stored.
        """
        values = {**self.constants, **params}
        try:
            for name, convert in self.converters.items():
                values[name] = convert(values[name])
        except Exception as error:  # boundary: for example, a value is not plain JSON; SQLAlchemy raises the same
            raise StatementError(str(error), self.text, None, error, hide_parameters=True) from error
        return values if self.order is None else tuple(values[name] for name in self.order)


@lru_cache(maxsize=_MOST)
def _compiled(statement: Any, dialect: sa.Dialect, names: tuple[str, ...]) -> _Text:
    compiled = statement.compile(dialect=dialect, column_keys=sorted(names))
    converters = {}
    for name, parameter in compiled.binds.items():
        converter = parameter.type.dialect_impl(dialect).bind_processor(dialect)
        if converter is not None:
            converters[name] = converter
    return _Text(
        text=str(compiled),
        order=compiled.positiontup,
        converters=converters,
        constants={name: each.value for name, each in compiled.binds.items() if name not in names},
    )


@lru_cache(maxsize=_MOST)
def _row_reader(query: sa.Select[Any], dialect: sa.Dialect) -> Callable[[Sequence[Any]], Any]:
    """A function that converts a row of the driver."""
    columns = query.selected_columns
    row_type: Any = namedtuple("Row", columns.keys())  # type: ignore[misc]  # noqa: PYI024 - the names are the query's
    readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    converters = [(number, convert) for number, convert in enumerate(readers) if convert is not None]

    def read(row: Sequence[Any]) -> Any:
        values = list(row)
        for number, convert in converters:
            values[number] = convert(values[number])
        return row_type._make(values)

    return read
