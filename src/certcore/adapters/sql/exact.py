"""Compare the keys of rows exactly, whatever a database or its collation considers equal."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

__all__ = ["only"]


def only(result: sa.CursorResult[Any], **keys: str) -> sa.Row[Any] | None:
    """The row of a result if it has exactly the requested keys, else None.

    Args:
        result: Of a query by a key.
        keys: The columns of the key, and what they have to be.
    """
    row = result.one_or_none()
    if row is None or any(getattr(row, column) != value for column, value in keys.items()):
        return None
    return row
