"""The in-memory repository of preflights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import define, evolve

from certcore.adapters.memory_tables import MemoryTables
from certcore.errors import NotFoundError, StaleWriteError
from certcore.model.lifecycle import Status
from certcore.model.preflight import Preflight

__all__ = ["MemoryPreflights"]


@define(eq=False)
class MemoryPreflights:
    """Implements `certcore.ports.preflights.PreflightRepository`."""

    tables: MemoryTables

    def get(self, certificate_id: str) -> Preflight | None:
        """The preflight of a certificate."""
        return self.tables.preflights.get(certificate_id)

    def save(self, preflight: Preflight) -> Preflight:
        """Store a preflight if the stored version is the one that it was read with."""
        certificate_id = preflight.certificate_id
        if certificate_id not in self.tables.certificates:
            raise NotFoundError("certificate", certificate_id)
        stored = self.get(certificate_id)
        version = 0 if stored is None else stored.version
        if version != preflight.version:
            raise StaleWriteError("preflight", certificate_id, expected=preflight.version, found=version or None)
        saved = evolve(preflight, version=version + 1)
        self.tables.preflights[certificate_id] = saved
        return saved

    def due(self, *, now: datetime, limit: int) -> Sequence[Preflight]:
        """The due preflights, longest overdue first."""
        due = [preflight for preflight in self.tables.preflights.values() if preflight.is_due(now)]
        return sorted(due, key=lambda preflight: (preflight.due_at, preflight.certificate_id))[:limit]

    def unplanned(self, *, limit: int) -> Sequence[str]:
        """Certificates in service that have no preflight."""
        ids = [
            certificate.id
            for certificate in self.tables.certificates.values()
            if certificate.status is Status.ACTIVE and certificate.id not in self.tables.preflights
        ]
        return sorted(ids)[:limit]
