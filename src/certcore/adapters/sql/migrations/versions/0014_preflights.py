"""When each certificate in service is checked as if it were renewed now, and what was found.

The rows are made as the checks are planned. Each statement can be repeated: MySQL keeps what was done when an upgrade
is cut off.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText, UtcDateTime, key_text

revision: Final = "0014"
down_revision: Final = "0013"

TABLE: Final = "certcore_preflights"
INDEX: Final = "ix_certcore_preflights_due_at_certificate_id"


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table(TABLE):
        op.create_table(
            TABLE,
            sa.Column("certificate_id", key_text(40), nullable=False),
            sa.Column("due_at", UtcDateTime, nullable=False),
            sa.Column("checked_at", UtcDateTime),
            sa.Column("readiness", JsonText),
            sa.Column("told", key_text(40), nullable=False),
            sa.Column("version", sa.Integer, nullable=False),
            sa.PrimaryKeyConstraint("certificate_id", name="pk_certcore_preflights"),
            sa.ForeignKeyConstraint(
                ["certificate_id"],
                ["certcore_certificates.id"],
                name="fk_certcore_preflights_certificate_id",
                ondelete="CASCADE",
            ),
        )
    if INDEX not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}:
        op.create_index(INDEX, TABLE, ["due_at", "certificate_id"])
