"""Rules of stores for the data that a step reads and writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from attrs import evolve

from certcore.errors import LeaseLostError, NotFoundError, StaleWriteError
from certcore.model.certificate import Certificate, Schedule
from certcore.model.issuance import Issuance, Outcome
from certcore.model.renewal_info import RenewalInfo
from certcore.model.secret import SealedSecret
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import LATER, NOW, sample_certificate, sample_issuance, sample_leaf

__all__ = ["StepContract"]

_OLD: Final = NOW - timedelta(days=30)


def _finished(number: int, **changes: Any) -> Issuance:
    values: dict[str, Any] = {"outcome": Outcome.ISSUED, "leaf": sample_leaf(), "finished_at": _OLD, **changes}
    return evolve(sample_issuance(number), **values)


class StepContract:
    """See `certcore.testing.contracts.storage.StorageContract`, which provides ``storage`` and ``filled``."""

    def _issuances(self, storage: Storage, *issuances: Issuance) -> Certificate:
        """Store issuances, of which the second is in service."""
        certificate = evolve(sample_certificate(1), active_issuance_id="issuance-2")
        with storage.write() as transaction:
            transaction.certificates.save_progress(certificate)
            for issuance in issuances:
                transaction.issuances.add(issuance)
                transaction.issuances.save(issuance)
        return certificate

    def test_a_step_reads_what_is_live(self, filled: Storage) -> None:
        """Issuances that are in service, under way, held outside, new or recent are read; older ones are not."""
        certificate = self._issuances(
            filled,
            _finished(1),
            _finished(2),
            _finished(3),
            _finished(4, needs_clean_up=True),
            _finished(5, finished_at=NOW),
            sample_issuance(6),
            _finished(7),
            _finished(8),
        )
        with filled.read() as transaction:
            live = transaction.issuances.live(certificate, since=NOW)
            everything = transaction.issuances.of_certificate(certificate.id)
        assert [issuance.number for issuance in live] == [2, 4, 5, 6, 8]
        assert live == [issuance for issuance in everything if issuance.number in {2, 4, 5, 6, 8}]

    def test_renewal_information_is_stored_by_itself(self, filled: Storage) -> None:
        """The renewal information of an issuance's leaf can be stored without changing the rest of the issuance."""
        certificate = self._issuances(filled, _finished(1), _finished(2))
        info = RenewalInfo(check_at=LATER, start=NOW, end=LATER, renew_at=NOW, failures=2)
        before = _finished(1, renewal_info=evolve(info, failures=3))
        with filled.write() as transaction:
            transaction.issuances.save_renewal_info(before)
            transaction.issuances.save_renewal_info(_finished(2, renewal_info=info, module_state={"not": "stored"}))
        with filled.write() as transaction:
            transaction.issuances.save(_finished(2, told=("failing",)))
        with filled.read() as transaction:
            of_both = transaction.issuances.of_certificate(certificate.id)
            assert of_both == [_finished(1), _finished(2, renewal_info=info, told=("failing",))]
            assert transaction.issuances.get("issuance-2") == of_both[1]
            assert transaction.issuances.live(certificate, since=NOW) == of_both[1:]
        with filled.write() as transaction:
            schedule = transaction.schedules.take_over(certificate.id, due_at=NOW)
            transaction.schedules.save(evolve(schedule, due_at=LATER))
        with filled.read() as transaction:
            assert transaction.issuances.get("issuance-2").renewal_info == info
        with filled.write() as transaction, pytest.raises(NotFoundError):
            transaction.issuances.save_renewal_info(_finished(2, certificate_id="x", renewal_info=info))

    def test_keys_of_leaves_that_have_ended(self, filled: Storage) -> None:
        """The stored keys of leaves that have ended are found, except a key that is to be kept."""
        ended, lasting = sample_leaf(), evolve(sample_leaf(), not_after=NOW + timedelta(days=200))
        kept = sample_issuance(2).key_name
        certificate = self._issuances(
            filled,
            _finished(1, leaf=ended),
            _finished(2, leaf=ended),
            _finished(3, leaf=ended, key_name=kept),
            _finished(4, leaf=ended),
            _finished(5, leaf=lasting),
            sample_issuance(6),
        )
        sealed = SealedSecret(key_id="k", wrapped_key=b"w", nonce=b"n", ciphertext=b"c")
        with filled.write() as transaction:
            for number in (1, 2, 5, 6):
                transaction.secrets.put(sample_issuance(number).key_name, sealed)
        with filled.read() as transaction:
            ended_keys = transaction.issuances.ended_keys(certificate.id, before=ended.not_after, kept=kept)
            assert set(ended_keys) == {sample_issuance(1).key_name}
            assert not transaction.issuances.ended_keys(certificate.id, before=NOW, kept=kept)

    def test_a_step_ends_under_its_lease(self, filled: Storage) -> None:
        """A step's schedule is stored under its token; a step that was requested meanwhile stays due."""
        with filled.write() as transaction:
            begun = transaction.schedules.claim("certificate-1", now=NOW, owner="me", lease_until=LATER)
            assert begun is not None
            ended = evolve(begun, due_at=LATER, attempts=2, lease_owner="", lease_until=None, written_at=NOW)
            assert transaction.schedules.finish(ended, begun=begun) == ended
            assert transaction.schedules.get("certificate-1") == ended
            finished = evolve(ended, due_at=NOW, attempts=0)
            transaction.schedules.save(finished)
            stored = transaction.schedules.finish(evolve(ended, due_at=None), begun=ended)
            assert (stored.due_at, stored.attempts) == (NOW, 0)
            assert transaction.schedules.get("certificate-1") == stored
            transaction.schedules.take_over("certificate-1", due_at=NOW)
        for begun in (stored, evolve(stored, due_at=LATER)):
            self._refused(filled, stored, begun)

    def _refused(self, storage: Storage, schedule: Schedule, begun: Schedule) -> None:
        with pytest.raises(LeaseLostError), storage.write() as transaction:
            transaction.schedules.finish(schedule, begun=begun)

    def test_many_documents_at_once(self, storage: Storage) -> None:
        """Several documents are read by their exact keys, and documents are deleted by an exact prefix."""
        keys = ("a/1", "a/2", "A/1", "a", "a_1", "a/\N{SNOWMAN}")
        with storage.write() as transaction:
            for key in keys:
                transaction.documents.put("one", key, {"key": key})
            transaction.documents.put("two", "a/1", {})
            transaction.documents.put("one", "a/2", {"key": "changed"})
        with storage.read() as transaction:
            documents = transaction.documents.get_many("one", ["a/1", "a/2", "a/3", "A"])
            assert {
                key: (document.key, document.version, document.value["key"]) for key, document in documents.items()
            } == {
                "a/1": ("a/1", 1, "a/1"),
                "a/2": ("a/2", 2, "changed"),
            }
            assert transaction.documents.get_many("one", []) == {}
        with storage.write() as transaction:
            assert transaction.documents.get_many("one", ["a"]).keys() == {"a"}
            transaction.documents.delete_prefix("one", "a/")
            transaction.documents.delete_prefix("one", "never there")
        with storage.read() as transaction:
            assert [document.key for document in transaction.documents.list("one")] == ["A/1", "a", "a_1"]
            assert transaction.documents.get("two", "a/1") is not None

    def test_a_document_that_was_deleted_meanwhile_is_a_stale_write(self, storage: Storage) -> None:
        """A required version of a deleted document is refused, and nothing is stored."""
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {}, version=0)
            transaction.documents.delete("n", "k")
        with pytest.raises(StaleWriteError), storage.write() as transaction:
            transaction.documents.put("n", "k", {}, version=1)
        with storage.read() as transaction:
            assert transaction.documents.get("n", "k") is None
