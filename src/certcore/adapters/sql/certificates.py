"""The repositories of certificates, their issuances and their schedules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from certcore.adapters.sql import mapping
from certcore.adapters.sql.tables import certificates, issuances, schedules
from certcore.errors import LeaseLost, NotFound, StaleWrite
from certcore.model.certificate import Certificate, Schedule
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName

__all__ = ["SqlCertificates", "SqlIssuances", "SqlSchedules"]

# Statements are built once; SQLAlchemy compiles each once per database. "for update" is where the database has it.
_BY_ID: Final = certificates.select().where(certificates.c.id == bindparam("row_id"))
_BY_ID_LOCKED: Final = _BY_ID.with_for_update(key_share=True)
_UPDATE: Final = certificates.update().where(certificates.c.id == bindparam("row_id"))
_UPDATE_VERSION: Final = _UPDATE.where(certificates.c.version == bindparam("row_version"))
_DELETE: Final = certificates.delete().where(certificates.c.id == bindparam("row_id"))
_BY_DOMAIN: Final = (
    certificates.select()
    .where(certificates.c.domain == bindparam("row_domain"))
    .order_by(certificates.c.created_at, certificates.c.id)
)

_ISSUANCE: Final = issuances.select().where(issuances.c.id == bindparam("row_id"))
_ISSUANCE_UPDATE: Final = issuances.update().where(issuances.c.id == bindparam("row_id"))
_ISSUANCES_OF: Final = (
    issuances.select().where(issuances.c.certificate_id == bindparam("row_id")).order_by(issuances.c.number)
)

_SCHEDULE: Final = schedules.select().where(schedules.c.certificate_id == bindparam("row_id"))
_SCHEDULE_LOCKED: Final = _SCHEDULE.with_for_update()
_SCHEDULE_UPDATE: Final = schedules.update().where(schedules.c.certificate_id == bindparam("row_id"))
_SCHEDULE_UPDATE_HELD: Final = _SCHEDULE_UPDATE.where(schedules.c.token == bindparam("row_token"))
_DUE: Final = (
    schedules.select()
    .where(
        schedules.c.due_at <= bindparam("row_now"),
        sa.or_(schedules.c.lease_until.is_(None), schedules.c.lease_until <= bindparam("row_now")),
    )
    .order_by(schedules.c.due_at, schedules.c.certificate_id)
    .limit(bindparam("row_limit"))
    .with_for_update(skip_locked=True)
)
_LEASE: Final = _SCHEDULE_UPDATE_HELD.values(
    lease_owner=bindparam("new_owner"), lease_until=bindparam("new_until"), token=schedules.c.token + 1
)
# The first is for rows that can be claimed as soon as they are due, the second for those that are leased until then.
_NEXT_FREE: Final = (
    sa.select(schedules.c.due_at)
    .where(
        schedules.c.due_at.is_not(None),
        sa.or_(schedules.c.lease_until.is_(None), schedules.c.lease_until <= bindparam("row_now")),
    )
    .order_by(schedules.c.due_at)
    .limit(1)
)
_NEXT_LEASED: Final = sa.select(schedules.c.due_at, schedules.c.lease_until).where(
    schedules.c.due_at.is_not(None), schedules.c.lease_until > bindparam("row_now")
)


@frozen(eq=False)
class SqlCertificates:
    """Implements `certcore.ports.storage.CertificateRepository`."""

    connection: sa.Connection
    #: Whether rows that are read are about to be written.
    writing: bool

    def add(self, certificate: Certificate) -> None:
        """Store a new certificate."""
        row = {**mapping.certificate_row(certificate), "version": certificate.version}
        try:
            self.connection.execute(certificates.insert(), row)
        except IntegrityError:
            raise NotFound("authority", certificate.authority_id) from None

    def get(self, certificate_id: str) -> Certificate:
        """One certificate."""
        key = {"row_id": certificate_id}
        if self.writing and self.connection.dialect.name != "sqlite":
            # Steps lock the schedule before the certificate, so everybody does: else two would wait for each other.
            self.connection.execute(_SCHEDULE_LOCKED, key)
        row = self.connection.execute(_BY_ID_LOCKED if self.writing else _BY_ID, key).one_or_none()
        if row is None:
            raise NotFound("certificate", certificate_id)
        return mapping.certificate_of(row)

    def save(self, certificate: Certificate) -> Certificate:
        """Store a user's edit, if nobody else was faster."""
        saved = evolve(certificate, version=certificate.version + 1)
        row = mapping.certificate_row(saved)
        key = {"row_id": row.pop("id"), "row_version": certificate.version}
        try:
            done = self.connection.execute(_UPDATE_VERSION, {**row, **key, "version": saved.version})
        except IntegrityError:
            raise NotFound("authority", certificate.authority_id) from None
        if done.rowcount == 0:
            versions = sa.select(certificates.c.version).where(certificates.c.id == certificate.id)
            found = self.connection.execute(versions).scalar_one_or_none()
            raise StaleWrite("certificate", certificate.id, expected=certificate.version, found=found)
        return saved

    def save_progress(self, certificate: Certificate) -> None:
        """Store what the engine may change."""
        row = {"row_id": certificate.id, **mapping.certificate_progress(certificate)}
        if self.connection.execute(_UPDATE, row).rowcount == 0:
            raise NotFound("certificate", certificate.id)

    def delete(self, certificate_id: str) -> None:
        """Delete the certificate; the database deletes its issuances and its schedule with it."""
        if self.connection.execute(_DELETE, {"row_id": certificate_id}).rowcount == 0:
            raise NotFound("certificate", certificate_id)

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """The certificates whose primary name this is, oldest first."""
        rows = self.connection.execute(_BY_DOMAIN, {"row_domain": domain.ascii})
        return [mapping.certificate_of(row) for row in rows]

    def page(
        self,
        *,
        after: str | None = None,
        limit: int = 50,
        status: Status | None = None,
        authority_id: str | None = None,
        owner: str | None = None,
    ) -> Sequence[Certificate]:
        """A page in the order (domain, id), by keyset."""
        table = certificates.c
        statement = certificates.select().order_by(table.domain, table.id).limit(limit)
        if after is not None:
            last = self.connection.execute(sa.select(table.domain).where(table.id == after)).scalar_one_or_none()
            if last is None:
                raise NotFound("certificate", after)
            statement = statement.where(sa.tuple_(table.domain, table.id) > sa.tuple_(last, after))
        if status is not None:
            statement = statement.where(table.status == status.value)
        if authority_id is not None:
            statement = statement.where(table.authority_id == authority_id)
        if owner is not None:
            statement = statement.where(table.owner == owner)
        return [mapping.certificate_of(row) for row in self.connection.execute(statement)]

    def domains_using(self, authority_id: str, *, limit: int = 6) -> Sequence[str]:
        """The domains of some certificates of this authority."""
        column = certificates.c.domain
        statement = (
            sa.select(column)
            .where(certificates.c.authority_id == authority_id)
            .distinct()
            .order_by(column)
            .limit(limit)
        )
        return list(self.connection.execute(statement).scalars())


@frozen(eq=False)
class SqlIssuances:
    """Implements `certcore.ports.storage.IssuanceRepository`."""

    connection: sa.Connection

    def add(self, issuance: Issuance) -> None:
        """Store a new issuance."""
        try:
            self.connection.execute(issuances.insert(), mapping.issuance_row(issuance))
        except IntegrityError:
            raise NotFound("certificate", issuance.certificate_id) from None

    def get(self, issuance_id: str) -> Issuance:
        """One issuance."""
        row = self.connection.execute(_ISSUANCE, {"row_id": issuance_id}).one_or_none()
        if row is None:
            raise NotFound("issuance", issuance_id)
        return mapping.issuance_of(row)

    def save(self, issuance: Issuance) -> None:
        """Store what changes while it runs."""
        row = {"row_id": issuance.id, **mapping.issuance_progress(issuance)}
        if self.connection.execute(_ISSUANCE_UPDATE, row).rowcount == 0:
            raise NotFound("issuance", issuance.id)

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        """All issuances of a certificate, by number."""
        return [mapping.issuance_of(row) for row in self.connection.execute(_ISSUANCES_OF, {"row_id": certificate_id})]


@frozen(eq=False)
class SqlSchedules:
    """Implements `certcore.ports.storage.ScheduleRepository`."""

    connection: sa.Connection
    writing: bool

    def add(self, schedule: Schedule) -> None:
        """Store the schedule of a new certificate."""
        try:
            self.connection.execute(schedules.insert(), mapping.schedule_row(schedule))
        except IntegrityError:
            raise NotFound("certificate", schedule.certificate_id) from None

    def get(self, certificate_id: str) -> Schedule:
        """The schedule of a certificate."""
        statement = _SCHEDULE_LOCKED if self.writing else _SCHEDULE
        row = self.connection.execute(statement, {"row_id": certificate_id}).one_or_none()
        if row is None:
            raise NotFound("certificate", certificate_id)
        return mapping.schedule_of(row)

    def claim_due(self, *, now: datetime, owner: str, lease_until: datetime, limit: int) -> Sequence[Schedule]:
        """Lease what is due, longest overdue first; rows that another transaction is claiming are skipped."""
        rows = self.connection.execute(_DUE, {"row_now": now, "row_limit": limit}).all()
        return [self._lease(mapping.schedule_of(row), owner, lease_until) for row in rows]

    def claim(self, certificate_id: str, *, now: datetime, owner: str, lease_until: datetime) -> Schedule | None:
        """Lease one certificate; None while another owner's lease runs."""
        stored = self.get(certificate_id)
        if stored.lease_until is not None and stored.lease_until > now:
            return None
        return self._lease(stored, owner, lease_until)

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease."""
        self._update_held(certificate_id, token, {"lease_until": lease_until})

    def save(self, schedule: Schedule) -> None:
        """Store the schedule, if its token is the current one."""
        row = mapping.schedule_row(schedule)
        self._update_held(row.pop("certificate_id"), row.pop("token"), row)

    def take_over(self, certificate_id: str, *, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        """End any lease and raise the token."""
        stored = self.get(certificate_id)
        taken = evolve(
            stored,
            due_at=due_at,
            attempts=stored.attempts if attempts is None else attempts,
            lease_owner="",
            lease_until=None,
            token=stored.token + 1,
        )
        row = mapping.schedule_row(taken)
        self.connection.execute(_SCHEDULE_UPDATE, {"row_id": row.pop("certificate_id"), **row})
        return taken

    def next_due(self, *, now: datetime) -> datetime | None:
        """The earliest moment at which something can be claimed."""
        free = self.connection.execute(_NEXT_FREE, {"row_now": now}).scalar_one_or_none()
        leased = self.connection.execute(_NEXT_LEASED, {"row_now": now}).all()
        moments = [max(row.due_at, row.lease_until) for row in leased]
        return min((*moments, *(() if free is None else (free,))), default=None)

    def _lease(self, schedule: Schedule, owner: str, lease_until: datetime) -> Schedule:
        key: dict[str, Any] = {"row_id": schedule.certificate_id, "row_token": schedule.token}
        self.connection.execute(_LEASE, {**key, "new_owner": owner, "new_until": lease_until})
        return evolve(schedule, lease_owner=owner, lease_until=lease_until, token=schedule.token + 1)

    def _update_held(self, certificate_id: str, token: int, values: dict[str, Any]) -> None:
        key = {"row_id": certificate_id, "row_token": token}
        if self.connection.execute(_SCHEDULE_UPDATE_HELD, {**key, **values}).rowcount == 0:
            raise LeaseLost(certificate_id)
