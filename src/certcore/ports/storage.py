"""The store, as repositories inside a transaction.

All values that go in and come out are the frozen values of `certcore.model`; they stay usable after the transaction.
The suite `certcore.testing.contracts.storage` tests what these docstrings require.
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
    """How long a writing transaction waits for a row that another one has locked."""

    #: Hardly at all: giving a lease back or renewing it, which does no harm when it fails.
    NONE = "none"
    #: Some seconds: a step, or what a user does.
    SHORT = "short"
    #: Half a minute: administration of the whole store.
    LONG = "long"


class ScheduleRepository(Protocol):
    """When each certificate is looked at next, and the leases on them."""

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
            NotFoundError: It does not exist.
        """
        ...

    def claim_due(self, *, now: datetime, owner: str, lease_until: datetime, limit: int) -> Sequence[Schedule]:
        """Lease up to ``limit`` certificates that are due (due_at <= now) and not leased, most urgent first.

        The most urgent is the one whose leaf ends first (``needed_by``); one without a leaf counts as if its leaf
        ended a day after it became due. A store MAY look for it among the 1,000 that are longest overdue. Each claim
        MUST raise the token. Two callers at once MUST never get the same certificate.
        """
        ...

    def due(self, *, now: datetime, limit: int) -> Sequence[str]:
        """The ids of up to ``limit`` certificates that `claim_due` would lease, in its order; no lease is taken."""
        ...

    def claim(self, certificate_id: str, *, now: datetime, owner: str, lease_until: datetime) -> Schedule | None:
        """Lease one certificate whether it is due or not; None while another owner's lease runs.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def renew_lease(self, certificate_id: str, *, token: int, lease_until: datetime) -> None:
        """Extend a lease.

        Raises:
            LeaseLostError: The token is no longer the current one.
        """
        ...

    def save(self, schedule: Schedule) -> None:
        """Store due_at, needed_by, attempts, lease_owner and lease_until, if ``schedule.token`` is the current one.

        Raises:
            LeaseLostError: It is not; the caller MUST give up its whole transaction.
        """
        ...

    def finish(self, schedule: Schedule, *, begun: Schedule) -> Schedule:
        """Store the schedule that a step ends with, as `save` does.

        A user may have asked for a look while the step ran, which changes due_at and leaves the token alone. Then the
        due_at and the attempts of that user stay.

        Args:
            schedule: The new schedule.
            begun: The schedule as the step has read it.

        Returns:
            What was stored.

        Raises:
            LeaseLostError: As `save`.
        """
        ...

    def take_over(self, certificate_id: str, *, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        """A user's action: end any lease, raise the token, and set when to look next.

        A worker that still holds the old token has its writes refused. ``attempts`` None leaves the count as it is.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def repair(self, *, now: datetime, limit: int) -> int:
        """Make due what was written while a clock was ahead, and end leases that are further ahead than any can be.

        That is, of up to ``limit`` schedules each: due_at is set to now where ``written_at`` is ahead of now (see
        `certcore.model.stored_moments`), or is not known and due_at is further ahead than `LONGEST_SLEEP`; and a lease
        that is further ahead than `LONGEST_LEASE` is taken away. ``written_at`` stays, so that the step knows. MUST be
        cheap where no action is needed.

        Returns:
            How many were found.
        """
        ...

    def next_due(self, *, now: datetime) -> datetime | None:
        """The earliest moment at which something can be claimed: now or later; None when nothing is scheduled."""
        ...


class AuthorityRepository(Protocol):
    """The CA profiles."""

    def add(self, authority: CertificateAuthority) -> None:
        """Store a new profile.

        Raises:
            AlreadyExistsError: The name or the ID is taken.
        """
        ...

    def get(self, authority_id: str) -> CertificateAuthority:
        """One profile.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def by_name(self, name: str) -> CertificateAuthority | None:
        """The profile of that name."""
        ...

    def names(self, authority_ids: Collection[str]) -> Mapping[str, str]:
        """The names of the profiles with these ids, by id; those that do not exist are left out."""
        ...

    def save(self, authority: CertificateAuthority) -> CertificateAuthority:
        """Store an edit if the stored version is still ``authority.version``; returns it with its new version.

        Raises:
            StaleWriteError: It was changed or deleted since it was read.
            AlreadyExistsError: The new name is taken.
        """
        ...

    def delete(self, authority_id: str) -> None:
        """Delete a profile that no certificate uses.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def list(self) -> Sequence[CertificateAuthority]:
        """All profiles by name."""
        ...


class SecretRepository(Protocol):
    """The sealed secrets, in a table of their own."""

    def put(self, name: SecretName, sealed: SealedSecret) -> None:
        """Store a sealed secret, replacing one of the same name."""
        ...

    def add(self, name: SecretName, sealed: SealedSecret) -> bool:
        """Store a sealed secret unless there is one of that name; returns whether it was stored.

        Of two callers at once, exactly one MUST get True.
        """
        ...

    def get(self, name: SecretName) -> SealedSecret | None:
        """A sealed secret; None if it does not exist."""
        ...

    def delete(self, name: SecretName) -> None:
        """Delete a sealed secret; no error if it does not exist."""
        ...

    def names(self, purpose: str, *, prefix: str = "") -> Sequence[SecretName]:
        """The names of the secrets of a purpose whose owner_id begins with ``prefix``, sorted."""
        ...

    def key_ids(self) -> Sequence[str]:
        """The ids of the keys that secrets are sealed with, sorted. MUST be cheap, however many secrets there are."""
        ...

    def count_by_key(self) -> Mapping[str, int]:
        """How many secrets are sealed with each key."""
        ...

    def sealed_otherwise(
        self, key_id: str, *, limit: int, after: SecretName | None = None
    ) -> Sequence[tuple[SecretName, SealedSecret]]:
        """Secrets that are sealed with another key than this one, by (purpose, owner_id), those after a name only."""
        ...

    def replace(self, name: SecretName, old: SealedSecret, new: SealedSecret) -> bool:
        """Put a sealed secret in another's place if that one is still there; returns whether it was.

        It MUST NOT replace what anybody else has stored meanwhile.
        """
        ...


@frozen(kw_only=True)
class Document:
    """One entry of a module's own small store."""

    key: str
    value: Mapping[str, Any]
    #: Grows with every put.
    version: int


class DocumentRepository(Protocol):
    """Small JSON documents of the modules, each module in a namespace of its own."""

    def get(self, namespace: str, key: str) -> Document | None:
        """One document; None if it does not exist."""
        ...

    def get_many(self, namespace: str, keys: Collection[str]) -> Mapping[str, Document]:
        """Those of the named documents that are there, by key."""
        ...

    def put(self, namespace: str, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document.

        Args:
            namespace: The module's name.
            key: At most 500 characters.
            value: Plain JSON.
            version: None replaces whatever is there; 0 demands that there is none yet; another number demands that
                the stored version is that one.

        Raises:
            StaleWriteError: The demand is not met.
        """
        ...

    def delete(self, namespace: str, key: str) -> None:
        """Delete a document; no error if it does not exist."""
        ...

    def delete_prefix(self, namespace: str, prefix: str) -> None:
        """Delete all documents whose key begins with ``prefix``."""
        ...

    def list(self, namespace: str, *, prefix: str = "", after: str = "", limit: int = 10_000) -> Sequence[Document]:
        """The documents whose key begins with ``prefix`` and follows ``after``, by key."""
        ...


class Transaction(Protocol):
    """The repositories, all inside one transaction."""

    @property
    def certificates(self) -> CertificateRepository:
        """The certificates."""
        ...

    @property
    def issuances(self) -> IssuanceRepository:
        """Their issuances."""
        ...

    @property
    def schedules(self) -> ScheduleRepository:
        """When each is looked at next."""
        ...

    @property
    def preflights(self) -> PreflightRepository:
        """The regular checks of those in service."""
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
        """What happened."""
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
        """The modules' documents."""
        ...


class Storage(Protocol):
    """A store. Implementations MUST be thread-safe; a transaction belongs to the thread that opened it."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees one consistent state and writes nothing."""
        ...

    def write(self, lock_wait: LockWait = LockWait.SHORT) -> AbstractContextManager[Transaction]:
        """A transaction that commits when the block ends and rolls everything back when it raises.

        Writers MUST be serialised as far as needed that no update is lost. A caller MUST NOT do anything slow
        (network, key generation) inside.

        Args:
            lock_wait: How long to wait for a row that another transaction has locked. A store that lets one writer in
                at a time MAY wait longer.

        Raises:
            RuntimeError: This thread is inside a writing transaction already.
            StorageBusyError: A row stayed locked for longer than that.
            StorageUnavailableError: The store is closed or cannot be used now.
            StorageError: It refused what was to be written.
        """
        ...

    def change_mark(self) -> object | None:
        """A value that is another one when any process has committed anything since.

        It MUST take microseconds and MUST NOT wait for a server or a lock of another process; None where the store
        cannot tell in this way. Values are compared for equality, and only with others of this object.

        Raises:
            StorageUnavailableError: The store is closed or cannot be used now.
        """
        ...

    def use_record_key(self, key: bytes) -> None:
        """From now on, seal the end of every timeline that gets events with this key, see `certcore.model.timeline`."""
        ...

    def close(self) -> None:
        """Give back what the store holds; it is unusable afterwards. MAY be called twice."""
        ...
