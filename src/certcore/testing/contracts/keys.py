"""Rules of stores for keys: IDs, owners and names are compared byte by byte."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest
from attrs import evolve

from certcore.errors import AlreadyExistsError, NotFoundError
from certcore.model.certificate import Schedule
from certcore.model.deliveries import KnownObserver
from certcore.model.events import Event, EventKind
from certcore.model.listing import CertificateFilter
from certcore.model.search import Search
from certcore.model.secret import SealedSecret, SecretName
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import LATER, NOW, sample_authority, sample_certificate, sample_issuance

__all__ = ["LOOKALIKES", "KeysContract"]

#: Different keys that databases may treat as equal: they differ only in padding, case, accents, Unicode normalization,
#: zero-width or full-width characters, or have a sharp s.
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
        """Lists, searches, counts and shared names of an owner only have rows of exactly this owner."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, owner in enumerate(LOOKALIKES):
                transaction.certificates.add(sample_certificate(number, owner=owner))
        with storage.read() as transaction:
            certificates = transaction.certificates
            for number, owner in enumerate(LOOKALIKES):
                certificate = certificates.get(f"certificate-{number}")
                assert certificate.owner == owner
                assert certificates.page(only=CertificateFilter(owner=owner)) == [certificate]
                assert certificates.count(CertificateFilter(owner=owner)) == 1
                assert certificates.search(Search.parse("www.example"), owner=owner) == [certificate]
                assert sum(certificates.count_by_status(owner=owner).values()) == 1
                assert sum(certificates.count_by_status(owner=owner, at_most=9).values()) == 1
                assert certificates.sharing(certificate) == []

    def test_ids_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Each ID has its own certificate, issuance, schedule, timeline and profile; a similar ID has none of them."""
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
                assert [issuance.id for issuance in transaction.issuances.of_certificate(key)] == [key]
                assert [event.actor for event in transaction.events.of_certificate(key)] == [key]
                assert transaction.timelines.get(key).certificate_id == key
                assert transaction.certificates.domains_using(key) == [f"d{number:03}.example"]
                assert [
                    certificate.id
                    for certificate in transaction.certificates.page(only=CertificateFilter(authority_id=key))
                ] == [key]
            for key in missing:
                for repository in (
                    transaction.certificates,
                    transaction.authorities,
                    transaction.schedules,
                    transaction.issuances,
                    transaction.timelines,
                ):
                    with pytest.raises(NotFoundError):
                        repository.get(key)
                assert transaction.events.of_certificate(key) == []
                assert transaction.issuances.of_certificate(key) == []

    def test_observers_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Each name has its own cursor. Claiming or forgetting an observer only affects exactly this name."""
        there, missing = sorted(LOOKALIKES[::2]), LOOKALIKES[1::2]
        with storage.write() as transaction:
            for name in there:
                transaction.deliveries.save_observer(KnownObserver(name=name, seen_at=NOW))
            transaction.events.append([Event(certificate_id="c", kind=EventKind.CREATED, at=NOW)])
            assert transaction.deliveries.offer(observers=there, now=NOW, limit=9) == 1
        with storage.write() as transaction:
            claim = partial(transaction.deliveries.claim_due, now=NOW, owner="me", lease_until=LATER, limit=99)
            assert sorted(each.name for each in transaction.deliveries.known_observers()) == there
            assert sorted(each.observer for each in transaction.deliveries.of_certificate("c")) == there
            assert not transaction.deliveries.is_due(observers=missing, now=NOW)
            assert claim(observers=missing) == []
            for name in missing:
                assert transaction.deliveries.forget_observer(name, limit=9)
            for name in there:
                (cursor,) = claim(observers=[name])
                assert cursor.observer == name
                transaction.deliveries.settle(evolve(cursor, delivered=1, reason=name))
            cursors = transaction.deliveries.of_certificate("c")
            assert [each.reason for each in cursors] == [each.observer for each in cursors]
            assert transaction.deliveries.forget_observer(there[0], limit=9)
            assert sorted(each.observer for each in transaction.deliveries.of_certificate("c")) == there[1:]

    def test_what_is_written_under_one_key_leaves_the_others_alone(self, storage: Storage) -> None:
        """Saving, taking over and deleting change only the row with exactly this key."""
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
            with pytest.raises(NotFoundError):
                transaction.certificates.get(first)
            assert not transaction.certificates.get(second).wildcard
            assert all(transaction.certificates.get(key).wildcard for key in (third, *others))
            assert transaction.schedules.get(third).token == 1
            assert all(transaction.schedules.get(key).token == 0 for key in (second, *others))

    def test_names_of_profiles_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """Similar names can be used for different CA profiles, and each is found only by exactly its name."""
        with storage.write() as transaction:
            for number, name in enumerate(LOOKALIKES):
                assert transaction.authorities.by_name(name) is None
                transaction.authorities.add(sample_authority(number, name=name))
        with storage.read() as transaction:
            for number, name in enumerate(LOOKALIKES):
                profile = transaction.authorities.by_name(name)
                assert profile is not None
                assert (profile.id, profile.name) == (f"authority-{number}", name)
        with pytest.raises(AlreadyExistsError), storage.write() as transaction:
            transaction.authorities.add(sample_authority(99, name=LOOKALIKES[1]))

    def test_secrets_and_documents_are_compared_byte_by_byte(self, storage: Storage) -> None:
        """This applies to the purpose and owner of a secret, and to the namespace and key of a document."""
        few = LOOKALIKES[:3] + LOOKALIKES[6:10]
        pairs = list(product(few, few))
        with storage.write() as transaction:
            for number, (first_part, other) in enumerate(pairs):
                assert transaction.secrets.add(
                    SecretName(first_part, other), evolve(_SEALED, ciphertext=bytes([number]))
                )
                transaction.documents.put(first_part, other, {"number": number}, version=0)
        first, *others = pairs
        with storage.write() as transaction:
            transaction.secrets.delete(SecretName(*first))
            transaction.documents.delete(*first)
        with storage.read() as transaction:
            assert transaction.secrets.get(SecretName(*first)) is None
            assert transaction.documents.get(*first) is None
            for number, (first_part, other) in enumerate(others, start=1):
                sealed = transaction.secrets.get(SecretName(first_part, other))
                assert sealed is not None
                assert sealed.ciphertext == bytes([number])
                document = transaction.documents.get(first_part, other)
                assert document is not None
                assert (document.key, document.value) == (other, {"number": number})
            for pair in few:
                mine = sorted(key for namespace, key in others if namespace == pair)
                assert [document.key for document in transaction.documents.list(pair)] == mine
                assert sorted(name.owner_id for name in transaction.secrets.names(pair)) == mine
