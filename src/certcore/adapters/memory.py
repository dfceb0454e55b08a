"""An in-memory store for tests and experiments. It fulfils the same contract as the SQL store.

Tests do not use SQLite's ``:memory:`` instead, because the unit tests of services, engine and contrib then took over
twice the CPU time (117 s for four fifths of them, against 56 s for all), and because one connection cannot read while
it writes.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from attrs import define, evolve, field

from certcore.adapters.memory_certificates import MemoryCertificates
from certcore.adapters.memory_deliveries import MemoryDeliveries
from certcore.adapters.memory_preflights import MemoryPreflights
from certcore.adapters.memory_secrets import MemorySecrets
from certcore.adapters.memory_tables import MemoryTables, refuse_taken, row_of, users_of
from certcore.adapters.memory_timelines import MemoryEvents, MemoryTimelines
from certcore.errors import (
    AlreadyExistsError,
    InUseError,
    LeaseLostError,
    NotFoundError,
    StaleWriteError,
    StorageUnavailableError,
)
from certcore.forks import renew_after_fork
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.issuance import Issuance
from certcore.model.secret import SecretName
from certcore.model.stored_moments import LONGEST_LEASE, is_ahead
from certcore.ports.storage import Document, LockWait

__all__ = ["MemoryStorage"]


@define(eq=False)
class _Issuances:
    tables: MemoryTables

    def add(self, issuance: Issuance) -> None:
        refuse_taken(self.tables.issuances, "issuance", issuance.id)
        if issuance.certificate_id not in self.tables.certificates:
            raise NotFoundError("certificate", issuance.certificate_id)
        self.tables.issuances[issuance.id] = issuance

    def get(self, issuance_id: str) -> Issuance:
        return row_of(self.tables.issuances, "issuance", issuance_id)

    def save(self, issuance: Issuance) -> None:
        self.tables.issuances[issuance.id] = evolve(
            self.get(issuance.id),
            module_state=issuance.module_state,
            findings=issuance.findings,
            outcome=issuance.outcome,
            needs_clean_up=issuance.needs_clean_up,
            leaf_pem=issuance.leaf_pem,
            chain_pem=issuance.chain_pem,
            leaf=issuance.leaf,
            problem=issuance.problem,
            authority_failures=issuance.authority_failures,
            told=issuance.told,
            created_at=issuance.created_at,
            engine_state=issuance.engine_state,
            finished_at=issuance.finished_at,
        )

    def save_renewal_info(self, issuance: Issuance) -> None:
        row_of(self.tables.certificates, "certificate", issuance.certificate_id)
        for other in self.of_certificate(issuance.certificate_id):
            info = issuance.renewal_info if other.id == issuance.id else None
            self.tables.issuances[other.id] = evolve(other, renewal_info=info)

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        issuances = [
            issuance for issuance in self.tables.issuances.values() if issuance.certificate_id == certificate_id
        ]
        return sorted(issuances, key=lambda issuance: issuance.number)

    def live(self, certificate: Certificate, *, since: datetime) -> Sequence[Issuance]:
        issuances = self.of_certificate(certificate.id)
        in_use = {certificate.issuance_id, certificate.active_issuance_id, *(each.id for each in issuances[-1:])}
        return [
            each
            for each in issuances
            if each.outcome is None
            or each.needs_clean_up
            or each.id in in_use
            or each.finished_at is None
            or each.finished_at >= since
        ]

    def ended_keys(self, certificate_id: str, *, before: datetime, kept: SecretName) -> Collection[SecretName]:
        return {
            each.key_name
            for each in self.of_certificate(certificate_id)
            if each.leaf is not None and each.leaf.not_after <= before and each.key_name != kept
            if each.key_name in self.tables.secrets
        }


@define(eq=False)
class _Schedules:
    tables: MemoryTables

    def add(self, schedule: Schedule) -> None:
        refuse_taken(self.tables.schedules, "schedule", schedule.certificate_id)
        if schedule.certificate_id not in self.tables.certificates:
            raise NotFoundError("certificate", schedule.certificate_id)
        self.tables.schedules[schedule.certificate_id] = schedule

    def get(self, certificate_id: str) -> Schedule:
        return row_of(self.tables.schedules, "certificate", certificate_id)

    def claim_due(self, *, now: datetime, owner: str, lease_until: datetime, limit: int) -> Sequence[Schedule]:
        return [self._lease(schedule, owner, lease_until) for schedule in self._due(now)[:limit]]

    def due(self, *, now: datetime, limit: int) -> Sequence[str]:
        return [schedule.certificate_id for schedule in self._due(now)[:limit]]

    def _due(self, now: datetime) -> list[Schedule]:
        due = [
            schedule
            for schedule in self.tables.schedules.values()
            if schedule.due_at is not None and schedule.due_at <= now and not _leased(schedule, now)
        ]
        return sorted(due, key=lambda schedule: schedule.urgency)

    def claim(self, certificate_id: str, *, now: datetime, owner: str, lease_until: datetime) -> Schedule | None:
        stored = self.get(certificate_id)
        return None if stored.is_leased(now) else self._lease(stored, owner, lease_until)

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        stored = self._held(certificate_id, token)
        if not stored.lease_owner:
            raise LeaseLostError(certificate_id)
        self.tables.schedules[certificate_id] = evolve(stored, lease_until=lease_until)

    def save(self, schedule: Schedule) -> None:
        self._held(schedule.certificate_id, schedule.token)
        self.tables.schedules[schedule.certificate_id] = schedule

    def finish(self, schedule: Schedule, *, begun: Schedule) -> Schedule:
        stored = self.get(schedule.certificate_id)
        if stored.token == schedule.token and stored.due_at != begun.due_at:
            schedule = evolve(schedule, due_at=stored.due_at, attempts=stored.attempts)
        self.save(schedule)
        return schedule

    def take_over(self, certificate_id: str, *, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        released = self.get(certificate_id).taken_over(due_at, attempts)
        self.tables.schedules[certificate_id] = released
        return released

    def repair(self, *, now: datetime, limit: int) -> int:
        sleeps = [
            schedule
            for schedule in self.tables.schedules.values()
            if schedule.is_from_ahead(now) and (schedule.due_at is None or schedule.due_at > now)
        ]
        leased = [
            schedule
            for schedule in self.tables.schedules.values()
            if is_ahead(schedule.lease_until, now, LONGEST_LEASE)
        ]
        for schedule in leased[:limit]:
            self.tables.schedules[schedule.certificate_id] = evolve(schedule, lease_owner="", lease_until=None)
        for schedule in sleeps[:limit]:
            stored = self.tables.schedules[schedule.certificate_id]
            self.tables.schedules[schedule.certificate_id] = evolve(stored, due_at=now)
        return min(max(len(sleeps), len(leased)), limit)

    def next_due(self, *, now: datetime) -> datetime | None:
        moments = []
        for schedule in self.tables.schedules.values():
            if schedule.due_at is not None:
                leased = schedule.lease_until if _leased(schedule, now) else None
                moments.append(max(schedule.due_at, leased) if leased else schedule.due_at)
        return min(moments, default=None)

    def _held(self, certificate_id: str, token: int) -> Schedule:
        stored = self.tables.schedules.get(certificate_id)
        if stored is None or stored.token != token:
            raise LeaseLostError(certificate_id)
        return stored

    def _lease(self, schedule: Schedule, owner: str, lease_until: datetime) -> Schedule:
        leased = evolve(schedule, lease_owner=owner, lease_until=lease_until, token=schedule.token + 1)
        self.tables.schedules[schedule.certificate_id] = leased
        return leased


@define(eq=False)
class _Authorities:
    tables: MemoryTables

    def add(self, authority: CertificateAuthority) -> None:
        refuse_taken(self.tables.authorities, "authority", authority.id)
        self._refuse_taken(authority)
        self.tables.authorities[authority.id] = authority

    def get(self, authority_id: str) -> CertificateAuthority:
        return row_of(self.tables.authorities, "authority", authority_id)

    def by_name(self, name: str) -> CertificateAuthority | None:
        return next((authority for authority in self.tables.authorities.values() if authority.name == name), None)

    def names(self, authority_ids: Collection[str]) -> Mapping[str, str]:
        return {each.id: each.name for each in self.tables.authorities.values() if each.id in authority_ids}

    def save(self, authority: CertificateAuthority) -> CertificateAuthority:
        stored = self.tables.authorities.get(authority.id)
        version = stored.version if stored else None
        if version != authority.version:
            raise StaleWriteError("authority", authority.id, expected=authority.version, found=version)
        self._refuse_taken(authority)
        saved = evolve(authority, version=authority.version + 1)
        self.tables.authorities[authority.id] = saved
        return saved

    def delete(self, authority_id: str) -> None:
        authority = self.get(authority_id)
        users = [certificate.domain.ascii for certificate in users_of(self.tables, authority_id)]
        if users:
            raise InUseError("authority", authority.name, users)
        del self.tables.authorities[authority_id]

    def list(self) -> Sequence[CertificateAuthority]:
        return sorted(self.tables.authorities.values(), key=lambda authority: authority.name)

    def _refuse_taken(self, authority: CertificateAuthority) -> None:
        other = self.by_name(authority.name)
        if other is not None and other.id != authority.id:
            raise AlreadyExistsError("authority", authority.name)


@define(eq=False)
class _Documents:
    tables: MemoryTables

    def get(self, namespace: str, key: str) -> Document | None:
        return self.tables.documents.get((namespace, key))

    def get_many(self, namespace: str, keys: Collection[str]) -> Mapping[str, Document]:
        named = {key: self.get(namespace, key) for key in keys}
        return {key: document for key, document in named.items() if document is not None}

    def put(self, namespace: str, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        stored = self.get(namespace, key)
        stored_version = stored.version if stored else 0
        if version is not None and version != stored_version:
            raise StaleWriteError("document", key, expected=version, found=stored_version or None)
        # Through text, as in a database: the stored value cannot be changed by reference, and must be JSON.
        document = Document(key=key, value=json.loads(json.dumps(dict(value))), version=stored_version + 1)
        self.tables.documents[namespace, key] = document
        return document

    def delete(self, namespace: str, key: str) -> None:
        self.tables.documents.pop((namespace, key), None)

    def delete_prefix(self, namespace: str, prefix: str) -> None:
        for document in self.list(namespace, prefix=prefix, limit=sys.maxsize):
            self.delete(namespace, document.key)

    def list(self, namespace: str, *, prefix: str = "", after: str = "", limit: int = 10_000) -> Sequence[Document]:
        documents = [
            document
            for (space, key), document in self.tables.documents.items()
            if space == namespace and key.startswith(prefix) and key > after
        ]
        return sorted(documents, key=lambda document: document.key)[:limit]


@define(eq=False)
class _Transaction:
    certificates: MemoryCertificates
    issuances: _Issuances
    schedules: _Schedules
    preflights: MemoryPreflights
    authorities: _Authorities
    secrets: MemorySecrets
    events: MemoryEvents
    timelines: MemoryTimelines
    deliveries: MemoryDeliveries
    documents: _Documents

    @classmethod
    def on(cls, tables: MemoryTables, record_key: bytes) -> _Transaction:
        return cls(
            certificates=MemoryCertificates(tables),
            issuances=_Issuances(tables),
            schedules=_Schedules(tables),
            preflights=MemoryPreflights(tables),
            authorities=_Authorities(tables),
            secrets=MemorySecrets(tables.secrets),
            events=MemoryEvents(tables.record, record_key),
            timelines=MemoryTimelines(tables.record),
            deliveries=MemoryDeliveries(tables.record),
            documents=_Documents(tables),
        )


@define(eq=False)
class MemoryStorage:
    """A store in this process; one writer at a time, readers see the last committed state."""

    _tables: MemoryTables = field(factory=MemoryTables, init=False, repr=False)
    _writing: Any = field(factory=threading.Lock, init=False, repr=False)
    _commits: int = field(default=0, init=False)
    _writer: int | None = field(default=None, init=False, repr=False)
    _record_key: bytes = field(default=b"", init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The child continues with a copy of the committed state; see `certcore.forks`."""
        self._writing, self._writer = threading.Lock(), None

    @contextmanager
    def read(self) -> Iterator[_Transaction]:
        """A transaction on the last committed state."""
        self._refuse_closed()
        yield _Transaction.on(self._tables.copy(), self._record_key)

    @contextmanager
    def write(self, lock_wait: LockWait = LockWait.SHORT) -> Iterator[_Transaction]:
        """A transaction that replaces the state when the block ends, and discards the changes if it raises."""
        me = threading.get_ident()
        if self._writer == me:
            raise RuntimeError("This thread already has an open write transaction; a second one would deadlock.")
        with self._writing:
            self._refuse_closed()
            self._writer = me
            try:
                tables = self._tables.copy()
                yield _Transaction.on(tables, self._record_key)
                self._tables = tables
                self._commits += 1
            finally:
                self._writer = None

    def change_mark(self) -> object | None:
        """The number of committed transactions."""
        self._refuse_closed()
        return self._commits

    def use_record_key(self, key: bytes) -> None:
        """Seal the ends of timelines with this key."""
        self._record_key = key

    def close(self) -> None:
        """Discard all data."""
        self._closed = True
        self._tables = MemoryTables()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageUnavailableError(Message("store.closed", "This store is closed."))


def _leased(schedule: Schedule, now: datetime) -> bool:
    return schedule.lease_until is not None and schedule.lease_until > now
