"""The repositories of certificates and their issuances."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from certcore.adapters.sql import mapping
from certcore.adapters.sql.exact import refused_row
from certcore.adapters.sql.listing import conditions, holds, read_page, unindexed
from certcore.adapters.sql.ranges import after_prefix
from certcore.adapters.sql.schedules import LOCKED
from certcore.adapters.sql.statements import change, one_row, rows
from certcore.adapters.sql.tables import certificates, fallbacks, issuances, names, schedules, secrets
from certcore.adapters.sql.types import EPOCH
from certcore.errors import NotFoundError, StaleWriteError
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.listing import EVERYTHING, CertificateFilter, Position, SortKey
from certcore.model.names import DnsName, covering_names, share_names
from certcore.model.search import Search, reversed_labels
from certcore.model.secret import CERTIFICATE_KEY, SecretName
from certcore.model.standing import ConditionType

__all__ = ["SqlCertificates", "SqlIssuances"]

#: How many candidates are read at most to find certificates that share a name. Some of them share none, because the
#: query also returns names more than one label below a wildcard.
_MOST_LOOKED_AT: Final = 200

# Statements are built once; SQLAlchemy compiles each once per database, without "FOR UPDATE" for SQLite.
_BY_ID: Final = certificates.select().where(certificates.c.id == bindparam("row_id"))
_BY_ID_LOCKED: Final = _BY_ID.with_for_update(key_share=True)
_UPDATE: Final = certificates.update().where(certificates.c.id == bindparam("row_id"))
_UPDATE_VERSION: Final = _UPDATE.where(certificates.c.version == bindparam("row_version"))
_DELETE: Final = certificates.delete().where(certificates.c.id == bindparam("row_id"))
_DOMAINS: Final = sa.select(certificates.c.id, certificates.c.domain, certificates.c.owner).where(
    certificates.c.id.in_(bindparam("row_ids", expanding=True))
)
_BY_DOMAIN: Final = (
    certificates.select()
    .where(certificates.c.domain == bindparam("row_domain"))
    .order_by(certificates.c.created_at, certificates.c.id)
)

#: Renewal information is kept in the small row of the schedule, for one issuance of each certificate.
_WITH_RENEWAL_INFO: Final[sa.Select[Any]] = sa.select(*issuances.c, schedules.c.renewal_info).join_from(
    issuances,
    schedules,
    sa.and_(
        schedules.c.certificate_id == issuances.c.certificate_id, schedules.c.renewal_info_issuance == issuances.c.id
    ),
    isouter=True,
)
_ISSUANCE: Final = _WITH_RENEWAL_INFO.where(issuances.c.id == bindparam("row_id"))
_ISSUANCE_UPDATE: Final = issuances.update().where(issuances.c.id == bindparam("row_id"))
_ISSUANCES_OF: Final = _WITH_RENEWAL_INFO.where(issuances.c.certificate_id == bindparam("row_id")).order_by(
    issuances.c.number
)
_OTHERS: Final = issuances.alias("others")
_NEWEST: Final = sa.select(sa.func.max(_OTHERS.c.number)).where(_OTHERS.c.certificate_id == bindparam("row_id"))
_LIVE: Final = _ISSUANCES_OF.where(
    sa.or_(
        issuances.c.outcome.is_(None),
        issuances.c.needs_clean_up,
        issuances.c.id == bindparam("row_current"),
        issuances.c.id == bindparam("row_active"),
        issuances.c.finished_at.is_(None),
        issuances.c.finished_at >= bindparam("row_since"),
        issuances.c.number == _NEWEST.scalar_subquery(),
    )
)
_STORED_KEYS: Final = (
    sa.select(issuances.c.key_owner_id, issuances.c.leaf)
    .join_from(issuances, secrets, secrets.c.owner_id == issuances.c.key_owner_id)
    .where(
        issuances.c.certificate_id == bindparam("row_id"),
        issuances.c.key_owner_id != bindparam("row_kept"),
        secrets.c.purpose == CERTIFICATE_KEY,
    )
)
_RENEWAL_INFO_UPDATE: Final = schedules.update().where(schedules.c.certificate_id == bindparam("row_id"))


@frozen(eq=False)
class SqlCertificates:
    """Implements `certcore.ports.storage.CertificateRepository`."""

    connection: sa.Connection
    #: Whether rows are locked when they are read.
    writing: bool

    def add(self, certificate: Certificate) -> None:
        """Store a new certificate."""
        row = {**mapping.certificate_row(certificate), "version": certificate.version}
        try:
            self.connection.execute(certificates.insert(), row)
        except IntegrityError as error:
            parent = ("authority", certificate.authority_id)
            raise refused_row(error, "certificate", certificate.id, parent=parent) from None
        self.connection.execute(names.insert(), mapping.name_rows(certificate))
        if certificate.fallbacks:
            self._add_fallbacks(certificate, set(certificate.fallbacks))

    def get(self, certificate_id: str) -> Certificate:
        """One certificate."""
        key = {"row_id": certificate_id}
        if self.writing and self.connection.dialect.name != "sqlite":
            # Steps lock the schedule before the certificate. The same order everywhere avoids deadlocks.
            rows(self.connection, LOCKED, key)
        row = one_row(self.connection, _BY_ID_LOCKED if self.writing else _BY_ID, key, id=certificate_id)
        if row is None:
            raise NotFoundError("certificate", certificate_id)
        return mapping.certificate_of(row)

    def save(self, certificate: Certificate) -> Certificate:
        """Store a user's edit if the version is current."""
        saved = evolve(certificate, version=certificate.version + 1)
        row = mapping.certificate_row(saved)
        key = {"row_id": row.pop("id"), "row_version": certificate.version}
        try:
            done = self.connection.execute(_UPDATE_VERSION, {**row, **key, "version": saved.version})
        except IntegrityError:
            raise NotFoundError("authority", certificate.authority_id or "") from None
        if done.rowcount == 0:
            versions = sa.select(certificates.c.version).where(certificates.c.id == certificate.id)
            stored_version = self.connection.execute(versions).scalar_one_or_none()
            raise StaleWriteError("certificate", certificate.id, expected=certificate.version, found=stored_version)
        self._save_names(saved)
        self._save_fallbacks(saved)
        return saved

    def save_progress(self, certificate: Certificate) -> None:
        """Store the columns that the engine may change."""
        row = {"row_id": certificate.id, **mapping.certificate_progress(certificate)}
        if change(self.connection, _UPDATE, row) == 0:
            raise NotFoundError("certificate", certificate.id)

    def delete(self, certificate_id: str) -> None:
        """Delete the certificate; the database deletes its issuances and its schedule with it."""
        if self.connection.execute(_DELETE, {"row_id": certificate_id}).rowcount == 0:
            raise NotFoundError("certificate", certificate_id)

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """The certificates whose primary name this is, oldest first."""
        rows = self.connection.execute(_BY_DOMAIN, {"row_domain": domain.ascii})
        return [mapping.certificate_of(row) for row in rows]

    def domains(self, certificate_ids: Collection[str], *, owner: str | None = None) -> Mapping[str, str]:
        """The primary names of certificates."""
        rows = self.connection.execute(_DOMAINS, {"row_ids": sorted(certificate_ids)})
        return {row.id: row.domain for row in rows if owner in (None, row.owner)}

    def page(
        self,
        *,
        only: CertificateFilter = EVERYTHING,
        order: SortKey = SortKey.DOMAIN,
        descending: bool = False,
        after: Position | None = None,
        limit: int = 50,
    ) -> Sequence[Certificate]:
        """A page of a list, by keyset."""
        return read_page(self.connection, only, order, after, descending=descending, limit=limit)

    def count_conditions(
        self, *, at: datetime, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[ConditionType, int]:
        """The number of certificates for each condition. One scan counts all for an owner; else each uses its index."""
        filters = [
            CertificateFilter(condition=condition, at=at, authority_id=authority_id, owner=owner)
            for condition in ConditionType
        ]
        if owner is None:
            return {each.condition: self.count(each) for each in filters if each.condition is not None}
        of_these = CertificateFilter(authority_id=authority_id, owner=owner)
        columns = [
            sa.func.coalesce(sa.func.sum(sa.case((holds(condition, at), 1), else_=0)), 0) for condition in ConditionType
        ]
        row = self.connection.execute(sa.select(*columns).where(*conditions(of_these))).one()
        return {condition: int(count) for condition, count in zip(ConditionType, row, strict=True)}

    def count_endings(
        self, *, now: datetime, days: int, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[int, int]:
        """How many leaves in service end on each of the next days."""
        of_these = CertificateFilter(authority_id=authority_id, owner=owner)
        status: sa.ColumnElement[Any] = certificates.c.status
        ends: sa.ColumnElement[Any] = certificates.c.not_after
        if owner is not None:  # an owner has few certificates: do not use the index over all of them
            status, ends = unindexed(status), unindexed(ends)
        in_time = (status == Status.ACTIVE.value, ends >= now, ends < now + timedelta(days=days))
        # Moments are stored as microseconds.
        start, a_day = (now - EPOCH) // timedelta(microseconds=1), timedelta(days=1) // timedelta(microseconds=1)
        day = ((sa.type_coerce(certificates.c.not_after, sa.BigInteger) - start) // a_day).label("day")
        statement = sa.select(day, sa.func.count()).where(*conditions(of_these), *in_time).group_by(day)
        return {int(number): count for number, count in self.connection.execute(statement)}

    def count(self, only: CertificateFilter) -> int:
        """Count the certificates that match a filter."""
        statement = sa.select(sa.func.count()).select_from(certificates).where(*conditions(only))
        return self.connection.execute(statement).scalar_one()

    def sharing(self, certificate: Certificate, *, limit: int = 20) -> Sequence[Certificate]:
        """Other certificates of the same owner that have a name of this one, or one that covers it."""
        has_name = names.c.name.in_(sorted(covering_names(certificate.names)))
        ranges = [
            names.c.reversed.startswith(reversed_labels(name.base.ascii))
            for name in certificate.names
            if name.is_wildcard
        ]
        sharing_ids = (
            sa.select(names.c.certificate_id)
            .where(names.c.owner == certificate.owner, names.c.certificate_id != certificate.id)
            .where(sa.or_(has_name, *ranges))
            .distinct()
        )
        table = certificates.c
        statement = certificates.select().where(table.id.in_(sharing_ids)).order_by(table.domain, table.id)
        others = [mapping.certificate_of(row) for row in self.connection.execute(statement.limit(_MOST_LOOKED_AT))]
        return [other for other in others if share_names(other.names, certificate.names)][:limit]

    def search(self, search: Search, *, owner: str | None = None, limit: int = 50) -> Sequence[Certificate]:
        """Certificates that match, in the order (domain, id)."""
        ranges = []
        if search.name_prefix:
            ranges.append((names.c.name, search.name_prefix))
        if search.domain:
            ranges.append((names.c.reversed, reversed_labels(search.domain)))
        ids: set[str] = set()
        for column, prefix in ranges:
            statement = sa.select(names.c.certificate_id).where(column >= prefix).distinct().limit(limit)
            if (below := after_prefix(prefix)) is not None:
                statement = statement.where(column < below)
            if owner is not None:
                statement = statement.where(names.c.owner == owner)
            ids.update(self.connection.execute(statement).scalars())
        leaf: list[sa.ColumnElement[bool]] = [issuances.c.serial.in_(search.serials)] if search.serials else []
        if search.fingerprint:
            leaf.append(issuances.c.fingerprint_sha256 == search.fingerprint)
            leaf.append(issuances.c.fingerprint_sha1 == search.fingerprint)
        for condition in leaf:  # separate queries: each column has its own index
            statement = sa.select(issuances.c.certificate_id).where(condition).limit(limit)
            if owner is not None:  # filtered before the limit, because many tenants may have the same leaf
                theirs = certificates.c.id == issuances.c.certificate_id
                statement = statement.where(sa.exists().where(theirs, certificates.c.owner == owner))
            ids.update(self.connection.execute(statement).scalars())
        table = certificates.c
        matching = certificates.select().where(table.id.in_(ids)).order_by(table.domain, table.id).limit(limit)
        if owner is not None:
            matching = matching.where(table.owner == owner)
        return [mapping.certificate_of(row) for row in self.connection.execute(matching)] if ids else []

    def count_by_status(
        self, *, authority_id: str | None = None, owner: str | None = None, at_most: int | None = None
    ) -> Mapping[Status, int]:
        """How many certificates there are in each status."""
        table = certificates.c
        conditions = [] if authority_id is None else [table.authority_id == authority_id]
        conditions += [] if owner is None else [table.owner == owner]
        if at_most is None:
            statement = sa.select(table.status, sa.func.count()).where(*conditions).group_by(table.status)
            return {Status(status): count for status, count in self.connection.execute(statement)}
        counted = {}
        for status in Status:
            counted_rows = (
                sa.select(table.id).where(table.status == status.value, *conditions).limit(at_most).subquery()
            )
            counted[status] = self.connection.execute(sa.select(sa.func.count()).select_from(counted_rows)).scalar_one()
        return {status: count for status, count in counted.items() if count}

    def _save_names(self, certificate: Certificate) -> None:
        rows = {row["name"]: row for row in mapping.name_rows(certificate)}
        of_this = names.c.certificate_id == certificate.id
        known = {
            row.name: row.owner
            for row in self.connection.execute(sa.select(names.c.name, names.c.owner).where(of_this))
        }
        # Names stored for another owner are written again: the certificate was transferred.
        stored = {name for name, owner in known.items() if owner == certificate.owner}
        if gone := known.keys() - (rows.keys() & stored):
            self.connection.execute(names.delete().where(of_this, names.c.name.in_(gone)))
        if new := [row for name, row in rows.items() if name not in stored]:
            self.connection.execute(names.insert(), new)

    def domains_using(self, authority_id: str, *, limit: int = 6) -> Sequence[str]:
        """The domains of some certificates that use this CA profile, also as a fallback."""
        table = certificates.c
        own = sa.select(table.domain).where(table.authority_id == authority_id).distinct().order_by(table.domain)
        # In index order: sorting by domain would read all rows.
        fallback_users = (
            sa.select(fallbacks.c.certificate_id)
            .where(fallbacks.c.authority_id == authority_id)
            .order_by(fallbacks.c.certificate_id)
            .limit(limit)
        )
        ids = self.connection.execute(fallback_users).scalars().all()
        fallen = self.connection.execute(sa.select(table.domain).where(table.id.in_(ids))).scalars() if ids else ()
        return sorted({*self.connection.execute(own.limit(limit)).scalars(), *fallen})[:limit]

    def _save_fallbacks(self, certificate: Certificate) -> None:
        of_this = fallbacks.c.certificate_id == certificate.id
        stored = set(self.connection.execute(sa.select(fallbacks.c.authority_id).where(of_this)).scalars())
        if gone := stored - set(certificate.fallbacks):
            self.connection.execute(fallbacks.delete().where(of_this, fallbacks.c.authority_id.in_(gone)))
        if new := set(certificate.fallbacks) - stored:
            self._add_fallbacks(certificate, new)

    def _add_fallbacks(self, certificate: Certificate, authority_ids: AbstractSet[str]) -> None:
        rows = [{"authority_id": each, "certificate_id": certificate.id} for each in sorted(authority_ids)]
        self.connection.execute(fallbacks.insert(), rows)


@frozen(eq=False)
class SqlIssuances:
    """Implements `certcore.ports.storage.IssuanceRepository`."""

    connection: sa.Connection

    def add(self, issuance: Issuance) -> None:
        """Store a new issuance."""
        try:
            self.connection.execute(issuances.insert(), mapping.issuance_row(issuance))
        except IntegrityError as error:
            parent = ("certificate", issuance.certificate_id)
            raise refused_row(error, "issuance", issuance.id, parent=parent) from None

    def get(self, issuance_id: str) -> Issuance:
        """One issuance."""
        row = one_row(self.connection, _ISSUANCE, {"row_id": issuance_id}, id=issuance_id)
        if row is None:
            raise NotFoundError("issuance", issuance_id)
        return mapping.issuance_of(row)

    def save(self, issuance: Issuance) -> None:
        """Store the columns that change while an issuance runs."""
        row = {"row_id": issuance.id, **mapping.issuance_progress(issuance)}
        if change(self.connection, _ISSUANCE_UPDATE, row) == 0:
            raise NotFoundError("issuance", issuance.id)

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        """All issuances of a certificate, by number."""
        return [mapping.issuance_of(row) for row in rows(self.connection, _ISSUANCES_OF, {"row_id": certificate_id})]

    def save_renewal_info(self, issuance: Issuance) -> None:
        """Store the renewal information of the leaf in service."""
        row = {"row_id": issuance.certificate_id, **mapping.renewal_info_columns(issuance)}
        if change(self.connection, _RENEWAL_INFO_UPDATE, row) == 0:
            raise NotFoundError("certificate", issuance.certificate_id)

    def live(self, certificate: Certificate, *, since: datetime) -> Sequence[Issuance]:
        """The live issuances, by number."""
        params = {
            "row_id": certificate.id,
            "row_current": certificate.issuance_id,
            "row_active": certificate.active_issuance_id,
            "row_since": since,
        }
        return [mapping.issuance_of(row) for row in rows(self.connection, _LIVE, params)]

    def ended_keys(self, certificate_id: str, *, before: datetime, kept: SecretName) -> Collection[SecretName]:
        """The stored private keys of expired leaves."""
        rows = self.connection.execute(_STORED_KEYS, {"row_id": certificate_id, "row_kept": kept.owner_id})
        leaves = ((row.key_owner_id, mapping.leaf_of(row.leaf)) for row in rows)
        return {
            SecretName(CERTIFICATE_KEY, owner_id)
            for owner_id, leaf in leaves
            if leaf is not None and leaf.not_after <= before
        }
