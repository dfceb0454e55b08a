"""`certcore.adapters.sql.statements`: statements that are executed as text do what SQLAlchemy does with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, StatementError

from certcore.adapters.sql.statements import change, one_row, rows
from certcore.adapters.sql.types import JsonText, UtcDateTime

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
THINGS: Final = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.String(10), primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("good", sa.Boolean, nullable=False),
    sa.Column("at", UtcDateTime),
    sa.Column("value", JsonText),
)
INSERT: Final = THINGS.insert()
ALL: Final = THINGS.select().where(THINGS.c.size > bindparam("row_size")).order_by(THINGS.c.id)
ONE: Final = THINGS.select().where(THINGS.c.id == bindparam("row_id"))
#: The number that is added is a parameter with a value of its own.
GROW: Final = THINGS.update().where(THINGS.c.id == bindparam("row_id")).values(size=THINGS.c.size + 5)
RESET: Final = THINGS.update().where(THINGS.c.size >= bindparam("row_size"))


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        THINGS.create(connection)
        for number, name in enumerate(("a", "b", "c"), 1):
            change(connection, INSERT, {"id": name, "size": number, "good": number > 1, "at": NOON, "value": {"n": 1}})
        yield connection
    engine.dispose()


def test_values_come_back_as_they_were(connection: sa.Connection) -> None:
    """Types convert parameters and columns as SQLAlchemy lets them do it."""
    assert [tuple(row) for row in rows(connection, ALL, {"row_size": 1})] == [
        tuple(row) for row in connection.execute(ALL, {"row_size": 1})
    ]
    row = one_row(connection, ONE, {"row_id": "a"}, id="a")
    assert row is not None
    assert (row.id, row.size, row.good, row.at, row.value) == ("a", 1, False, NOON, {"n": 1})


def test_a_row_with_another_key_does_not_count(connection: sa.Connection) -> None:
    """A collation may find a row that has not exactly the requested key."""
    assert one_row(connection, ONE, {"row_id": "a"}, id="A") is None
    assert one_row(connection, ONE, {"row_id": "z"}, id="z") is None


def test_several_rows_for_a_key_are_refused(connection: sa.Connection) -> None:
    """No row is chosen among several."""
    with pytest.raises(MultipleResultsFound):
        one_row(connection, ALL, {"row_size": 0})


def test_changed_rows_are_counted(connection: sa.Connection) -> None:
    """Callers learn from the count whether a row was there."""
    assert change(connection, GROW, {"row_id": "a"}) == 1
    assert change(connection, GROW, {"row_id": "z"}) == 0
    assert change(connection, RESET, {"row_size": 2, "good": False, "value": None}) == 3
    assert [(row.id, row.size, row.good, row.value) for row in rows(connection, ALL, {"row_size": 0})] == [
        ("a", 6, False, None),
        ("b", 2, False, None),
        ("c", 3, False, None),
    ]


def test_the_columns_that_are_named_are_written(connection: sa.Connection) -> None:
    """One statement serves for several sets of columns."""
    change(connection, RESET, {"row_size": 3, "good": False})
    change(connection, RESET, {"row_size": 3, "at": None})
    row = one_row(connection, ONE, {"row_id": "c"})
    assert row is not None
    assert (row.good, row.at, row.value) == (False, None, {"n": 1})


@pytest.mark.parametrize("value", [{"at": object()}, {"n": float("nan")}])
def test_a_value_that_cannot_be_stored_raises_what_sqlalchemy_raises(
    connection: sa.Connection, value: dict[str, Any]
) -> None:
    """The store turns errors of SQLAlchemy into its own; the value is not in the text."""
    params = {"row_size": 1, "value": value}
    with pytest.raises(StatementError) as its_own:
        connection.execute(RESET, params)
    with pytest.raises(StatementError) as ours:
        change(connection, RESET, params)
    assert type(ours.value.orig) is type(its_own.value.orig)
    assert repr(value) not in str(ours.value)


def test_errors_and_events_are_those_of_sqlalchemy(connection: sa.Connection) -> None:
    """Repositories catch its errors, and whoever counts statements listens to its events."""
    seen: list[str] = []
    sa.event.listen(connection.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    with pytest.raises(IntegrityError):
        change(connection, INSERT, {"id": "a", "size": 1, "good": True, "at": None, "value": None})
    rows(connection, ALL, {"row_size": 1})
    assert [text.split()[0] for text in seen] == ["INSERT", "SELECT"]
