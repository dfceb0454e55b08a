"""Cores on each kind of store that needs no server."""

from certcore import CertCore
from support.databases import sqlite_with_tables


def core_on(storage, folder, **options):
    """A core in memory, or on a database file in a folder, with the plugins that are given and no others."""
    options["installed_plugins"] = False
    if storage == "memory":
        return CertCore.in_memory(**options)
    CertCore.create_keyring(folder / "keyring.json")
    return CertCore.open(sqlite_with_tables(folder), keyring=folder / "keyring.json", **options)
