"""An in-memory store: the twin of the SQL one, for tests and for trying things out. The same contract holds for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from attrs import define, evolve, field

from certcore.adapters.memory_certificates import MemoryCertificates
from certcore.adapters.memory_secrets import MemorySecrets
from certcore.adapters.memory_tables import MemoryTables, row_of, users_of
from certcore.adapters.memory_timelines import MemoryEvents, MemoryTimelines
from certcore.errors import AlreadyExists, InUse, LeaseLost, NotFound, StaleWrite, StorageUnavailable
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Schedule
from certcore.model.clocks import LONGEST_LEASE, is_ahead
from certcore.model.issuance import Issuance
from certcore.ports.forks import renew_after_fork
from certcore.ports.storage import Document, LockWait

__all__ = ["MemoryStorage"]


@define(eq=False)
class _Issuances:
    tables: MemoryTables

    def add(self, issuance: Issuance) -> None:
        if issuance.certificate_id not in self.tables.certificates:
            raise NotFound("certificate", issuance.certificate_id)
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
            renewal_info=issuance.renewal_info,
            authority_failures=issuance.authority_failures,
            told=issuance.told,
            created_at=issuance.created_at,
            engine_state=issuance.engine_state,
            finished_at=issuance.finished_at,
        )

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        found = [one for one in self.tables.issuances.values() if one.certificate_id == certificate_id]
        return sorted(found, key=lambda one: one.number)


@define(eq=False)
class _Schedules:
    tables: MemoryTables

    def add(self, schedule: Schedule) -> None:
        if schedule.certificate_id not in self.tables.certificates:
            raise NotFound("certificate", schedule.certificate_id)
        self.tables.schedules[schedule.certificate_id] = schedule

    def get(self, certificate_id: str) -> Schedule:
        return row_of(self.tables.schedules, "certificate", certificate_id)

    def claim_due(self, *, now: datetime, owner: str, lease_until: datetime, limit: int) -> Sequence[Schedule]:
        due = [
            one
            for one in self.tables.schedules.values()
            if one.due_at is not None and one.due_at <= now and not _leased(one, now)
        ]
        due.sort(key=lambda one: one.urgency)
        return [self._lease(one, owner, lease_until) for one in due[:limit]]

    def claim(self, certificate_id: str, *, now: datetime, owner: str, lease_until: datetime) -> Schedule | None:
        stored = self.get(certificate_id)
        return None if stored.is_leased(now) else self._lease(stored, owner, lease_until)

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        stored = self._held(certificate_id, token)
        self.tables.schedules[certificate_id] = evolve(stored, lease_until=lease_until)

    def save(self, schedule: Schedule) -> None:
        self._held(schedule.certificate_id, schedule.token)
        self.tables.schedules[schedule.certificate_id] = schedule

    def take_over(self, certificate_id: str, *, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        stored = self.get(certificate_id)
        taken = evolve(
            stored,
            due_at=due_at,
            attempts=stored.attempts if attempts is None else attempts,
            lease_owner="",
            lease_until=None,
            token=stored.token + 1,
            written_at=due_at,
        )
        self.tables.schedules[certificate_id] = taken
        return taken

    def repair(self, *, now: datetime, limit: int) -> int:
        sleeps = [
            one
            for one in self.tables.schedules.values()
            if one.is_from_ahead(now) and (one.due_at is None or one.due_at > now)
        ]
        held = [one for one in self.tables.schedules.values() if is_ahead(one.lease_until, now, LONGEST_LEASE)]
        for one in held[:limit]:
            self.tables.schedules[one.certificate_id] = evolve(one, lease_owner="", lease_until=None)
        for one in sleeps[:limit]:
            stored = self.tables.schedules[one.certificate_id]
            self.tables.schedules[one.certificate_id] = evolve(stored, due_at=now)
        return min(max(len(sleeps), len(held)), limit)

    def next_due(self, *, now: datetime) -> datetime | None:
        moments = []
        for one in self.tables.schedules.values():
            if one.due_at is not None:
                leased = one.lease_until if _leased(one, now) else None
                moments.append(max(one.due_at, leased) if leased else one.due_at)
        return min(moments, default=None)

    def _held(self, certificate_id: str, token: int) -> Schedule:
        stored = self.tables.schedules.get(certificate_id)
        if stored is None or stored.token != token:
            raise LeaseLost(certificate_id)
        return stored

    def _lease(self, schedule: Schedule, owner: str, lease_until: datetime) -> Schedule:
        leased = evolve(schedule, lease_owner=owner, lease_until=lease_until, token=schedule.token + 1)
        self.tables.schedules[schedule.certificate_id] = leased
        return leased


@define(eq=False)
class _Authorities:
    tables: MemoryTables

    def add(self, authority: CertificateAuthority) -> None:
        self._refuse_taken(authority)
        self.tables.authorities[authority.id] = authority

    def get(self, authority_id: str) -> CertificateAuthority:
        return row_of(self.tables.authorities, "authority", authority_id)

    def by_name(self, name: str) -> CertificateAuthority | None:
        return next((one for one in self.tables.authorities.values() if one.name == name), None)

    def save(self, authority: CertificateAuthority) -> CertificateAuthority:
        stored = self.tables.authorities.get(authority.id)
        found = stored.version if stored else None
        if found != authority.version:
            raise StaleWrite("authority", authority.id, expected=authority.version, found=found)
        self._refuse_taken(authority)
        saved = evolve(authority, version=authority.version + 1)
        self.tables.authorities[authority.id] = saved
        return saved

    def delete(self, authority_id: str) -> None:
        authority = self.get(authority_id)
        users = [one.domain.ascii for one in users_of(self.tables, authority_id)]
        if users:
            raise InUse("authority", authority.name, users)
        del self.tables.authorities[authority_id]

    def list(self) -> Sequence[CertificateAuthority]:
        return sorted(self.tables.authorities.values(), key=lambda one: one.name)

    def _refuse_taken(self, authority: CertificateAuthority) -> None:
        other = self.by_name(authority.name)
        if other is not None and other.id != authority.id:
            raise AlreadyExists("authority", authority.name)


@define(eq=False)
class _Documents:
    tables: MemoryTables

    def get(self, namespace: str, key: str) -> Document | None:
        return self.tables.documents.get((namespace, key))

    def put(self, namespace: str, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        stored = self.get(namespace, key)
        found = stored.version if stored else 0
        if version is not None and version != found:
            raise StaleWrite("document", key, expected=version, found=found or None)
        # Through text, as in a database: nobody changes it through a reference, and only JSON gets in.
        document = Document(key=key, value=json.loads(json.dumps(dict(value))), version=found + 1)
        self.tables.documents[namespace, key] = document
        return document

    def delete(self, namespace: str, key: str) -> None:
        self.tables.documents.pop((namespace, key), None)

    def list(self, namespace: str, *, prefix: str = "", limit: int = 10_000) -> Sequence[Document]:
        found = [
            document
            for (space, key), document in self.tables.documents.items()
            if space == namespace and key.startswith(prefix)
        ]
        return sorted(found, key=lambda one: one.key)[:limit]


@define(eq=False)
class _Transaction:
    certificates: MemoryCertificates
    issuances: _Issuances
    schedules: _Schedules
    authorities: _Authorities
    secrets: MemorySecrets
    events: MemoryEvents
    timelines: MemoryTimelines
    documents: _Documents

    @classmethod
    def on(cls, tables: MemoryTables, record_key: bytes) -> _Transaction:
        return cls(
            certificates=MemoryCertificates(tables),
            issuances=_Issuances(tables),
            schedules=_Schedules(tables),
            authorities=_Authorities(tables),
            secrets=MemorySecrets(tables.secrets),
            events=MemoryEvents(tables.record, record_key),
            timelines=MemoryTimelines(tables.record),
            documents=_Documents(tables),
        )


@define(eq=False)
class MemoryStorage:
    """A store in this process; one writer at a time, readers see the last committed state."""

    _tables: MemoryTables = field(factory=MemoryTables, init=False, repr=False)
    _writing: Any = field(factory=threading.Lock, init=False, repr=False)
    _writer: int | None = field(default=None, init=False, repr=False)
    _record_key: bytes = field(default=b"", init=False, repr=False)
    _closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The child goes on with a copy of what was committed; see `certcore.ports.forks`."""
        self._writing, self._writer = threading.Lock(), None

    @contextmanager
    def read(self) -> Iterator[_Transaction]:
        """A transaction on the last committed state."""
        self._refuse_closed()
        yield _Transaction.on(self._tables.copy(), self._record_key)

    @contextmanager
    def write(self, lock_wait: LockWait = LockWait.SHORT) -> Iterator[_Transaction]:
        """A transaction that replaces the state when the block ends, and leaves it as it was when it raises."""
        me = threading.get_ident()
        if self._writer == me:
            raise RuntimeError("This thread is inside a writing transaction already; a second would never begin.")
        with self._writing:
            self._refuse_closed()
            self._writer = me
            try:
                tables = self._tables.copy()
                yield _Transaction.on(tables, self._record_key)
                self._tables = tables
            finally:
                self._writer = None

    def use_record_key(self, key: bytes) -> None:
        """Seal the ends of timelines with this key."""
        self._record_key = key

    def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._tables = MemoryTables()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageUnavailable("This store is closed.")


def _leased(schedule: Schedule, now: datetime) -> bool:
    return schedule.lease_until is not None and schedule.lease_until > now
