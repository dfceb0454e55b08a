"""Rules of stores for lists: filters, orders, pages, and certificates that share names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from certcore.model.certificate import Certificate
from certcore.model.issuance import Outcome
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.listing import CertificateFilter, Position, SortKey
from certcore.model.names import DnsName
from certcore.model.renewal import RenewalPolicy
from certcore.model.search import Search
from certcore.model.standing import Attempt, ConditionType, Standing
from certcore.ports.storage import Storage, Transaction
from certcore.testing.contracts.samples import (
    NOW,
    sample_authority,
    sample_certificate,
    sample_issuance,
    sample_leaf,
)

__all__ = ["ListsContract", "listed_store"]


def _ids(certificates: Sequence[Certificate]) -> list[str]:
    return [certificate.id for certificate in certificates]


def _one(number: int, **changes: Any) -> Certificate:
    return sample_certificate(number, **{"aliases": (), "wildcard": False, "fallbacks": (), **changes})


def listed_store(storage: Storage) -> Storage:
    """The store, with six certificates with ends, owners and CA profiles of all kinds."""
    with storage.write() as transaction:
        transaction.authorities.add(sample_authority())
        transaction.authorities.add(sample_authority(2))
        for certificate in (
            _one(1, status=Status.ACTIVE, not_after=NOW + timedelta(days=30), renewal=RenewalPolicy()),
            _one(2, status=Status.ACTIVE, not_after=NOW + timedelta(days=10), authority_id="authority-2"),
            _one(3, owner="other", key_type=KeyType.EC_P256),
            _one(4, status=Status.EXPIRED, not_after=NOW - timedelta(days=5), renewal=RenewalPolicy(auto=False)),
            _one(5, status=Status.ACTIVE, not_after=NOW + timedelta(days=10), created_at=NOW - timedelta(days=1)),
            _one(
                6,
                status=Status.EXPIRED,
                not_after=NOW - timedelta(days=400),
                authority_id=None,
                renewal=RenewalPolicy(),
            ),
        ):
            transaction.certificates.add(certificate)
    return storage


class ListsContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about lists."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    @pytest.fixture
    def listed(self, storage: Storage) -> Storage:
        """Six certificates with ends, owners and CA profiles of all kinds."""
        return listed_store(storage)

    def test_pages_follow_each_other_without_gaps(self, storage: Storage) -> None:
        """Pages come in the order of domain and ID, each row once, also when rows come and go between two pages."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number in (5, 3, 1, 4, 2):
                transaction.certificates.add(sample_certificate(number))
            transaction.certificates.add(sample_certificate(30, domain=DnsName("d003.example")))
        with storage.read() as transaction:
            first = transaction.certificates.page(limit=3)
        with storage.write() as transaction:
            transaction.certificates.delete("certificate-1")
            transaction.certificates.delete(first[-1].id)  # where the next page begins
            transaction.certificates.add(sample_certificate(6))
        listed_rows = list(first)
        with storage.read() as transaction:
            for expected in (3, 1, 0):
                last = Position.of(listed_rows[-1], SortKey.DOMAIN)
                page = transaction.certificates.page(after=last, limit=3)
                assert len(page) == expected
                listed_rows += page
        assert _ids(listed_rows) == [f"certificate-{number}" for number in (1, 2, 3, 30, 4, 5, 6)]

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("order", list(SortKey))
    @pytest.mark.parametrize("limit", [1, 2, 4])
    def test_every_order_has_pages(self, listed: Storage, order: SortKey, *, descending: bool, limit: int) -> None:
        """Pages in every order and direction have each row once, with equal rows by ID and rows without a leaf last."""
        expected = {
            SortKey.DOMAIN: [1, 2, 3, 4, 5, 6],
            SortKey.NOT_AFTER: [6, 4, 2, 5, 1, 3],
            SortKey.CREATED_AT: [5, 1, 2, 3, 4, 6],
        }[order]
        if descending:
            last = [3] if order is SortKey.NOT_AFTER else []
            expected = [*(number for number in reversed(expected) if number not in last), *last]
        listed_rows: list[Certificate] = []
        with listed.read() as transaction:
            for _ in range(7):
                after = Position.of(listed_rows[-1], order) if listed_rows else None
                page = transaction.certificates.page(order=order, descending=descending, after=after, limit=limit)
                if not page:
                    break
                listed_rows += page
        assert _ids(listed_rows) == [f"certificate-{number}" for number in expected]

    @pytest.mark.parametrize(
        ("only", "expected"),
        [
            ({"status": Status.ACTIVE}, [1, 2, 5]),
            ({"authority_id": "authority-2"}, [2]),
            ({"owner": "other"}, [3]),
            ({"owner": "OTHER"}, []),
            ({"owner": "other", "status": Status.ACTIVE}, []),
            ({"key_type": KeyType.EC_P256}, [3]),
            ({"renews_itself": True}, [1]),
            ({"renews_itself": False, "status": Status.EXPIRED}, [4, 6]),
            ({"ends_before": NOW + timedelta(days=10)}, [4, 6]),
            ({"ends_from": NOW, "ends_before": NOW + timedelta(days=11)}, [2, 5]),
            ({"ends_from": NOW + timedelta(days=10)}, [1, 2, 5]),
        ],
    )
    def test_filters(self, listed: Storage, only: dict[str, Any], expected: list[int]) -> None:
        """Each filter narrows a list and a count alike, alone and together, whatever the order."""
        filters = CertificateFilter(**only)
        with listed.read() as transaction:
            for order in SortKey:
                certificates = transaction.certificates.page(only=filters, order=order)
                assert sorted(_ids(certificates)) == [f"certificate-{number}" for number in expected]
            assert transaction.certificates.count(filters) == len(expected)

    @pytest.mark.parametrize(
        ("only", "expected"),
        [
            ({"condition": ConditionType.READY}, [1, 2, 5]),
            ({"condition": ConditionType.READY, "at": NOW + timedelta(days=20)}, [1]),
            ({"condition": ConditionType.ISSUING}, [7]),
            ({"condition": ConditionType.RENEWING}, [2, 4]),
            ({"condition": ConditionType.OWNER_ACTION_NEEDED}, [2, 7]),
            ({"condition": ConditionType.RENEWAL_IN_DANGER}, [4]),
            ({"condition": ConditionType.RENEWAL_IN_DANGER, "at": NOW + timedelta(days=8)}, [2, 4]),
            ({"condition": ConditionType.DEPLOYMENT_FAILED}, []),
            ({"attempt": Attempt.ADMINISTRATOR}, [4]),
            ({"attempt": Attempt.NONE}, [1, 3, 5, 6]),
        ],
    )
    def test_conditions_filter_lists(self, listed: Storage, only: dict[str, Any], expected: list[int]) -> None:
        """Certificates are found by conditions at a moment, and by the state of their issuance."""
        owner, administrator = Standing(attempt=Attempt.OWNER), Standing(attempt=Attempt.ADMINISTRATOR)
        with listed.write() as transaction:
            transaction.certificates.add(_one(7, status=Status.PENDING, standing=owner))
            for number, standing in (
                (1, Standing(late_at=NOW + timedelta(days=20))),
                (2, evolve(owner, late_at=NOW + timedelta(days=7))),
                (4, evolve(administrator, late_at=NOW - timedelta(days=9))),
            ):
                stored = transaction.certificates.get(f"certificate-{number}")
                transaction.certificates.save_progress(evolve(stored, standing=standing))
        filters = CertificateFilter(**{"at": NOW, **only})
        with listed.read() as transaction:
            ids = _ids(transaction.certificates.page(only=filters))
            for order in SortKey:
                everything = transaction.certificates.page(order=order, limit=9)
                sorted_ids = [certificate.id for certificate in everything if certificate.id in ids]
                first = transaction.certificates.page(only=filters, order=order, limit=1)
                after = Position.of(first[-1], order) if first else None
                rest = transaction.certificates.page(only=filters, order=order, after=after)
                assert _ids([*first, *rest]) == sorted_ids
            assert transaction.certificates.count(filters) == len(ids)
            if filters.condition is not None and filters.at is not None:
                for owned in (filters, evolve(filters, owner="tenant")):
                    counts = transaction.certificates.count_conditions(at=filters.at, owner=owned.owner)
                    assert counts[filters.condition] == transaction.certificates.count(owned)
        assert sorted(ids) == [f"certificate-{number}" for number in expected]

    def test_the_ends_of_leaves_are_counted_by_day(self, listed: Storage) -> None:
        """A day has 24 hours from the given moment; only leaves in service count."""
        with listed.read() as transaction:
            count = transaction.certificates.count_endings
            assert count(now=NOW, days=31) == {10: 2, 30: 1}
            assert count(now=NOW, days=30) == {10: 2}
            assert count(now=NOW + timedelta(seconds=1), days=31) == {9: 2, 29: 1}
            assert count(now=NOW, days=31, authority_id="authority-2") == {10: 1}
            assert count(now=NOW, days=31, owner="nobody") == {}

    def test_the_names_of_profiles(self, listed: Storage) -> None:
        """Names are found by IDs; unknown IDs are left out."""
        with listed.read() as transaction:
            names = transaction.authorities.names(["authority-2", "nothing"])
            assert names == {"authority-2": sample_authority(2).name}
            assert transaction.authorities.names([]) == {}

    def test_names_filter_lists(self, storage: Storage) -> None:
        """Certificates are found by a part of a name or by a parent domain. ``*`` and ``%`` have no special meaning."""
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, names in enumerate(
                (("shop.example.com", "www.example.net"), ("example.com",), ("myexample.com",), ("b%c.example.org",)), 1
            ):
                domain, *aliases = (DnsName(name) for name in names)
                transaction.certificates.add(_one(number, domain=domain, aliases=tuple(aliases)))
            transaction.certificates.add(_one(5, domain=DnsName("deep.example.com"), wildcard=True))
        with storage.read() as transaction:
            for only, expected in (
                ({"name_contains": "example.com"}, [1, 2, 3, 5]),
                ({"name_contains": "op.exam"}, [1]),
                ({"name_contains": "*.deep"}, [5]),
                ({"name_contains": "b%c"}, [4]),
                ({"name_contains": "%"}, [4]),
                ({"name_contains": "_"}, []),
                ({"below": "example.com"}, [1, 2, 5]),
                ({"below": "example.net"}, [1]),
                ({"below": "deep.example.com"}, [5]),
                ({"below": "ple.com"}, []),
            ):
                certificates = transaction.certificates.page(only=CertificateFilter(**only))  # type: ignore[arg-type]
                assert sorted(_ids(certificates)) == [f"certificate-{number}" for number in expected], only

    def test_leaves_filter_lists(self, listed: Storage) -> None:
        """Certificates are found by the serial number or a fingerprint of any of their present and former leaves."""
        leaf = evolve(sample_leaf(), serial_hex="00ab12", fingerprint_sha256="ff" * 32, fingerprint_sha1="ee" * 20)
        with listed.write() as transaction:
            transaction.issuances.add(sample_issuance(outcome=Outcome.ISSUED, leaf=leaf))
        with listed.read() as transaction:
            for only, expected in (
                ({"serial": "ab12"}, True),
                ({"serial": "ab1"}, False),
                ({"fingerprint": "ff" * 32}, True),
                ({"fingerprint": "ee" * 20}, True),
                ({"fingerprint": "dd" * 20}, False),
                ({"serial": "ab12", "fingerprint": "dd" * 20}, False),
                ({"serial": "ab12", "status": Status.DRAFT}, False),
            ):
                page = transaction.certificates.page(only=CertificateFilter(**only))  # type: ignore[arg-type]
                assert _ids(page) == (["certificate-1"] if expected else []), only

    def test_a_leaf_that_many_owners_have(self, storage: Storage) -> None:
        """A search for one owner finds the owner's certificates, with any limit, also if others have the same leaf."""
        fingerprint = sample_leaf().fingerprint_sha256
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number in range(1, 7):
                transaction.certificates.add(_one(number, owner=f"tenant-{number}"))
                issuance = sample_issuance(number, outcome=Outcome.ISSUED, leaf=sample_leaf())
                transaction.issuances.add(evolve(issuance, certificate_id=f"certificate-{number}"))
        with storage.read() as transaction:
            for number in range(1, 7):
                for search in (Search(fingerprint=fingerprint), Search(serials=frozenset({"a" + "0a" * 19}))):
                    certificates = transaction.certificates.search(search, owner=f"tenant-{number}", limit=1)
                    assert _ids(certificates) == [f"certificate-{number}"]

    def test_which_certificates_share_names(self, storage: Storage) -> None:
        """Certificates of one owner share names that are equal, or that a wildcard of the other certificate matches."""
        names = {
            1: ("shop.example.com", "*.shop.example.com"),
            2: ("www.shop.example.com",),
            3: ("a.b.shop.example.com",),
            4: ("*.example.com",),
            5: ("example.com",),
            6: ("shop.example.com",),
            7: ("*.shop.example.com", "else.example"),
        }
        with storage.write() as transaction:
            transaction.authorities.add(sample_authority())
            for number, (domain, *aliases) in names.items():
                rest = tuple(DnsName(alias) for alias in aliases)
                owner = "other" if number == 6 else "tenant"
                transaction.certificates.add(_one(number, domain=DnsName(domain), aliases=rest, owner=owner))
        with storage.read() as transaction:
            assert _sharing(transaction, 1) == [4, 7, 2]
            assert _sharing(transaction, 2) == [7, 1]
            assert _sharing(transaction, 3) == []
            assert _sharing(transaction, 4) == [1]
            assert _sharing(transaction, 5) == []
            assert _sharing(transaction, 6) == []
            assert _sharing(transaction, 1, limit=1) == [4]


def _sharing(transaction: Transaction, number: int, limit: int = 20) -> list[int]:
    certificate = transaction.certificates.get(f"certificate-{number}")
    return [
        int(other.id.removeprefix("certificate-"))
        for other in transaction.certificates.sharing(certificate, limit=limit)
    ]
