"""Renewals of leaves near their end go out in the order of these ends, in whatever order they ask for a turn."""

import heapq
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from attrs import evolve, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certcore_puq_acme.rate_limits.limiter import OrderRequest, Why
from support.budgets import make_budget

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WINDOW = 3 * HOUR


def _renewal(number, ends, **more):
    """Of a leaf near its end."""
    more = {"names": (f"d{number}.test",), "renewal": True, "urgent": True, "near_end": True, "ends": ends, **more}
    return OrderRequest(issuance_id=f"i{number}", **more)


def _other(number, **more):
    """Of a certificate without a leaf."""
    return OrderRequest(issuance_id=f"o{number}", names=(f"o{number}.test",), urgent=True, **more)


def test_a_renewal_takes_the_turn_of_one_whose_leaf_ends_later():
    """Those behind it move back by one, in the order of their leaves' ends, when they ask again."""
    budget = make_budget("orders 3 per 1h")
    for number in range(3):
        budget.take(_other(number), NOW + number * MINUTE)
    now = NOW + 10 * MINUTE
    first_told = [budget.take(_renewal(number, NOW + DAY * number), now) for number in (3, 2, 1)]
    assert len({turn.until for turn in first_told}) == 1
    again = [budget.take(_renewal(number, NOW + DAY * number), now).until for number in (1, 2, 3)]
    first = first_told[0].until
    assert again == [first, first + MINUTE, first + 2 * MINUTE]
    for number, moment in zip((1, 2, 3), again, strict=True):
        assert budget.take(_renewal(number, NOW + DAY * number), moment).why is None


@pytest.mark.parametrize("first", range(1, 11))
def test_of_all_promised_turns_the_one_whose_leaf_ends_last_is_lost(first):
    """Whichever part of the limit it is in, and whoever asks last."""
    budget = make_budget("orders 10 per 3h")
    for number in range(10):
        budget.take(_other(number), NOW)
    asked = [*(number for number in range(1, 12) if number != first), first]
    now = NOW + WINDOW - HOUR
    for number in asked:
        budget.take(_renewal(number, NOW + DAY * number), now)
    opens = NOW + WINDOW + MINUTE
    told = {number: budget.take(_renewal(number, NOW + DAY * number), opens).why for number in reversed(asked)}
    assert [number for number, why in told.items() if why is not None] == [11]


def test_a_renewal_near_its_end_moves_other_orders_back():
    """One of them loses its turn where there is no other within the hour; none goes before a renewal by being early."""
    budget = make_budget("orders 2 per 3h")
    for number in range(2):
        budget.take(_other(number), NOW)
    now = NOW + WINDOW - HOUR
    for number in (2, 3):
        assert budget.take(_other(number), now).promised
    near = budget.take(_renewal(4, NOW + DAY), now)
    assert near.promised
    assert [budget.take(_other(number), near.until).why for number in (3, 2)] == [Why.LIMIT, None]
    assert budget.take(_renewal(4, NOW + DAY), near.until).why is None


def test_an_order_that_finds_no_place_in_flight_keeps_its_turn():
    """The last turn of a limit does not go to whoever asks at the moment when a place becomes free."""
    budget = make_budget("orders 2 per 3h", max_orders=1)
    assert budget.take(_other(1), NOW).why is None
    assert budget.take(_other(2), NOW).why is Why.IN_FLIGHT
    assert budget.take(_other(3), NOW + SECOND).why is Why.LIMIT
    budget.leave("o1")
    assert budget.take(_other(3), NOW + 2 * SECOND).why is Why.LIMIT
    assert budget.take(_other(2), NOW + 30 * SECOND).why is None


def test_an_order_that_waits_long_for_a_place_keeps_its_turn():
    """It asks twice a minute; after hours the turn is still its own."""
    budget = make_budget("orders 2 per 12h", max_orders=1)
    budget.take(_other(1), NOW)
    for half_minutes in range(1, 400):
        assert budget.take(_other(2), NOW + half_minutes * MINUTE / 2).why is Why.IN_FLIGHT
    budget.leave("o1")
    assert budget.take(_other(3), NOW + 200 * MINUTE).why is Why.LIMIT
    assert budget.take(_other(2), NOW + 200 * MINUTE).why is None


def test_whoever_waits_for_a_limit_keeps_no_place_free():
    """A renewal near its end whose limit is used up does not stand in the queue for places in flight."""
    budget = make_budget("registered_domain 1 per 7d", max_orders=1)
    assert budget.take(_renewal(1, NOW + DAY, names=("a.shop.test",)), NOW).why is None
    assert budget.take(_renewal(2, NOW + DAY, names=("b.shop.test",), owner="B"), NOW).why is Why.LIMIT
    budget.leave("i1")
    assert budget.take(_other(3, owner="A"), NOW + SECOND).why is None


def test_a_promise_that_nobody_takes_up_holds_up_nobody_for_long():
    """A certificate that was deleted keeps its turn from those behind it for minutes only."""
    budget = make_budget("orders 1 per 30m")
    budget.take(_other(1), NOW)
    deleted = budget.take(_renewal(2, NOW + DAY), NOW)
    behind = budget.take(_renewal(3, NOW + 2 * DAY), NOW)
    assert behind.until > deleted.until
    assert budget.take(_renewal(3, NOW + 2 * DAY), deleted.until).why is Why.LIMIT
    assert budget.take(_renewal(3, NOW + 2 * DAY), deleted.until + 3 * MINUTE).why is None


@frozen(kw_only=True)
class Fleet:
    """Renewals that share one account's limit: the first leaf ends in four hours, and so on."""

    limit: int
    random: Random
    owners: int = 1
    places: int = 4
    #: The time between two orders that went out before; None where the limit is not used at all.
    earlier_every: timedelta | None = timedelta(0)

    @property
    def count(self):
        """How many there are: as many as the limit permits in three windows."""
        return self.limit * 3

    def ends(self, number):
        """When the leaf with this number ends."""
        return NOW + 4 * HOUR + WINDOW / self.limit * number

    def budget(self):
        """A budget of which everything is used, if anything."""
        budget = make_budget(f"orders {self.limit} per 3h", max_orders=self.places)
        for number in range(self.limit if self.earlier_every is not None else 0):
            assert budget.take(_other(number), NOW - self.earlier_every * (self.limit - number)).why is None
            budget.leave(f"o{number}")
        return budget

    def request(self, number):
        """The renewal of this leaf."""
        owner = f"tenant{self.random.randrange(self.owners)}" if self.owners > 1 else ""
        return _renewal(number, self.ends(number), owner=owner)

    def run(self, first_ask):
        """Ask for all of them until all orders went out; gives the moment of each.

        A certificate asks again when it was told to, or earlier: within a tenth of what its leaf has left. Among those
        that are due, chance decides which asks first. An order is in flight for some seconds.

        Args:
            first_ask: When a number asks for the first time.
        """
        budget = self.budget()
        asks = [(first_ask(number), self.random.random(), number, self.request(number)) for number in range(self.count)]
        heapq.heapify(asks)
        in_flight, placed = [], {}
        while asks:
            now, _, number, request = heapq.heappop(asks)
            while in_flight and in_flight[0][0] <= now:
                budget.leave(heapq.heappop(in_flight)[1])
            assert now < self.ends(number)
            turn = budget.take(request, now)
            if turn.why is None:
                placed[number] = now
                heapq.heappush(in_flight, (now + SECOND * self.random.randint(1, 8), request.issuance_id))
                continue
            looks = request.looks + 1 if turn.why is Why.IN_FLIGHT else 0
            share = max((self.ends(number) - now) / 10, MINUTE) * self.random.uniform(0.5, 1)
            at = max(min(turn.until, now + share), now + SECOND)
            heapq.heappush(asks, (at, self.random.random(), number, evolve(request, looks=looks)))
        return placed


def _assert_windows_in_order(placed, limit, first):
    """Three windows follow each other, each holds as many as the limit permits, and those whose leaves end first."""
    moments = sorted(placed.values())
    assert all(moments[at + limit] - moments[at] >= WINDOW for at in range(len(moments) - limit))
    batches = [
        [number for number, moment in placed.items() if first + WINDOW * n <= moment < first + WINDOW * (n + 1)]
        for n in range(3)
    ]
    assert [len(batch) for batch in batches] == [limit] * 3
    assert all(max(earlier) < min(later) for earlier, later in pairwise(batches))


@pytest.mark.slow(reason="runs whole windows of renewals, ten times")
@settings(max_examples=8, deadline=None)
@example(2, 40, 3)
@example(3, 40, 1)
@given(st.integers(0, 2**32), st.sampled_from([5, 10, 20]), st.sampled_from([1, 3]))
def test_every_window_holds_the_renewals_whose_leaves_end_first(seed, limit, owners):
    """In whatever order they ask, whoever they belong to, and while they wait for places in flight, too."""
    placed = Fleet(limit=limit, random=Random(seed), owners=owners).run(lambda _: NOW + SECOND)
    _assert_windows_in_order(placed, limit, NOW + WINDOW)


@pytest.mark.slow(reason="runs whole windows of renewals, several times")
@settings(max_examples=8, deadline=None)
@example(0, 40, 1)
@given(st.integers(0, 2**32), st.sampled_from([5, 10, 20]), st.sampled_from([1, 3]))
def test_whoever_waits_for_a_place_in_flight_keeps_its_turn(seed, limit, owners):
    """All ask within a second, in order: those that find no place are not overtaken, however late they look again."""
    fleet = Fleet(limit=limit, random=Random(seed), owners=owners, earlier_every=None)
    placed = fleet.run(lambda number: NOW + SECOND * number / fleet.count)
    _assert_windows_in_order(placed, limit, NOW)


@pytest.mark.slow(reason="runs whole windows of renewals, several times")
@settings(max_examples=5, deadline=None)
@example(0, 20, 3)
@given(st.integers(0, 2**32), st.sampled_from([5, 10, 20]), st.sampled_from([1, 3]))
def test_turns_that_become_free_one_by_one_go_to_the_leaf_that_ends_first(seed, limit, owners):
    """Not one renewal is overtaken by another whose leaf ends later."""
    fleet = Fleet(limit=limit, random=Random(seed), owners=owners, earlier_every=WINDOW / limit / 2)
    placed = fleet.run(lambda _: NOW + SECOND)
    assert sorted(placed, key=placed.get) == list(range(fleet.count))
