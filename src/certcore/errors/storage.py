"""Errors of the database."""

from __future__ import annotations

from certcore.errors.base import CertCoreError
from certcore.messages import Message

__all__ = [
    "DatabaseOutdatedError",
    "DatabaseTooNewError",
    "StorageBusyError",
    "StorageError",
    "StorageReadOnlyError",
    "StorageUnavailableError",
]


class StorageError(CertCoreError):
    """The database refused or failed."""

    code = "storage_error"


class DatabaseTooNewError(StorageError):
    """A newer version of certcore has migrated the database.

    Args:
        found: The schema revision of the database.
        known: The newest revision that this certcore knows.
    """

    code = "database_too_new"
    param_names = ("found", "known")

    def __init__(self, found: str, known: str) -> None:
        text = "The database has schema revision {found}; this certcore knows revisions up to {known}."
        advice = "Upgrade certcore, or open a database that this version wrote."
        super().__init__(
            Message("error.database_too_new", text, {"found": repr(found), "known": repr(known)}),
            advice=Message("error.database_too_new.advice", advice),
        )
        self.found = found
        self.known = known


class StorageUnavailableError(StorageError):
    """The database cannot be reached or used right now."""

    code = "storage_unavailable"
    http_status = 503


class DatabaseOutdatedError(StorageUnavailableError):
    """The tables of the database are missing or outdated, and this process does not migrate them.

    Args:
        found: The schema revision of the database; None if it has no tables.
        needed: The revision that this certcore needs.
    """

    code = "database_outdated"
    param_names = ("found", "needed")

    def __init__(self, found: str | None, needed: str) -> None:
        params = {"found": repr(found), "needed": repr(needed)}
        message = Message(
            "error.database_outdated", "The database has schema revision {found}; this certcore needs {needed}.", params
        )
        if found is None:
            message = Message("error.database_without_tables", "The database has no tables of certcore.")
        advice = "Run `certcore migrate --database URL`, or call CertCore.migrate(URL); then try again."
        super().__init__(message, advice=Message("error.database_outdated.advice", advice))
        self.found = found
        self.needed = needed


class StorageBusyError(StorageUnavailableError):
    """Another transaction holds a lock on a row that was to be written. The database itself works."""

    code = "storage_busy"


class StorageReadOnlyError(StorageError):
    """This process opened the database without a keyring, for reading only: it cannot write, nor open secrets."""

    code = "storage_read_only"
