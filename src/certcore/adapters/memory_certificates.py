"""The in-memory repository of certificates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import define, evolve

from certcore.adapters.memory_tables import MemoryTables, refuse_taken, row_of, users_of
from certcore.errors import NotFoundError, StaleWriteError
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status
from certcore.model.listing import EVERYTHING, CertificateFilter, Position, SortKey
from certcore.model.names import DnsName, share_names
from certcore.model.search import Search, reversed_labels
from certcore.model.standing import ConditionType

__all__ = ["MemoryCertificates"]


@define(eq=False)
class MemoryCertificates:
    """Implements `certcore.ports.storage.CertificateRepository`."""

    tables: MemoryTables

    def add(self, certificate: Certificate) -> None:
        """Store a new certificate."""
        refuse_taken(self.tables.certificates, "certificate", certificate.id)
        if certificate.authority_id not in (None, *self.tables.authorities):
            raise NotFoundError("authority", certificate.authority_id or "")
        self.tables.certificates[certificate.id] = certificate

    def get(self, certificate_id: str) -> Certificate:
        """A certificate by its ID."""
        return row_of(self.tables.certificates, "certificate", certificate_id)

    def save(self, certificate: Certificate) -> Certificate:
        """Store a user's edit."""
        stored = self.tables.certificates.get(certificate.id)
        version = stored.version if stored else None
        if version != certificate.version:
            raise StaleWriteError("certificate", certificate.id, expected=certificate.version, found=version)
        saved = evolve(certificate, version=certificate.version + 1)
        self.tables.certificates[certificate.id] = saved
        return saved

    def save_progress(self, certificate: Certificate) -> None:
        """Store the columns that the engine changes."""
        stored = self.get(certificate.id)
        self.tables.certificates[certificate.id] = evolve(
            stored,
            status=certificate.status,
            issuance_id=certificate.issuance_id,
            active_issuance_id=certificate.active_issuance_id,
            not_after=certificate.not_after,
            problem=certificate.problem,
            standing=certificate.standing,
            updated_at=certificate.updated_at,
        )

    def delete(self, certificate_id: str) -> None:
        """Delete a certificate with its issuances."""
        self.get(certificate_id)
        del self.tables.certificates[certificate_id]
        self.tables.schedules.pop(certificate_id, None)
        self.tables.preflights.pop(certificate_id, None)
        for issuance in [
            issuance for issuance in self.tables.issuances.values() if issuance.certificate_id == certificate_id
        ]:
            del self.tables.issuances[issuance.id]

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """The certificates with a primary name."""
        certificates = [
            certificate for certificate in self.tables.certificates.values() if certificate.domain == domain
        ]
        return sorted(certificates, key=lambda certificate: (certificate.created_at, certificate.id))

    def domains(self, certificate_ids: Collection[str], *, owner: str | None = None) -> Mapping[str, str]:
        """The primary names of certificates."""
        return {
            certificate.id: certificate.domain.ascii
            for certificate in self.tables.certificates.values()
            if certificate.id in certificate_ids and owner in (None, certificate.owner)
        }

    def page(
        self,
        *,
        only: CertificateFilter = EVERYTHING,
        order: SortKey = SortKey.DOMAIN,
        descending: bool = False,
        after: Position | None = None,
        limit: int = 50,
    ) -> Sequence[Certificate]:
        """A page of a list."""

        def rank(position: Position) -> tuple[Any, str]:
            return (position.value, position.id)

        behind = [(Position.of(certificate, order), certificate) for certificate in self._found(only)]
        with_value = [pair for pair in behind if pair[0].value is not None]
        without = [pair for pair in behind if pair[0].value is None]
        listed = [
            *sorted(with_value, key=lambda pair: rank(pair[0]), reverse=descending),
            *sorted(without, key=lambda pair: pair[0].id, reverse=descending),
        ]
        if after is not None:
            listed = [pair for pair in listed if _is_behind(pair[0], after, descending=descending)]
        return [certificate for _, certificate in listed[:limit]]

    def count_conditions(
        self, *, at: datetime, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[ConditionType, int]:
        """For how many certificates each condition holds."""
        return {
            condition: self.count(CertificateFilter(condition=condition, at=at, authority_id=authority_id, owner=owner))
            for condition in ConditionType
        }

    def count_endings(
        self, *, now: datetime, days: int, authority_id: str | None = None, owner: str | None = None
    ) -> Mapping[int, int]:
        """The number of leaves in service that end on each of the next days."""
        only = CertificateFilter(
            status=Status.ACTIVE,
            ends_from=now,
            ends_before=now + timedelta(days=days),
            authority_id=authority_id,
            owner=owner,
        )
        ends = [certificate.not_after for certificate in self._found(only)]
        return Counter((end - now) // timedelta(days=1) for end in ends if end is not None)

    def count(self, only: CertificateFilter) -> int:
        """The number of certificates that match."""
        return len(self._found(only))

    def sharing(self, certificate: Certificate, *, limit: int = 20) -> Sequence[Certificate]:
        """Other certificates that share names."""
        certificates = [
            other
            for other in self.tables.certificates.values()
            if other.owner == certificate.owner
            and other.id != certificate.id
            and share_names(other.names, certificate.names)
        ]
        return sorted(certificates, key=lambda certificate: (certificate.domain.ascii, certificate.id))[:limit]

    def _found(self, only: CertificateFilter) -> list[Certificate]:
        certificates = [certificate for certificate in self.tables.certificates.values() if only.takes(certificate)]
        if only.serial or only.fingerprint:
            fit = {
                issuance.certificate_id for issuance in self.tables.issuances.values() if only.takes_leaf_of(issuance)
            }
            certificates = [certificate for certificate in certificates if certificate.id in fit]
        if only.condition is ConditionType.DEPLOYMENT_FAILED:
            cursors = self.tables.record.cursors.values()
            failed = {cursor.certificate_id for cursor in cursors if cursor.failing_since is not None}
            certificates = [certificate for certificate in certificates if certificate.id in failed]
        return certificates

    def search(self, search: Search, *, owner: str | None = None, limit: int = 50) -> Sequence[Certificate]:
        """The certificates that match a search."""
        of_leaf = {
            issuance.certificate_id
            for issuance in self.tables.issuances.values()
            if (leaf := issuance.leaf) is not None
            and (
                leaf.serial_hex.lstrip("0") in search.serials
                or (search.fingerprint and search.fingerprint in (leaf.fingerprint_sha256, leaf.fingerprint_sha1))
            )
        }
        certificates = [
            certificate
            for certificate in self.tables.certificates.values()
            if (owner is None or certificate.owner == owner)
            and (certificate.id in of_leaf or any(_fits(name.ascii, search) for name in certificate.names))
        ]
        return sorted(certificates, key=lambda certificate: (certificate.domain.ascii, certificate.id))[:limit]

    def count_by_status(
        self, *, authority_id: str | None = None, owner: str | None = None, at_most: int | None = None
    ) -> Mapping[Status, int]:
        """The number of certificates per status."""
        counted = Counter(
            certificate.status
            for certificate in self.tables.certificates.values()
            if (authority_id is None or certificate.authority_id == authority_id)
            and (owner is None or certificate.owner == owner)
        )
        return {status: number if at_most is None else min(number, at_most) for status, number in counted.items()}

    def domains_using(self, authority_id: str, *, limit: int = 6) -> Sequence[str]:
        """The domains of the certificates that use a CA profile."""
        return sorted({certificate.domain.ascii for certificate in users_of(self.tables, authority_id)})[:limit]


def _is_behind(position: Position, after: Position, *, descending: bool) -> bool:
    if position.value is None or after.value is None:
        if position.value is not None or after.value is not None:
            return position.value is None
        return position.id < after.id if descending else position.id > after.id
    mine: tuple[Any, str] = (position.value, position.id)
    last: tuple[Any, str] = (after.value, after.id)
    return mine < last if descending else mine > last


def _fits(name: str, search: Search) -> bool:
    if search.name_prefix and name.startswith(search.name_prefix):
        return True
    return bool(search.domain) and reversed_labels(name).startswith(reversed_labels(search.domain))
