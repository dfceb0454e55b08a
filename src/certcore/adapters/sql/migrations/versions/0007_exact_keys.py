"""Keys are compared byte by byte on MariaDB and MySQL, too; sealed secrets say what they are bound to.

Until now the collation of keys there was ``utf8mb4_bin``, which pads: ``'anna'`` and ``'anna '`` were one owner.
MySQL ends a transaction with every statement that changes a table, so each statement here can be repeated: a migration
that was cut off is finished by the next one.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import key_text

revision: Final = "0007"
down_revision: Final = "0009"

#: The keys of each table, as they are at this revision: their length, ``?`` where NULL is allowed, ``=`` where the
#: default is empty text.
KEYS: Final = MappingProxyType(
    {
        "certcore_authorities": "id 40, name 100, module 40",
        "certcore_certificates": (
            "id 40, owner 100, domain 255, key_type 20, authority_id 40?, fallbacks 300=, status 20, issuance_id 40?, "
            "active_issuance_id 40?"
        ),
        "certcore_names": "certificate_id 40, name 255, reversed 256, owner 100",
        "certcore_schedules": "certificate_id 40, lease_owner 100",
        "certcore_issuances": (
            "id 40, certificate_id 40, purpose 20, authority_id 40?, key_type 20, key_purpose 40, key_owner_id 200, "
            "outcome 20?, told 300=, serial 64?, fingerprint_sha256 64?, fingerprint_sha1 40?"
        ),
        "certcore_secrets": "purpose 40, owner_id 200, key_id 100",
        "certcore_events": "certificate_id 40, kind 40, from_status 20?, to_status 20?, hash 64",
        "certcore_timelines": "certificate_id 40, head 64, lease_owner 100",
        "certcore_documents": "namespace 40, key 500",
    }
)
#: Table and column that refer to another table's ID, and what happens when that row is deleted.
FOREIGN_KEYS: Final = (
    ("certcore_certificates", "authority_id", "certcore_authorities", None),
    ("certcore_names", "certificate_id", "certcore_certificates", "CASCADE"),
    ("certcore_schedules", "certificate_id", "certcore_certificates", "CASCADE"),
    ("certcore_issuances", "certificate_id", "certcore_certificates", "CASCADE"),
)


def upgrade() -> None:
    connection = op.get_bind()
    if "format" not in {column["name"] for column in sa.inspect(connection).get_columns("certcore_secrets")}:
        op.add_column("certcore_secrets", sa.Column("format", sa.Integer, nullable=False, server_default="1"))
    if connection.dialect.name not in ("mysql", "mariadb"):
        return  # the others have compared keys byte by byte from the beginning
    for table, *_ in FOREIGN_KEYS:  # both ends of one have to have one collation, and a column of one is not changed
        for foreign_key in sa.inspect(connection).get_foreign_keys(table):
            op.drop_constraint(foreign_key["name"] or "", table, type_="foreignkey")
    quote = connection.dialect.identifier_preparer.quote
    for table, keys in KEYS.items():
        changes = ", ".join(f"MODIFY {quote(name)} {definition}" for name, definition in _definitions(keys))
        connection.exec_driver_sql(f"ALTER TABLE {quote(table)} {changes}")
    for table, column, other, on_delete in FOREIGN_KEYS:
        op.create_foreign_key(f"fk_{table}_{column}", table, other, [column], ["id"], ondelete=on_delete)


def _definitions(keys: str) -> Iterator[tuple[str, str]]:
    dialect = op.get_bind().dialect
    for key in keys.split(", "):
        name, length = key.split(" ")
        kind = key_text(int(length.rstrip("?="))).compile(dialect=dialect)
        rest = "NULL" if length.endswith("?") else "NOT NULL DEFAULT ''" if length.endswith("=") else "NOT NULL"
        yield name, f"{kind} {rest}"
