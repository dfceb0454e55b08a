"""What the tests of sealing keys share."""

import pytest

from certcore import CertCore
from support.databases import sqlite_with_tables
from support.sealed_places import Place, fill_core


@pytest.fixture
def place(tmp_path):
    """A keyring with one key, and a database on SQLite."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    return Place(tmp_path, sqlite_with_tables(tmp_path))


@pytest.fixture
def core(place):
    """Opened, with a secret of every purpose."""
    with place.open() as core:
        fill_core(core)
        yield core
