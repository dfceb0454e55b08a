"""Rules of stores for preflights, the regular checks of certificates in service."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from certcore.errors import NotFoundError, StaleWriteError
from certcore.messages import Message
from certcore.model.finding import Change, Finding, RecordChange, Severity
from certcore.model.lifecycle import Status
from certcore.model.preflight import LONGEST_WAIT, Preflight
from certcore.model.readiness import Obstacle, Readiness, WhoseTurn
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import LATER, NOW, sample_authority, sample_certificate

__all__ = ["PreflightsContract", "store_in_service"]


def _obstacle(**changes: Any) -> Obstacle:
    text = "Größe: {count} of {all}"
    finding = Finding(
        code="cname_missing",
        severity=Severity.ERROR,
        name="_acme-challenge.d001.example",
        server="ns1.example 192.0.2.1",
        expected="x",
        seen="nothing",
        cause=Message("a.cause", text, {"count": 1, "all": (Message("a", "x"), "y")}, singular="One of {all}"),
        advice=Message("a.advice", "Set it."),
        remedy=(RecordChange(name="a.example", type="CNAME", value="b.example", change=Change.REMOVE),),
        next_look=LATER,
    )
    values: dict[str, Any] = {"finding": finding, "whose_turn": WhoseTurn.OWNER, "is_certain": False, "target": "web"}
    return Obstacle(**{**values, **changes})


def store_in_service(storage: Storage) -> Storage:
    """The store, with four certificates, three of them in service."""
    with storage.write() as transaction:
        transaction.authorities.add(sample_authority())
        for number, status in ((1, Status.ACTIVE), (2, Status.ACTIVE), (3, Status.PENDING), (4, Status.ACTIVE)):
            transaction.certificates.add(sample_certificate(number, status=status))
    return storage


class PreflightsContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about preflights."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def in_service(self, storage: Storage) -> Storage:
        """Four certificates, three of them in service."""
        return store_in_service(storage)

    def test_a_preflight_comes_back_as_it_was(self, in_service: Storage) -> None:
        """Every field of a preflight and its obstacles is read back unchanged, and texts can still be translated."""
        preflight = Preflight(
            certificate_id="certificate-1",
            due_at=LATER,
            checked_at=NOW,
            readiness=Readiness(obstacles=(_obstacle(), _obstacle(whose_turn=WhoseTurn.NOBODY, target="", since=NOW))),
            told="0123456789abcdef",
        )
        with in_service.write() as transaction:
            assert transaction.preflights.get("certificate-1") is None
            assert transaction.preflights.save(preflight) == evolve(preflight, version=1)
        with in_service.read() as transaction:
            assert transaction.preflights.get("certificate-1") == evolve(preflight, version=1)
        emptied = evolve(preflight, readiness=None, checked_at=None, told="", version=1)
        with in_service.write() as transaction:
            assert transaction.preflights.save(emptied) == evolve(emptied, version=2)
        with in_service.read() as transaction:
            assert transaction.preflights.get("certificate-1") == evolve(emptied, version=2)

    def test_one_of_two_processes_saves_a_preflight(self, in_service: Storage) -> None:
        """A preflight that another process has stored since it was read is not overwritten, not even the first one."""
        first = Preflight(certificate_id="certificate-1", due_at=NOW)
        with in_service.write() as transaction:
            transaction.preflights.save(first)
        for stale in (first, evolve(first, version=7)):
            with pytest.raises(StaleWriteError), in_service.write() as transaction:
                transaction.preflights.save(evolve(stale, due_at=LATER))
        with in_service.read() as transaction:
            assert transaction.preflights.get("certificate-1") == evolve(first, version=1)

    def test_a_preflight_goes_with_its_certificate(self, in_service: Storage) -> None:
        """A deleted certificate has no preflight, and gets none."""
        with in_service.write() as transaction:
            stored = transaction.preflights.save(Preflight(certificate_id="certificate-1", due_at=NOW))
            transaction.certificates.delete("certificate-1")
        with in_service.read() as transaction:
            assert transaction.preflights.get("certificate-1") is None
            assert transaction.preflights.due(now=NOW, limit=10) == []
        for late in (stored, evolve(stored, version=0)):
            with pytest.raises(NotFoundError), in_service.write() as transaction:
                transaction.preflights.save(late)

    def test_the_longest_overdue_preflights_come_first(self, in_service: Storage) -> None:
        """Preflights that are due, or were stored by a wrong clock, are listed by due time, and no others."""
        moments = [NOW, NOW - timedelta(days=1), NOW + LONGEST_WAIT + timedelta(seconds=1), NOW + timedelta(seconds=1)]
        with in_service.write() as transaction:
            for number, due_at in enumerate(moments, 1):
                transaction.preflights.save(Preflight(certificate_id=f"certificate-{number}", due_at=due_at))
        assert self._due(in_service, NOW, 10) == ["certificate-2", "certificate-1", "certificate-3"]
        assert self._due(in_service, NOW, 1) == ["certificate-2"]
        assert self._due(in_service, NOW - timedelta(days=2), 10) == ["certificate-3"]
        assert self._due(in_service, NOW + LONGEST_WAIT, 10) == [f"certificate-{number}" for number in (2, 1, 4)]

    def test_certificates_in_service_without_a_preflight(self, in_service: Storage) -> None:
        """Certificates in service are found, each once, until they have a preflight."""
        with in_service.read() as transaction:
            assert {*transaction.preflights.unplanned(limit=10)} == {f"certificate-{number}" for number in (1, 2, 4)}
            assert len(transaction.preflights.unplanned(limit=2)) == 2
        with in_service.write() as transaction:
            for number in (1, 4):
                transaction.preflights.save(Preflight(certificate_id=f"certificate-{number}", due_at=NOW))
        with in_service.read() as transaction:
            assert list(transaction.preflights.unplanned(limit=10)) == ["certificate-2"]

    @staticmethod
    def _due(storage: Storage, now: datetime, limit: int) -> list[str]:
        with storage.read() as transaction:
            return [preflight.certificate_id for preflight in transaction.preflights.due(now=now, limit=limit)]
