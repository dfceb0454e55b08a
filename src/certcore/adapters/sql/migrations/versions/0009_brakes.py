"""What the engine remembers of an issuance, and under which clock a schedule was written."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText, UtcDateTime

revision: Final = "0009"
down_revision: Final = "0006"


def upgrade() -> None:
    op.add_column("certcore_issuances", sa.Column("engine_state", JsonText))
    op.add_column("certcore_schedules", sa.Column("written_at", UtcDateTime))
    op.create_index("ix_certcore_schedules_written_at", "certcore_schedules", ["written_at"])
