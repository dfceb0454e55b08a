"""The tables after the newest migration. Names begin with ``certcore_``, because the database may be shared."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from certcore.adapters.sql.types import JsonText, UtcDateTime, big_text, binary, key_text

__all__ = [
    "authorities",
    "certificates",
    "counters",
    "deliveries",
    "documents",
    "events",
    "fallbacks",
    "issuances",
    "metadata",
    "names",
    "observers",
    "preflights",
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
    # Comma-separated IDs of CA profiles.
    sa.Column("fallbacks", key_text(300), nullable=False, server_default=sa.text("''")),
    sa.Column("module_data", JsonText, nullable=False),
    # The user's own CSR.
    sa.Column("csr_pem", big_text()),
    sa.Column("status", key_text(20), nullable=False),
    sa.Column("issuance_id", key_text(_ID)),
    sa.Column("active_issuance_id", key_text(_ID)),
    sa.Column("not_after", UtcDateTime),
    sa.Column("problem", JsonText),
    # Values derived from the issuances. The next two columns repeat members of it, for filters and counts.
    sa.Column("standing", JsonText),
    sa.Column("attempt", key_text(20)),
    sa.Column("late_at", UtcDateTime),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    # Lists are pages in the order (domain, id), filtered by one of the following columns at a time.
    sa.Index(None, "domain", "id"),
    sa.Index(None, "status", "domain", "id"),
    sa.Index(None, "authority_id", "domain", "id"),
    sa.Index(None, "owner", "domain", "id"),
    sa.Index(None, "attempt", "domain", "id"),
    # With all columns that lists are sorted by: few certificates are late, and they are sorted without reading rows.
    sa.Index("ix_certcore_certificates_late", "late_at", "domain", "not_after", "created_at", "id"),
    # For the numbers on a dashboard.
    sa.Index(None, "status", "not_after"),
    # For lists in the order of expiry or creation.
    sa.Index(None, "not_after", "id"),
    sa.Index(None, "created_at", "id"),
)

#: Every name of every certificate, for searches by prefix and by suffix.
names: Final = sa.Table(
    "certcore_names",
    metadata,
    sa.Column("certificate_id", key_text(_ID), sa.ForeignKey(certificates.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("name", key_text(255), primary_key=True),
    #: The name with its labels reversed.
    sa.Column("reversed", key_text(256), nullable=False),
    sa.Column("owner", key_text(100), nullable=False),
    sa.Index(None, "name", "certificate_id"),
    sa.Index(None, "reversed", "certificate_id"),
    sa.Index(None, "owner", "name", "certificate_id"),
    sa.Index(None, "owner", "reversed", "certificate_id"),
)

#: The same as `certificates.fallbacks`, indexed by CA profile.
fallbacks: Final = sa.Table(
    "certcore_fallbacks",
    metadata,
    # No foreign key: the profile may be deleted.
    sa.Column("authority_id", key_text(_ID), primary_key=True),
    sa.Column(
        "certificate_id",
        key_text(_ID),
        sa.ForeignKey(certificates.c.id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

#: The small rows that the engine writes often, apart from the large rows.
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
    # Renewal information of the leaf in service, and its issuance. It changes every few hours, so it is not kept in
    # the large row.
    sa.Column("renewal_info", JsonText),
    sa.Column("renewal_info_issuance", key_text(_ID)),
    # All columns that a claim needs, so that it reads this index and the claimed rows only.
    sa.Index("ix_certcore_schedules_due", "due_at", "lease_until", "needed_by", "certificate_id"),
    sa.Index(None, "lease_until"),
    # To find rows that were written under a wrong clock.
    sa.Index(None, "written_at"),
)

#: When each certificate in service is checked next as if it were renewed, and what the last check found.
preflights: Final = sa.Table(
    "certcore_preflights",
    metadata,
    sa.Column("certificate_id", key_text(_ID), sa.ForeignKey(certificates.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("checked_at", UtcDateTime),
    sa.Column("readiness", JsonText),
    sa.Column("told", key_text(_ID), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index(None, "due_at", "certificate_id"),
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
    sa.Column("authority_failures", sa.Integer, nullable=False, server_default="0"),
    # The notices that were given for the leaf, separated by commas.
    sa.Column("told", key_text(300), nullable=False, server_default=sa.text("''")),
    sa.Column("engine_state", JsonText),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    # Of the leaf, for searches, in lower-case hex. The serial number has no leading zeros.
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
    # See `certcore.model.secret.SealedSecret.format`.
    sa.Column("format", sa.Integer, nullable=False, server_default="1"),
)

events: Final = sa.Table(
    "certcore_events",
    metadata,
    # SQLite auto-increments columns of type INTEGER only.
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
    # The certificate's owner at that time; null for events of older versions.
    sa.Column("owner", key_text(100)),
    # The number in the feed; on servers it is assigned after the commit.
    sa.Column("position", sa.BigInteger),
    sa.UniqueConstraint("certificate_id", "number"),
    sa.Index(None, "position", "sequence"),
    sa.Index(None, "owner", "position"),
    # Numbers are never reused, even after rows were deleted by hand.
    sqlite_autoincrement=True,
)

#: The end of each certificate's timeline. No foreign key, because the timeline outlives the certificate.
timelines: Final = sa.Table(
    "certcore_timelines",
    metadata,
    sa.Column("certificate_id", key_text(_ID), primary_key=True),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("head", key_text(64), nullable=False),
    # An HMAC over the certificate's ID, the length and the head, with the store's key.
    sa.Column("seal", key_text(64), nullable=False, server_default=sa.text("''")),
    # See `certcore.model.timeline.Timeline`.
    sa.Column("offered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("pending_since", UtcDateTime, index=True),
)

#: The progress of delivering each certificate's events to each observer. No foreign key, for the same reason.
deliveries: Final = sa.Table(
    "certcore_deliveries",
    metadata,
    sa.Column("certificate_id", key_text(_ID), primary_key=True),
    sa.Column("observer", key_text(200), primary_key=True),
    sa.Column("delivered", sa.Integer, nullable=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failing_since", UtcDateTime),
    sa.Column("due_at", UtcDateTime),
    sa.Column("reason", big_text(), nullable=False),
    sa.Column("lease_owner", key_text(100), nullable=False),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Index(None, "observer", "due_at"),
    sa.Index(None, "failing_since", "certificate_id"),
    # To find rows that were written under a wrong clock.
    sa.Index(None, "due_at"),
)

#: The observers of all processes.
observers: Final = sa.Table(
    "certcore_observers",
    metadata,
    sa.Column("name", key_text(200), primary_key=True),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("missed_since", UtcDateTime),
)

#: Counters. A transaction that takes a number locks the row until it ends, so numbers are taken one after the other.
counters: Final = sa.Table(
    "certcore_counters",
    metadata,
    sa.Column("name", key_text(_ID), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

documents: Final = sa.Table(
    "certcore_documents",
    metadata,
    sa.Column("namespace", key_text(_ID), primary_key=True),
    sa.Column("key", key_text(500), primary_key=True),
    sa.Column("value", JsonText, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
