"""The interface of the store: repositories inside a transaction.

All arguments and results are frozen values of `certcore.model`, which remain usable after the transaction. The suite
`certcore.testing.contracts.storage` tests what these docstrings require.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from attrs import frozen

from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Schedule
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.certificates import CertificateRepository, IssuanceRepository
from certcore.ports.deliveries import DeliveryRepository
from certcore.ports.preflights import PreflightRepository
from certcore.ports.timelines import EventRepository, TimelineRepository

__all__ = [
    "AuthorityRepository",
    "CertificateRepository",
    "DeliveryRepository",
    "Document",
    "DocumentRepository",
    "IssuanceRepository",
    "LockWait",
    "PreflightRepository",
    "ScheduleRepository",
    "SecretRepository",
    "Storage",
    "Transaction",
]


class LockWait(Enum):
    """How long a writing transaction waits for a row that another transaction has locked."""

    #: As short as possible; for renewing or returning a lease, which may fail without harm.
    NONE = "none"
    #: A few seconds; for steps and users' actions.
    SHORT = "short"
    #: Half a minute; for administration of the whole store.
    LONG = "long"


class ScheduleRepository(Protocol):
    """The schedules: when each certificate is looked at next, and the leases."""

    def add(self, schedule: Schedule) -> None:
        """Store the schedule of a new certificate.

        Raises:
            AlreadyExistsError: The certificate has a schedule.
            NotFoundError: The certificate does not exist.
        """
        ...

    def get(self, certificate_id: str) -> Schedule:
        """The schedule of a certificate.

        Raises:
            NotFoundError: The certificate does not exist.
        """
        ...

    def claim_due(self, *, now: datetime, owner: str, lease_until: datetime, limit: int) -> Sequence[Schedule]:
        """Lease up to ``limit`` certificates that are due (due_at <= now) and not leased, most urgent first.

        The most urgent certificate is the one whose leaf expires first (``needed_by``). A certificate without a leaf
        counts as if its leaf expired a day after it became due. A store MAY select only among the 1,000 certificates
        that are longest overdue. Each claim MUST increment the token. Two concurrent callers MUST NOT get the same
        certificate.
        """
        ...

    def due(self, *, now: datetime, limit: int) -> Sequence[str]:
        """The IDs of up to ``limit`` certificates that `claim_due` would lease, in its order. No lease is taken."""
        ...

    def claim(self, certificate_id: str, *, now: datetime, owner: str, lease_until: datetime) -> Schedule | None:
        """Lease a certificate, whether it is due or not; None while another owner holds the lease.

        Raises:
            NotFoundError: The certificate does not exist.
        """
        ...

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease.

        Raises:
            LeaseLostError: The token is no longer the current one, or the lease was given back.
        """
        ...

    def save(self, schedule: Schedule) -> None:
        """Store due_at, needed_by, attempts, lease_owner and lease_until, if ``schedule.token`` is the current one.

        Raises:
            LeaseLostError: Another token is current. The caller MUST roll back its transaction.
        """
        ...

    def finish(self, schedule: Schedule, *, begun: Schedule) -> Schedule:
        """Store the schedule that a step ends with, as `save` does.

        While the step ran, a user may have requested a look, which changes due_at but not the token. Then the due_at
        and attempts of that request are kept.

        Args:
            schedule: The new schedule.
            begun: The schedule that the step had read.

        Returns:
            The stored schedule.

        Raises:
            LeaseLostError: As in `save`.
        """
        ...

    def take_over(self, certificate_id: str, *, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        """End any lease, increment the token, and set when to look next. Used for users' actions.

        The writes of a worker with the old token are refused afterwards.

        Args:
            certificate_id: The certificate.
            due_at: When to look next; None for never.
            attempts: The new number of attempts; None keeps the number.

        Raises:
            NotFoundError: The certificate does not exist.
        """
        ...

    def repair(self, *, now: datetime, limit: int) -> int:
        """Repair schedules that were written while a clock was ahead (see `certcore.model.stored_moments`).

        A due_at is set to now if its ``written_at`` is later than now, or if ``written_at`` is unknown and due_at is
        later than `LONGEST_SLEEP` from now. A lease that ends later than `LONGEST_LEASE` from now is ended. Each repair
        changes up to ``limit`` schedules. ``written_at`` is kept, so that the step can detect it. MUST be cheap if
        there is nothing to repair.

        Returns:
            How many schedules were repaired.
        """
        ...

    def next_due(self, *, now: datetime) -> datetime | None:
        """The earliest moment, not before now, at which a certificate can be claimed; None if none is scheduled."""
        ...


class AuthorityRepository(Protocol):
    """The CA profiles."""

    def add(self, authority: CertificateAuthority) -> None:
        """Store a new CA profile.

        Raises:
            AlreadyExistsError: The name or the ID is taken.
        """
        ...

    def get(self, authority_id: str) -> CertificateAuthority:
        """One CA profile.

        Raises:
            NotFoundError: The CA profile does not exist.
        """
        ...

    def by_name(self, name: str) -> CertificateAuthority | None:
        """The CA profile with a name; None if there is none."""
        ...

    def names(self, authority_ids: Collection[str]) -> Mapping[str, str]:
        """The names of CA profiles, by ID. CA profiles that do not exist are left out."""
        ...

    def save(self, authority: CertificateAuthority) -> CertificateAuthority:
        """Store an edit if the stored version is still ``authority.version``; returns it with its new version.

        Raises:
            StaleWriteError: The CA profile was changed or deleted since it was read.
            AlreadyExistsError: The new name is taken.
        """
        ...

    def delete(self, authority_id: str) -> None:
        """Delete a CA profile that no certificate uses.

        Raises:
            NotFoundError: The CA profile does not exist.
            InUseError: Certificates use the CA profile.
        """
        ...

    def list(self) -> Sequence[CertificateAuthority]:
        """All CA profiles, by name."""
        ...


class SecretRepository(Protocol):
    """The sealed secrets, in a table of their own."""

    def put(self, name: SecretName, sealed: SealedSecret) -> None:
        """Store a sealed secret, replacing a previous one of the same name."""
        ...

    def add(self, name: SecretName, sealed: SealedSecret) -> bool:
        """Store a sealed secret unless the name is taken; returns whether it was stored.

        Exactly one of two concurrent callers MUST get True.
        """
        ...

    def get(self, name: SecretName) -> SealedSecret | None:
        """A sealed secret; None if it does not exist."""
        ...

    def delete(self, name: SecretName) -> None:
        """Delete a sealed secret. A missing secret is not an error."""
        ...

    def names(self, purpose: str, *, prefix: str = "") -> Sequence[SecretName]:
        """The names of the secrets with a purpose whose owner_id begins with ``prefix``, sorted."""
        ...

    def key_ids(self) -> Sequence[str]:
        """The IDs of the keys that secrets are sealed with, sorted. MUST be cheap even with many secrets."""
        ...

    def count_by_key(self) -> Mapping[str, int]:
        """How many secrets are sealed with each key, by the key's ID."""
        ...

    def sealed_otherwise(
        self, key_id: str, *, limit: int, after: SecretName | None = None
    ) -> Sequence[tuple[SecretName, SealedSecret]]:
        """Up to ``limit`` secrets that are sealed with other keys than this one, by (purpose, owner_id).

        With ``after``, only the secrets that follow that name.
        """
        ...

    def replace(self, name: SecretName, old: SealedSecret, new: SealedSecret) -> bool:
        """Replace a sealed secret if ``old`` is still stored; returns whether it was replaced.

        A concurrent change by another transaction MUST NOT be overwritten.
        """
        ...


@frozen(kw_only=True)
class Document:
    """One entry of a CA module's store."""

    #: The key, unique in the module's store.
    key: str
    #: Plain JSON.
    value: Mapping[str, Any]
    #: The version, which every write increments.
    version: int


class DocumentRepository(Protocol):
    """The JSON documents of CA modules. Each module has its own namespace."""

    def get(self, namespace: str, key: str) -> Document | None:
        """One document; None if it does not exist."""
        ...

    def get_many(self, namespace: str, keys: Collection[str]) -> Mapping[str, Document]:
        """The documents with these keys, by key. Missing documents are left out."""
        ...

    def put(self, namespace: str, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document.

        Args:
            namespace: The module's name.
            key: At most 500 characters.
            value: Plain JSON.
            version: The version that must be stored now; 0 if there must be no document; None to replace any version.

        Raises:
            StaleWriteError: Another version is stored.
        """
        ...

    def delete(self, namespace: str, key: str) -> None:
        """Delete a document. A missing document is not an error."""
        ...

    def delete_prefix(self, namespace: str, prefix: str) -> None:
        """Delete all documents whose key begins with ``prefix``."""
        ...

    def list(self, namespace: str, *, prefix: str = "", after: str = "", limit: int = 10_000) -> Sequence[Document]:
        """At most ``limit`` documents whose key begins with ``prefix`` and comes after ``after``, by key."""
        ...


class Transaction(Protocol):
    """The repositories inside one transaction."""

    @property
    def certificates(self) -> CertificateRepository:
        """The certificates."""
        ...

    @property
    def issuances(self) -> IssuanceRepository:
        """The issuances."""
        ...

    @property
    def schedules(self) -> ScheduleRepository:
        """The schedules of certificates."""
        ...

    @property
    def preflights(self) -> PreflightRepository:
        """The preflights of certificates in service."""
        ...

    @property
    def authorities(self) -> AuthorityRepository:
        """The CA profiles."""
        ...

    @property
    def secrets(self) -> SecretRepository:
        """The sealed secrets."""
        ...

    @property
    def events(self) -> EventRepository:
        """The events."""
        ...

    @property
    def timelines(self) -> TimelineRepository:
        """The ends of the timelines."""
        ...

    @property
    def deliveries(self) -> DeliveryRepository:
        """Which events were delivered to which observer."""
        ...

    @property
    def documents(self) -> DocumentRepository:
        """The documents of CA modules."""
        ...


class Storage(Protocol):
    """A store. Implementations MUST be thread-safe; a transaction belongs to the thread that opened it."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees one consistent state and writes nothing."""
        ...

    def write(self, lock_wait: LockWait = LockWait.SHORT) -> AbstractContextManager[Transaction]:
        """A transaction that commits at the end of the block, and rolls back if the block raises.

        The store MUST serialise writers so that no update is lost. Callers MUST NOT do anything slow (network, key
        generation) in the block.

        Args:
            lock_wait: How long to wait for a row that another transaction has locked. A store that allows only one
                writer at a time MAY wait longer.

        Raises:
            RuntimeError: This thread is already inside a writing transaction.
            StorageBusyError: A row stayed locked for longer than that.
            StorageUnavailableError: The store is closed or cannot be used now.
            StorageError: The store refused the data.
        """
        ...

    def change_mark(self) -> object | None:
        """A value that changes whenever any process commits anything; None if the store has no such value.

        The call MUST take only microseconds, and MUST NOT wait for a server or for a lock of another process. Values
        are only compared for equality, and only with values of the same object.

        Raises:
            StorageUnavailableError: The store is closed or cannot be used now.
        """
        ...

    def use_record_key(self, key: bytes) -> None:
        """Seal the end of every timeline that gets new events with this key, see `certcore.model.timeline`."""
        ...

    def close(self) -> None:
        """Close the store and its connections. MAY be called twice."""
        ...
