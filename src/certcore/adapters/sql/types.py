"""Column types that mean the same in every database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

__all__ = [
    "EPOCH",
    "BigText",
    "Binary",
    "JsonText",
    "KeyText",
    "UtcDateTime",
    "big_text",
    "binary",
    "key_text",
    "padded_key_text",
    "to_json",
]

_MYSQL: Final = frozenset({"mysql", "mariadb"})
#: The moment 0 of stored moments.
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Kept, because `json.dumps` with these options would make a new encoder for every call.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=dict)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment, as microseconds since 1970 UTC: exact, sortable, and independent of the database's time zones."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """To the database. The subtraction refuses a datetime without a time zone."""
        return None if value is None else (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


class JsonText(sa.types.TypeDecorator[Any]):
    """Plain JSON as text; no query looks inside. None is NULL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The column type of `BigText`."""
        return _big_text_of(dialect)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """To the database."""
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """From the database."""
        return None if value is None else json.loads(value)


def to_json(value: Any) -> str:
    """Compact JSON; read-only mappings are written as objects.

    Raises:
        TypeError: The value is not plain JSON.
    """
    return _ENCODER.encode(value)


class BigText(sa.types.TypeDecorator[str]):
    """Text without a practical limit."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The column type. On MySQL it is not TEXT, which is limited to 64 KiB."""
        return _big_text_of(dialect)


def _big_text_of(dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    if dialect.name not in _MYSQL:
        return dialect.type_descriptor(sa.Text())
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - 0.02 s that other databases do not need

    return dialect.type_descriptor(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"))


def big_text() -> BigText:
    """Text without a practical limit."""
    return BigText()


class Binary(sa.types.TypeDecorator[bytes]):
    """Bytes, at most ``length``."""

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The column type, which on MySQL depends on the length."""
        if dialect.name not in _MYSQL:
            return dialect.type_descriptor(sa.LargeBinary(self.length))
        from sqlalchemy.dialects import mysql  # noqa: PLC0415 - as for text

        sizes = ((255, mysql.TINYBLOB()), (65_535, mysql.BLOB()), (16_777_215, mysql.MEDIUMBLOB()))
        return dialect.type_descriptor(next(kind for most, kind in sizes if self.length <= most))


def binary(length: int) -> Binary:
    """Bytes, at most ``length``."""
    return Binary(length)


class KeyText(sa.types.TypeDecorator[str]):
    """Text that is compared and sorted byte by byte in every database, including trailing blanks."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The column type with a collation that does not pad; MariaDB and MySQL name it differently.

        ``utf8mb4_bin`` pads: ``'anna'`` and ``'anna '`` would be the same key.
        """
        length = self.length
        match dialect.name:
            case "postgresql":
                from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - as for text

                return dialect.type_descriptor(postgresql.VARCHAR(length, collation="C"))
            case "mysql" | "mariadb":
                from sqlalchemy.dialects import mysql  # noqa: PLC0415 - as for text

                exact = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
                return dialect.type_descriptor(mysql.VARCHAR(length, charset="utf8mb4", collation=exact))
            case _:
                return dialect.type_descriptor(sa.String(length))


def key_text(length: int) -> KeyText:
    """Text for keys, of at most ``length`` characters."""
    return KeyText(length)


def padded_key_text(length: int) -> sa.types.TypeEngine[str]:
    """The type of `key_text` before revision 0007. On MariaDB and MySQL it ignores trailing blanks in comparisons."""
    from sqlalchemy.dialects import mysql, postgresql  # noqa: PLC0415 - for migrations only

    return (
        sa.String(length)
        .with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
    )
