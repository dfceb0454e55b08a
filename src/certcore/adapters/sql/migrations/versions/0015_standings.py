"""What lists and counts need of the issuances is in the row of the certificate.

The engine writes it with its next step. Certificates that rest beside their leaf are due at once for that: the step
reads and writes the database alone.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText, UtcDateTime, key_text

revision: Final = "0015"
down_revision: Final = "0014"

#: A moment of the past: when the certificate was changed last.
_MAKE_DUE: Final = """
UPDATE certcore_schedules SET due_at = (
    SELECT updated_at FROM certcore_certificates
    WHERE certcore_certificates.id = certcore_schedules.certificate_id
)
WHERE due_at IS NOT NULL AND certificate_id IN (
    SELECT id FROM certcore_certificates WHERE status IN ('active', 'expired') AND issuance_id IS NULL
)
"""
#: Of observers that fail already it is not known since when: no earlier than the event that they refused.
_FAILING: Final = """
UPDATE certcore_deliveries SET failing_since = (
    SELECT certcore_events.at FROM certcore_events
    WHERE certcore_events.certificate_id = certcore_deliveries.certificate_id
    AND certcore_events.number = certcore_deliveries.delivered + 1
)
WHERE attempts > 0 AND due_at IS NOT NULL
"""


def upgrade() -> None:
    # MySQL keeps each change when an upgrade is cut off.
    add_columns(
        "certcore_certificates",
        sa.Column("standing", JsonText),
        sa.Column("attempt", key_text(20)),
        sa.Column("late_at", UtcDateTime),
    )
    add_columns("certcore_deliveries", sa.Column("failing_since", UtcDateTime))
    add_index("certcore_certificates", "", "attempt", "domain", "id")
    add_index("certcore_certificates", "late", "late_at", "domain", "not_after", "created_at", "id")
    add_index("certcore_certificates", "", "status", "not_after")
    add_index("certcore_deliveries", "", "failing_since", "certificate_id")
    op.execute(sa.text(_FAILING))
    op.execute(sa.text(_MAKE_DUE))


def add_columns(table: str, *columns: sa.Column[Any]) -> None:
    stored = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in stored:
            op.add_column(table, column)


def add_index(table: str, name: str, *columns: str) -> None:
    name = f"ix_{table}_{name or '_'.join(columns)}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns))
