"""The store in a SQL database: SQLAlchemy Core on SQLite, with migrations that ship inside the package."""

from certcore.adapters.sql.storage import SqlStorage, open_storage

__all__ = ["SqlStorage", "open_storage"]
