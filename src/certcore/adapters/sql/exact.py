"""A second look at the keys of rows, whatever a database, its collation or an index takes for equal."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

__all__ = ["only"]


def only(result: sa.CursorResult[Any], **keys: str) -> sa.Row[Any] | None:
    """The one row of a result, if it has exactly the keys that were asked for; None without one.

    Args:
        result: Of a query by a key.
        keys: The columns of the key, and what they have to be.
    """
    row = result.one_or_none()
    if row is None or any(getattr(row, column) != value for column, value in keys.items()):
        return None
    return row
