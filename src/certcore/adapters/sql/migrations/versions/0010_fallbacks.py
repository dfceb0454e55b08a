"""The certificates that have a CA profile as a fallback are found by an index."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import key_text

revision: Final = "0010"
down_revision: Final = "0007"

ID: Final = 40

CERTIFICATES: Final = sa.table(
    "certcore_certificates", sa.column("id", key_text(ID)), sa.column("fallbacks", key_text(300))
)


def upgrade() -> None:
    connection = op.get_bind()
    if sa.inspect(connection).has_table("certcore_fallbacks"):  # MySQL kept it when an upgrade was cut off
        op.drop_table("certcore_fallbacks")
    fallbacks = op.create_table(
        "certcore_fallbacks",
        sa.Column("authority_id", key_text(ID), primary_key=True),
        sa.Column(
            "certificate_id",
            key_text(ID),
            sa.ForeignKey("certcore_certificates.id", ondelete="CASCADE"),
            primary_key=True,
        ),
    )
    op.create_index("ix_certcore_fallbacks_certificate_id", "certcore_fallbacks", ["certificate_id"])
    with_any = sa.select(CERTIFICATES).where(CERTIFICATES.c.fallbacks != "")
    for row in connection.execute(with_any).all():
        for authority_id in dict.fromkeys(row.fallbacks.split(",")):
            values = {"authority_id": authority_id, "certificate_id": row.id}
            connection.execute(fallbacks.insert(), values)
