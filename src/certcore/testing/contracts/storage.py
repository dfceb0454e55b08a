"""The rules of stores, as required by the docstrings of `certcore.ports.storage`, as pytest tests.

::

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self):
            with closing(MyStorage()) as storage:
                yield storage
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from attrs import evolve

from certcore.errors import LeaseLostError, StaleWriteError, StorageUnavailableError
from certcore.model.certificate import Schedule
from certcore.model.events import Event, EventKind
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.storage import Storage
from certcore.testing.contracts.deliveries import DeliveriesContract
from certcore.testing.contracts.keys import KeysContract
from certcore.testing.contracts.lists import ListsContract
from certcore.testing.contracts.preflights import PreflightsContract
from certcore.testing.contracts.rows import RowsContract
from certcore.testing.contracts.samples import (
    LATER,
    NOW,
    sample_authority,
    sample_certificate,
    sample_issuance,
)
from certcore.testing.contracts.secrets import SecretsContract
from certcore.testing.contracts.steps import StepContract
from certcore.testing.contracts.timelines import TimelinesContract

__all__ = ["StorageContract"]


class StorageContract(
    RowsContract,
    ListsContract,
    KeysContract,
    SecretsContract,
    StepContract,
    TimelinesContract,
    DeliveriesContract,
    PreflightsContract,
):
    """Inherit this class and define a fixture ``storage``: an empty `Storage` for each test."""

    # -- transactions ---------------------------------------------------------------------------------------------

    def test_everything_or_nothing(self, filled: Storage) -> None:
        """A writing transaction that raises an exception changes nothing."""
        with pytest.raises(ZeroDivisionError), filled.write() as transaction:
            transaction.certificates.save(sample_certificate(wildcard=False))
            transaction.certificates.add(sample_certificate(2))
            transaction.issuances.add(sample_issuance())
            transaction.secrets.put(SecretName("p", "o"), SealedSecret("k", b"w", b"n", b"c"))
            transaction.documents.put("n", "k", {})
            transaction.events.append([Event(certificate_id="certificate-1", kind=EventKind.EDITED, at=NOW)])
            raise ZeroDivisionError
        with filled.read() as transaction:
            assert transaction.certificates.get("certificate-1").wildcard
            assert len(transaction.certificates.page()) == 1
            assert transaction.issuances.of_certificate("certificate-1") == []
            assert transaction.secrets.get(SecretName("p", "o")) is None
            assert transaction.documents.get("n", "k") is None
            assert transaction.events.after(0) == []

    def test_a_transaction_in_which_nothing_happens(self, filled: Storage) -> None:
        """After an empty transaction, the next transaction can begin and is stored."""
        for begin in (filled.write, filled.read, filled.write):
            with begin():
                pass
        self._rename(filled, "renamed")
        with filled.read() as transaction:
            assert transaction.authorities.get("authority-1").name == "renamed"

    def test_a_reader_sees_one_state(self, filled: Storage) -> None:
        """A reading transaction does not see what is committed while it runs."""
        with filled.read() as reading:
            before = reading.certificates.get("certificate-1")
            self._in_a_thread(lambda: self._rename(filled, "renamed"))
            assert reading.certificates.get("certificate-1") == before
            assert reading.authorities.get("authority-1").name == "CA 1"
        with filled.read() as reading:
            assert reading.authorities.get("authority-1").name == "renamed"

    def test_documents_are_listed_in_parts(self, storage: Storage) -> None:
        """Documents with a prefix are listed after a given key, which need not exist, up to a limit."""
        keys = ["a/1", "a/2", "a/3", "b/1"]
        with storage.write() as transaction:
            for key in keys:
                transaction.documents.put("module", key, {})

        def listed(prefix: str, after: str, limit: int) -> list[str]:
            with storage.read() as transaction:
                page = transaction.documents.list("module", prefix=prefix, after=after, limit=limit)
            return [document.key for document in page]

        assert listed("", "", 10) == keys
        assert listed("", "a/2", 10) == ["a/3", "b/1"]
        assert listed("", "a/25", 1) == ["a/3"]
        assert listed("a/", "a/1", 1) == ["a/2"]
        assert listed("a/", "a/3", 10) == []
        assert listed("b/", "a/1", 10) == ["b/1"]

    def test_a_change_mark_tells_of_every_commit(self, filled: Storage) -> None:
        """The mark changes with every commit and only then. A store without marks always returns None."""
        mark = filled.change_mark()
        assert filled.change_mark() == mark
        with filled.read() as transaction:
            transaction.authorities.list()
        assert filled.change_mark() == mark
        with filled.write() as transaction:
            transaction.documents.put("module", "key", {})
        assert (filled.change_mark() == mark) == (mark is None)

    def test_a_second_writing_transaction_in_one_thread_is_refused(self, filled: Storage) -> None:
        """A nested transaction would wait for itself forever, so it fails at once, and the outer one continues."""
        with filled.write() as transaction:
            with pytest.raises(RuntimeError), filled.write():
                pass
            transaction.certificates.save(sample_certificate(wildcard=False))
        with filled.read() as transaction:
            assert not transaction.certificates.get("certificate-1").wildcard

    def test_writers_in_many_threads_lose_nothing(self, storage: Storage) -> None:
        """Read-modify-write inside a writing transaction is safe from any number of threads."""
        with storage.write() as transaction:
            transaction.documents.put("n", "counter", {"value": 0})

        def count() -> None:
            for _ in range(20):
                with storage.write() as transaction:
                    document = transaction.documents.get("n", "counter")
                    assert document is not None
                    transaction.documents.put("n", "counter", {"value": document.value["value"] + 1})

        self._in_a_thread(*[count] * 5)
        with storage.read() as transaction:
            document = transaction.documents.get("n", "counter")
            assert document is not None
            assert document.value == {"value": 100}

    def test_writers_of_the_same_new_row_do_not_hurt_each_other(self, storage: Storage) -> None:
        """Two threads that store the same new document or secret both succeed, unless one requires that it is new."""
        demands: list[str] = []

        def store(number: int) -> None:
            for each in range(20):
                with storage.write() as transaction:
                    transaction.documents.put("n", f"k{each}", {"by": number})
                    sealed = SealedSecret(f"key-{number}", b"w", b"n", b"c")
                    transaction.secrets.put(SecretName("p", f"o{each}"), sealed)
                try:
                    with storage.write() as transaction:
                        transaction.documents.put("n", f"first{each}", {"by": number}, version=0)
                        demands.append(f"first{each}")
                except StaleWriteError:
                    pass

        self._in_a_thread(*(partial(store, number) for number in range(4)))
        with storage.read() as transaction:
            documents = [transaction.documents.get("n", f"k{each}") for each in range(20)]
            assert [document and document.version for document in documents] == [4] * 20
            assert len(transaction.secrets.names("p")) == 20
        assert sorted(demands) == sorted(f"first{each}" for each in range(20))

    def test_steps_and_users_never_wait_for_each_other_for_ever(self, filled: Storage) -> None:
        """Steps store schedule, certificate, issuance and event while users take the certificate over: no deadlock."""
        with filled.write() as transaction:
            transaction.schedules.take_over("certificate-1", due_at=NOW)
            transaction.issuances.add(sample_issuance())
        stored: list[str] = []

        def step() -> None:
            for _ in range(25):
                with filled.write() as transaction:
                    (claimed,) = transaction.schedules.claim_due(now=NOW, owner="w", lease_until=LATER, limit=1) or (
                        transaction.schedules.get("certificate-1"),
                    )
                try:
                    with filled.write() as transaction:
                        transaction.schedules.save(evolve(claimed, lease_owner="", lease_until=None))
                        transaction.certificates.save_progress(sample_certificate())
                        transaction.issuances.save(sample_issuance())
                        event = Event(certificate_id="certificate-1", kind=EventKind.PROCESSING, at=NOW)
                        transaction.events.append([event])
                        stored.append("step")
                except LeaseLostError:
                    pass

        def user() -> None:
            for _ in range(25):
                with filled.write() as transaction:
                    certificate = transaction.certificates.get("certificate-1")
                    transaction.schedules.take_over("certificate-1", due_at=NOW)
                    transaction.certificates.save(certificate)
                    event = Event(certificate_id="certificate-1", kind=EventKind.EDITED, at=NOW)
                    transaction.events.append([event])
                    stored.append("user")

        self._in_a_thread(step, step, user, user)
        assert stored.count("user") == 50
        with filled.read() as transaction:
            assert len(transaction.events.after(0, limit=1000)) == len(stored)
            assert transaction.certificates.get("certificate-1").version == sample_certificate().version + 50

    def test_a_closed_store_says_so(self, storage: Storage) -> None:
        """Closing twice is harmless; using it afterwards raises a CertCoreError."""
        storage.close()
        storage.close()
        with pytest.raises(StorageUnavailableError), storage.read():
            pass
        with pytest.raises(StorageUnavailableError), storage.write():
            pass

    # -- schedules and leases -------------------------------------------------------------------------------------

    def _schedules(self, storage: Storage, *due: datetime | None) -> None:
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, due_at in enumerate(due, start=1):
                transaction.certificates.add(sample_certificate(number))
                transaction.schedules.add(Schedule(certificate_id=f"certificate-{number}", due_at=due_at))

    def _claim(self, storage: Storage, now: datetime, *, owner: str = "one", limit: int = 10) -> list[Schedule]:
        with storage.write() as transaction:
            return list(transaction.schedules.claim_due(now=now, owner=owner, lease_until=LATER, limit=limit))

    def test_only_what_is_due_is_claimed_longest_overdue_first(self, storage: Storage) -> None:
        """Claiming leases the schedules that are due, in the order of their due times, up to the limit."""
        second = timedelta(seconds=1)
        self._schedules(storage, NOW, NOW - second, None, NOW + second, NOW - 2 * second)
        first = self._claim(storage, NOW, limit=2)
        assert [schedule.certificate_id for schedule in first] == ["certificate-5", "certificate-2"]
        assert {(schedule.lease_owner, schedule.lease_until, schedule.token) for schedule in first} == {
            ("one", LATER, 1)
        }
        assert [schedule.certificate_id for schedule in self._claim(storage, NOW)] == ["certificate-1"]
        assert self._claim(storage, NOW) == []
        with storage.read() as transaction:
            assert transaction.schedules.get("certificate-5") == first[0]

    def test_the_most_urgent_is_claimed_first(self, storage: Storage) -> None:
        """The order is by the leaf's end, or a day after the due time if there is no leaf; then by the due time."""
        hour = timedelta(hours=1)
        self._schedules(storage, NOW, NOW, NOW - hour, NOW, NOW, NOW + hour)
        needed = (NOW + 30 * hour, None, NOW + 30 * hour, NOW - hour, NOW + 2 * hour, NOW - 9 * hour)
        with storage.write() as transaction:
            for number, needed_by in enumerate(needed, 1):
                stored = transaction.schedules.get(f"certificate-{number}")
                transaction.schedules.save(evolve(stored, needed_by=needed_by))
        expected = ["certificate-4", "certificate-5", "certificate-2", "certificate-3", "certificate-1"]
        claimed = [schedule.certificate_id for _ in range(3) for schedule in self._claim(storage, NOW, limit=2)]
        assert claimed == expected

    def test_what_is_due_is_read_without_a_lease(self, storage: Storage) -> None:
        """Reading what is due lists what a claim would lease, in the same order, without leasing it."""
        second = timedelta(seconds=1)
        self._schedules(storage, NOW, NOW - second, None, NOW + second, NOW - 2 * second)
        for limit, expected in (
            (2, ["certificate-5", "certificate-2"]),
            (9, ["certificate-5", "certificate-2", "certificate-1"]),
        ):
            with storage.read() as transaction:
                assert transaction.schedules.due(now=NOW, limit=limit) == expected
        self._claim(storage, NOW, limit=2)
        with storage.read() as transaction:
            assert transaction.schedules.due(now=NOW, limit=9) == ["certificate-1"]

    def test_a_lease_that_ran_out_is_claimed_again(self, storage: Storage) -> None:
        """After a lease's end another worker can claim it with a higher token, and the old worker's writes fail."""
        self._schedules(storage, NOW)
        (old,) = self._claim(storage, NOW)
        assert self._claim(storage, LATER - timedelta(microseconds=1), owner="two") == []
        (new,) = self._claim(storage, LATER, owner="two")
        assert new.token > old.token
        for attempt in ("save", "renew"):
            with pytest.raises(LeaseLostError), storage.write() as transaction:
                if attempt == "save":
                    transaction.schedules.save(evolve(old, due_at=None))
                else:
                    transaction.schedules.renew_lease(old.certificate_id, token=old.token, lease_until=LATER)
        with storage.read() as transaction:
            assert transaction.schedules.get(new.certificate_id) == new

    def test_claiming_one(self, storage: Storage) -> None:
        """One certificate can be claimed though it is not due, but not while another lease runs."""
        self._schedules(storage, None)
        with storage.write() as transaction:
            claim = transaction.schedules.claim
            assert claim("certificate-1", now=NOW, owner="one", lease_until=LATER) is not None
            assert claim("certificate-1", now=NOW, owner="two", lease_until=LATER) is None
            assert claim("certificate-1", now=LATER, owner="two", lease_until=LATER) is not None

    def test_saving_gives_a_lease_back(self, storage: Storage) -> None:
        """Due time, attempts and the end of the lease are stored under the current token, which does not change."""
        self._schedules(storage, NOW)
        (claimed,) = self._claim(storage, NOW)
        free = evolve(claimed, due_at=LATER, attempts=3, lease_owner="", lease_until=None)
        with storage.write() as transaction:
            transaction.schedules.save(free)
            assert transaction.schedules.get("certificate-1") == free
        # A renewal that comes too late, from the thread that renews leases, leaves the certificate free.
        with pytest.raises(LeaseLostError), storage.write() as transaction:
            transaction.schedules.renew_lease("certificate-1", token=claimed.token, lease_until=LATER)
        assert self._claim(storage, LATER)[0].token == claimed.token + 1

    def test_renewing_a_lease(self, storage: Storage) -> None:
        """Others cannot claim a certificate before the end of the renewed lease."""
        self._schedules(storage, NOW)
        (claimed,) = self._claim(storage, NOW)
        until = LATER + timedelta(hours=1)
        with storage.write() as transaction:
            transaction.schedules.renew_lease("certificate-1", token=claimed.token, lease_until=until)
        assert self._claim(storage, LATER, owner="two") == []
        assert len(self._claim(storage, until, owner="two")) == 1

    def test_a_users_action_takes_over(self, storage: Storage) -> None:
        """Taking over ends the lease at once, sets the due time, and makes later writes of the old worker fail."""
        self._schedules(storage, NOW)
        (claimed,) = self._claim(storage, NOW)
        with storage.write() as transaction:
            transaction.schedules.save(evolve(claimed, attempts=4))
            schedule = transaction.schedules.take_over("certificate-1", due_at=NOW)
            assert (schedule.attempts, schedule.lease_until, schedule.due_at) == (4, None, NOW)
            assert transaction.schedules.get("certificate-1") == schedule
            assert transaction.schedules.take_over("certificate-1", due_at=None, attempts=0).attempts == 0
        with pytest.raises(LeaseLostError), storage.write() as transaction:
            transaction.schedules.save(claimed)

    def test_when_something_is_due_next(self, storage: Storage) -> None:
        """It is the earliest due time, or the lease's end for a leased schedule; None if nothing is scheduled."""
        self._schedules(storage, None)
        with storage.write() as transaction:
            assert transaction.schedules.next_due(now=NOW) is None
            transaction.schedules.take_over("certificate-1", due_at=NOW)
            assert transaction.schedules.next_due(now=NOW) == NOW
        self._claim(storage, NOW)
        with storage.read() as transaction:
            assert transaction.schedules.next_due(now=NOW) == LATER
            assert transaction.schedules.next_due(now=LATER) == NOW

    # -- schedules written under a wrong clock ----------------------------------------------------------------------

    def test_what_a_wrong_clock_has_put_off_is_made_due(self, storage: Storage) -> None:
        """A schedule that was written in the future is made due now, whatever its due time is."""
        years, day = timedelta(days=6 * 365), timedelta(days=1)
        self._schedules(storage, *[NOW] * 6)
        written = {
            1: (NOW + years, NOW + years),
            2: (NOW + day, NOW + day + timedelta(hours=1)),
            3: (NOW + years, None),
            4: (None, NOW + years),
            5: (NOW, NOW + years),  # a leaf that lives for long, under the right clock
            6: (NOW + timedelta(minutes=10), NOW + day),  # clocks differ by minutes
        }
        with storage.write() as transaction:
            for number, (written_at, due_at) in written.items():
                stored = transaction.schedules.get(f"certificate-{number}")
                transaction.schedules.save(evolve(stored, due_at=due_at, written_at=written_at))
            assert transaction.schedules.repair(now=NOW, limit=100) >= 3
        assert {schedule.certificate_id for schedule in self._claim(storage, NOW)} == {
            f"certificate-{number}" for number in (1, 2, 3, 4)
        }
        with storage.write() as transaction:
            assert transaction.schedules.get("certificate-2").written_at == NOW + day
            # Nothing is made due twice.
            assert transaction.schedules.repair(now=NOW, limit=100) == 0

    def test_a_lease_of_a_wrong_clock_is_taken_away(self, storage: Storage) -> None:
        """A lease that ends impossibly late does not block others, and later writes of its owner fail."""
        self._schedules(storage, NOW, NOW)
        years = timedelta(days=3650)
        with storage.write() as transaction:
            first = transaction.schedules.claim("certificate-1", now=NOW, owner="one", lease_until=NOW + years)
            transaction.schedules.claim("certificate-2", now=NOW, owner="one", lease_until=NOW + years)
        assert first is not None
        assert self._claim(storage, NOW, owner="two") == []
        with storage.write() as transaction:
            assert transaction.schedules.claim("certificate-2", now=NOW, owner="two", lease_until=LATER) is not None
            assert transaction.schedules.repair(now=NOW, limit=100) == 1
        (claimed,) = self._claim(storage, NOW, owner="two")
        with pytest.raises(LeaseLostError), storage.write() as transaction:
            transaction.schedules.save(first)
        assert claimed.token > first.token

    def test_a_repair_takes_no_more_rows_than_it_may(self, storage: Storage) -> None:
        """Each call repairs a limited number of schedules, and repeated calls repair all."""
        self._schedules(storage, *[NOW + timedelta(days=900)] * 7)
        with storage.write() as transaction:
            assert transaction.schedules.repair(now=NOW, limit=4) == 4
            assert transaction.schedules.repair(now=NOW, limit=4) == 3
        assert len(self._claim(storage, NOW)) == 7

    def test_two_claimers_never_get_the_same(self, storage: Storage) -> None:
        """If many threads claim concurrently, every certificate is claimed exactly once."""
        self._schedules(storage, *[NOW] * 40)
        claimed: list[str] = []

        def work() -> None:
            while batch := self._claim(storage, NOW, owner=str(threading.get_ident()), limit=3):
                claimed.extend(schedule.certificate_id for schedule in batch)

        self._in_a_thread(*[work] * 4)
        assert sorted(claimed) == sorted(f"certificate-{number}" for number in range(1, 41))

    # -- helpers --------------------------------------------------------------------------------------------------

    @staticmethod
    def _rename(storage: Storage, name: str) -> None:
        with storage.write() as transaction:
            transaction.authorities.save(sample_authority(name=name))
            transaction.certificates.save(sample_certificate(wildcard=False))

    @staticmethod
    def _in_a_thread(*jobs: Callable[[], object]) -> None:
        failures: list[BaseException] = []

        def run(job: Callable[[], object]) -> None:
            try:
                job()
            except BaseException as error:  # boundary: told to the test's own thread below
                failures.append(error)

        threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        if failures:
            raise failures[0]
