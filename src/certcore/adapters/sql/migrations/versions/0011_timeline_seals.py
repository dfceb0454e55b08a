"""The end of each record bears a seal. Those that are there are sealed by the first process that opens the store."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import key_text

revision: Final = "0011"
down_revision: Final = "0010"


def upgrade() -> None:
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("certcore_timelines")}
    if "seal" not in columns:  # MySQL kept it when an upgrade was cut off
        op.add_column(
            "certcore_timelines", sa.Column("seal", key_text(64), nullable=False, server_default=sa.text("''"))
        )
