"""The rows of the in-memory store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from attrs import define, field

from certcore.adapters.memory_timelines import MemoryRecord
from certcore.errors import AlreadyExistsError, NotFoundError
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.issuance import Issuance
from certcore.model.preflight import Preflight
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.storage import Document

__all__ = ["MemoryTables", "refuse_taken", "row_of", "users_of"]

_T = TypeVar("_T")


@define(eq=False)
class MemoryTables:
    """All rows. A transaction works on a copy of the dictionaries; the values in them are frozen."""

    certificates: dict[str, Certificate] = field(factory=dict)
    issuances: dict[str, Issuance] = field(factory=dict)
    schedules: dict[str, Schedule] = field(factory=dict)
    preflights: dict[str, Preflight] = field(factory=dict)
    authorities: dict[str, CertificateAuthority] = field(factory=dict)
    secrets: dict[SecretName, SealedSecret] = field(factory=dict)
    record: MemoryRecord = field(factory=MemoryRecord)
    documents: dict[tuple[str, str], Document] = field(factory=dict)

    def copy(self) -> MemoryTables:
        """A copy for a transaction."""
        return MemoryTables(
            certificates=dict(self.certificates),
            issuances=dict(self.issuances),
            schedules=dict(self.schedules),
            preflights=dict(self.preflights),
            authorities=dict(self.authorities),
            secrets=dict(self.secrets),
            record=self.record.copy(),
            documents=dict(self.documents),
        )


def users_of(tables: MemoryTables, authority_id: str) -> list[Certificate]:
    """The certificates that use a CA profile, as their own or as a fallback."""
    return [
        certificate
        for certificate in tables.certificates.values()
        if authority_id in (certificate.authority_id, *certificate.fallbacks)
    ]


def refuse_taken(rows: Mapping[str, object], kind: str, key: str) -> None:
    """Refuse a new row whose key already exists.

    Raises:
        AlreadyExistsError: There is a row with this key.
    """
    if key in rows:
        raise AlreadyExistsError(kind, key)


def row_of(rows: Mapping[str, _T], kind: str, key: str) -> _T:
    """A row by its key.

    Raises:
        NotFoundError: It does not exist.
    """
    try:
        return rows[key]
    except KeyError:
        raise NotFoundError(kind, key) from None
