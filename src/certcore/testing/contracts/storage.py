"""What every store keeps: the docstrings of `certcore.ports.storage`, as tests.

::

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self):
            with closing(MyStorage()) as storage:
                yield storage
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from certcore.errors import (
    AlreadyExists,
    CertCoreError,
    InUse,
    LeaseLost,
    NotFound,
    StaleWrite,
    StorageUnavailable,
)
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate, Schedule
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.renewal import RenewalPolicy
from certcore.model.secret import SealedSecret, SecretName
from certcore.model.subject import Subject
from certcore.ports.storage import Storage

__all__ = ["StorageContract"]

_NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_LATER = _NOW + timedelta(minutes=5)
_PROBLEM = Problem(
    type="urn:ietf:params:acme:error:dns",
    title="Größe",
    detail="no TXT record",
    status=403,
    advice="Set the CNAME.",
    subproblems=(Problem(type="about:blank", identifier="a.example", detail="x"),),
)


def _authority(number: int = 1, **changes: Any) -> CertificateAuthority:
    values: dict[str, Any] = {
        "id": f"authority-{number}",
        "name": f"CA {number}",
        "description": "Straße \N{SNOWMAN}",
        "module": "scripted",
        "settings": {"list": [1, None, "ä"], "nested": {"deep": True}},
        "secrets_set": frozenset({"b", "a"}),
        "created_at": _NOW,
        "updated_at": _NOW,
    }
    return CertificateAuthority(**{**values, **changes})


def _certificate(number: int = 1, **changes: Any) -> Certificate:
    values: dict[str, Any] = {
        "id": f"certificate-{number}",
        "owner": "tenant",
        "domain": DnsName(f"d{number:03}.example"),
        "aliases": (DnsName("www.example"), DnsName("a.example")),
        "wildcard": True,
        "subject": Subject(organization="Größe GmbH", country="de", email="a@b.example"),
        "key_type": KeyType.RSA_3072,
        "renewal": RenewalPolicy(auto=False, days_before=12, rotate_key=False),
        "authority_id": "authority-1",
        "module_data": {"email": "x@y.example"},
        "created_at": _NOW,
        "updated_at": _NOW,
    }
    return Certificate(**{**values, **changes})


def _issuance(number: int = 1, **changes: Any) -> Issuance:
    values: dict[str, Any] = {
        "id": f"issuance-{number}",
        "certificate_id": "certificate-1",
        "number": number,
        "purpose": Purpose.ISSUE,
        "authority_id": "authority-1",
        "names": (DnsName("d001.example"), DnsName("*.d001.example")),
        "key_type": KeyType.EC_P256,
        "key_name": SecretName("certificate-key", f"issuance-{number}"),
        "csr_pem": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "created_at": _NOW,
    }
    return Issuance(**{**values, **changes})


def _leaf() -> Leaf:
    return Leaf(
        names=("d001.example", "*.d001.example"),
        subject="CN=d001.example",
        issuer="CN=Test",
        serial_hex="0a" * 20,
        not_before=_NOW,
        not_after=_NOW + timedelta(days=90),
        signature_algorithm="ecdsa-with-SHA256",
        public_key_algorithm="EC P-256",
        key_size=256,
        fingerprint_sha256="ab" * 32,
        fingerprint_sha1="cd" * 20,
        spki_sha256="ef" * 32,
    )


class StorageContract:
    """Inherit, and give it a fixture ``storage``: an empty `Storage` for each test."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def filled(self, storage: Storage) -> Storage:
        """A store with a CA profile, a certificate and its schedule."""
        with storage.write() as transaction:
            transaction.authorities.add(_authority())
            transaction.certificates.add(_certificate())
            transaction.schedules.add(Schedule(certificate_id="certificate-1"))
        return storage

    # -- transactions ---------------------------------------------------------------------------------------------

    def test_everything_or_nothing(self, filled: Storage) -> None:
        """A writing transaction that raises leaves no trace, whatever it did before."""
        with pytest.raises(ZeroDivisionError), filled.write() as transaction:
            transaction.certificates.save(_certificate(wildcard=False))
            transaction.certificates.add(_certificate(2))
            transaction.issuances.add(_issuance())
            transaction.secrets.put(SecretName("p", "o"), SealedSecret("k", b"w", b"n", b"c"))
            transaction.documents.put("n", "k", {})
            transaction.events.append([Event(certificate_id="certificate-1", kind=EventKind.EDITED, at=_NOW)])
            raise ZeroDivisionError
        with filled.read() as transaction:
            assert transaction.certificates.get("certificate-1").wildcard
            assert len(transaction.certificates.page()) == 1
            assert transaction.issuances.of_certificate("certificate-1") == []
            assert transaction.secrets.get(SecretName("p", "o")) is None
            assert transaction.documents.get("n", "k") is None
            assert transaction.events.after(0) == []

    def test_a_reader_sees_one_state(self, filled: Storage) -> None:
        """What is committed while a reading transaction runs does not show in it."""
        with filled.read() as reading:
            before = reading.certificates.get("certificate-1")
            self._in_a_thread(lambda: self._rename(filled, "renamed"))
            assert reading.certificates.get("certificate-1") == before
            assert reading.authorities.get("authority-1").name == "CA 1"
        with filled.read() as reading:
            assert reading.authorities.get("authority-1").name == "renamed"

    def test_a_second_writing_transaction_in_one_thread_is_refused(self, filled: Storage) -> None:
        """Nesting would wait for itself for ever, so it is an error at once, and the first one goes on."""
        with filled.write() as transaction:
            with pytest.raises(RuntimeError), filled.write():
                pass
            transaction.certificates.save(_certificate(wildcard=False))
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

    def test_a_closed_store_says_so(self, storage: Storage) -> None:
        """Closing twice is harmless; using it afterwards is an error in words."""
        storage.close()
        storage.close()
        with pytest.raises(StorageUnavailable), storage.read():
            pass
        with pytest.raises(StorageUnavailable), storage.write():
            pass

    # -- certificates ---------------------------------------------------------------------------------------------

    def test_a_certificate_comes_back_as_it_went_in(self, storage: Storage) -> None:
        """Every field of a certificate survives, with microseconds and beyond ASCII."""
        full = _certificate(
            status=Status.ACTIVE,
            issuance_id="i2",
            active_issuance_id="i1",
            not_after=_LATER,
            problem=_PROBLEM,
            version=7,
        )
        plain = Certificate(
            id="plain", domain=DnsName("p.example"), authority_id="authority-1", created_at=_NOW, updated_at=_NOW
        )
        with storage.write() as transaction:
            transaction.authorities.add(_authority())
            transaction.certificates.add(full)
            transaction.certificates.add(plain)
        with storage.read() as transaction:
            assert transaction.certificates.get("certificate-1") == full
            assert transaction.certificates.get("plain") == plain

    def test_a_stale_save_is_refused(self, filled: Storage) -> None:
        """Of two edits of one version the second is refused, names both versions, and changes nothing."""
        read = _certificate()
        with filled.write() as transaction:
            saved = transaction.certificates.save(evolve(read, wildcard=False))
        assert saved.version == read.version + 1
        with pytest.raises(StaleWrite) as caught, filled.write() as transaction:
            transaction.certificates.save(evolve(read, key_type=KeyType.EC_P384))
        assert (caught.value.expected, caught.value.found) == (1, 2)
        with pytest.raises(StaleWrite) as caught, filled.write() as transaction:
            transaction.certificates.save(_certificate(9))
        assert caught.value.found is None
        with filled.read() as transaction:
            assert transaction.certificates.get("certificate-1") == saved

    def test_progress_touches_nothing_that_users_edit(self, filled: Storage) -> None:
        """The engine writes its own columns only, and leaves the version: an edit at the same time is kept."""
        with filled.write() as transaction:
            edited = transaction.certificates.save(_certificate(wildcard=False))
            old = _certificate(
                status=Status.PENDING, issuance_id="i", not_after=_LATER, problem=_PROBLEM, updated_at=_LATER
            )
            transaction.certificates.save_progress(old)
        with filled.read() as transaction:
            found = transaction.certificates.get("certificate-1")
        assert found == evolve(
            edited,
            status=Status.PENDING,
            issuance_id="i",
            not_after=_LATER,
            problem=_PROBLEM,
            updated_at=_LATER,
        )

    def test_deleting_takes_everything_but_the_timeline(self, filled: Storage) -> None:
        """With a certificate go its issuances and its schedule; its events stay."""
        with filled.write() as transaction:
            transaction.issuances.add(_issuance())
            transaction.events.append([Event(certificate_id="certificate-1", kind=EventKind.CREATED, at=_NOW)])
            transaction.certificates.delete("certificate-1")
        with filled.read() as transaction:
            assert transaction.issuances.of_certificate("certificate-1") == []
            for missing in (transaction.certificates.get, transaction.schedules.get):
                with pytest.raises(NotFound):
                    missing("certificate-1")
            with pytest.raises(NotFound):
                transaction.issuances.get("issuance-1")
            assert [one.kind for one in transaction.events.of_certificate("certificate-1")] == [EventKind.CREATED]

    def test_what_is_missing_is_not_found(self, filled: Storage) -> None:
        """Every access to something that is not there is a NotFound with its kind, never an empty success."""
        missing = _certificate(9)
        with filled.write() as transaction:
            calls = [
                lambda: transaction.certificates.get("x"),
                lambda: transaction.certificates.save_progress(missing),
                lambda: transaction.certificates.delete("x"),
                lambda: transaction.certificates.page(after="x"),
                lambda: transaction.issuances.get("x"),
                lambda: transaction.issuances.save(_issuance(9)),
                lambda: transaction.schedules.get("x"),
                lambda: transaction.schedules.claim("x", now=_NOW, owner="o", lease_until=_LATER),
                lambda: transaction.schedules.take_over("x", due_at=None),
                lambda: transaction.authorities.get("x"),
                lambda: transaction.authorities.delete("x"),
            ]
            for call in calls:
                with pytest.raises(NotFound):
                    call()

    @pytest.mark.parametrize("what", ["certificate", "issuance", "schedule"])
    def test_nothing_is_stored_for_a_parent_that_is_not_there(self, storage: Storage, what: str) -> None:
        """A certificate needs its CA profile; an issuance and a schedule need their certificate."""
        with pytest.raises(NotFound), storage.write() as transaction:
            match what:
                case "certificate":
                    transaction.certificates.add(_certificate())
                case "issuance":
                    transaction.issuances.add(_issuance())
                case _:
                    transaction.schedules.add(Schedule(certificate_id="certificate-1"))

    def test_pages_follow_each_other_without_gaps(self, storage: Storage) -> None:
        """Pages come in the order of domain and id, each row once, also when rows come and go between two pages."""
        with storage.write() as transaction:
            transaction.authorities.add(_authority())
            for number in (5, 3, 1, 4, 2):
                transaction.certificates.add(_certificate(number))
            transaction.certificates.add(_certificate(30, domain=DnsName("d003.example")))
        seen: list[str] = []
        with storage.read() as transaction:
            seen += [one.id for one in transaction.certificates.page(limit=3)]
        with storage.write() as transaction:
            transaction.certificates.delete("certificate-1")
            transaction.certificates.add(_certificate(6))
        with storage.read() as transaction:
            seen += [one.id for one in transaction.certificates.page(after=seen[-1], limit=3)]
            seen += [one.id for one in transaction.certificates.page(after=seen[-1], limit=3)]
            assert transaction.certificates.page(after=seen[-1]) == []
        assert seen == [f"certificate-{number}" for number in (1, 2, 3, 30, 4, 5, 6)]

    def test_filters(self, filled: Storage) -> None:
        """Status, CA profile and owner narrow a list, alone and together."""
        with filled.write() as transaction:
            transaction.authorities.add(_authority(2))
            transaction.certificates.add(_certificate(2, authority_id="authority-2", status=Status.ACTIVE))
            transaction.certificates.add(_certificate(3, owner="other"))
        with filled.read() as transaction:
            page = transaction.certificates.page
            assert [one.id for one in page(status=Status.ACTIVE)] == ["certificate-2"]
            assert [one.id for one in page(authority_id="authority-1")] == ["certificate-1", "certificate-3"]
            assert [one.id for one in page(owner="other")] == ["certificate-3"]
            assert page(owner="other", status=Status.ACTIVE) == []
            assert page(owner="OTHER") == []

    def test_finding_by_domain(self, filled: Storage) -> None:
        """All certificates of a primary name are found, the oldest first; aliases and wildcards do not count."""
        with filled.write() as transaction:
            older = _certificate(2, domain=DnsName("d001.example"), created_at=_NOW - timedelta(days=1))
            transaction.certificates.add(older)
        with filled.read() as transaction:
            found = transaction.certificates.find_by_domain(DnsName("d001.example"))
            assert [one.id for one in found] == ["certificate-2", "certificate-1"]
            assert transaction.certificates.find_by_domain(DnsName("www.example")) == []

    # -- issuances ------------------------------------------------------------------------------------------------

    def test_an_issuance_comes_back_as_it_went_in(self, filled: Storage) -> None:
        """Every field of an issuance survives, and saving keeps what does not change."""
        fresh = _issuance()
        done = evolve(
            fresh,
            module_state={"stage": "ordered", "list": [1, 2.5, None, "ü"]},
            findings={"seen": []},
            outcome=Outcome.ISSUED,
            needs_clean_up=True,
            leaf_pem="leaf",
            chain_pem="",
            leaf=_leaf(),
            problem=_PROBLEM,
            finished_at=_LATER,
        )
        with filled.write() as transaction:
            transaction.issuances.add(fresh)
            transaction.issuances.add(_issuance(2))
        with filled.write() as transaction:
            assert transaction.issuances.get(fresh.id) == fresh
            transaction.issuances.save(evolve(done, csr_pem="changed", names=()))
        with filled.read() as transaction:
            assert transaction.issuances.get(fresh.id) == done
            assert [one.number for one in transaction.issuances.of_certificate("certificate-1")] == [1, 2]

    # -- schedules and leases -------------------------------------------------------------------------------------

    def _schedules(self, storage: Storage, *due: datetime | None) -> None:
        with storage.write() as transaction:
            transaction.authorities.add(_authority())
            for number, due_at in enumerate(due, start=1):
                transaction.certificates.add(_certificate(number))
                transaction.schedules.add(Schedule(certificate_id=f"certificate-{number}", due_at=due_at))

    def _claim(self, storage: Storage, now: datetime, *, owner: str = "one", limit: int = 10) -> list[Schedule]:
        with storage.write() as transaction:
            return list(transaction.schedules.claim_due(now=now, owner=owner, lease_until=_LATER, limit=limit))

    def test_only_what_is_due_is_claimed_longest_overdue_first(self, storage: Storage) -> None:
        """Claiming takes what is due by now, in the order of its time, no more than asked, and leases it."""
        second = timedelta(seconds=1)
        self._schedules(storage, _NOW, _NOW - second, None, _NOW + second, _NOW - 2 * second)
        first = self._claim(storage, _NOW, limit=2)
        assert [one.certificate_id for one in first] == ["certificate-5", "certificate-2"]
        assert {(one.lease_owner, one.lease_until, one.token) for one in first} == {("one", _LATER, 1)}
        assert [one.certificate_id for one in self._claim(storage, _NOW)] == ["certificate-1"]
        assert self._claim(storage, _NOW) == []
        with storage.read() as transaction:
            assert transaction.schedules.get("certificate-5") == first[0]

    def test_a_lease_that_ran_out_is_claimed_again(self, storage: Storage) -> None:
        """After a lease's end another owner gets the certificate, with a higher token; the old one's writes fail."""
        self._schedules(storage, _NOW)
        (old,) = self._claim(storage, _NOW)
        assert self._claim(storage, _LATER - timedelta(microseconds=1), owner="two") == []
        (new,) = self._claim(storage, _LATER, owner="two")
        assert new.token > old.token
        for attempt in ("save", "renew"):
            with pytest.raises(LeaseLost), storage.write() as transaction:
                if attempt == "save":
                    transaction.schedules.save(evolve(old, due_at=None))
                else:
                    transaction.schedules.renew_lease(old.certificate_id, token=old.token, lease_until=_LATER)
        with storage.read() as transaction:
            assert transaction.schedules.get(new.certificate_id) == new

    def test_claiming_one(self, storage: Storage) -> None:
        """One certificate can be claimed though it is not due, but not while another lease runs."""
        self._schedules(storage, None)
        with storage.write() as transaction:
            claim = transaction.schedules.claim
            assert claim("certificate-1", now=_NOW, owner="one", lease_until=_LATER) is not None
            assert claim("certificate-1", now=_NOW, owner="two", lease_until=_LATER) is None
            assert claim("certificate-1", now=_LATER, owner="two", lease_until=_LATER) is not None

    def test_saving_gives_a_lease_back(self, storage: Storage) -> None:
        """Due time, attempts and lease are stored under the current token, which stays."""
        self._schedules(storage, _NOW)
        (held,) = self._claim(storage, _NOW)
        free = evolve(held, due_at=_LATER, attempts=3, lease_owner="", lease_until=None)
        with storage.write() as transaction:
            transaction.schedules.save(free)
            assert transaction.schedules.get("certificate-1") == free
        assert self._claim(storage, _LATER)[0].token == held.token + 1

    def test_renewing_a_lease(self, storage: Storage) -> None:
        """A renewed lease keeps others away for longer."""
        self._schedules(storage, _NOW)
        (held,) = self._claim(storage, _NOW)
        until = _LATER + timedelta(hours=1)
        with storage.write() as transaction:
            transaction.schedules.renew_lease("certificate-1", token=held.token, lease_until=until)
        assert self._claim(storage, _LATER, owner="two") == []
        assert len(self._claim(storage, until, owner="two")) == 1

    def test_a_users_action_takes_over(self, storage: Storage) -> None:
        """Taking over ends the lease at once, sets the next look, and fences the old owner out."""
        self._schedules(storage, _NOW)
        (held,) = self._claim(storage, _NOW)
        with storage.write() as transaction:
            transaction.schedules.save(evolve(held, attempts=4))
            taken = transaction.schedules.take_over("certificate-1", due_at=_NOW)
            assert (taken.attempts, taken.lease_until, taken.due_at) == (4, None, _NOW)
            assert transaction.schedules.get("certificate-1") == taken
            assert transaction.schedules.take_over("certificate-1", due_at=None, attempts=0).attempts == 0
        with pytest.raises(LeaseLost), storage.write() as transaction:
            transaction.schedules.save(held)

    def test_when_something_is_due_next(self, storage: Storage) -> None:
        """The next moment is the earliest due time, or for what is leased the lease's end; None when all rest."""
        self._schedules(storage, None)
        with storage.write() as transaction:
            assert transaction.schedules.next_due(now=_NOW) is None
            transaction.schedules.take_over("certificate-1", due_at=_NOW)
            assert transaction.schedules.next_due(now=_NOW) == _NOW
        self._claim(storage, _NOW)
        with storage.read() as transaction:
            assert transaction.schedules.next_due(now=_NOW) == _LATER
            assert transaction.schedules.next_due(now=_LATER) == _NOW

    def test_two_claimers_never_get_the_same(self, storage: Storage) -> None:
        """Claiming from many threads at once hands every certificate out exactly once."""
        self._schedules(storage, *[_NOW] * 40)
        claimed: list[str] = []

        def work() -> None:
            while found := self._claim(storage, _NOW, owner=str(threading.get_ident()), limit=3):
                claimed.extend(one.certificate_id for one in found)

        self._in_a_thread(*[work] * 4)
        assert sorted(claimed) == sorted(f"certificate-{number}" for number in range(1, 41))

    # -- CA profiles ----------------------------------------------------------------------------------------------

    def test_profiles(self, storage: Storage) -> None:
        """A profile comes back as it went in, is found by its exact name, and is listed by name."""
        with storage.write() as transaction:
            transaction.authorities.add(_authority(2))
            transaction.authorities.add(_authority(1))
        with storage.read() as transaction:
            assert transaction.authorities.get("authority-1") == _authority(1)
            assert transaction.authorities.by_name("CA 2") == _authority(2)
            assert transaction.authorities.by_name("ca 2") is None
            assert [one.name for one in transaction.authorities.list()] == ["CA 1", "CA 2"]

    def test_profile_names_are_unique(self, storage: Storage) -> None:
        """A name that is taken is refused, for a new profile and for a renamed one."""
        with storage.write() as transaction:
            transaction.authorities.add(_authority(1))
            transaction.authorities.add(_authority(2))
        with pytest.raises(AlreadyExists), storage.write() as transaction:
            transaction.authorities.add(_authority(3, name="CA 1"))
        with pytest.raises(AlreadyExists), storage.write() as transaction:
            transaction.authorities.save(_authority(2, name="CA 1"))
        with storage.read() as transaction:
            assert [one.id for one in transaction.authorities.list()] == ["authority-1", "authority-2"]

    def test_a_stale_profile_is_refused(self, filled: Storage) -> None:
        """Of two edits of one version the second is refused."""
        with filled.write() as transaction:
            assert transaction.authorities.save(_authority(description="new")).version == 2
        for stale, found in ((_authority(), 2), (_authority(9), None)):
            with pytest.raises(StaleWrite) as caught, filled.write() as transaction:
                transaction.authorities.save(stale)
            assert caught.value.found == found

    def test_a_profile_in_use_stays(self, filled: Storage) -> None:
        """Deleting a profile that a certificate uses is refused with the certificate's domain; afterwards it goes."""
        with pytest.raises(InUse) as caught, filled.write() as transaction:
            transaction.authorities.delete("authority-1")
        assert caught.value.users == ("d001.example",)
        with filled.write() as transaction:
            assert transaction.certificates.domains_using("authority-1") == ["d001.example"]
            transaction.certificates.delete("certificate-1")
            transaction.authorities.delete("authority-1")
            assert transaction.authorities.list() == []

    # -- secrets, events, documents -------------------------------------------------------------------------------

    def test_sealed_secrets(self, storage: Storage) -> None:
        """A sealed secret comes back byte by byte, is replaced as a whole, and is listed by purpose and prefix."""
        every_byte = bytes(range(256))
        sealed = SealedSecret(key_id="k1", wrapped_key=every_byte, nonce=b"\0" * 12, ciphertext=every_byte * 100)
        with storage.write() as transaction:
            for owner in ("a/1", "a/2", "b/1", "a%", "A/1"):
                transaction.secrets.put(SecretName("p", owner), sealed)
            transaction.secrets.put(SecretName("q", "a/3"), sealed)
            transaction.secrets.put(SecretName("p", "a/1"), evolve(sealed, key_id="k2"))
            transaction.secrets.delete(SecretName("p", "b/1"))
            transaction.secrets.delete(SecretName("p", "never there"))
        with storage.read() as transaction:
            assert transaction.secrets.get(SecretName("p", "a/1")) == evolve(sealed, key_id="k2")
            assert transaction.secrets.get(SecretName("p", "b/1")) is None
            assert [one.owner_id for one in transaction.secrets.names("p", prefix="a/")] == ["a/1", "a/2"]
            assert [one.owner_id for one in transaction.secrets.names("p")] == ["A/1", "a%", "a/1", "a/2"]

    def test_events_are_numbered_in_order(self, storage: Storage) -> None:
        """Events get growing numbers; a timeline is the newest ones, oldest first; what follows a number is found."""
        events = [
            Event(
                certificate_id=f"certificate-{number % 2}",
                kind=EventKind.EDITED,
                at=_NOW + timedelta(seconds=number),
                actor="ä",
                from_status=Status.DRAFT if number else None,
                to_status=Status.PENDING,
                data={"number": number},
                problem=_PROBLEM if number else None,
            )
            for number in range(6)
        ]
        with storage.write() as transaction:
            transaction.events.append(events[:4])
            transaction.events.append(events[4:])
            transaction.events.append([])
        with storage.read() as transaction:
            stored = transaction.events.after(0)
            assert [evolve(one, sequence=0) for one in stored] == events
            numbers = [one.sequence for one in stored]
            assert numbers == sorted(set(numbers))
            assert numbers[0] > 0
            assert transaction.events.after(numbers[2], limit=2) == stored[3:5]
            assert transaction.events.of_certificate("certificate-1", limit=2) == [stored[3], stored[5]]
            assert transaction.events.after(numbers[-1]) == []

    def test_documents(self, storage: Storage) -> None:
        """Documents live in namespaces, have versions, and are listed by prefix exactly as it is written."""
        with storage.write() as transaction:
            documents = transaction.documents
            for key in ("txt/b", "txt/a", "txt", "TXT/c", "txt_", "tx%", "txt/\N{SNOWMAN}"):
                documents.put("one", key, {"key": key})
            documents.put("two", "txt/z", {})
            again = documents.put("one", "txt/a", {"new": [1, {"x": None}]})
            assert (again.version, again.value) == (2, {"new": [1, {"x": None}]})
            documents.delete("one", "never there")
            documents.delete("two", "txt/z")
        with storage.read() as transaction:
            listed = transaction.documents.list("one", prefix="txt/")
            assert [one.key for one in listed] == ["txt/a", "txt/b", "txt/\N{SNOWMAN}"]
            assert listed[0] == again
            assert [one.key for one in transaction.documents.list("one", prefix="txt_")] == ["txt_"]
            assert [one.key for one in transaction.documents.list("one", limit=2)] == ["TXT/c", "tx%"]
            assert transaction.documents.list("two") == []
            assert transaction.documents.get("two", "txt/a") is None

    def test_documents_demand_versions(self, storage: Storage) -> None:
        """A put can demand that there is nothing yet, or an exact version; else nothing is written."""
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {"v": 1}, version=0)
        for demanded in (0, 2, 7):
            with pytest.raises(StaleWrite), storage.write() as transaction:
                transaction.documents.put("n", "k", {"v": 2}, version=demanded)
        with pytest.raises(StaleWrite), storage.write() as transaction:
            transaction.documents.put("n", "new", {}, version=1)
        with storage.write() as transaction:
            assert transaction.documents.put("n", "k", {"v": 3}, version=1).version == 2
            assert transaction.documents.get("n", "new") is None

    def test_only_json_is_stored(self, storage: Storage) -> None:
        """What is not plain JSON is refused, and stored values do not change behind the store's back."""
        value: dict[str, Any] = {"list": [1]}
        with storage.write() as transaction:
            transaction.documents.put("n", "k", value)
            value["list"].append(2)
        with pytest.raises((TypeError, CertCoreError)), storage.write() as transaction:
            transaction.documents.put("n", "bad", {"set": {1, 2}})
        with storage.read() as transaction:
            document = transaction.documents.get("n", "k")
            assert document is not None
            assert document.value == {"list": [1]}
            assert transaction.documents.get("n", "bad") is None

    # -- tools ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _rename(storage: Storage, name: str) -> None:
        with storage.write() as transaction:
            transaction.authorities.save(_authority(name=name))
            transaction.certificates.save(_certificate(wildcard=False))

    @staticmethod
    def _in_a_thread(*jobs: Any) -> None:
        failures: list[BaseException] = []

        def run(job: Any) -> None:
            try:
                job()
            except BaseException as error:  # boundary: told to the test's own thread below
                failures.append(error)

        threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if failures:
            raise failures[0]
