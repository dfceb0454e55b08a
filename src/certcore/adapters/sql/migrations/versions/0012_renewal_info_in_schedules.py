"""Renewal information moves from the large rows of issuances to the small rows of schedules."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText, key_text

revision: Final = "0012"
down_revision: Final = "0011"

#: Only that of leaves in service is of any use.
_COPY: Final = """
UPDATE certcore_schedules SET
    renewal_info = (
        SELECT certcore_issuances.renewal_info FROM certcore_issuances
        JOIN certcore_certificates ON certcore_certificates.active_issuance_id = certcore_issuances.id
        WHERE certcore_certificates.id = certcore_schedules.certificate_id
    ),
    renewal_info_issuance = (
        SELECT certcore_certificates.active_issuance_id FROM certcore_certificates
        WHERE certcore_certificates.id = certcore_schedules.certificate_id
    )
"""


def upgrade() -> None:
    # MySQL keeps each change when an upgrade is cut off.
    stored = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("certcore_schedules")}
    for column in (sa.Column("renewal_info", JsonText), sa.Column("renewal_info_issuance", key_text(40))):
        if column.name not in stored:
            op.add_column("certcore_schedules", column)
    if "renewal_info" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("certcore_issuances")}:
        op.execute(sa.text(_COPY))
        op.drop_column("certcore_issuances", "renewal_info")
