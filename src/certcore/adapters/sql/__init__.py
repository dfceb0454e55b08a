"""The store in a SQL database: SQLAlchemy Core on SQLite, with migrations that ship inside the package."""

from certcore.adapters.sql.databases import Pool
from certcore.adapters.sql.storage import SqlStorage, find_revision, migrate_storage, open_storage

__all__ = ["Pool", "SqlStorage", "find_revision", "migrate_storage", "open_storage"]
