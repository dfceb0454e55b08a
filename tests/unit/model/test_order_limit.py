"""The engine's own bound on orders, and when a renewal may begin: pure functions of what is stored."""

from datetime import timedelta
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given

from certcore.model.engine_state import EngineState
from certcore.model.issuance import Outcome, Purpose
from certcore.model.order_limit import (
    MOST_ORDERS,
    MOST_REFUSALS,
    order_limit,
    pause_after_order,
    pause_after_refusal,
)
from certcore.model.renewal import RenewalPolicy
from certcore.model.renewal_info import RenewalInfo
from certcore.testing.contracts.samples import NOW, sample_issuance, sample_leaf

DAY = timedelta(days=1)
LIFETIMES = st.timedeltas(min_value=timedelta(minutes=1), max_value=800 * DAY)


def _leaf(lifetime, begins=NOW):
    return evolve(sample_leaf(), not_before=begins, not_after=begins + lifetime)


@given(
    lifetime=LIFETIMES,
    share=st.floats(0, 0.9999),
    days=st.none() | st.integers(1, 365),
    wish=st.none() | st.timedeltas(min_value=-4000 * DAY, max_value=4000 * DAY),
    early=st.integers(0, 30),
)
def test_no_leaf_is_due_when_it_is_installed(lifetime, share, days, wish, early):
    """Whatever policy and CA say: some of what a leaf had left passes first, and not all of it."""
    leaf = _leaf(lifetime)
    installed = NOW + lifetime * share
    left = leaf.not_after - installed
    info = None if wish is None else RenewalInfo(check_at=NOW, start=NOW, end=NOW, renew_at=NOW + wish)
    policy = RenewalPolicy(days_before=days)
    at = policy.renew_at(leaf, "x", info, installed=installed, early=early)
    assert installed < at < leaf.not_after
    if wish is None:
        assert at >= installed + left / 3
    else:
        assert at >= installed + min(timedelta(hours=1), left / 20)
        assert not early or at >= installed + min(DAY * 2 ** min(early - 1, 10), left / 3)


@given(lifetime=st.timedeltas(min_value=DAY, max_value=800 * DAY), days=st.none() | st.integers(1, 365))
def test_usual_leaves_are_renewed_as_ever(lifetime, days):
    """A leaf that was installed within the first hundredth of its life is renewed when its policy says."""
    leaf, policy = _leaf(lifetime), RenewalPolicy(days_before=days)
    installed = NOW + lifetime / 100
    assert policy.renew_at(leaf, "x", installed=installed) == policy.renew_at(leaf, "x")


@given(
    moments=st.lists(st.timedeltas(min_value=-20 * DAY, max_value=timedelta(0)), min_size=1, max_size=20),
    lifetime=st.none() | LIFETIMES,
    by_user=st.booleans(),
)
def test_orders_are_bounded_in_every_window(moments, lifetime, by_user):
    """No more orders than the bound within its window, and the moment of the next one is when one is left."""
    orders = tuple(sorted(NOW + moment for moment in moments))
    issuance = sample_issuance(engine_state=EngineState(orders=orders))
    if lifetime is not None:
        leaf = _leaf(lifetime, NOW - 30 * DAY)
        issuance = evolve(issuance, leaf=leaf, outcome=Outcome.ISSUED, finished_at=NOW - 30 * DAY)
    limit = order_limit([issuance], NOW, by_user=by_user)
    assert limit.most == MOST_ORDERS * (2 if by_user else 1)
    assert timedelta(minutes=10) <= limit.window <= 7 * DAY
    recent = [at for at in orders if at > NOW - limit.window]
    assert limit.left == max(0, limit.most - len(recent))
    if limit.next_at is not None:
        assert limit.left == 0
        assert order_limit([issuance], limit.next_at - timedelta(microseconds=1), by_user=by_user).left == 0
        assert order_limit([issuance], limit.next_at, by_user=by_user).left >= 1


def test_an_import_is_no_order():
    """What was issued elsewhere counts for nothing; a leaf of before orders were counted is one order."""
    taken_in = sample_issuance(purpose=Purpose.IMPORT, outcome=Outcome.ISSUED, leaf=_leaf(90 * DAY))
    assert order_limit([taken_in], NOW).left == MOST_ORDERS
    earlier = sample_issuance(outcome=Outcome.ISSUED, leaf=_leaf(90 * DAY))
    assert order_limit([taken_in, earlier], NOW).left == MOST_ORDERS - 1


@given(
    moments=st.lists(st.timedeltas(min_value=-20 * DAY, max_value=timedelta(0)), max_size=60),
    by_user=st.booleans(),
)
def test_requests_that_the_ca_refuses_are_bounded_in_every_window(moments, by_user):
    """After 20 within a week none follows before one of them is a week old; a user's action makes one more."""
    refusals = tuple(sorted(NOW + moment for moment in moments))
    issuance = sample_issuance(engine_state=EngineState(order_refusals=refusals))
    limit = order_limit([issuance], NOW, by_user=by_user)
    recent = [at for at in refusals if at > NOW - 7 * DAY]
    most = MOST_REFUSALS * (2 if by_user else 1)
    assert limit.refusals_left == max(MOST_REFUSALS - len(recent), int(by_user and len(recent) < most))
    assert bool(limit.left) is bool(limit.refusals_left)
    if limit.next_at is not None:
        assert order_limit([issuance], limit.next_at, by_user=by_user).left >= 1


def _attempts(pause_after, counted, ends, until):
    """When attempts are made of which none helps, from now on."""
    now, state, moments = NOW, EngineState(), []
    leaf = evolve(sample_leaf(), not_before=NOW - 60 * DAY, not_after=ends) if ends else None
    then = NOW - 60 * DAY
    before = [sample_issuance(outcome=Outcome.ISSUED, leaf=leaf, created_at=then, finished_at=then)] if leaf else []
    while now <= until:
        moments.append(now)
        state = counted(state, now)
        issuance = sample_issuance(2, engine_state=state)
        pause = pause_after([*before, issuance], issuance, now)
        assert pause > timedelta(0)
        now += pause
        assert order_limit([*before, issuance], now).left >= 1
    return moments


@pytest.mark.parametrize(
    ("pause_after", "counted", "most"),
    [
        (pause_after_order, lambda state, now: state.ordered(now, left=1), MOST_ORDERS),
        (pause_after_refusal, lambda state, now: state.refused(now, 1), MOST_REFUSALS),
    ],
    ids=["orders", "refusals"],
)
@given(left=st.none() | st.timedeltas(timedelta(hours=2), 40 * DAY))
def test_attempts_of_which_none_helps_reach_as_far_as_the_end_of_the_leaf(pause_after, counted, most, left):
    """The bound holds in every week, the first repetition is quick, and one comes shortly before the leaf's end."""
    ends = None if left is None else NOW + left
    moments = _attempts(pause_after, counted, ends, NOW + 40 * DAY)
    for moment in moments:
        assert sum(moment <= other < moment + 7 * DAY for other in moments) <= most
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps[0] <= timedelta(minutes=10)
    assert max(gaps) < 6 * DAY
    if ends is not None:
        last = max(moment for moment in moments if moment < ends)
        assert ends - last <= max(left / 7, timedelta(hours=12))
