"""What every store keeps about keys: ids, owners and names are compared byte by byte."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import evolve

from certcore.errors import AlreadyExists, NotFound
from certcore.model.certificate import Schedule
from certcore.model.events import Event, EventKind
from certcore.model.listing import CertificateFilter
from certcore.model.search import Search
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import NOW, sample_authority, sample_certificate, sample_issuance

__all__ = ["LOOKALIKES", "KeysContract"]

#: Keys that databases like to take for one another: padded, in other case, with other accents, composed otherwise, with
#: characters of no width, of full width, and the sharp s. No two of them are equal.
LOOKALIKES = (
    "anna",
    "anna ",
    "anna  ",
    " anna",
    "anna\t",
    "anna\N{NO-BREAK SPACE}",
    "Anna",
    "ANNA",
    "ann\N{LATIN SMALL LETTER A WITH GRAVE}",
    "anna\N{COMBINING GRAVE ACCENT}",
    "anna\N{ZERO WIDTH SPACE}",
    "an\N{ZERO WIDTH NON-JOINER}na",
    "\N{RIGHT-TO-LEFT MARK}anna",
    "\N{FULLWIDTH LATIN SMALL LETTER A}nna",
    "strasse",
    "stra\N{LATIN SMALL LETTER SHARP S}e",
    "anna\N{SOFT HYPHEN}",
    "anna\N{PILE OF POO}",
)
_SEALED = SealedSecret(key_id="k", wrapped_key=b"w", nonce=b"n", ciphertext=b"c")


class KeysContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about keys."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    def test_owners_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Lists, searches, counts and overlaps of an owner have the rows of exactly this owner."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, owner in enumerate(LOOKALIKES):
                transaction.certificates.add(sample_certificate(number, owner=owner))
        with storage.read() as transaction:
            certificates = transaction.certificates
            for number, owner in enumerate(LOOKALIKES):
                mine = certificates.get(f"certificate-{number}")
                assert mine.owner == owner
                assert certificates.page(only=CertificateFilter(owner=owner)) == [mine]
                assert certificates.count(CertificateFilter(owner=owner)) == 1
                assert certificates.search(Search.parse("www.example"), owner=owner) == [mine]
                assert sum(certificates.count_by_status(owner=owner).values()) == 1
                assert sum(certificates.count_by_status(owner=owner, at_most=9).values()) == 1
                assert certificates.sharing(mine) == []

    def test_ids_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Each id has its own certificate, issuance, schedule, timeline and profile; one that is like it has none."""
        there, missing = LOOKALIKES[::2], LOOKALIKES[1::2]
        with storage.write() as transaction:
            for number, key in enumerate(there):
                transaction.authorities.add(sample_authority(number, id=key))
                transaction.certificates.add(sample_certificate(number, id=key, authority_id=key, fallbacks=()))
                transaction.schedules.add(Schedule(certificate_id=key, attempts=number))
                transaction.issuances.add(sample_issuance(1, id=key, certificate_id=key))
                transaction.events.append([Event(certificate_id=key, kind=EventKind.CREATED, at=NOW, actor=key)])
        with storage.read() as transaction:
            for number, key in enumerate(there):
                assert transaction.certificates.get(key).domain.ascii == f"d{number:03}.example"
                assert transaction.certificates.get(key).authority_id == key
                assert transaction.authorities.get(key).name == f"CA {number}"
                assert transaction.schedules.get(key).attempts == number
                assert [one.id for one in transaction.issuances.of_certificate(key)] == [key]
                assert [one.actor for one in transaction.events.of_certificate(key)] == [key]
                assert transaction.timelines.get(key).certificate_id == key
                assert transaction.certificates.domains_using(key) == [f"d{number:03}.example"]
                assert [one.id for one in transaction.certificates.page(only=CertificateFilter(authority_id=key))] == [
                    key
                ]
            for key in missing:
                for repository in (
                    transaction.certificates,
                    transaction.authorities,
                    transaction.schedules,
                    transaction.issuances,
                    transaction.timelines,
                ):
                    with pytest.raises(NotFound):
                        repository.get(key)
                assert transaction.events.of_certificate(key) == []
                assert transaction.issuances.of_certificate(key) == []

    def test_what_is_written_under_one_key_leaves_the_others_alone(self, storage: Storage) -> None:
        """Saving, taking over and deleting reach exactly the row of the key."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, key in enumerate(LOOKALIKES):
                transaction.certificates.add(sample_certificate(number, id=key, fallbacks=()))
                transaction.schedules.add(Schedule(certificate_id=key))
        first, second, third, *others = LOOKALIKES
        with storage.write() as transaction:
            transaction.certificates.delete(first)
            transaction.certificates.save(evolve(transaction.certificates.get(second), wildcard=False))
            transaction.schedules.take_over(third, due_at=NOW)
        with storage.read() as transaction:
            with pytest.raises(NotFound):
                transaction.certificates.get(first)
            assert not transaction.certificates.get(second).wildcard
            assert all(transaction.certificates.get(key).wildcard for key in (third, *others))
            assert transaction.schedules.get(third).token == 1
            assert all(transaction.schedules.get(key).token == 0 for key in (second, *others))

    def test_names_of_profiles_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Each may be taken beside the others, and is found by itself only."""
        with storage.write() as transaction:
            for number, name in enumerate(LOOKALIKES):
                assert transaction.authorities.by_name(name) is None
                transaction.authorities.add(sample_authority(number, name=name))
        with storage.read() as transaction:
            for number, name in enumerate(LOOKALIKES):
                found = transaction.authorities.by_name(name)
                assert found is not None
                assert (found.id, found.name) == (f"authority-{number}", name)
        with pytest.raises(AlreadyExists), storage.write() as transaction:
            transaction.authorities.add(sample_authority(99, name=LOOKALIKES[1]))

    def test_secrets_and_documents_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Purpose and owner of a secret, namespace and key of a document."""
        few = LOOKALIKES[:3] + LOOKALIKES[6:10]
        pairs = list(product(few, few))
        with storage.write() as transaction:
            for number, (one, other) in enumerate(pairs):
                assert transaction.secrets.add(SecretName(one, other), evolve(_SEALED, ciphertext=bytes([number])))
                transaction.documents.put(one, other, {"number": number}, version=0)
        first, *others = pairs
        with storage.write() as transaction:
            transaction.secrets.delete(SecretName(*first))
            transaction.documents.delete(*first)
        with storage.read() as transaction:
            assert transaction.secrets.get(SecretName(*first)) is None
            assert transaction.documents.get(*first) is None
            for number, (one, other) in enumerate(others, start=1):
                sealed = transaction.secrets.get(SecretName(one, other))
                assert sealed is not None
                assert sealed.ciphertext == bytes([number])
                document = transaction.documents.get(one, other)
                assert document is not None
                assert (document.key, document.value) == (other, {"number": number})
            for one in few:
                mine = sorted(key for namespace, key in others if namespace == one)
                assert [document.key for document in transaction.documents.list(one)] == mine
                assert sorted(name.owner_id for name in transaction.secrets.names(one)) == mine
