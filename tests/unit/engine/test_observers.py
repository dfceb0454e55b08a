"""Which observers events are kept for, and when one is forgotten."""

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
from hypothesis import given

from certcore.engine.observers import FORGOTTEN_AFTER, is_gone, observer_changes
from certcore.model.deliveries import KnownObserver

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _after(stored, here, now):
    """What is known after a process has looked."""
    changed = {observer.name: observer for observer in observer_changes(stored, here, now)}
    kept = {observer.name: observer for observer in stored} | changed
    return [observer for observer in kept.values() if not is_gone(observer, now)]


def test_an_observer_is_written_down_when_it_is_new_and_then_hourly():
    """So that a claim need not write it each time."""
    (new,) = observer_changes([], ["web"], NOW)
    assert new == KnownObserver(name="web", seen_at=NOW)
    assert observer_changes([new], ["web"], NOW + HOUR / 2) == []
    assert observer_changes([new], ["web"], NOW + HOUR) == [KnownObserver(name="web", seen_at=NOW + HOUR)]


def test_one_that_nobody_has_is_forgotten_after_a_week():
    """Not before, and not if it comes once a day or a few days before the end."""
    known = [KnownObserver(name="web", seen_at=NOW)]
    now = NOW
    while known:
        now += HOUR
        known = _after(known, ["mail"], now)
        known = [observer for observer in known if observer.name == "web"]
    assert FORGOTTEN_AFTER <= now - NOW <= FORGOTTEN_AFTER + HOUR
    known = [KnownObserver(name="web", seen_at=NOW)]
    for hour in range(1, 24 * 30):
        here = ["web"] if hour % (6 * 24) == 0 else []
        known = _after(known, here, NOW + hour * HOUR)
        assert known


def test_one_look_forgets_nothing():
    """However long ago it was: a process whose clock is wrong looks so, and others have to say nothing for days."""
    known = [KnownObserver(name="web", seen_at=NOW)]
    years = NOW + 4000 * DAY
    assert _after(known, [], years) == [KnownObserver(name="web", seen_at=NOW, missed_since=years)]
    (seen,) = _after(_after(known, [], years), ["web"], NOW + HOUR)
    assert seen == KnownObserver(name="web", seen_at=NOW + HOUR)
    # One that really is gone is not kept until that year.
    (missed,) = _after(_after(known, [], years), [], NOW + 2 * DAY)
    assert missed.missed_since == NOW + 2 * DAY


@given(st.timedeltas(min_value=-4000 * DAY, max_value=4000 * DAY), st.integers(1, 60))
def test_a_clock_that_is_wrong_takes_nothing_from_others(ahead, looks):
    """Whatever it shows, while a process with the right time says every hour that the observer is here."""
    known = [KnownObserver(name="web", seen_at=NOW)]
    for hour in range(1, looks + 1):
        known = _after(known, ["mail"], NOW + hour * 6 * HOUR + ahead)
        assert "web" in {observer.name for observer in known}
        known = _after(known, ["web"], NOW + hour * 6 * HOUR)
        assert "web" in {observer.name for observer in known}
