"""Issuances know when their CA wants them renewed, and how it failed; certificates name further CA profiles."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText
from certcore.adapters.sql.types import padded_key_text as key_text

revision: Final = "0005"
down_revision: Final = "0004"


def upgrade() -> None:
    op.add_column("certcore_issuances", sa.Column("renewal_info", JsonText))
    op.add_column("certcore_issuances", sa.Column("authority_failures", sa.Integer, nullable=False, server_default="0"))
    empty = sa.text("''")
    op.add_column("certcore_certificates", sa.Column("fallbacks", key_text(300), nullable=False, server_default=empty))
