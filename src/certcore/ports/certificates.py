"""The part of the store that is about certificates and their issuances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.listing import EVERYTHING, CertificateFilter, Order, Position
from certcore.model.names import DnsName
from certcore.model.search import Search

__all__ = ["CertificateRepository", "IssuanceRepository"]


class CertificateRepository(Protocol):
    """The certificates."""

    def add(self, certificate: Certificate) -> None:
        """Store a new certificate."""
        ...

    def get(self, certificate_id: str) -> Certificate:
        """One certificate. In a writing transaction the row MUST stay as it is until the transaction ends.

        Raises:
            NotFound: There is none.
        """
        ...

    def save(self, certificate: Certificate) -> Certificate:
        """Store a user's edit: everything, if the stored version is still ``certificate.version``.

        Returns:
            The certificate with its new version.

        Raises:
            StaleWrite: It was changed or deleted since it was read; nothing is written.
        """
        ...

    def save_progress(self, certificate: Certificate) -> None:
        """Store what the engine may change: status, issuance_id, active_issuance_id, not_after, problem, updated_at.

        The other columns and the version are left alone, so that an edit at the same time is not lost.

        Raises:
            NotFound: It was deleted.
        """
        ...

    def delete(self, certificate_id: str) -> None:
        """Delete the certificate, its issuances and its schedule. Its events stay: they are the record.

        Raises:
            NotFound: There is none.
        """
        ...

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """The certificates whose primary name this is, oldest first."""
        ...

    def page(
        self,
        *,
        only: CertificateFilter = EVERYTHING,
        order: Order = Order.DOMAIN,
        descending: bool = False,
        after: Position | None = None,
        limit: int = 50,
    ) -> Sequence[Certificate]:
        """A page of a list, by keyset: the rows behind a position, also when the certificate that was there is gone.

        Equal ones come by id, in the same direction; those that have no value to be sorted by come last.
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
        """Store a new issuance."""
        ...

    def get(self, issuance_id: str) -> Issuance:
        """One issuance.

        Raises:
            NotFound: There is none.
        """
        ...

    def save(self, issuance: Issuance) -> None:
        """Store what changes of an issuance.

        That is module_state, findings, outcome, needs_clean_up, leaf_pem, chain_pem, leaf, problem, renewal_info,
        authority_failures and finished_at.

        Raises:
            NotFound: It was deleted.
        """
        ...

    def of_certificate(self, certificate_id: str) -> Sequence[Issuance]:
        """All issuances of a certificate, by number."""
        ...
