"""Stores in which several tenants have certificates."""

from certcore import CertCore, Role
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import sqlite_with_tables

STORES = ["memory", "sqlite", "postgresql", "mariadb"]
ROLES = {"vera": Role.VIEWER, "system": Role.ADMINISTRATOR}


def opened_store(request, store, folder, *plugins):
    """A store of one of the kinds, with a scripted CA that issues at once."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    options = {"plugins": [ca.plugin(), *plugins], "installed_plugins": False, "environment": environment}
    if store == "memory":
        return CertCore.in_memory(**options)
    CertCore.create_keyring(folder / "keyring.json")
    url = sqlite_with_tables(folder)
    if store != "sqlite":
        url = request.getfixturevalue("emptied")(request.getfixturevalue(f"{store}_url"))
    return CertCore.open(url, keyring=folder / "keyring.json", **options)
