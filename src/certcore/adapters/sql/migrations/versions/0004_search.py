"""Certificates are found by any of their names, and by serial number and fingerprints of their leaves."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText
from certcore.adapters.sql.types import padded_key_text as key_text
from certcore.model.search import reversed_labels

revision: Final = "0004"
down_revision: Final = "0003"

ID: Final = 40

CERTIFICATES: Final = sa.table(
    "certcore_certificates",
    sa.column("id", sa.String),
    sa.column("owner", sa.String),
    sa.column("domain", sa.String),
    sa.column("aliases", JsonText),
    sa.column("wildcard", sa.Boolean),
)
ISSUANCES: Final = sa.table(
    "certcore_issuances",
    sa.column("id", sa.String),
    sa.column("leaf", JsonText),
    sa.column("serial", sa.String),
    sa.column("fingerprint_sha256", sa.String),
    sa.column("fingerprint_sha1", sa.String),
)


def upgrade() -> None:
    names = op.create_table(
        "certcore_names",
        sa.Column(
            "certificate_id",
            key_text(ID),
            sa.ForeignKey("certcore_certificates.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("name", key_text(255), primary_key=True),
        sa.Column("reversed", key_text(256), nullable=False),
        sa.Column("owner", key_text(100), nullable=False),
    )
    for columns in (["name"], ["reversed"], ["owner", "name"], ["owner", "reversed"]):
        index = [*columns, "certificate_id"]
        op.create_index(f"ix_certcore_names_{'_'.join(index)}", "certcore_names", index)
    for column, length in (("serial", 64), ("fingerprint_sha256", 64), ("fingerprint_sha1", 40)):
        op.add_column("certcore_issuances", sa.Column(column, key_text(length)))
        op.create_index(f"ix_certcore_issuances_{column}", "certcore_issuances", [column])
    connection = op.get_bind()
    for row in connection.execute(sa.select(CERTIFICATES)).all():
        certificate_names = [row.domain, *([f"*.{row.domain}"] if row.wildcard else []), *row.aliases]
        connection.execute(
            names.insert(),
            [
                {"certificate_id": row.id, "name": name, "reversed": reversed_labels(name), "owner": row.owner}
                for name in certificate_names
            ],
        )
    issued = sa.select(ISSUANCES.c.id, ISSUANCES.c.leaf).where(ISSUANCES.c.leaf.is_not(None))
    for row in connection.execute(issued).all():
        connection.execute(
            sa.update(ISSUANCES)
            .where(ISSUANCES.c.id == row.id)
            .values(
                serial=row.leaf["serial_hex"].lstrip("0"),
                fingerprint_sha256=row.leaf["fingerprint_sha256"],
                fingerprint_sha1=row.leaf["fingerprint_sha1"],
            )
        )
