"""The check value of the tech zone, and the values of single tests beside it."""

from datetime import UTC, datetime, timedelta

import pytest

from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.orders.check_value import check_value, known_check_value, trial_value, withdraw
from certcore_puq_acme.techzone.records import TechZoneRecords

ZONE = "acme.panel.test"
NAME, TRIALS = f"_certcore-check.{ZONE}", f"_certcore-trial.{ZONE}"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def records():
    return TechZoneRecords(MemoryDocuments())


@pytest.fixture
def new_id():
    numbers = iter(range(100))
    return lambda: f"{next(numbers):04d}"


def test_a_value_lasts_for_a_day(records, new_id):
    """All certificates look for the same one; one that was made under a wrong clock is replaced."""
    first = check_value(records, ZONE, NOW, new_id)
    assert first.is_young
    later = check_value(records, ZONE, NOW + timedelta(hours=23), new_id)
    assert (later.value, later.is_young) == (first.value, False)
    second = check_value(records, ZONE, NOW + timedelta(hours=25), new_id)
    assert records.values(NAME) == (second.value,)
    back = check_value(records, ZONE, NOW, new_id)
    assert back.value != second.value
    assert records.values(NAME) == (back.value,)


def test_none_is_made_by_looking(records, new_id):
    """Whoever only asks for the present value leaves the zone as it is."""
    assert known_check_value(records, ZONE, NOW) is None
    assert records.values(NAME) == ()
    made = check_value(records, ZONE, NOW, new_id)
    assert known_check_value(records, ZONE, NOW + timedelta(hours=1)).value == made.value


def test_a_test_has_a_value_of_its_own(records, new_id):
    """So that it shows whether the server takes one now; the value of the day stays when it is taken back."""
    of_the_day = check_value(records, ZONE, NOW, new_id)
    trial = trial_value(records, ZONE, NOW, new_id)
    assert records.values(trial.name) == (trial.value,)
    assert trial_value(records, ZONE, NOW, new_id).name != trial.name  # no resolver has an answer to it
    withdraw(records, trial)
    assert records.values(trial.name) == ()
    assert records.values(NAME) == (of_the_day.value,)


@pytest.mark.parametrize("later", [timedelta(minutes=11), timedelta(days=-400)])
def test_what_a_test_left_that_was_killed_goes_with_the_next(records, new_id, later):
    """Also when it was made under a clock that was ahead; two tests at the same time leave each other alone."""
    trial_value(records, ZONE, NOW, new_id)
    beside = trial_value(records, ZONE, NOW + timedelta(minutes=1), new_id)
    assert len(records.below(TRIALS)) == 2
    withdraw(records, beside)
    last = trial_value(records, ZONE, NOW + later, new_id)
    assert [record.value for record in records.below(TRIALS)] == [last.value]
    check_value(records, ZONE, NOW + later + timedelta(days=2), new_id)
    assert records.below(TRIALS) == ()


def test_a_change_of_a_name_is_known_for_a_while(records, new_id):
    """A server that copies the zone may still show what was withdrawn a moment ago."""
    trial = trial_value(records, ZONE, NOW, new_id)
    assert records.changed_since(trial.name, NOW - timedelta(minutes=10))
    assert not records.changed_since(trial.name, NOW + timedelta(minutes=1))
    assert not records.changed_since(NAME, NOW - timedelta(minutes=10))
    withdraw(records, trial)
    assert records.changed_since(trial.name, NOW - timedelta(minutes=10))
