"""The names that changed lately, and the serial of the zone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore_puq_acme.techzone.zone_changes import ZoneChanges, name_digest, next_serial

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("serial", "now", "expected"),
    [
        (None, NOW, int(NOW.timestamp())),
        (1, NOW, int(NOW.timestamp())),
        (int(NOW.timestamp()), NOW, int(NOW.timestamp()) + 1),
        (int(NOW.timestamp()) + 1000, NOW, int(NOW.timestamp()) + 1001),
        (int(NOW.timestamp()), None, int(NOW.timestamp()) + 1),
        (2**32 - 1, None, 0),
        (2**32 - 5, datetime.fromtimestamp(2**32 + 7, UTC), 7),
    ],
)
def test_the_serial_is_the_time_or_one_more(serial, now, expected):
    """It never stands still or goes back (RFC 1982), also after its 32 bits and under a wrong clock."""
    assert next_serial(serial, now) == expected


def test_a_reader_learns_what_changed_since_it_looked():
    """It may have seen any of the changes that are noted, or none at all."""
    none = ZoneChanges()
    one = none.with_change(["a.example"], NOW)
    two = one.with_change(["b.example", "c.example"], NOW)
    assert two.names_changed_since(two.serial) == frozenset()
    assert two.names_changed_since(one.serial) == {name_digest("b.example"), name_digest("c.example")}
    assert two.names_changed_since(none.serial) == {name_digest(f"{each}.example") for each in "abc"}
    assert two.names_changed_since(17) is None
    assert none.names_changed_since(two.serial) is None  # the document was removed, or another database put here
    assert ZoneChanges.of(two.value()) == two
    assert ZoneChanges.of({}) == none


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(0, 20))
def test_a_reader_that_was_away_for_long_forgets_everything(sizes, seen):
    """The document stays short; whoever missed changes that are no longer noted is told so, nobody misses one."""
    changes, history = ZoneChanges(), []
    before = changes.serial
    for number, size in enumerate(sizes):
        names = [f"n{number}-{each}.example" for each in range(size)]
        if number == seen:
            before = changes.serial
        if number >= seen:
            history += names
        changes = changes.with_change(names, NOW + timedelta(seconds=number // 2))
        assert len(str(changes.value())) < 8000
    if seen < len(sizes):
        told = changes.names_changed_since(before)
        assert told is None or {name_digest(name) for name in history} <= told
        if sum(sizes) <= 200:
            assert told is not None
