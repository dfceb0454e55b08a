"""How long a CA is waited for: bounds that hold whatever it says, and whatever the clock does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.model.problem import Problem
from certcore_puq_acme.moments import moment_before
from certcore_puq_acme.orders.patience import (
    Asked,
    Trouble,
    Wait,
    bounded_wait,
    growing_pause,
    order_life,
)
from certcore_puq_acme.orders.state import OrderState
from certcore_puq_acme.rate_limits.pauses import LONGEST_PAUSE, Pause

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEFT = st.none() | st.timedeltas(timedelta(0), 400 * DAY)


@given(st.floats(min_value=-1e9, max_value=1e12), st.sampled_from(Wait), LEFT)
def test_no_retry_after_is_heeded_for_longer_than_its_kind_allows(seconds, kind, left):
    """Ten minutes for an order, six hours for a limit, less when the leaf in service ends soon; never negative."""
    waited = bounded_wait(seconds, kind, left)
    longest = {Wait.ORDER: 10 * MINUTE, Wait.LIMIT: 6 * HOUR}[kind]
    assert 0 <= waited <= longest.total_seconds()
    assert waited <= max(seconds, 0)
    if left is not None:
        assert waited <= max(left / 10, MINUTE).total_seconds()


@given(LEFT)
def test_an_order_is_given_up_while_the_leaf_in_service_still_serves(left):
    """After a day at most, and a third of what is left; but no sooner than an hour."""
    assert HOUR <= order_life(left) <= DAY
    if left is not None and left > 3 * HOUR:
        assert order_life(left) <= left / 3


def test_polls_of_one_order_stay_within_forty_an_hour():
    """Polls come quickly at first and then ever more slowly, for whatever is never completed."""
    assert growing_pause(0) < 0.01
    elapsed, polls = 0.0, 0
    while elapsed < 3600:
        elapsed += growing_pause(polls)
        polls += 1
    assert polls <= 40


@pytest.mark.parametrize("ahead", [6 * MINUTE, 400 * DAY, 3650 * DAY])
@pytest.mark.parametrize("text", ["", None, "garbage", "2030-01-01T00:00:00", 7])
def test_moments_that_no_right_clock_has_written_count_as_now(ahead, text):
    """What lies ahead, is no moment or has no time zone is repaired instead of waited for."""
    assert moment_before((NOW + ahead).isoformat(), NOW) == NOW
    assert moment_before(text, NOW) == NOW
    assert moment_before((NOW - ahead).isoformat(), NOW) == NOW - ahead


def test_a_refusal_is_believed_after_a_minute_and_several_looks():
    """Neither five looks within a second nor two over a day are enough; the pauses between looks make a minute."""
    trouble, now = Trouble.continued(None, NOW), NOW
    for _ in range(30):
        trouble = trouble.again("No such order")
        if trouble.is_believed(now):
            break
        now += timedelta(seconds=trouble.pause)
    assert timedelta(seconds=60) <= now - NOW <= timedelta(seconds=90)
    assert trouble.looks == 6
    hasty = Trouble(since=NOW, looks=6)
    assert not hasty.is_believed(NOW + timedelta(seconds=59))
    assert not Trouble(since=NOW, looks=5).is_believed(NOW + DAY)


@given(st.integers(0, 600), st.timedeltas(-3650 * DAY, 3650 * DAY))
def test_a_trouble_ends_by_looks_and_hours_whatever_the_clock_does(looks, jump):
    """A clock that jumps does not end the trouble at once, and one that stands still does not prolong it for ever."""
    trouble = Trouble(since=NOW, looks=looks)
    ended = trouble.has_lasted(DAY, NOW + jump)
    assert not (ended and looks < 10)
    assert ended or looks < 500
    stored = Trouble.continued(OrderState.read(OrderState(trouble=trouble).to_json()).trouble, NOW + jump)
    assert stored.since <= NOW + jump + 5 * MINUTE


def test_a_problem_tells_since_when_it_is_so():
    """From the second time on, with the number of times."""
    problem = Problem(title="The CA said no.")
    assert Trouble(since=NOW, looks=1).told(problem) == problem
    assert Trouble(since=NOW, looks=9).told(problem).title.endswith("since 2030-01-01 00:00 UTC (9 times).")


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(1, 60)), max_size=60), st.integers(1, 100))
def test_no_hour_holds_more_requests_than_are_allowed(steps, names):
    """Whatever is asked when: within any hour steps cost 54 of 60 requests, and six more for each further name."""
    now, slots, sent = NOW, {}, []
    for pause, wanted in steps:
        now += timedelta(seconds=pause)
        asked = Asked.of(slots, names, now)
        if asked.is_enough:
            assert now < asked.free_at <= now + HOUR + 5 * MINUTE
            assert not Asked.of(slots, names, asked.free_at).is_enough
            continue
        many = min(wanted, asked.left)
        sent += [now] * many
        slots = OrderState.read(OrderState(asked=asked.with_more(many).slots).to_json()).asked
    for moment in sent:
        assert sum(moment <= other < moment + HOUR for other in sent) <= 54 + 6 * (names - 1)


@given(st.dictionaries(st.text(max_size=8) | st.integers(0, 10**7).map(str), st.integers() | st.text(max_size=3)))
def test_a_count_that_is_garbage_or_of_another_time_counts_nothing(stored):
    """A state of whatever origin is read; slots of the future are dropped."""
    future = str(int((NOW + 3650 * DAY).timestamp()) // 300)
    asked = Asked.of(OrderState.read({"asked": {**stored, future: 1000}}).asked, 1, NOW)
    assert all(slot <= NOW.timestamp() // 300 for slot in asked.slots)
    assert asked.free_at <= NOW + HOUR + 5 * MINUTE


@given(st.timedeltas(timedelta(0), 400 * DAY), st.timedeltas(-3650 * DAY, 3650 * DAY), LEFT)
def test_no_stored_pause_is_longer_than_six_hours(wish, jump, patience):
    """However long the CA wishes it, and wherever the clock is when it is read."""
    pause = Pause.asked_for(NOW + wish, "slow down", NOW)
    found = Pause.of(pause.to_json(), NOW + jump)
    if found is not None:
        assert found.end_for(patience) - (NOW + jump) <= LONGEST_PAUSE + 5 * MINUTE
        assert found.wished == NOW + wish
    if timedelta(0) <= jump < min(wish, LONGEST_PAUSE):
        assert found is not None


def test_a_pause_that_was_stored_before_there_was_a_beginning():
    """It is kept to its end, when that is within six hours; else a wrong clock has written it."""
    assert Pause.of({"until": (NOW + HOUR).isoformat(), "detail": "x"}, NOW).until == NOW + HOUR
    assert Pause.of({"until": (NOW + 7 * HOUR).isoformat(), "detail": "x"}, NOW) is None
    assert Pause.of({"until": "soon"}, NOW) is None
    assert Pause.of({}, NOW) is None
