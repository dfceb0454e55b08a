"""The tables, as the newest migration leaves them. Their names begin with ``certcore_``: the database may be shared."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from certcore.adapters.sql.types import JsonText, UtcDateTime, big_text, binary, key_text

__all__ = [
    "authorities",
    "certificates",
    "documents",
    "events",
    "fallbacks",
    "issuances",
    "metadata",
    "names",
    "schedules",
    "secrets",
    "timelines",
]

_ID: Final = 40

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

authorities: Final = sa.Table(
    "certcore_authorities",
    metadata,
    sa.Column("id", key_text(_ID), primary_key=True),
    sa.Column("name", key_text(100), nullable=False, unique=True),
    sa.Column("description", big_text(), nullable=False),
    sa.Column("module", key_text(_ID), nullable=False),
    sa.Column("settings", JsonText, nullable=False),
    sa.Column("secrets_set", JsonText, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

certificates: Final = sa.Table(
    "certcore_certificates",
    metadata,
    sa.Column("id", key_text(_ID), primary_key=True),
    sa.Column("owner", key_text(100), nullable=False),
    sa.Column("domain", key_text(255), nullable=False),
    sa.Column("aliases", JsonText, nullable=False),
    sa.Column("wildcard", sa.Boolean, nullable=False),
    sa.Column("subject", JsonText, nullable=False),
    sa.Column("key_type", key_text(20), nullable=False),
    sa.Column("renewal_auto", sa.Boolean, nullable=False),
    sa.Column("renewal_days_before", sa.Integer),
    sa.Column("renewal_rotate_key", sa.Boolean, nullable=False),
    sa.Column("authority_id", key_text(_ID), sa.ForeignKey(authorities.c.id)),
    # The ids of further CA profiles with commas between them.
    sa.Column("fallbacks", key_text(300), nullable=False, server_default=sa.text("''")),
    sa.Column("module_data", JsonText, nullable=False),
    # The user's own CSR.
    sa.Column("csr_pem", big_text()),
    sa.Column("status", key_text(20), nullable=False),
    sa.Column("issuance_id", key_text(_ID)),
    sa.Column("active_issuance_id", key_text(_ID)),
    sa.Column("not_after", UtcDateTime),
    sa.Column("problem", JsonText),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    # Lists are pages in the order (domain, id), filtered by one of these at a time.
    sa.Index(None, "domain", "id"),
    sa.Index(None, "status", "domain", "id"),
    sa.Index(None, "authority_id", "domain", "id"),
    sa.Index(None, "owner", "domain", "id"),
    # Or in the order in which they end, or came.
    sa.Index(None, "not_after", "id"),
    sa.Index(None, "created_at", "id"),
)

#: Every name of every certificate, to be searched from its beginning and from its end.
names: Final = sa.Table(
    "certcore_names",
    metadata,
    sa.Column("certificate_id", key_text(_ID), sa.ForeignKey(certificates.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("name", key_text(255), primary_key=True),
    #: The labels from the last to the first.
    sa.Column("reversed", key_text(256), nullable=False),
    sa.Column("owner", key_text(100), nullable=False),
    sa.Index(None, "name", "certificate_id"),
    sa.Index(None, "reversed", "certificate_id"),
    sa.Index(None, "owner", "name", "certificate_id"),
    sa.Index(None, "owner", "reversed", "certificate_id"),
)

#: Which certificates have a CA profile as a fallback: the same as the column, to be found from the profile.
fallbacks: Final = sa.Table(
    "certcore_fallbacks",
    metadata,
    # No foreign key: it may name a profile that is gone.
    sa.Column("authority_id", key_text(_ID), primary_key=True),
    sa.Column(
        "certificate_id",
        key_text(_ID),
        sa.ForeignKey(certificates.c.id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

#: The small hot rows of the engine, apart from the large rows that people look at.
schedules: Final = sa.Table(
    "certcore_schedules",
    metadata,
    sa.Column("certificate_id", key_text(_ID), sa.ForeignKey(certificates.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", UtcDateTime),
    sa.Column("needed_by", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", key_text(100), nullable=False),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("written_at", UtcDateTime),
    # All that a claim has to know, so that it reads this index and the rows that it takes, and no others.
    sa.Index("ix_certcore_schedules_due", "due_at", "lease_until", "needed_by", "certificate_id"),
    sa.Index(None, "lease_until"),
    # For the rows that were written under a clock that was ahead.
    sa.Index(None, "written_at"),
)

issuances: Final = sa.Table(
    "certcore_issuances",
    metadata,
    sa.Column("id", key_text(_ID), primary_key=True),
    sa.Column("certificate_id", key_text(_ID), sa.ForeignKey(certificates.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("purpose", key_text(20), nullable=False),
    sa.Column("authority_id", key_text(_ID)),
    sa.Column("names", JsonText, nullable=False),
    sa.Column("key_type", key_text(20), nullable=False),
    sa.Column("key_purpose", key_text(_ID), nullable=False),
    sa.Column("key_owner_id", key_text(200), nullable=False),
    sa.Column("csr_pem", big_text(), nullable=False),
    sa.Column("is_keyless", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("module_state", JsonText),
    sa.Column("findings", JsonText),
    sa.Column("outcome", key_text(20)),
    sa.Column("needs_clean_up", sa.Boolean, nullable=False),
    sa.Column("leaf_pem", big_text()),
    sa.Column("chain_pem", big_text()),
    sa.Column("leaf", JsonText),
    sa.Column("problem", JsonText),
    sa.Column("renewal_info", JsonText),
    sa.Column("authority_failures", sa.Integer, nullable=False, server_default="0"),
    # What was told of the leaf, with commas between.
    sa.Column("told", key_text(300), nullable=False, server_default=sa.text("''")),
    sa.Column("engine_state", JsonText),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    # Of the leaf, to be searched: lower-case hex, the serial number without leading zeros.
    sa.Column("serial", key_text(64), index=True),
    sa.Column("fingerprint_sha256", key_text(64), index=True),
    sa.Column("fingerprint_sha1", key_text(40), index=True),
    sa.UniqueConstraint("certificate_id", "number"),
)

secrets: Final = sa.Table(
    "certcore_secrets",
    metadata,
    sa.Column("purpose", key_text(_ID), primary_key=True),
    sa.Column("owner_id", key_text(200), primary_key=True),
    sa.Column("key_id", key_text(100), nullable=False, index=True),
    sa.Column("wrapped_key", binary(4096), nullable=False),
    sa.Column("nonce", binary(64), nullable=False),
    sa.Column("ciphertext", binary(1_000_000), nullable=False),
    # What the ciphertext is bound to: `certcore.model.secret.SealedSecret.format`.
    sa.Column("format", sa.Integer, nullable=False, server_default="1"),
)

events: Final = sa.Table(
    "certcore_events",
    metadata,
    # SQLite counts by itself in columns of the type INTEGER only.
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("certificate_id", key_text(_ID), nullable=False),
    sa.Column("kind", key_text(_ID), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", big_text(), nullable=False),
    sa.Column("from_status", key_text(20)),
    sa.Column("to_status", key_text(20)),
    sa.Column("data", JsonText, nullable=False),
    sa.Column("problem", JsonText),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("hash", key_text(64), nullable=False),
    sa.UniqueConstraint("certificate_id", "number"),
    # A number is never given twice, also after rows were deleted by hand.
    sqlite_autoincrement=True,
)

#: How far the events of each certificate have been delivered; no foreign key: the record outlives the certificate.
timelines: Final = sa.Table(
    "certcore_timelines",
    metadata,
    sa.Column("certificate_id", key_text(_ID), primary_key=True),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("head", key_text(64), nullable=False),
    # Of the certificate's id, the length and the head, with the store's key.
    sa.Column("seal", key_text(64), nullable=False, server_default=sa.text("''")),
    sa.Column("delivered", sa.Integer, nullable=False),
    sa.Column("due_at", UtcDateTime),
    sa.Column("behind", JsonText, nullable=False),
    sa.Column("lease_owner", key_text(100), nullable=False),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Index("ix_certcore_timelines_due", "due_at", "lease_until"),
)

documents: Final = sa.Table(
    "certcore_documents",
    metadata,
    sa.Column("namespace", key_text(_ID), primary_key=True),
    sa.Column("key", key_text(500), primary_key=True),
    sa.Column("value", JsonText, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
