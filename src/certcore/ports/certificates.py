"""The repositories of certificates and issuances."""

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
        """One certificate. In a writing transaction, its row MUST be locked until the transaction ends.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def save(self, certificate: Certificate) -> Certificate:
        """Store all fields after a user's edit, if the stored version is still ``certificate.version``.

        Returns:
            The certificate with its new version.

        Raises:
            StaleWriteError: The certificate was changed or deleted since it was read; nothing is written.
        """
        ...

    def save_progress(self, certificate: Certificate) -> None:
        """Store the fields that the engine changes.

        These are status, issuance_id, active_issuance_id, not_after, problem, standing and updated_at. The other fields
        and the version are not written, so that a concurrent edit is not lost.

        Raises:
            NotFoundError: The certificate was deleted.
        """
        ...

    def delete(self, certificate_id: str) -> None:
        """Delete the certificate, its issuances and its schedule. Its events are kept.

        Raises:
            NotFoundError: It does not exist.
        """
        ...

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """The certificates whose primary name this is, oldest first."""
        ...

    def domains(self, certificate_ids: Collection[str], *, owner: str | None = None) -> Mapping[str, str]:
        """The primary names (A-labels) of certificates, by ID.

        Certificates that do not exist are left out, and with an ``owner`` also the certificates of other owners.
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
        """A page of a list by keyset: the rows after a position, even if the certificate at the position was deleted.

        Rows with equal sort values are ordered by ID, in the same direction. Rows without a sort value come last.
        """
        ...

    def count_conditions(
        self, *, at: datetime, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[ConditionType, int]:
        """For how many certificates each condition holds at a moment, including zeros.

        Each number is equal to that of `count` with a filter for the condition.
        """
        ...

    def count_endings(
        self, *, now: datetime, days: int, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[int, int]:
        """How many leaves in service expire on each of the next days. A day is 24 hours, and day 0 begins at ``now``.

        Returns:
            The counts by the number of the day; days without an expiry are left out.
        """
        ...

    def count(self, only: CertificateFilter) -> int:
        """How many certificates match a filter."""
        ...

    def sharing(self, certificate: Certificate, *, limit: int = 20) -> Sequence[Certificate]:
        """Other certificates of the same owner that share a host name with this one, by (domain, id)."""
        ...

    def search(self, search: Search, *, owner: str | None = None, limit: int = 50) -> Sequence[Certificate]:
        """Up to ``limit`` certificates that match, by (domain, id). If more match, the store may choose any of them.

        The cost MUST NOT grow with the number of certificates that do not match.
        """
        ...

    def count_by_status(
        self, *, authority_id: str | None = None, owner: str | None = None, at_most: int | None = None
    ) -> Mapping[Status, int]:
        """How many certificates have each status. A status without certificates is left out.

        With ``at_most``, counting stops at that number for each status, and the cost MUST NOT grow with the number of
        certificates.
        """
        ...

    def domains_using(self, authority_id: str, *, limit: int = 6) -> Sequence[str]:
        """The domains of some certificates that use this CA profile, also as a fallback."""
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
        """Store the fields of an issuance that can change.

        These are module_state, findings, outcome, needs_clean_up, leaf_pem, chain_pem, leaf, problem, told,
        authority_failures, engine_state, created_at and finished_at.

        Raises:
            NotFoundError: The issuance was deleted.
        """
        ...

    def save_renewal_info(self, issuance: Issuance) -> None:
        """Store only ``issuance.renewal_info`` of the issuance in service.

        The CA is asked every few hours, so a store SHOULD keep the answer apart from the large row of the issuance. It
        is kept for one issuance of each certificate; for all other issuances renewal_info is None.

        Raises:
            NotFoundError: The certificate was deleted.
        """
        ...

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        """All issuances of a certificate, by number."""
        ...

    def live(self, certificate: Certificate, *, since: datetime) -> Sequence[Issuance]:
        """The issuances of a certificate that a step needs, by number.

        These are the issuance in service, the current one, the newest one, those without an outcome, those that need a
        clean-up, and those that finished at ``since`` or later. The cost SHOULD NOT grow with the number of other
        issuances.
        """
        ...

    def ended_keys(self, certificate_id: str, *, before: datetime, kept: SecretName) -> Collection[SecretName]:
        """The names of the private keys of leaves that expired at ``before`` or earlier, without ``kept``."""
        ...
