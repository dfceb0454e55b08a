"""Events are chained per certificate, and each certificate's deliveries have a row of their own."""

import json
from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText, UtcDateTime
from certcore.adapters.sql.types import padded_key_text as key_text
from certcore.model.events import Event, EventKind
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.timeline import Timeline, chain

revision: Final = "0003"
down_revision: Final = "0002"

ID: Final = 40

EVENTS: Final = sa.table(
    "certcore_events",
    sa.column("sequence", sa.BigInteger),
    sa.column("certificate_id", sa.String),
    sa.column("kind", sa.String),
    sa.column("at", UtcDateTime),
    sa.column("actor", sa.Text),
    sa.column("from_status", sa.String),
    sa.column("to_status", sa.String),
    sa.column("data", JsonText),
    sa.column("problem", JsonText),
    sa.column("number", sa.Integer),
    sa.column("hash", sa.String),
)
DOCUMENTS: Final = sa.table(
    "certcore_documents", sa.column("namespace", sa.String), sa.column("key", sa.String), sa.column("value", sa.Text)
)
#: The one position, for all certificates, that revisions before this kept.
CURSOR: Final = sa.and_(DOCUMENTS.c.namespace == "certcore", DOCUMENTS.c.key == "outbox")


def upgrade() -> None:
    timelines = op.create_table(
        "certcore_timelines",
        sa.Column("certificate_id", key_text(ID), primary_key=True),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("head", key_text(64), nullable=False),
        sa.Column("delivered", sa.Integer, nullable=False),
        sa.Column("due_at", UtcDateTime),
        sa.Column("behind", JsonText, nullable=False),
        sa.Column("lease_owner", key_text(100), nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("token", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_certcore_timelines_due", "certcore_timelines", ["due_at", "lease_until"])
    op.add_column("certcore_events", sa.Column("number", sa.Integer))
    op.add_column("certcore_events", sa.Column("hash", key_text(64)))
    chain_what_is_there(timelines)
    with op.batch_alter_table("certcore_events", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("number", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("hash", existing_type=key_text(64), nullable=False)
        batch.create_unique_constraint("uq_certcore_events_certificate_id_number", ["certificate_id", "number"])
    op.drop_index("ix_certcore_events_certificate_id_sequence", "certcore_events")


def chain_what_is_there(timelines: sa.Table) -> None:
    connection = op.get_bind()
    stored = connection.execute(sa.select(DOCUMENTS.c.value).where(CURSOR)).scalar_one_or_none()
    cursor = int(json.loads(stored)["sequence"]) if stored else 0
    ids = connection.execute(sa.select(EVENTS.c.certificate_id).distinct()).scalars().all()
    for certificate_id in ids:
        rows = connection.execute(
            sa.select(EVENTS).where(EVENTS.c.certificate_id == certificate_id).order_by(EVENTS.c.sequence)
        ).all()
        chained, timeline = chain((event_of(row) for row in rows), Timeline(certificate_id=certificate_id))
        for row, event in zip(rows, chained, strict=True):
            connection.execute(
                sa.update(EVENTS).where(EVENTS.c.sequence == row.sequence).values(number=event.number, hash=event.hash)
            )
        delivered = sum(row.sequence <= cursor for row in rows)
        connection.execute(
            timelines.insert(),
            {
                "certificate_id": certificate_id,
                "length": timeline.length,
                "head": timeline.head,
                "delivered": delivered,
                "due_at": rows[-1].at if delivered < timeline.length else None,
                "behind": {},
                "lease_owner": "",
                "lease_until": None,
                "token": 0,
            },
        )
    connection.execute(sa.delete(DOCUMENTS).where(CURSOR))


def event_of(row: sa.Row[tuple[object, ...]]) -> Event:
    return Event(
        certificate_id=row.certificate_id,
        kind=EventKind(row.kind),
        at=row.at,
        actor=row.actor,
        from_status=row.from_status and Status(row.from_status),
        to_status=row.to_status and Status(row.to_status),
        data=row.data,
        problem=None if row.problem is None else Problem.from_json(row.problem),
    )
