"""Certificates without a CA profile (imported ones), with the user's own CSR, and what was told of their leaves."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import big_text
from certcore.adapters.sql.types import padded_key_text as key_text

revision: Final = "0006"
down_revision: Final = "0005"

ID: Final = 40


def upgrade() -> None:
    # SQLite cannot change a column: Alembic writes the table anew there. Foreign keys are off meanwhile
    # (`certcore.adapters.sql.schema`), or dropping the old table would empty those that refer to it.
    with op.batch_alter_table("certcore_certificates") as table:
        table.alter_column("authority_id", existing_type=key_text(ID), nullable=True)
        table.add_column(sa.Column("csr_pem", big_text()))
    with op.batch_alter_table("certcore_issuances") as table:
        table.alter_column("authority_id", existing_type=key_text(ID), nullable=True)
        table.add_column(sa.Column("is_keyless", sa.Boolean, nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("told", key_text(300), nullable=False, server_default=sa.text("''")))
    for column in ("not_after", "created_at"):
        op.create_index(f"ix_certcore_certificates_{column}_id", "certcore_certificates", [column, "id"])
