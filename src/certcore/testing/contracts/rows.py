"""Rules of stores for rows: they are read back unchanged, and versions protect them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from attrs import evolve

from certcore.errors import AlreadyExistsError, CertCoreError, InUseError, NotFoundError, StaleWriteError
from certcore.model.certificate import Certificate, Schedule
from certcore.model.engine_state import EngineState
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Outcome
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.renewal import RenewalReason
from certcore.model.search import Search
from certcore.model.secret import SealedSecret, SecretName
from certcore.model.standing import Attempt, ConditionStatus, ConditionType, Standing, StatusSince
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import (
    LATER,
    NOW,
    PROBLEM,
    sample_authority,
    sample_certificate,
    sample_issuance,
    sample_leaf,
)

__all__ = ["RowsContract", "filled_store"]

STANDING: Final = Standing(
    attempt=Attempt.OWNER,
    waits_since=NOW,
    begins_at=NOW,
    renews_at=LATER,
    renews_because=RenewalReason.BEFORE_END,
    late_at=LATER,
    conditions={
        ConditionType.READY: StatusSince(ConditionStatus.TRUE, NOW),
        ConditionType.RENEWAL_IN_DANGER: StatusSince(ConditionStatus.UNKNOWN, None),
    },
)


def filled_store(storage: Storage) -> Storage:
    """The store, with a CA profile, a certificate and its schedule."""
    with storage.write() as transaction:
        transaction.authorities.add(sample_authority())
        transaction.certificates.add(sample_certificate())
        transaction.schedules.add(Schedule(certificate_id="certificate-1"))
    return storage


class RowsContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about rows."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def filled(self, storage: Storage) -> Storage:
        """A store with a CA profile, a certificate and its schedule."""
        return filled_store(storage)

    # -- certificates ---------------------------------------------------------------------------------------------

    def test_a_certificate_comes_back_as_it_went_in(self, storage: Storage) -> None:
        """Every field of a certificate is read back unchanged, with microseconds and characters beyond ASCII."""
        full = sample_certificate(
            status=Status.ACTIVE,
            issuance_id="i2",
            active_issuance_id="i1",
            csr_pem="-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            not_after=LATER,
            problem=PROBLEM,
            standing=STANDING,
            version=7,
        )
        plain = Certificate(
            id="plain", domain=DnsName("p.example"), authority_id="authority-1", created_at=NOW, updated_at=NOW
        )
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            transaction.certificates.add(full)
            transaction.certificates.add(plain)
        with storage.read() as transaction:
            assert transaction.certificates.get("certificate-1") == full
            assert transaction.certificates.get("certificate-1").standing == STANDING  # `==` leaves it out
            assert transaction.certificates.get("plain") == plain

    def test_a_stale_save_is_refused(self, filled: Storage) -> None:
        """Of two edits of one version, the second is refused and changes nothing; the error names both versions."""
        read = sample_certificate()
        with filled.write() as transaction:
            saved = transaction.certificates.save(evolve(read, wildcard=False))
        assert saved.version == read.version + 1
        with pytest.raises(StaleWriteError) as caught, filled.write() as transaction:
            transaction.certificates.save(evolve(read, key_type=KeyType.EC_P384))
        assert (caught.value.expected, caught.value.found) == (1, 2)
        with pytest.raises(StaleWriteError) as caught, filled.write() as transaction:
            transaction.certificates.save(sample_certificate(9))
        assert caught.value.found is None
        with filled.read() as transaction:
            assert transaction.certificates.get("certificate-1") == saved

    def test_progress_touches_nothing_that_users_edit(self, filled: Storage) -> None:
        """The engine changes only its own columns and not the version, so a concurrent edit is kept."""
        with filled.write() as transaction:
            edited = transaction.certificates.save(sample_certificate(wildcard=False))
            old = sample_certificate(
                status=Status.PENDING,
                issuance_id="i",
                not_after=LATER,
                problem=PROBLEM,
                standing=STANDING,
                updated_at=LATER,
            )
            transaction.certificates.save_progress(old)
        with filled.read() as transaction:
            certificate = transaction.certificates.get("certificate-1")
        assert certificate.standing == STANDING
        assert certificate == evolve(
            edited,
            status=Status.PENDING,
            issuance_id="i",
            not_after=LATER,
            problem=PROBLEM,
            updated_at=LATER,
        )

    def test_deleting_takes_everything_but_the_timeline(self, filled: Storage) -> None:
        """The issuances and the schedule of a deleted certificate are deleted, too; its events are kept."""
        with filled.write() as transaction:
            transaction.issuances.add(sample_issuance())
            transaction.events.append([Event(certificate_id="certificate-1", kind=EventKind.CREATED, at=NOW)])
            transaction.certificates.delete("certificate-1")
        with filled.read() as transaction:
            assert transaction.issuances.of_certificate("certificate-1") == []
            for missing in (transaction.certificates.get, transaction.schedules.get):
                with pytest.raises(NotFoundError):
                    missing("certificate-1")
            with pytest.raises(NotFoundError):
                transaction.issuances.get("issuance-1")
            assert [event.kind for event in transaction.events.of_certificate("certificate-1")] == [EventKind.CREATED]

    def test_what_is_missing_is_not_found(self, filled: Storage) -> None:
        """Every access to a missing object raises a NotFoundError with its kind, and never succeeds silently."""
        missing = sample_certificate(9)
        with filled.write() as transaction:
            calls: list[Callable[[], object]] = [
                lambda: transaction.certificates.get("x"),
                lambda: transaction.certificates.save_progress(missing),
                lambda: transaction.certificates.delete("x"),
                lambda: transaction.issuances.get("x"),
                lambda: transaction.issuances.save(sample_issuance(9)),
                lambda: transaction.schedules.get("x"),
                lambda: transaction.schedules.claim("x", now=NOW, owner="o", lease_until=LATER),
                lambda: transaction.schedules.take_over("x", due_at=None),
                lambda: transaction.authorities.get("x"),
                lambda: transaction.authorities.delete("x"),
            ]
            for call in calls:
                with pytest.raises(NotFoundError):
                    call()

    @pytest.mark.parametrize("kind", ["certificate", "issuance", "schedule"])
    def test_nothing_is_stored_for_a_parent_that_is_not_there(self, storage: Storage, kind: str) -> None:
        """A certificate needs its CA profile; an issuance and a schedule need their certificate."""
        with pytest.raises(NotFoundError), storage.write() as transaction:
            match kind:
                case "certificate":
                    transaction.certificates.add(sample_certificate())
                case "issuance":
                    transaction.issuances.add(sample_issuance())
                case _:
                    transaction.schedules.add(Schedule(certificate_id="certificate-1"))

    @pytest.mark.parametrize("kind", ["certificate", "issuance", "schedule"])
    def test_an_id_that_is_taken_is_refused(self, filled: Storage, kind: str) -> None:
        """A second certificate, issuance or schedule with an ID replaces nothing, and the error names the ID."""
        with filled.write() as transaction:
            transaction.issuances.add(sample_issuance())
        with pytest.raises(AlreadyExistsError) as refused, filled.write() as transaction:
            match kind:
                case "certificate":
                    transaction.certificates.add(sample_certificate(domain=DnsName("other.example")))
                case "issuance":
                    transaction.issuances.add(sample_issuance(9, id="issuance-1"))
                case _:
                    transaction.schedules.add(Schedule(certificate_id="certificate-1", due_at=LATER))
        assert (refused.value.kind, refused.value.name) == (kind, f"{kind}-1".replace("schedule", "certificate"))
        with filled.read() as transaction:
            assert transaction.certificates.get("certificate-1") == sample_certificate()
            assert transaction.issuances.get("issuance-1") == sample_issuance()
            assert transaction.schedules.get("certificate-1") == Schedule(certificate_id="certificate-1")

    def test_finding_by_domain(self, filled: Storage) -> None:
        """All certificates of a primary name are found, the oldest first; aliases and wildcards do not count."""
        with filled.write() as transaction:
            older = sample_certificate(2, domain=DnsName("d001.example"), created_at=NOW - timedelta(days=1))
            transaction.certificates.add(older)
        with filled.read() as transaction:
            certificates = transaction.certificates.find_by_domain(DnsName("d001.example"))
            assert [certificate.id for certificate in certificates] == ["certificate-2", "certificate-1"]
            assert transaction.certificates.find_by_domain(DnsName("www.example")) == []

    # -- issuances ------------------------------------------------------------------------------------------------

    def test_an_issuance_comes_back_as_it_went_in(self, filled: Storage) -> None:
        """Every field of an issuance is read back unchanged, and saving keeps the fields that do not change."""
        fresh = sample_issuance()
        keyless = sample_issuance(2, is_keyless=True, authority_id=None, csr_pem="")
        done = evolve(
            fresh,
            module_state={"stage": "ordered", "list": [1, 2.5, None, "ü"]},
            findings={"seen": []},
            outcome=Outcome.ISSUED,
            needs_clean_up=True,
            leaf_pem="leaf",
            chain_pem="",
            leaf=sample_leaf(),
            problem=PROBLEM,
            authority_failures=3,
            told=("days-30", "failing"),
            engine_state=EngineState(
                orders=(NOW, LATER),
                order_refusals=(NOW, NOW, LATER),
                rests_until=LATER,
                noted=("0123456789abcdef", "fedcba9876543210"),
                by_user=True,
                early=2,
                steps_left=1.5,
                stepped_at=NOW,
                waiting_for="owner",
                waiting_since=NOW,
                looks=3,
                kept_chain="-----BEGIN CERTIFICATE-----",
                kept_beside=True,
                unasked=True,
                refused_for="not_yet_valid",
                refusals=2,
                kept_since=LATER,
                retry_at=LATER,
                ahead_since=LATER,
            ),
            finished_at=LATER,
        )
        with filled.write() as transaction:
            transaction.issuances.add(fresh)
            transaction.issuances.add(keyless)
        with filled.write() as transaction:
            assert transaction.issuances.get(fresh.id) == fresh
            transaction.issuances.save(evolve(done, csr_pem="changed", names=()))
        with filled.read() as transaction:
            assert transaction.issuances.get(fresh.id) == done
            assert transaction.issuances.get(keyless.id) == keyless
            assert [issuance.number for issuance in transaction.issuances.of_certificate("certificate-1")] == [1, 2]

    # -- CA profiles ----------------------------------------------------------------------------------------------

    def test_profiles(self, storage: Storage) -> None:
        """A profile is read back unchanged, is found by its exact name, and is listed by name."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority(2))
            transaction.authorities.add(sample_authority(1))
        with storage.read() as transaction:
            assert transaction.authorities.get("authority-1") == sample_authority(1)
            assert transaction.authorities.by_name("CA 2") == sample_authority(2)
            assert transaction.authorities.by_name("ca 2") is None
            assert [authority.name for authority in transaction.authorities.list()] == ["CA 1", "CA 2"]

    def test_profile_names_are_unique(self, storage: Storage) -> None:
        """A new CA profile with a used name or ID is refused, and so is renaming a CA profile to a used name."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority(1))
            transaction.authorities.add(sample_authority(2))
        with pytest.raises(AlreadyExistsError), storage.write() as transaction:
            transaction.authorities.add(sample_authority(3, name="CA 1"))
        with pytest.raises(AlreadyExistsError), storage.write() as transaction:
            transaction.authorities.add(sample_authority(1, name="CA 3"))
        with pytest.raises(AlreadyExistsError), storage.write() as transaction:
            transaction.authorities.save(sample_authority(2, name="CA 1"))
        with storage.read() as transaction:
            assert [authority.id for authority in transaction.authorities.list()] == ["authority-1", "authority-2"]

    def test_a_stale_profile_is_refused(self, filled: Storage) -> None:
        """Of two edits of one version, the second is refused."""
        with filled.write() as transaction:
            assert transaction.authorities.save(sample_authority(description="new")).version == 2
        for stale, version in ((sample_authority(), 2), (sample_authority(9), None)):
            with pytest.raises(StaleWriteError) as caught, filled.write() as transaction:
                transaction.authorities.save(stale)
            assert caught.value.found == version

    def test_a_profile_in_use_stays(self, filled: Storage) -> None:
        """Deleting a CA profile that a certificate uses is refused, and the error names the certificate's domain."""
        with pytest.raises(InUseError) as caught, filled.write() as transaction:
            transaction.authorities.delete("authority-1")
        assert caught.value.users == ("d001.example",)
        with filled.write() as transaction:
            transaction.authorities.add(sample_authority(2))
        with pytest.raises(InUseError), filled.write() as transaction:
            transaction.authorities.delete("authority-2")  # a fallback
        with filled.write() as transaction:
            assert transaction.certificates.domains_using("authority-1") == ["d001.example"]
            transaction.certificates.delete("certificate-1")
            transaction.authorities.delete("authority-1")
            transaction.authorities.delete("authority-2")
            assert transaction.authorities.list() == []

    # -- secrets, events, documents -------------------------------------------------------------------------------

    def test_sealed_secrets(self, storage: Storage) -> None:
        """A sealed secret is read back byte by byte, is replaced as a whole, and is listed by purpose and prefix."""
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
            assert [name.owner_id for name in transaction.secrets.names("p", prefix="a/")] == ["a/1", "a/2"]
            assert [name.owner_id for name in transaction.secrets.names("p")] == ["A/1", "a%", "a/1", "a/2"]

    def test_certificates_are_found_by_what_people_have(self, storage: Storage) -> None:
        """A search is by the beginning of a name, a parent domain, a serial number or a fingerprint, and by owner."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, owner in ((1, "anna"), (2, "anna"), (3, "bert")):
                base = f"shop{number}.example"
                aliases = (DnsName(f"www.{base}"), DnsName("xn--bcher-kva.test"), DnsName(f"{number}.deep.down.test"))
                certificate = sample_certificate(number, owner=owner, domain=DnsName(base), aliases=aliases)
                transaction.certificates.add(certificate)
            leaf = sample_leaf()
            for number in (1, 2):  # the second of another certificate has a leaf of its own
                own = evolve(leaf, serial_hex=f"0{number}ab", fingerprint_sha256=f"{number}" * 64)
                issuance = evolve(sample_issuance(), id=f"i{number}", certificate_id=f"certificate-{number}", leaf=own)
                transaction.issuances.add(issuance)
                transaction.issuances.save(issuance)
        first, second, third = (f"certificate-{number}" for number in (1, 2, 3))
        expected = {
            "shop": [first, second, third],
            "SHOP2.exam": [second],
            "*.shop1.example": [first],
            "www.shop3.example.": [third],
            "shop2.example": [second],
            "down.test": [first, second, third],
            "own.test": [],
            "*.down.test": [first, second, third],
            "Bücher.test": [first, second, third],
            "00:01:AB": [first],
            "0x2AB": [second],
            str(0x2AB): [second],
            ":".join(["11"] * 32): [first],
            ("22 " * 32).upper(): [second],
            leaf.fingerprint_sha1.upper(): [first, second],
            "1" * 63: [],
            "": [],
            "no such thing": [],
            "%": [],
            "_hop": [],
        }
        with storage.read() as transaction:
            search = transaction.certificates.search
            for typed, ids in expected.items():
                assert [certificate.id for certificate in search(Search.parse(typed))] == ids, typed
            assert [certificate.id for certificate in search(Search.parse("shop"), owner="anna")] == [first, second]
            assert [certificate.id for certificate in search(Search.parse("down.test"), owner="bert")] == [third]
            assert search(Search.parse("1ab"), owner="bert") == []
            assert len(search(Search.parse("down.test"), limit=2)) == 2
        with storage.write() as transaction:
            certificate = transaction.certificates.get(first)
            transaction.certificates.save(
                evolve(certificate, domain=DnsName("new.example"), aliases=(), wildcard=False)
            )
            transaction.certificates.delete(third)
            search = transaction.certificates.search
            assert [certificate.id for certificate in search(Search.parse("down.test"))] == [second]
            assert [certificate.id for certificate in search(Search.parse("new"))] == [first]
            assert search(Search.parse("shop1.example")) == []
            transferred = evolve(transaction.certificates.get(first), owner="carla")
            transaction.certificates.save(transferred)
            assert search(Search.parse("new"), owner="anna") == []
            assert [certificate.id for certificate in search(Search.parse("new"), owner="carla")] == [first]

    def test_certificates_are_counted_by_status(self, storage: Storage) -> None:
        """Each status that occurs has its count, also for one CA profile or owner."""
        with storage.write() as transaction:
            assert transaction.certificates.count_by_status() == {}
            for number in (1, 2):
                transaction.authorities.add(sample_authority(number))
            for number, status in enumerate((Status.ACTIVE, Status.ACTIVE, Status.DRAFT), 1):
                owner, authority = ("anna", "authority-1") if number < 3 else ("bert", "authority-2")
                certificate = sample_certificate(number, status=status, owner=owner, authority_id=authority)
                transaction.certificates.add(certificate)
        with storage.read() as transaction:
            count = transaction.certificates.count_by_status
            assert count() == {Status.ACTIVE: 2, Status.DRAFT: 1}
            assert count(owner="anna") == count(authority_id="authority-1") == {Status.ACTIVE: 2}
            assert count(owner="anna", authority_id="authority-2") == {}
            assert count(at_most=1) == {Status.ACTIVE: 1, Status.DRAFT: 1}
            assert count(at_most=9, owner="anna") == {Status.ACTIVE: 2}

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
            assert [document.key for document in listed] == ["txt/a", "txt/b", "txt/\N{SNOWMAN}"]
            assert listed[0] == again
            assert [document.key for document in transaction.documents.list("one", prefix="txt_")] == ["txt_"]
            assert [document.key for document in transaction.documents.list("one", limit=2)] == ["TXT/c", "tx%"]
            assert transaction.documents.list("two") == []
            assert transaction.documents.get("two", "txt/a") is None

    def test_documents_demand_versions(self, storage: Storage) -> None:
        """A put can require that there is no document yet, or an exact version; otherwise nothing is written."""
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {"v": 1}, version=0)
        for demanded in (0, 2, 7):
            with pytest.raises(StaleWriteError), storage.write() as transaction:
                transaction.documents.put("n", "k", {"v": 2}, version=demanded)
        with pytest.raises(StaleWriteError), storage.write() as transaction:
            transaction.documents.put("n", "new", {}, version=1)
        with storage.write() as transaction:
            assert transaction.documents.put("n", "k", {"v": 3}, version=1).version == 2
            assert transaction.documents.get("n", "new") is None

    def test_only_json_is_stored(self, storage: Storage) -> None:
        """Values that are not plain JSON are refused, and stored values do not change behind the store's back."""
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
