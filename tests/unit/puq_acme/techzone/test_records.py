"""The ledger of TXT values and the zone that is served from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError, StaleWriteError
from certcore.ports.dns import Zone, ZoneSource
from certcore.ports.storage import Document
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord, key_prefix

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ZONE = Zone(apex="acme.example.net", nameservers=("ns1.example.net",))
LABEL = "k7.acme.example.net"
DIGEST = "gfj9Xq-Rg85nM_0000000000000000000000000000Z"


@define
class Hands:
    """An environment whose clock is set by hand."""

    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def new_id(self) -> str:
        return "1"

    def roll(self) -> float:
        return 0.0


def served(documents: MemoryDocuments, name: str = LABEL) -> list[str]:
    source: ZoneSource = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    return list(source.records(ZONE, name).get("TXT", []))


def test_a_value_is_served_from_the_moment_it_is_added() -> None:
    """What a source remembers does not stand between the ledger and the zone, also in another process's source."""
    documents = MemoryDocuments()
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    assert source.records(ZONE, LABEL) == {}
    TechZoneRecords(documents).add(LABEL, DIGEST, "i1", NOW)
    assert source.records(ZONE, LABEL) == {"TXT": [DIGEST]}
    TechZoneRecords(documents).remove(LABEL, DIGEST, "i1")
    assert source.records(ZONE, LABEL) == {}


class CountedDocuments(MemoryDocuments):
    """A store that counts what is read, and may not tell whether it changed."""

    def __init__(self, *, tells: bool = True) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.tells = tells

    def change_mark(self) -> object | None:
        return super().change_mark() if self.tells else None

    def get(self, key: str) -> Document | None:
        self.reads.append(key)
        return super().get(key)

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        self.reads.append(prefix)
        return super().list(prefix, after=after)


def test_what_was_read_is_not_read_again_until_it_changes() -> None:
    """A change of another name costs one look at the changes, and no name that is remembered."""
    documents = CountedDocuments()
    records = TechZoneRecords(documents)
    records.add(LABEL, DIGEST, "i1", NOW)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    assert source.recall() is None
    for _ in range(3):
        assert source.records(ZONE, LABEL) == {"TXT": [DIGEST]}
        assert source.records(ZONE, "none.acme.example.net") == {}
        assert not source.has_names_below(ZONE, "none.acme.example.net")
    assert len(documents.reads) == 4
    records.add("other.acme.example.net", DIGEST, "i2", NOW)
    documents.reads.clear()
    assert source.recall() is None
    assert source.serial() == int(NOW.timestamp()) + 1
    known = source.recall()
    assert known is not None
    assert known.records(ZONE, LABEL) == {"TXT": [DIGEST]}
    assert known.records(ZONE, "none.acme.example.net") is None  # it may have got a name below it
    assert documents.reads == ["tech_zone/changes"]


def test_a_store_that_does_not_tell_is_looked_at_every_20_ms() -> None:
    """What another process commits is served within 50 ms."""
    documents, hands = CountedDocuments(tells=False), Hands()
    records = TechZoneRecords(documents)
    source = DocumentsZoneSource(documents, lambda: [ZONE], hands)
    assert source.records(ZONE, LABEL) == {}
    records.add(LABEL, DIGEST, "i1", NOW)
    hands.moment += timedelta(milliseconds=21)
    assert source.records(ZONE, LABEL) == {"TXT": [DIGEST]}
    documents.reads.clear()
    assert source.records(ZONE, LABEL) == {"TXT": [DIGEST]}
    assert not documents.reads
    hands.moment -= timedelta(days=1)  # the clock was set back
    source.records(ZONE, LABEL)
    assert documents.reads


def test_a_value_that_was_written_during_a_read_is_not_missed() -> None:
    """What was read before a change is not remembered after it."""
    documents = CountedDocuments()
    records = TechZoneRecords(documents)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    late = [DIGEST]
    listed = documents.list

    def list_then_write(prefix: str = "", *, after: str = "") -> Sequence[Document]:
        found = listed(prefix, after=after)
        while late:
            records.add(LABEL, late.pop(), "i1", NOW)
            source.records(ZONE, "other.acme.example.net")  # another thread looks for changes
        return found

    documents.list = list_then_write  # type: ignore[method-assign]
    source.records(ZONE, LABEL)
    assert source.records(ZONE, LABEL) == {"TXT": [DIGEST]}


def test_records_are_read_again_after_five_minutes() -> None:
    """A certcore that is older than the list of changes may have written some: a name that was not there, for 1 s."""
    documents, hands = MemoryDocuments(), Hands()
    source = DocumentsZoneSource(documents, lambda: [ZONE], hands)
    assert source.records(ZONE, LABEL) == {}
    key = f"{key_prefix(LABEL)}/i1/{DIGEST}"
    documents.put(key, {"value": DIGEST})
    hands.moment += timedelta(seconds=1)
    assert source.records(ZONE, LABEL) == {"TXT": [DIGEST]}
    documents.delete(key)
    hands.moment += timedelta(minutes=5)
    assert source.records(ZONE, LABEL) == {}


def test_what_is_remembered_is_bounded() -> None:
    """Whoever asks for many names, there or not, does not fill the memory; all answers stay right."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    names = [f"k{number}.acme.example.net" for number in range(100)]
    records.add_many(TxtRecord(fqdn=name, value=name, issuance_id="i1", added_at=NOW) for name in names)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands(), max_memory=20_000, max_absent=10)
    for _ in range(2):
        for name in names:
            assert source.records(ZONE, name) == {"TXT": [name]}
            assert source.records(ZONE, f"no-{name}") == {}
    known = source.recall()
    assert known is not None
    remembered = [name for name in names if known.records(ZONE, name) is not None]
    assert 5 < len(remembered) < 25
    assert remembered == names[-len(remembered) :]
    assert sum(known.records(ZONE, f"no-{name}") is not None for name in names) <= 10


def test_adding_and_removing_twice_is_harmless() -> None:
    """Both are idempotent, as steps that are repeated after a crash need it."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    for _ in range(2):
        records.add(LABEL, DIGEST, "i1", NOW)
    assert len(documents.list("txt/")) == 1
    for _ in range(2):
        records.remove(LABEL, DIGEST, "i1")
    assert not documents.list("txt/")


def test_concurrent_orders_do_not_touch_each_other() -> None:
    """Apex, wildcard and another order share a name; each removes its own values only."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    records.add_many(
        TxtRecord(fqdn=LABEL, value=value, issuance_id=issuance, added_at=NOW)
        for value, issuance in [("apex", "i1"), ("wildcard", "i1"), ("other", "i2")]
    )
    assert records.values(LABEL) == ("apex", "other", "wildcard")
    assert sorted(record.value for record in records.at(LABEL) if record.issuance_id == "i1") == ["apex", "wildcard"]
    records.remove_issuance("i1", [LABEL, "never.acme.example.net"])
    assert records.values(LABEL) == ("other",)


def test_a_value_that_two_issuances_hold_stays_until_both_release_it() -> None:
    """It is served once, and as long as anybody needs it."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    records.add(LABEL, DIGEST, "i1", NOW)
    records.add(LABEL, DIGEST, "i2", NOW)
    assert served(documents) == [DIGEST]
    records.remove(LABEL, DIGEST, "i1")
    assert served(documents) == [DIGEST]
    records.remove(LABEL, DIGEST, "i2")
    assert served(documents) == []


def test_names_are_the_same_in_any_spelling() -> None:
    """Case and the final dot make no difference; what was added says who and when."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    records.add("K7.ACME.Example.net.", DIGEST, "i1", NOW)
    assert records.at(LABEL) == (TxtRecord(fqdn=LABEL, value=DIGEST, issuance_id="i1", added_at=NOW),)
    assert served(documents) == [DIGEST]


def test_names_that_begin_alike_are_kept_apart() -> None:
    """A label that is the beginning of another one is another name, and not above it."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    records.add("k77.acme.example.net", DIGEST, "i1", NOW)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    assert source.records(ZONE, LABEL) == {}
    assert not source.has_names_below(ZONE, LABEL)


def test_empty_non_terminals_are_known() -> None:
    """A name above one with values has names below it; the name itself has not."""
    documents = MemoryDocuments()
    TechZoneRecords(documents).add("a.b.acme.example.net", DIGEST, "i1", NOW)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    assert source.has_names_below(ZONE, "b.acme.example.net")
    assert not source.has_names_below(ZONE, "a.b.acme.example.net")


def test_the_names_above_a_name_server_exist() -> None:
    """A resolver that asks for one of them first must not conclude that the server has no address (RFC 8020)."""
    zone = Zone(
        apex="acme.example.net",
        nameservers=("a.hosts.acme.example.net",),
        addresses={"a.hosts.acme.example.net": ("192.0.2.1",)},
    )
    source = DocumentsZoneSource(MemoryDocuments(), lambda: [zone], Hands())
    assert source.has_names_below(zone, "hosts.acme.example.net")
    assert not source.has_names_below(zone, "osts.acme.example.net")
    assert source.records(zone, "a.hosts.acme.example.net") == {"A": ["192.0.2.1"]}


@pytest.mark.parametrize(
    "name", ["k7/i1", "k7/i1.acme.example.net", "k7.acme.example.net/i1", "", "a..b", "\\046.x", "x" * 64]
)
def test_a_strange_name_in_a_query_finds_nothing(name: str) -> None:
    """Nobody reads other names' documents by putting a separator into a name."""
    documents = MemoryDocuments()
    TechZoneRecords(documents).add(LABEL, DIGEST, "i1", NOW)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    assert source.records(ZONE, name) == {}
    assert not source.has_names_below(ZONE, name)


@pytest.mark.parametrize(
    "name", ["", ".", "a b.example", "ä.example", "a/b.example", "x" * 64 + ".example", "a." * 127 + "a"]
)
def test_a_name_that_dns_cannot_carry_is_refused(name: str) -> None:
    """And nothing is stored, not even the good ones beside it."""
    documents = MemoryDocuments()
    good = TxtRecord(fqdn=LABEL, value="x", issuance_id="i1", added_at=NOW)
    bad = TxtRecord(fqdn=name, value="x", issuance_id="i1", added_at=NOW)
    with pytest.raises(InvalidInputError, match="fqdn"):
        TechZoneRecords(documents).add_many([good, bad])
    with pytest.raises(InvalidInputError, match="issuance_id"):
        TechZoneRecords(documents).add(LABEL, "x", "i/1", NOW)
    assert not documents.list("txt/")


@given(st.text(max_size=600))
def test_any_text_can_be_a_value(value: str) -> None:
    """Keys stay short and plain, values come back as they were, and go again."""
    documents = MemoryDocuments()
    records = TechZoneRecords(documents)
    value = value.encode("utf-8", "ignore").decode()
    records.add(LABEL, value, "i1", NOW)
    assert records.values(LABEL) == (value,)
    assert all(len(each.key) <= 500 and each.key.isascii() for each in documents.list("txt/"))
    records.remove(LABEL, value, "i1")
    assert not documents.list("txt/")


def test_the_longest_key_fits_the_store() -> None:
    """The store takes keys of 500 characters."""
    documents = MemoryDocuments()
    name = ".".join(["x" * 63] * 3 + ["y" * 61])
    TechZoneRecords(documents).add(name, "v" * 100, "i" * 40, NOW)
    assert len(documents.list("txt/")[0].key) <= 500


class SloppyDocuments(MemoryDocuments):
    """A store that lists regardless of case, as some databases do."""

    def list(self, prefix: str = "", *, after: str = "") -> Sequence[Document]:
        return [
            each for each in super().list(after=after) if each.key.lower().startswith(prefix.lower().replace("_", "-"))
        ]


def test_a_store_that_lists_too_much_does_not_mix_names_up() -> None:
    """The zone checks the keys itself."""
    documents = SloppyDocuments()
    TechZoneRecords(documents).add("a-b.acme.example.net", DIGEST, "i1", NOW)
    source = DocumentsZoneSource(documents, lambda: [ZONE], Hands())
    assert source.records(ZONE, "a_b.acme.example.net") == {}


def test_zones_are_read_again_after_a_few_seconds() -> None:
    """A new profile's zone appears without a restart, and the callable is not asked for every query."""
    asked: list[int] = []
    zones = [ZONE]

    def read() -> Sequence[Zone]:
        asked.append(1)
        return list(zones)

    hands = Hands()
    source = DocumentsZoneSource(MemoryDocuments(), read, hands, refresh=timedelta(seconds=5))
    assert [zone.apex for zone in source.zones()] == ["acme.example.net"]
    zones.append(Zone(apex="two.example", nameservers=()))
    source.zones()
    assert len(asked) == 1
    hands.moment += timedelta(seconds=6)
    assert {zone.apex for zone in source.zones()} == {"acme.example.net", "two.example"}
    hands.moment -= timedelta(days=1)
    source.zones()
    assert len(asked) == 3


def test_the_first_zone_is_served_at_once() -> None:
    """Whoever makes the first CA profile and tests it in the same second finds its tech zone served."""
    zones: list[Zone] = []
    hands = Hands()
    source = DocumentsZoneSource(MemoryDocuments(), lambda: list(zones), hands)
    assert source.zones() == ()
    zones.append(ZONE)
    hands.moment += timedelta(milliseconds=30)
    assert [zone.apex for zone in source.zones()] == ["acme.example.net"]


def test_two_profiles_with_one_zone_serve_it_once() -> None:
    """The first profile's settings count."""
    other = Zone(apex=ZONE.apex, nameservers=("ns9.example",))
    source = DocumentsZoneSource(MemoryDocuments(), lambda: [ZONE, other], Hands())
    assert list(source.zones()) == [ZONE]


def test_zones_that_cannot_be_read_again_stand(caplog: pytest.LogCaptureFixture) -> None:
    """A store that fails later does not take the other sources' zones away; one that fails at first is reported."""
    answers: list[Sequence[Zone]] = [[ZONE]]

    def read() -> Sequence[Zone]:
        if not answers:
            raise OSError("secret://dsn")
        return answers.pop()

    hands = Hands()
    source = DocumentsZoneSource(MemoryDocuments(), read, hands)
    source.zones()
    hands.moment += timedelta(minutes=1)
    assert list(source.zones()) == [ZONE]
    assert "OSError" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(OSError, match="secret"):
        DocumentsZoneSource(MemoryDocuments(), read, hands).zones()


def test_memory_documents_keep_their_promises() -> None:
    """Versions are demanded and grow, values are copies, a secret is kept once."""
    documents = MemoryDocuments()
    value = {"a": [1]}
    assert documents.put("k", value, version=0).version == 1
    value["a"].append(2)
    found = documents.get("k")
    assert found is not None
    assert found.value == {"a": [1]}
    with pytest.raises(StaleWriteError):
        documents.put("k", {}, version=0)
    assert documents.put("k", {}, version=1).version == 2
    assert documents.put("k", {}).version == 3
    documents.delete("k", "missing")
    assert documents.get("k") is None
    assert documents.seal("s", b"one")
    assert not documents.seal("s", b"one")
    assert documents.unseal("s") == b"one"
    documents.delete_secret("s")
    documents.delete_secret("s")
    assert documents.unseal("s") is None


def test_memory_zone_edits() -> None:
    """Values are set, added and removed by value; what lies outside is refused."""
    zone = MemoryZone("Example.COM.")
    zone.set("www.example.com", "a", "192.0.2.1")
    zone.add("WWW.example.com.", "A", "192.0.2.2", "192.0.2.1")
    assert zone.records(zone.zone, "www.example.com") == {"A": ("192.0.2.1", "192.0.2.2")}
    zone.remove("www.example.com", "A", "192.0.2.1")
    zone.remove("www.example.com", "A", "missing")
    assert zone.has_names_below(zone.zone, "example.com")
    zone.remove("www.example.com", "A")
    zone.remove("www.example.com", "A")
    assert zone.records(zone.zone, "www.example.com") == {}
    assert not zone.has_names_below(zone.zone, "example.com")
    with pytest.raises(InvalidInputError, match="not in the zone"):
        zone.set("www.example.org", "A", "192.0.2.1")
    with pytest.raises(InvalidInputError, match="apex"):
        MemoryZone(".")
