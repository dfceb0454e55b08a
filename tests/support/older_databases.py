"""Databases that earlier versions made (tests/data/databases), loaded for a test."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import psycopg
import pymysql
import sqlalchemy as sa
from attrs import frozen
from pymysql.constants import CLIENT

from certcore.adapters.environment import SystemEnvironment
from certcore.testing.clock import FrozenEnvironment

DATABASES = Path(__file__).parents[1] / "data" / "databases"
COMMITS = sorted(path.name for path in DATABASES.iterdir() if path.is_dir())
KINDS = ("sqlite", "postgresql", "mariadb")


class ClockOf(FrozenEnvironment):
    """Stands at a moment, and makes ids that are new to any database."""

    def new_id(self):
        return SystemEnvironment().new_id()


@frozen
class OlderDatabase:
    """A database as an earlier version left it, and what that version said of it."""

    url: str
    keyring: Path
    expected: dict

    @property
    def made_at(self):
        return datetime.fromisoformat(self.expected["made_at"])

    def id_of(self, name):
        return self.expected["certificates"][name]["id"]


def load(kind, commit, folder, server=None):
    """Load one, into a new database of a server or a file of its own."""
    source = DATABASES / commit
    keyring = folder / "keyring.json"
    shutil.copyfile(source / "keyring-for-tests-only.json", keyring)
    keyring.chmod(0o600)
    expected = json.loads((source / "expected.json").read_text())[kind]
    if kind == "sqlite":
        shutil.copyfile(source / "sqlite.db", folder / "certcore.db")
        return OlderDatabase(f"sqlite:///{folder}/certcore.db", keyring, expected)
    url = server.new_database()
    text = (source / f"{kind}.sql").read_text()
    (_load_postgresql if kind == "postgresql" else _load_mariadb)(sa.make_url(url), text)
    return OlderDatabase(url, keyring, expected)


def _load_postgresql(url, text):
    with psycopg.connect(host=url.host, port=url.port, user=url.username, dbname=url.database) as connection:
        connection.execute(text)


def _load_mariadb(url, text):
    where = {"host": url.host, "port": url.port, "user": url.username, "database": url.database}
    connection = pymysql.connect(**where, charset="utf8mb4", client_flag=CLIENT.MULTI_STATEMENTS)
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            while cursor.nextset():
                pass
        connection.commit()
    finally:
        connection.close()
