"""The part of the store that is about certificates and their issuances."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.listing import EVERYTHING, CertificateFilter, Position, SortKey
from certcore.model.names import DnsName
from certcore.model.search import Search
from certcore.model.secret import SecretName
from certcore.model.standing import ConditionType

__all__ = ["CertificateRepository", "IssuanceRepository"]


class CertificateRepository(Protocol):
    """The certificates."""

    def add(self, certificate: Certificate) -> None:
        """Store a new certificate.

        Raises:
            AlreadyExistsError: There is a certificate with this ID.
            NotFoundError: Its CA profile does not exist.
        """
        ...

    def get(self, certificate_id: str) -> Certificate:
        """One certificate. In a writing transaction the row MUST stay as it is until the transaction ends.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def save(self, certificate: Certificate) -> Certificate:
        """Store a user's edit: everything, if the stored version is still ``certificate.version``.

        Returns:
            The certificate with its new version.

        Raises:
            StaleWriteError: It was changed or deleted since it was read; nothing is written.
        """
        ...

    def save_progress(self, certificate: Certificate) -> None:
        """Store what the engine may change.

        That is status, issuance_id, active_issuance_id, not_after, problem, standing and updated_at. The other columns
        and the version are left alone, so that an edit at the same time is not lost.

        Raises:
            NotFoundError: It was deleted.
        """
        ...

    def delete(self, certificate_id: str) -> None:
        """Delete the certificate, its issuances and its schedule. Its events stay: they are the record.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """The certificates whose primary name this is, oldest first."""
        ...

    def domains(self, certificate_ids: Collection[str], *, owner: str | None = None) -> Mapping[str, str]:
        """The primary names (A-labels) of certificates, by id.

        Those that do not exist are left out; with an ``owner``, also those that are of another one.
        """
        ...

    def page(
        self,
        *,
        only: CertificateFilter = EVERYTHING,
        order: SortKey = SortKey.DOMAIN,
        descending: bool = False,
        after: Position | None = None,
        limit: int = 50,
    ) -> Sequence[Certificate]:
        """A page of a list, by keyset: the rows behind a position, also when the certificate that was there is gone.

        Equal ones come by id, in the same direction; those that have no value to be sorted by come last.
        """
        ...

    def count_conditions(
        self, *, at: datetime, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[ConditionType, int]:
        """For how many certificates each condition holds at a moment, as `count` with a filter of it; 0 included."""
        ...

    def count_endings(
        self, *, now: datetime, days: int, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[int, int]:
        """How many leaves in service end on each of the next days, of 24 hours from ``now``.

        By the number of the day from 0; days without any are left out.
        """
        ...

    def count(self, only: CertificateFilter) -> int:
        """How many certificates fit."""
        ...

    def sharing(self, certificate: Certificate, *, limit: int = 20) -> Sequence[Certificate]:
        """Other certificates of the same owner that cover a host name that this one covers, by (domain, id)."""
        ...

    def search(self, search: Search, *, owner: str | None = None, limit: int = 50) -> Sequence[Certificate]:
        """Up to ``limit`` certificates that fit, whichever these are when there are more, in the order (domain, id).

        The cost MUST NOT grow with the number of certificates that do not fit.
        """
        ...

    def count_by_status(
        self, *, authority_id: str | None = None, owner: str | None = None, at_most: int | None = None
    ) -> Mapping[Status, int]:
        """How many certificates there are in each status that any is in.

        With ``at_most`` no status is counted further than that, and the cost MUST NOT grow with the fleet.
        """
        ...

    def domains_using(self, authority_id: str, *, limit: int = 6) -> Sequence[str]:
        """The domains of some certificates of this authority, or with it as a fallback: to refuse deleting it."""
        ...


class IssuanceRepository(Protocol):
    """The issuances of certificates."""

    def add(self, issuance: Issuance) -> None:
        """Store a new issuance.

        Raises:
            AlreadyExistsError: There is an issuance with this ID.
            NotFoundError: Its certificate does not exist.
        """
        ...

    def get(self, issuance_id: str) -> Issuance:
        """One issuance.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def save(self, issuance: Issuance) -> None:
        """Store what changes of an issuance.

        That is module_state, findings, outcome, needs_clean_up, leaf_pem, chain_pem, leaf, problem, told,
        authority_failures, engine_state, created_at and finished_at.

        Raises:
            NotFoundError: It was deleted.
        """
        ...

    def save_renewal_info(self, issuance: Issuance) -> None:
        """Store ``issuance.renewal_info`` of the issuance in service, and nothing else.

        The CA is asked every few hours. So a store SHOULD keep the answer apart from the large row of the issuance. It
        is kept for one issuance of a certificate; for every other issuance renewal_info is None.

        Raises:
            NotFoundError: The certificate was deleted.
        """
        ...

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        """All issuances of a certificate, by number."""
        ...

    def live(self, certificate: Certificate, *, since: datetime) -> Sequence[Issuance]:
        """The issuances of a certificate that a step has to know, by number.

        That is the issuance in service, the current one, the newest one, those without an outcome, those that need a
        clean-up, and those that have finished at ``since`` or later. The cost SHOULD NOT grow with the number of the
        others.
        """
        ...

    def ended_keys(self, certificate_id: str, *, before: datetime, kept: SecretName) -> Collection[SecretName]:
        """The stored private keys of a certificate's leaves that ended at ``before`` or earlier, but not ``kept``."""
        ...
