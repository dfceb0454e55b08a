"""How far each observer was told is in a row of its own, no longer in the row of the timeline.

MySQL ends a transaction with every statement that changes a table, so each statement here can be repeated: a migration
that was cut off is finished by the next one. The column ``behind`` is dropped first: while it is there, the rows are
copied, once more if need be.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import UtcDateTime, big_text, key_text

revision: Final = "0013"
down_revision: Final = "0012"

TIMELINES: Final = sa.table(
    "certcore_timelines",
    sa.column("certificate_id", sa.String),
    sa.column("length", sa.Integer),
    sa.column("delivered", sa.Integer),
    sa.column("due_at", UtcDateTime),
    sa.column("behind", sa.Text),
    sa.column("offered", sa.Integer),
    sa.column("pending_since", UtcDateTime),
)
DELIVERIES: Final = sa.table(
    "certcore_deliveries",
    sa.column("certificate_id", sa.String),
    sa.column("observer", sa.String),
    sa.column("delivered", sa.Integer),
    sa.column("length", sa.Integer),
    sa.column("attempts", sa.Integer),
    sa.column("due_at", UtcDateTime),
    sa.column("reason", sa.Text),
    sa.column("lease_owner", sa.String),
    sa.column("lease_until", UtcDateTime),
    sa.column("token", sa.BigInteger),
)
OBSERVERS: Final = sa.table("certcore_observers", sa.column("name", sa.String), sa.column("seen_at", UtcDateTime))
DOCUMENTS: Final = sa.table(
    "certcore_documents", sa.column("namespace", sa.String), sa.column("key", sa.String), sa.column("value", sa.Text)
)
#: Where revisions before this wrote down which observers there were.
KNOWN: Final = sa.and_(DOCUMENTS.c.namespace == "certcore-engine", DOCUMENTS.c.key == "observers")
#: In this order: the first one says that the rows are still to be copied.
DROPPED: Final = ("behind", "delivered", "due_at", "lease_owner", "lease_until", "token")


def upgrade() -> None:
    create_tables()
    if "offered" not in columns_of("certcore_timelines"):
        op.add_column("certcore_timelines", sa.Column("offered", sa.Integer, nullable=False, server_default="0"))
    if "pending_since" not in columns_of("certcore_timelines"):
        op.add_column("certcore_timelines", sa.Column("pending_since", UtcDateTime))
    if "behind" in columns_of("certcore_timelines"):
        copy_what_is_there()
    if "ix_certcore_timelines_due" in indexes_of("certcore_timelines"):
        op.drop_index("ix_certcore_timelines_due", "certcore_timelines")
    for name in DROPPED:
        if name in columns_of("certcore_timelines"):
            op.drop_column("certcore_timelines", name)
    if "ix_certcore_timelines_pending_since" not in indexes_of("certcore_timelines"):
        op.create_index("ix_certcore_timelines_pending_since", "certcore_timelines", ["pending_since"])
    op.get_bind().execute(DOCUMENTS.delete().where(KNOWN))


def create_tables() -> None:
    if not sa.inspect(op.get_bind()).has_table("certcore_deliveries"):
        op.create_table(
            "certcore_deliveries",
            sa.Column("certificate_id", key_text(40), primary_key=True),
            sa.Column("observer", key_text(200), primary_key=True),
            sa.Column("delivered", sa.Integer, nullable=False),
            sa.Column("length", sa.Integer, nullable=False),
            sa.Column("attempts", sa.Integer, nullable=False),
            sa.Column("due_at", UtcDateTime),
            sa.Column("reason", big_text(), nullable=False),
            sa.Column("lease_owner", key_text(100), nullable=False),
            sa.Column("lease_until", UtcDateTime),
            sa.Column("token", sa.BigInteger, nullable=False),
        )
    for columns in (["observer", "due_at"], ["due_at"]):
        name = f"ix_certcore_deliveries_{'_'.join(columns)}"
        if name not in indexes_of("certcore_deliveries"):
            op.create_index(name, "certcore_deliveries", columns)
    if not sa.inspect(op.get_bind()).has_table("certcore_observers"):
        op.create_table(
            "certcore_observers",
            sa.Column("name", key_text(200), primary_key=True),
            sa.Column("seen_at", UtcDateTime, nullable=False),
            sa.Column("missed_since", UtcDateTime),
        )


def copy_what_is_there() -> None:
    """An observer that is behind gets a cursor; what nobody was offered is pending. Old leases are not kept."""
    connection = op.get_bind()
    connection.execute(DELIVERIES.delete())  # of a migration that was cut off
    connection.execute(OBSERVERS.delete())
    is_pending = TIMELINES.c.length > TIMELINES.c.delivered
    pending_since = sa.case((is_pending, sa.func.coalesce(TIMELINES.c.due_at, sa.literal(0, sa.BigInteger))))
    connection.execute(TIMELINES.update().values(offered=TIMELINES.c.delivered, pending_since=pending_since))
    stored = connection.execute(sa.select(DOCUMENTS.c.value).where(KNOWN)).scalar_one_or_none()
    seen_at = {name: datetime.fromisoformat(at) for name, at in json.loads(stored or "{}").items()}
    rows = connection.execute(sa.select(TIMELINES).where(TIMELINES.c.behind != "{}")).all()
    cursors = [cursor for row in rows for cursor in cursors_of(row)]
    for cursor in cursors:  # one that was not written down was there when it failed
        seen_at.setdefault(cursor["observer"], cursor["due_at"])
    insert(connection, OBSERVERS, ({"name": name, "seen_at": at} for name, at in sorted(seen_at.items())))
    insert(connection, DELIVERIES, cursors)


def cursors_of(row: sa.Row[Any]) -> Iterable[dict[str, Any]]:
    for observer, behind in json.loads(row.behind).items():
        if behind["delivered"] >= row.delivered:
            continue  # it begins, like the others, where the timeline was offered to
        yield {
            "certificate_id": row.certificate_id,
            "observer": observer,
            "delivered": behind["delivered"],
            "length": row.delivered,
            "attempts": behind["attempts"],
            "due_at": datetime.fromisoformat(behind["due_at"]),
            "reason": behind["reason"],
            "lease_owner": "",
            "lease_until": None,
            "token": 0,
        }


def insert(connection: sa.Connection, table: sa.TableClause, rows: Iterable[dict[str, Any]]) -> None:
    if values := list(rows):
        connection.execute(table.insert(), values)


def columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def indexes_of(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
