"""What a CA wishes for renewals (RFC 9773): asked when it wants to be, chosen once, and left when it stays silent."""

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.model.renewal import RenewalPolicy
from certcore.model.renewal_info import RenewalInfo, SuggestedWindow, after_answer, after_failure, first_info
from certcore.testing.contracts.samples import NOW, sample_leaf

LEAF = sample_leaf()
DAY = timedelta(days=1)
WINDOW = SuggestedWindow(start=NOW + 58 * DAY, end=NOW + 62 * DAY, explanation_url="https://ca.example/why")

lifetimes = st.integers(1, 398).map(lambda days: days * DAY)
rolls = st.floats(0, 1)


def _answered(info=None, window=WINDOW, now=NOW, roll=0.5):
    return after_answer(info, window, leaf=LEAF, now=now, roll=roll)


@given(rolls, rolls)
def test_the_moment_is_chosen_once(first, second):
    """While the window stays the same, so does the moment in it; a new window gets a new moment inside it."""
    info = _answered(roll=first)
    assert WINDOW.start <= info.renew_at <= WINDOW.end
    assert _answered(info, roll=second).renew_at == info.renew_at
    later = evolve(WINDOW, start=WINDOW.start + DAY)
    assert later.start <= _answered(info, later, roll=second).renew_at <= later.end


def test_the_moments_are_spread_evenly():
    """The roll goes to the moment in a straight line: beginning, middle and end."""
    assert [_answered(roll=roll).renew_at for roll in (0.0, 0.5, 1.0)] == [
        WINDOW.start,
        NOW + 60 * DAY,
        WINDOW.end,
    ]


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        (None, timedelta(hours=6)),
        (0.0, timedelta(minutes=1)),
        (59.0, timedelta(minutes=1)),
        (21600.0, timedelta(hours=6)),
        (86400.0 * 9, timedelta(days=1)),
    ],
)
def test_the_ca_is_asked_when_it_wants_to_be(retry_after, pause):
    """Retry-After counts, between a minute and a day; without one it is six hours."""
    assert _answered(window=evolve(WINDOW, retry_after=retry_after)).check_at == NOW + pause


def test_a_ca_without_an_opinion():
    """The policy counts, and the CA is asked again much later."""
    info = _answered(window=None)
    assert (info.counts, info.renew_at) == (False, None)
    assert info.check_at == NOW + 9 * DAY
    assert RenewalPolicy().renew_at(LEAF, "x", info) == RenewalPolicy().renew_at(LEAF, "x")


def test_failures_are_counted_and_forgotten():
    """After failures in a row the pauses grow to six hours and the last answer ends to count; one answer mends it."""
    info, pauses, now = _answered(), [], NOW
    for _ in range(6):
        failed = after_failure(info, now=now)
        pauses.append(failed.check_at - now)
        now, info = failed.check_at, failed
    assert pauses == [timedelta(minutes=one) for one in (1, 5, 30, 360, 360, 360)]
    assert not info.counts
    assert _answered(info).counts
    assert [_answered().counts, after_failure(_answered(), now=NOW).counts] == [True, True]


def test_a_ca_in_trouble_may_ask_for_time():
    """A Retry-After of a failure is waited for, but never longer than a day."""
    assert after_failure(None, now=NOW, retry_after=1000).check_at == NOW + timedelta(seconds=1000)
    assert after_failure(None, now=NOW, retry_after=1e9).check_at == NOW + DAY


@given(lifetimes, rolls, st.floats(-1, 2), st.floats(0, 1))
def test_never_too_late_whatever_the_ca_says(lifetime, roll, place, length):
    """A window anywhere, even after the end, leads to a renewal while there is time left; one in the past to now."""
    leaf = evolve(LEAF, not_after=LEAF.not_before + lifetime)
    start = leaf.not_before + lifetime * place
    window = SuggestedWindow(start=start, end=start + lifetime * length)
    info = after_answer(None, window, leaf=leaf, now=NOW, roll=roll)
    renew_at = RenewalPolicy().renew_at(leaf, "x", info)
    assert renew_at <= leaf.not_after - lifetime / 20
    assert renew_at <= max(info.renew_at, leaf.not_after - lifetime / 2)
    assert info.renew_at > leaf.not_after - lifetime / 3 or renew_at == info.renew_at


def test_days_asked_for_by_a_user_can_be_earlier_than_the_ca():
    """Thirty days before the end is earlier than the CA's wish; ten days is later, and the CA's wish counts."""
    info = _answered()
    own = RenewalPolicy(days_before=40).renew_at(LEAF, "x")
    assert RenewalPolicy(days_before=40).renew_at(LEAF, "x", info) == own < info.renew_at
    assert RenewalPolicy(days_before=10).renew_at(LEAF, "x", info) == info.renew_at


@given(lifetimes)
def test_the_first_question_comes_soon(lifetime):
    """Within an hour, and of a short-lived leaf within a hundredth of its life."""
    leaf = evolve(LEAF, not_after=LEAF.not_before + lifetime)
    assert NOW < first_info(leaf, NOW).check_at <= NOW + min(timedelta(hours=1), lifetime / 100)
    assert isinstance(first_info(leaf, NOW), RenewalInfo)
