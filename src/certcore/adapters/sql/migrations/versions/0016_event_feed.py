"""Events have an owner, and a number in the feed of all events that follows the order of the commits."""

import json
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import key_text

revision: Final = "0016"
down_revision: Final = "0015"

EVENTS: Final = sa.table(
    "certcore_events",
    sa.column("sequence", sa.BigInteger),
    sa.column("certificate_id", sa.String),
    sa.column("kind", sa.String),
    sa.column("data", sa.Text),
    sa.column("owner", sa.String),
    sa.column("position", sa.BigInteger),
)
#: All of them are committed.
_OWNERS: Final = """
UPDATE certcore_events SET owner = (
    SELECT certcore_certificates.owner FROM certcore_certificates
    WHERE certcore_certificates.id = certcore_events.certificate_id
)
WHERE owner IS NULL
"""
_POSITIONS: Final = "UPDATE certcore_events SET position = sequence WHERE position IS NULL"


def upgrade() -> None:
    # MySQL keeps each change when an upgrade is cut off.
    connection = op.get_bind()
    stored = {column["name"] for column in sa.inspect(connection).get_columns("certcore_events")}
    columns: list[sa.Column[Any]] = [sa.Column("owner", key_text(100)), sa.Column("position", sa.BigInteger)]
    for column in columns:
        if column.name not in stored:
            op.add_column("certcore_events", column)
    op.execute(sa.text(_OWNERS))
    name_owners_of_deleted(connection)
    op.execute(sa.text(_POSITIONS))
    for names in (["position", "sequence"], ["owner", "position"]):
        index = f"ix_certcore_events_{'_'.join(names)}"
        if index not in {stored["name"] for stored in sa.inspect(connection).get_indexes("certcore_events")}:
            op.create_index(index, "certcore_events", names)
    if not sa.inspect(connection).has_table("certcore_counters"):
        op.create_table(
            "certcore_counters",
            sa.Column("name", key_text(40), primary_key=True),
            sa.Column("value", sa.BigInteger, nullable=False),
        )


def name_owners_of_deleted(connection: sa.Connection) -> None:
    """The event of a deletion has the owner among its data."""
    deleted = sa.select(EVENTS.c.certificate_id, EVENTS.c.data).where(EVENTS.c.kind == "deleted")
    for row in connection.execute(deleted.where(EVENTS.c.owner.is_(None))).all():
        owner = str(json.loads(row.data).get("owner", ""))
        of_this = EVENTS.c.certificate_id == row.certificate_id
        connection.execute(EVENTS.update().where(of_this).values(owner=owner))
