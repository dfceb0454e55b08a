"""The first tables."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from certcore.adapters.sql.types import JsonText, UtcDateTime, big_text, binary
from certcore.adapters.sql.types import padded_key_text as key_text

revision: Final = "0001"
down_revision: Final = None

ID: Final = 40


def upgrade() -> None:
    op.create_table(
        "certcore_authorities",
        sa.Column("id", key_text(ID), primary_key=True),
        sa.Column("name", key_text(100), nullable=False, unique=True),
        sa.Column("description", big_text(), nullable=False),
        sa.Column("module", key_text(ID), nullable=False),
        sa.Column("settings", JsonText, nullable=False),
        sa.Column("secrets_set", JsonText, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "certcore_certificates",
        sa.Column("id", key_text(ID), primary_key=True),
        sa.Column("owner", key_text(100), nullable=False),
        sa.Column("domain", key_text(255), nullable=False),
        sa.Column("aliases", JsonText, nullable=False),
        sa.Column("wildcard", sa.Boolean, nullable=False),
        sa.Column("subject", JsonText, nullable=False),
        sa.Column("key_type", key_text(20), nullable=False),
        sa.Column("renewal_auto", sa.Boolean, nullable=False),
        sa.Column("renewal_days_before", sa.Integer),
        sa.Column("renewal_rotate_key", sa.Boolean, nullable=False),
        sa.Column("authority_id", key_text(ID), sa.ForeignKey("certcore_authorities.id"), nullable=False),
        sa.Column("module_data", JsonText, nullable=False),
        sa.Column("status", key_text(20), nullable=False),
        sa.Column("issuance_id", key_text(ID)),
        sa.Column("active_issuance_id", key_text(ID)),
        sa.Column("not_after", UtcDateTime),
        sa.Column("problem", JsonText),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "certcore_schedules",
        sa.Column(
            "certificate_id",
            key_text(ID),
            sa.ForeignKey("certcore_certificates.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("due_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_owner", key_text(100), nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("token", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "certcore_issuances",
        sa.Column("id", key_text(ID), primary_key=True),
        sa.Column(
            "certificate_id",
            key_text(ID),
            sa.ForeignKey("certcore_certificates.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("purpose", key_text(20), nullable=False),
        sa.Column("authority_id", key_text(ID), nullable=False),
        sa.Column("names", JsonText, nullable=False),
        sa.Column("key_type", key_text(20), nullable=False),
        sa.Column("key_purpose", key_text(ID), nullable=False),
        sa.Column("key_owner_id", key_text(200), nullable=False),
        sa.Column("csr_pem", big_text(), nullable=False),
        sa.Column("module_state", JsonText),
        sa.Column("findings", JsonText),
        sa.Column("outcome", key_text(20)),
        sa.Column("needs_clean_up", sa.Boolean, nullable=False),
        sa.Column("leaf_pem", big_text()),
        sa.Column("chain_pem", big_text()),
        sa.Column("leaf", JsonText),
        sa.Column("problem", JsonText),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.UniqueConstraint("certificate_id", "number"),
    )
    op.create_table(
        "certcore_secrets",
        sa.Column("purpose", key_text(ID), primary_key=True),
        sa.Column("owner_id", key_text(200), primary_key=True),
        sa.Column("key_id", key_text(100), nullable=False),
        sa.Column("wrapped_key", binary(4096), nullable=False),
        sa.Column("nonce", binary(64), nullable=False),
        sa.Column("ciphertext", binary(1_000_000), nullable=False),
    )
    op.create_table(
        "certcore_events",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("certificate_id", key_text(ID), nullable=False),
        sa.Column("kind", key_text(ID), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", big_text(), nullable=False),
        sa.Column("from_status", key_text(20)),
        sa.Column("to_status", key_text(20)),
        sa.Column("data", JsonText, nullable=False),
        sa.Column("problem", JsonText),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "certcore_documents",
        sa.Column("namespace", key_text(ID), primary_key=True),
        sa.Column("key", key_text(500), primary_key=True),
        sa.Column("value", JsonText, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_certcore_certificates_domain_id", "certcore_certificates", ["domain", "id"])
    op.create_index("ix_certcore_certificates_status_domain_id", "certcore_certificates", ["status", "domain", "id"])
    op.create_index(
        "ix_certcore_certificates_authority_id_domain_id", "certcore_certificates", ["authority_id", "domain", "id"]
    )
    op.create_index("ix_certcore_certificates_owner_domain_id", "certcore_certificates", ["owner", "domain", "id"])
    op.create_index("ix_certcore_schedules_due_at_certificate_id", "certcore_schedules", ["due_at", "certificate_id"])
    op.create_index("ix_certcore_secrets_key_id", "certcore_secrets", ["key_id"])
    op.create_index("ix_certcore_events_certificate_id_sequence", "certcore_events", ["certificate_id", "sequence"])
