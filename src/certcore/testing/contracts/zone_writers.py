"""What every writer of TXT values keeps: the docstrings of `certcore.ports.zone_writers`, as tests.

::

    class TestMyWriter(ZoneWriterContract):
        @pytest.fixture
        def written(self):
            with start_my_server("acme.panel.test") as server:
                yield WrittenZone(
                    writer=MyWriter(server.address),
                    zone="acme.panel.test",
                    values=server.txt_values,
                    has=server.has,
                )

The server may be shared by all tests: each uses names of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection

import pytest
from attrs import frozen

from certcore.errors import CertCoreError, ZoneWriteError
from certcore.ports.zone_writers import MOST_CHANGES, CnameOutcome, TxtChange, WritesCnames, ZoneServer, ZoneWriter

__all__ = ["CnameWriterContract", "WrittenZone", "ZoneWriterContract"]

_TTL = 30


@frozen(kw_only=True)
class WrittenZone:
    """A writer, and how to see what came of it."""

    writer: ZoneWriter
    #: The zone's name. It has an A record at ``www``.
    zone: str
    #: The TXT values that the server shows at a name.
    values: Callable[[str], Collection[str]]
    #: Whether the server shows a record of a type at a name.
    has: Callable[[str, str], bool]
    #: Where the CNAME at a name points, as the server shows it, without the trailing dot; for `CnameWriterContract`.
    cname: Callable[[str], str] | None = None
    #: A zone that the server does not have; empty where any zone can be written to.
    foreign_zone: str = "elsewhere.test"


class ZoneWriterContract:
    """Inherit, and give it a fixture ``written``: a `WrittenZone`."""

    @pytest.fixture
    def name(self, written: WrittenZone, request: pytest.FixtureRequest) -> str:
        """A name in the zone that no other test uses."""
        return f"n{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:32]}.{written.zone}"

    def test_a_value_is_there_when_the_call_returns(self, written: WrittenZone, name: str) -> None:
        """And gone when the call that withdraws it returns."""
        _write(written, name, ["first"])
        assert set(written.values(name)) == {"first"}
        _write(written, name, [], ["first"])
        assert set(written.values(name)) == set()

    def test_values_are_added_and_withdrawn_one_by_one(self, written: WrittenZone, name: str) -> None:
        """A name has the values of all orders for it at once, and each goes by itself."""
        _write(written, name, ["first"])
        _write(written, name, ["first", "second"])
        _write(written, name, ["first", "second", "third"])
        assert set(written.values(name)) == {"first", "second", "third"}
        _write(written, name, ["first", "third"], ["second"])
        assert set(written.values(name)) == {"first", "third"}
        _write(written, name, ["fourth"], ["first", "third"])
        assert set(written.values(name)) == {"fourth"}

    def test_twice_is_harmless(self, written: WrittenZone, name: str) -> None:
        """What is there already is added again, and what is gone is withdrawn again, without an error."""
        for _ in range(2):
            _write(written, name, ["first", "second"])
        assert set(written.values(name)) == {"first", "second"}
        for _ in range(2):
            _write(written, name, [], ["first", "second"])
        assert set(written.values(name)) == set()

    def test_withdrawing_what_never_was_is_harmless(self, written: WrittenZone, name: str) -> None:
        """A crash may have come before the value did."""
        _write(written, name, [], ["never"])
        assert set(written.values(name)) == set()

    def test_nothing_to_change(self, written: WrittenZone) -> None:
        """An empty list of changes is no error."""
        written.writer.write(written.zone, [], ttl=_TTL)

    def test_a_whole_batch(self, written: WrittenZone, name: str) -> None:
        """As many names as a call may have, with two values each, come and go in one call."""
        names = [f"b{number}.{name}" for number in range(MOST_CHANGES)]
        values = ("first", "second")
        written.writer.write(written.zone, [TxtChange(name=label, values=values) for label in names], ttl=_TTL)
        assert {label for label in names if set(written.values(label)) == set(values)} == set(names)
        written.writer.write(written.zone, [TxtChange(name=label, withdrawn=values) for label in names], ttl=_TTL)
        assert [label for label in names if written.values(label)] == []

    def test_many_values_at_one_name(self, written: WrittenZone, name: str) -> None:
        """Twenty orders for one name at once."""
        values = [f"value-{number:02d}" for number in range(20)]
        _write(written, name, values)
        assert set(written.values(name)) == set(values)
        _write(written, name, values[:1], values[1:])
        assert set(written.values(name)) == set(values[:1])

    @pytest.mark.parametrize(
        "value",
        [
            "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
            'with "quotes" and \\ and ; and blanks ',
            "x" * 300,
            "$TTL @ ( )",
        ],
        ids=["digest", "quotes", "long", "zone file"],
    )
    def test_a_value_is_shown_as_it_was_given(self, written: WrittenZone, name: str, value: str) -> None:
        """Whatever its characters mean to the server, and whatever its length."""
        _write(written, name, [value])
        assert set(written.values(name)) == {value}
        _write(written, name, [], [value])
        assert set(written.values(name)) == set()

    def test_nothing_else_is_touched(self, written: WrittenZone, name: str) -> None:
        """Other names keep their values, and other types stay."""
        _write(written, f"other.{name}", ["stays"])
        _write(written, name, ["comes"])
        _write(written, name, [], ["comes"])
        assert set(written.values(f"other.{name}")) == {"stays"}
        www = f"www.{written.zone}"
        _write(written, www, ["beside"])
        assert written.has(www, "A")
        _write(written, www, [], ["beside"])
        assert written.has(www, "A")
        _write(written, f"other.{name}", [], ["stays"])

    def test_many_threads(self, written: WrittenZone, name: str) -> None:
        """Calls about different names do not hinder one another, unless the writer says that they do."""
        if written.writer.one_at_a_time:
            pytest.skip("it is called by one thread at a time")
        names = [f"t{number}.{name}" for number in range(8)]
        failures: list[BaseException] = []

        def write(label: str) -> None:
            try:
                for _ in range(3):
                    _write(written, label, ["value"])
            except CertCoreError as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(label,)) for label in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [label for label in names if set(written.values(label)) != {"value"}] == []
        for label in names:
            _write(written, label, [], ["value"])

    def test_a_refusal_names_the_server_and_what_to_do(self, written: WrittenZone) -> None:
        """A zone that the server does not have is refused with words for the administrator."""
        if not written.foreign_zone:
            pytest.skip("any zone can be written to")
        change = TxtChange(name=f"label.{written.foreign_zone}", values=("value",))
        with pytest.raises(ZoneWriteError) as caught:
            written.writer.write(written.foreign_zone, [change], ttl=_TTL)
        assert caught.value.server
        assert caught.value.zone == written.foreign_zone
        assert caught.value.server in caught.value.message
        assert caught.value.advice

    def test_the_servers_are_named(self, written: WrittenZone) -> None:
        """Those that have to show a value, by address."""
        assert all(isinstance(server, ZoneServer) for server in written.writer.servers(written.zone))


class CnameWriterContract:
    """For a writer that sets CNAMEs, too: the same fixture ``written``, with ``cname``."""

    @pytest.fixture
    def name(self, written: WrittenZone, request: pytest.FixtureRequest) -> str:
        """A name in the zone that no other test uses."""
        return f"_acme-challenge.n{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:32]}.{written.zone}"

    def test_it_has_the_power(self, written: WrittenZone) -> None:
        """All three methods are there."""
        assert isinstance(written.writer, WritesCnames)

    def test_the_zone_of_a_name(self, written: WrittenZone, name: str) -> None:
        """The zone that a name lies in is found, whether or not a record is there; that of a foreign name is not."""
        writer = _cnames(written)
        www = f"_acme-challenge.www.{written.zone}"
        assert writer.look_up(name) == writer.look_up(f"x.{name}")
        hosted = writer.look_up(www)
        assert hosted is not None
        assert hosted.zone == written.zone
        assert not hosted.target
        assert writer.look_up(f"_acme-challenge.shop.{written.foreign_zone}") is None

    def test_set_and_removed(self, written: WrittenZone, name: str) -> None:
        """It is there when the call returns, and gone when the other one does; twice is harmless."""
        writer, target = _cnames(written), f"label.{written.zone}"
        assert _set(written, name, target) is CnameOutcome.SET
        assert _set(written, name, target) is CnameOutcome.PRESENT
        assert _cname(written, name) == target
        hosted = writer.look_up(name)
        assert hosted is not None
        assert hosted.target == target
        for _ in range(2):
            writer.remove_cname(written.zone, name, target)
        assert not _cname(written, name)
        assert _set(written, name, f"other.{written.zone}") is CnameOutcome.SET
        writer.remove_cname(written.zone, name, f"other.{written.zone}")

    def test_a_target_elsewhere(self, written: WrittenZone, name: str) -> None:
        """The tech zone need not be in the zone of the domain."""
        target = f"label.acme.{written.foreign_zone or 'elsewhere.test'}"
        assert _set(written, name, target) is CnameOutcome.SET
        assert _cname(written, name) == target
        _cnames(written).remove_cname(written.zone, name, target)

    def test_another_cname_stays(self, written: WrittenZone, name: str) -> None:
        """It is not replaced, and not removed by another value."""
        theirs, ours = f"theirs.{written.zone}", f"ours.{written.zone}"
        _set(written, name, theirs)
        change = _cnames(written).set_cname(written.zone, name, ours, ttl=_TTL)
        assert change.outcome is CnameOutcome.OCCUPIED
        assert theirs in change.seen
        _cnames(written).remove_cname(written.zone, name, ours)
        assert _cname(written, name) == theirs
        _cnames(written).remove_cname(written.zone, name, theirs)

    def test_a_record_of_another_type_stays(self, written: WrittenZone, name: str) -> None:
        """Nothing is set beside it, and it is not removed."""
        _write(written, name, ["theirs"])
        assert _set(written, name, f"ours.{written.zone}") is CnameOutcome.OCCUPIED
        _cnames(written).remove_cname(written.zone, name, f"ours.{written.zone}")
        assert set(written.values(name)) == {"theirs"}
        assert not _cname(written, name)
        _write(written, name, [], ["theirs"])

    def test_records_below_a_name_do_not_matter(self, written: WrittenZone, name: str) -> None:
        """A name that exists only because others lie below it is free."""
        _write(written, f"below.{name}", ["stays"])
        assert _set(written, name, f"ours.{written.zone}") is CnameOutcome.SET
        _cnames(written).remove_cname(written.zone, name, f"ours.{written.zone}")
        assert set(written.values(f"below.{name}")) == {"stays"}
        _write(written, f"below.{name}", [], ["stays"])


def _cnames(written: WrittenZone) -> WritesCnames:
    assert isinstance(written.writer, WritesCnames)
    return written.writer


def _cname(written: WrittenZone, name: str) -> str:
    assert written.cname is not None
    return written.cname(name)


def _set(written: WrittenZone, name: str, target: str) -> CnameOutcome:
    return _cnames(written).set_cname(written.zone, name, target, ttl=_TTL).outcome


def _write(written: WrittenZone, name: str, values: Collection[str], withdrawn: Collection[str] = ()) -> None:
    change = TxtChange(name=name, values=tuple(sorted(values)), withdrawn=tuple(sorted(withdrawn)))
    written.writer.write(written.zone, [change], ttl=_TTL)
