"""A database that refused or failed."""

from __future__ import annotations

from certcore.errors.base import CertCoreError

__all__ = ["DatabaseTooNew", "StorageBusy", "StorageError", "StorageUnavailable"]


class StorageError(CertCoreError):
    """The database refused or failed."""


class DatabaseTooNew(StorageError):
    """The database was written by a newer certcore than this one."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(
            f"The database has schema revision {found!r}; this certcore knows revisions up to {known!r}.",
            advice="Upgrade certcore, or open a database that this version wrote.",
        )
        self.found = found
        self.known = known


class StorageUnavailable(StorageError):
    """The database cannot be reached or used right now."""


class StorageBusy(StorageUnavailable):
    """Another transaction holds a lock on what was to be written; the database itself works."""
