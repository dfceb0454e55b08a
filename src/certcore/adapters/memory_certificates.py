"""The certificates of the store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve

from certcore.adapters.memory_tables import MemoryTables, row_of, users_of
from certcore.errors import NotFound, StaleWrite
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status
from certcore.model.listing import EVERYTHING, CertificateFilter, Order, Position
from certcore.model.names import DnsName, share_names
from certcore.model.search import Search, reversed_labels

__all__ = ["MemoryCertificates"]


@define(eq=False)
class MemoryCertificates:
    """Implements `certcore.ports.storage.CertificateRepository`."""

    tables: MemoryTables

    def add(self, certificate: Certificate) -> None:
        """Store a new one."""
        if certificate.authority_id not in (None, *self.tables.authorities):
            raise NotFound("authority", certificate.authority_id or "")
        self.tables.certificates[certificate.id] = certificate

    def get(self, certificate_id: str) -> Certificate:
        """One by id."""
        return row_of(self.tables.certificates, "certificate", certificate_id)

    def save(self, certificate: Certificate) -> Certificate:
        """Store a user's edit."""
        stored = self.tables.certificates.get(certificate.id)
        found = stored.version if stored else None
        if found != certificate.version:
            raise StaleWrite("certificate", certificate.id, expected=certificate.version, found=found)
        saved = evolve(certificate, version=certificate.version + 1)
        self.tables.certificates[certificate.id] = saved
        return saved

    def save_progress(self, certificate: Certificate) -> None:
        """Store what the engine may change."""
        stored = self.get(certificate.id)
        self.tables.certificates[certificate.id] = evolve(
            stored,
            status=certificate.status,
            issuance_id=certificate.issuance_id,
            active_issuance_id=certificate.active_issuance_id,
            not_after=certificate.not_after,
            problem=certificate.problem,
            updated_at=certificate.updated_at,
        )

    def delete(self, certificate_id: str) -> None:
        """Delete one, with its issuances."""
        self.get(certificate_id)
        del self.tables.certificates[certificate_id]
        self.tables.schedules.pop(certificate_id, None)
        for issuance in [one for one in self.tables.issuances.values() if one.certificate_id == certificate_id]:
            del self.tables.issuances[issuance.id]

    def find_by_domain(self, domain: DnsName) -> Sequence[Certificate]:
        """Those of a primary name."""
        found = [one for one in self.tables.certificates.values() if one.domain == domain]
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def page(
        self,
        *,
        only: CertificateFilter = EVERYTHING,
        order: Order = Order.DOMAIN,
        descending: bool = False,
        after: Position | None = None,
        limit: int = 50,
    ) -> Sequence[Certificate]:
        """A page of a list."""

        def rank(position: Position) -> tuple[Any, str]:
            return (position.value, position.id)

        behind = [(Position.of(one, order), one) for one in self._found(only)]
        with_value = [pair for pair in behind if pair[0].value is not None]
        without = [pair for pair in behind if pair[0].value is None]
        listed = [
            *sorted(with_value, key=lambda pair: rank(pair[0]), reverse=descending),
            *sorted(without, key=lambda pair: pair[0].id, reverse=descending),
        ]
        if after is not None:
            listed = [pair for pair in listed if _is_behind(pair[0], after, descending=descending)]
        return [one for _, one in listed[:limit]]

    def count(self, only: CertificateFilter) -> int:
        """How many fit."""
        return len(self._found(only))

    def sharing(self, certificate: Certificate, *, limit: int = 20) -> Sequence[Certificate]:
        """Others that share names."""
        found = [
            one
            for one in self.tables.certificates.values()
            if one.owner == certificate.owner and one.id != certificate.id and share_names(one.names, certificate.names)
        ]
        return sorted(found, key=lambda one: (one.domain.ascii, one.id))[:limit]

    def _found(self, only: CertificateFilter) -> list[Certificate]:
        found = [one for one in self.tables.certificates.values() if only.takes(one)]
        if only.serial or only.fingerprint:
            fit = {one.certificate_id for one in self.tables.issuances.values() if only.takes_leaf_of(one)}
            found = [one for one in found if one.id in fit]
        return found

    def search(self, search: Search, *, owner: str | None = None, limit: int = 50) -> Sequence[Certificate]:
        """Those that fit a search."""
        of_leaf = {
            issuance.certificate_id
            for issuance in self.tables.issuances.values()
            if (leaf := issuance.leaf) is not None
            and (
                leaf.serial_hex.lstrip("0") in search.serials
                or (search.fingerprint and search.fingerprint in (leaf.fingerprint_sha256, leaf.fingerprint_sha1))
            )
        }
        found = [
            one
            for one in self.tables.certificates.values()
            if (owner is None or one.owner == owner)
            and (one.id in of_leaf or any(_fits(name.ascii, search) for name in one.names))
        ]
        return sorted(found, key=lambda one: (one.domain.ascii, one.id))[:limit]

    def count_by_status(
        self, *, authority_id: str | None = None, owner: str | None = None, at_most: int | None = None
    ) -> Mapping[Status, int]:
        """How many in each status."""
        counted = Counter(
            one.status
            for one in self.tables.certificates.values()
            if (authority_id is None or one.authority_id == authority_id) and (owner is None or one.owner == owner)
        )
        return {status: number if at_most is None else min(number, at_most) for status, number in counted.items()}

    def domains_using(self, authority_id: str, *, limit: int = 6) -> Sequence[str]:
        """Whose CA profile this is."""
        return sorted({one.domain.ascii for one in users_of(self.tables, authority_id)})[:limit]


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
