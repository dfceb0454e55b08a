"""A CA does everything wrong that a CA can: what comes of it in thirty days; see docs/reference/tested-with.md."""

import random

import pytest

from support.simulation.ca_faults import DAYS, FAULTS, HOUR, pairs
from support.simulation.hostile_ca import complaints, line, printed, run

PAIRS = pairs()
DAYS_OF_A_SAMPLE = 16
SAMPLE = random.Random(13).sample([row for row in PAIRS if DAYS in {one.short for one in row}], 20)
LONGER = [fault for fault in FAULTS if fault.short < DAYS]


def named(faults):
    return " + ".join(map(str, faults)) if isinstance(faults, tuple) else str(faults)


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_what_a_ca_does_wrong(fault):
    """A leaf is in service where one can be had, orders and requests are bounded, and the page says the cause."""
    outcome = run([fault], days=fault.short)
    assert not complaints([fault], outcome, days=fault.short)
    row, rows = line(fault, outcome), printed()
    if fault.short < DAYS:  # what the page says may change until the end
        row, rows = row.split(" | ")[:4], [row.split(" | ")[:4] for row in rows]
    assert row in rows, "in tests: python -m support.simulation.hostile_ca"


@pytest.mark.soak
@pytest.mark.parametrize("fault", LONGER, ids=named)
def test_what_a_ca_does_wrong_in_thirty_days(fault):
    """The same for the rows that the default tests cut short."""
    outcome = run([fault])
    assert not complaints([fault], outcome)
    assert line(fault, outcome) in printed(), "in tests: python -m support.simulation.hostile_ca"


def test_the_printed_table_has_every_row():
    """The page's table has a row for each thing that a CA does wrong, and no other."""
    assert [row.split(" | ")[:2] for row in printed()] == [[f"| {fault.axis}", fault.name] for fault in FAULTS]


@pytest.mark.parametrize("faults", SAMPLE, ids=named)
def test_pairs_of_what_a_ca_does_wrong(faults):
    """What holds for each fault alone holds for faults that meet: a sample, until after the renewal."""
    assert not complaints(faults, run(faults, days=DAYS_OF_A_SAMPLE), days=DAYS_OF_A_SAMPLE)


@pytest.mark.soak
@pytest.mark.parametrize("faults", PAIRS, ids=named)
def test_all_pairs_of_what_a_ca_does_wrong(faults):
    """What holds for each fault alone holds for any two that meet."""
    assert not complaints(faults, run(faults))


def test_any_two_faults_meet():
    """Of the faults with which a leaf can be had, any two of different requests are in one of the combinations."""
    passing = [fault for fault in FAULTS if not fault.prevents and fault.lifetime != HOUR]
    met = {frozenset((one, other)) for row in PAIRS for one in row for other in row}
    missing = [
        (str(one), str(other))
        for number, one in enumerate(passing)
        for other in passing[number + 1 :]
        if one.axis != other.axis and frozenset((one, other)) not in met
    ]
    assert not missing


def test_the_same_seed_gives_the_same_run():
    """A run depends on its seed alone: twice the same requests at the same moments, and another seed, other moments."""
    fault = next(fault for fault in FAULTS if str(fault) == "finalize, 500 always")
    first, again, other = run([fault], days=3), run([fault], days=3), run([fault], days=3, seed=1)
    assert first.log == again.log
    assert first.log != other.log
