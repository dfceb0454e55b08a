"""The repository of preflights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy import bindparam

from certcore.adapters.sql.exact import only
from certcore.adapters.sql.inserts import insert_new
from certcore.adapters.sql.tables import certificates, preflights
from certcore.errors import NotFoundError, StaleWriteError
from certcore.model.lifecycle import Status
from certcore.model.preflight import LONGEST_WAIT, Preflight
from certcore.model.readiness import Readiness

__all__ = ["SqlPreflights"]

_THIS: Final = preflights.c.certificate_id == bindparam("row_id")
_PREFLIGHT: Final = preflights.select().where(_THIS)
_UPDATE: Final = preflights.update().where(_THIS, preflights.c.version == bindparam("row_version"))
_EARLIEST: Final = preflights.select().order_by(preflights.c.due_at, preflights.c.certificate_id)
_DUE: Final = _EARLIEST.where(preflights.c.due_at <= bindparam("row_now")).limit(bindparam("row_limit"))
#: Preflights whose due time was written under a wrong clock.
_AHEAD: Final = _EARLIEST.where(preflights.c.due_at > bindparam("row_latest")).limit(bindparam("row_limit"))
_CERTIFICATE: Final = sa.select(certificates.c.id).where(certificates.c.id == bindparam("row_id"))
_UNPLANNED: Final = (
    sa.select(certificates.c.id)
    .outerjoin(preflights, preflights.c.certificate_id == certificates.c.id)
    .where(certificates.c.status == Status.ACTIVE.value, preflights.c.certificate_id.is_(None))
    .limit(bindparam("row_limit"))
)


@frozen(eq=False)
class SqlPreflights:
    """Implements `certcore.ports.preflights.PreflightRepository`."""

    connection: sa.Connection

    def get(self, certificate_id: str) -> Preflight | None:
        """The preflight of a certificate."""
        row = only(self.connection.execute(_PREFLIGHT, {"row_id": certificate_id}), certificate_id=certificate_id)
        return None if row is None else _preflight(row)

    def save(self, preflight: Preflight) -> Preflight:
        """Store a preflight if the stored version is still the one that was read."""
        saved = evolve(preflight, version=preflight.version + 1)
        row = _row(saved)
        if preflight.version:
            key = {"row_id": row.pop("certificate_id"), "row_version": preflight.version}
            is_saved = self.connection.execute(_UPDATE, {**key, **row}).rowcount == 1
        else:
            is_saved = self._exists(preflight.certificate_id) and insert_new(self.connection, preflights, row)
        if is_saved:
            return saved
        if not self._exists(preflight.certificate_id):
            raise NotFoundError("certificate", preflight.certificate_id)
        stored = self.get(preflight.certificate_id)
        stored_version = None if stored is None else stored.version
        raise StaleWriteError("preflight", preflight.certificate_id, expected=preflight.version, found=stored_version)

    def _exists(self, certificate_id: str) -> bool:
        rows = self.connection.execute(_CERTIFICATE, {"row_id": certificate_id})
        return only(rows, id=certificate_id) is not None

    def due(self, *, now: datetime, limit: int) -> Sequence[Preflight]:
        """The due preflights, longest overdue first."""
        due = list(self.connection.execute(_DUE, {"row_now": now, "row_limit": limit}))
        if len(due) < limit:
            ahead = {"row_latest": now + LONGEST_WAIT, "row_limit": limit - len(due)}
            due += self.connection.execute(_AHEAD, ahead)
        return [_preflight(row) for row in due]

    def unplanned(self, *, limit: int) -> Sequence[str]:
        """Certificates in service that have no preflight."""
        return list(self.connection.execute(_UNPLANNED, {"row_limit": limit}).scalars())


def _row(preflight: Preflight) -> dict[str, Any]:
    return {
        "certificate_id": preflight.certificate_id,
        "due_at": preflight.due_at,
        "checked_at": preflight.checked_at,
        "readiness": None if preflight.readiness is None else preflight.readiness.to_json(),
        "told": preflight.told,
        "version": preflight.version,
    }


def _preflight(row: sa.Row[Any]) -> Preflight:
    return Preflight(
        certificate_id=row.certificate_id,
        due_at=row.due_at,
        checked_at=row.checked_at,
        readiness=None if row.readiness is None else Readiness.from_json(row.readiness),
        told=row.told,
        version=row.version,
    )
