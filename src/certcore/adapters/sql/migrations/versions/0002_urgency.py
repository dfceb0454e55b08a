"""Schedules know until when their work has to be done, and leases can be found by their end."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import UtcDateTime

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    op.add_column("certcore_schedules", sa.Column("needed_by", UtcDateTime))
    op.create_index(
        "ix_certcore_schedules_due", "certcore_schedules", ["due_at", "lease_until", "needed_by", "certificate_id"]
    )
    op.drop_index("ix_certcore_schedules_due_at_certificate_id", "certcore_schedules")
    op.create_index("ix_certcore_schedules_lease_until", "certcore_schedules", ["lease_until"])
    op.execute(
        "UPDATE certcore_schedules SET needed_by ="
        " (SELECT not_after FROM certcore_certificates WHERE id = certcore_schedules.certificate_id)"
    )
