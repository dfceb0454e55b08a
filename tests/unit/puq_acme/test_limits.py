"""What a CA permits: read as people write it, counted so that no window ever holds too much."""

from bisect import insort
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInput, StaleWrite
from certcore.testing.documents import MemoryDocuments
from certcore_puq_acme.budget import Budget, OrderRequest, Why
from certcore_puq_acme.directories import PRESETS
from certcore_puq_acme.limits import (
    Limit,
    LimitKind,
    NoLimits,
    free_at,
    limits_of,
    parse_limit,
    registered_domain,
    same_names,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        "orders 300 per 3h except renewals and ari",
        "registered_domain 50 per 7d except renewals and ari",
        "same_names 5 per 7d except ari",
        "failed_authorizations 5 per 1h",
        "orders 5 per 90m",
        "orders 1 per 366d",
    ],
)
def test_a_limit_reads_back_as_it_was_written(text):
    """Text to limit and back is the same; blanks and case do not matter."""
    assert str(Limit.parse(text, "limits")) == text
    assert str(Limit.parse(f"  {text.upper()} ".replace(" ", "  "), "limits")) == text


@given(
    st.sampled_from(LimitKind),
    st.integers(1, 1_000_000),
    st.integers(1, 366).map(lambda days: timedelta(days=days)) | st.integers(1, 9999).map(lambda many: many * MINUTE),
    st.booleans(),
    st.booleans(),
)
def test_every_limit_can_be_written(kind, count, window, renewals, ari):
    """Whatever a limit is, its text is read as the same limit."""
    limit = Limit(kind=kind, count=count, window=window, except_renewals=renewals, except_ari=ari)
    assert Limit.parse(str(limit), "limits") == limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders",
        "orders 0 per 1h",
        "orders 5 per 0h",
        "orders 5 per 367d",
        "pizzas 5 per 1h",
        "orders 5 per 1w",
        "orders 5 per 1h except mondays",
        "orders five per 1h",
        "orders 9999999 per 1h",
    ],
)
def test_what_is_no_limit_is_refused(text):
    """With the field's name, and an example of how it looks or what is allowed."""
    with pytest.raises(InvalidInput) as caught:
        parse_limit(text, "limits")
    assert caught.value.field == "limits"


def test_the_presets_limits_and_none():
    """Let's Encrypt's published limits count until a profile says otherwise; none means none."""
    published = limits_of((), PRESETS["letsencrypt"].limits)
    assert {str(one.kind): (one.count, one.window) for one in published} == {
        "orders": (300, timedelta(hours=3)),
        "registered_domain": (50, timedelta(days=7)),
        "same_names": (5, timedelta(days=7)),
        "failed_authorizations": (5, timedelta(hours=1)),
    }
    assert all(one.except_ari for one in published)
    assert [str(one.kind) for one in published if one.except_renewals] == ["orders", "registered_domain"]
    own = parse_limit("orders 9 per 1h", "limits")
    assert limits_of((own,), PRESETS["letsencrypt"].limits) == (own,)
    assert limits_of((NoLimits(),), PRESETS["letsencrypt"].limits) == ()
    assert str(parse_limit(" None ", "limits")) == "none"
    for preset in PRESETS.values():
        limits_of((), preset.limits)


def _fits(taken, moment, limit, window):
    every = sorted([*taken, moment])
    return all(every[at + limit] - every[at] >= window for at in range(len(every) - limit))


@given(
    st.integers(1, 4),
    st.integers(1, 10),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 0, 0, 3])), max_size=14),
)
def test_no_window_ever_holds_too_much_and_nobody_waits_in_vain(limit, seconds, moments):
    """Each moment fits, also beside those that were promised for later; and there is no earlier one on the clock."""
    window, now, taken = timedelta(seconds=seconds), NOW, []
    for pause, later in moments:
        now += timedelta(seconds=pause)
        found = free_at(taken, limit, window, now)
        assert found >= now
        assert _fits(taken, found, limit, window)
        first = now
        while not _fits(taken, first, limit, window):
            first += timedelta(seconds=1)
        assert found <= first
        promised = found + timedelta(seconds=later)
        if _fits(taken, promised, limit, window):
            insort(taken, promised)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.example.com", "example.com"),
        ("*.shop.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("anna.github.io", "anna.github.io"),
        ("a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"),
        ("one.test", "one.test"),
    ],
)
def test_registered_domains(name, domain):
    """By the public suffix list, its private part included."""
    assert registered_domain(name) == domain


def test_the_same_set_of_names_is_the_same():
    """Order and doubles do not matter."""
    assert same_names(["b.test", "a.test", "a.test"]) == same_names(["a.test", "b.test"]) != same_names(["a.test"])


# -- the budget ---------------------------------------------------------------------------------------------------


def _budget(*limits, max_orders=1000, documents=None):
    return Budget(
        documents=documents or MemoryDocuments(),
        account="account/ca/1",
        limits=tuple(Limit.parse(one, "limits") for one in limits),
        max_orders=max_orders,
    )


def _near(moment, wanted):
    """At this moment, or some seconds later: requests take their time to the CA."""
    return timedelta(0) <= moment - wanted <= timedelta(seconds=40)


def _request(number=1, name=None, **more):
    return OrderRequest(issuance_id=f"i{number}", names=(name or f"d{number}.test",), **more)


def test_without_limits_it_is_always_our_turn():
    """Only the orders in flight count."""
    budget = _budget()
    assert all(budget.take(_request(number), NOW).why is None for number in range(50))
    assert budget.usage(NOW)["in_flight"] == 50


def test_orders_in_flight_are_bounded_and_given_back():
    """The next one waits a moment, longer each time; asking twice takes one place; leaving makes room."""
    budget = _budget(max_orders=2)
    assert budget.take(_request(1), NOW).why is None
    assert budget.take(_request(1), NOW).why is None
    assert budget.take(_request(2), NOW).why is None
    third = budget.take(_request(3), NOW)
    assert (third.why, third.promised) == (Why.IN_FLIGHT, False)
    later = budget.take(evolve(_request(3), looks=9), NOW)
    assert NOW < third.until < later.until <= NOW + timedelta(seconds=30)
    budget.leave("i1")
    budget.leave("i1")
    assert budget.take(_request(3), NOW).why is None


def test_an_order_that_nobody_gave_back_does_not_count_for_ever():
    """After two days a place is free again."""
    budget = _budget(max_orders=1)
    budget.take(_request(1), NOW)
    assert budget.take(_request(2), NOW + timedelta(days=1)).why is Why.IN_FLIGHT
    assert budget.take(_request(2), NOW + timedelta(days=2)).why is None


def test_a_full_limit_promises_a_turn_within_the_hour():
    """What comes soon is promised and counted once; with the promise the order goes out without asking again."""
    budget = _budget("orders 2 per 30m")
    assert [budget.take(_request(number), NOW).why for number in (1, 2)] == [None, None]
    third = budget.take(_request(3), NOW + MINUTE)
    assert (third.why, third.promised) == (Why.LIMIT, True)
    assert _near(third.until, NOW + 30 * MINUTE)
    assert str(third.limit) == "orders 2 per 30m"
    fifth = [budget.take(_request(number), NOW + MINUTE) for number in (4, 5)][-1]
    assert _near(fifth.until, NOW + 60 * MINUTE)
    assert budget.take(_request(3), third.until).why is None
    assert budget.take(_request(9), third.until + MINUTE).until > third.until + MINUTE


def test_what_is_far_away_is_not_promised():
    """Beyond an hour one asks again an hour before, so that whoever is more urgent then goes first."""
    budget = _budget("orders 1 per 5h")
    budget.take(_request(1), NOW)
    second = budget.take(_request(2), NOW)
    assert (second.why, second.promised) == (Why.LIMIT, False)
    assert _near(second.until, NOW + timedelta(hours=4))
    assert budget.take(_request(3), second.until).promised


def test_a_share_is_kept_for_those_that_cannot_wait():
    """Of ten, renewals with time get eight; the last two go to the urgent, who may take the others' as well."""
    budget = _budget("orders 10 per 1d")
    told = [budget.take(_request(number), NOW).why for number in range(9)]
    assert told == [None] * 8 + [Why.LIMIT]
    urgent = [budget.take(_request(number, urgent=True), NOW).why for number in (10, 11, 12)]
    assert urgent == [None, None, Why.LIMIT]
    fresh = _budget("orders 10 per 1d")
    assert [fresh.take(_request(number, urgent=True), NOW).why for number in range(11)] == [None] * 10 + [Why.LIMIT]


def test_limits_by_domain_and_by_set_of_names():
    """What one domain has used up keeps no other waiting, and it is said which domain it is."""
    budget = _budget("registered_domain 2 per 7d", "same_names 1 per 7d")
    assert budget.take(_request(1, "a.shop.test"), NOW).why is None
    again = budget.take(_request(2, "a.shop.test"), NOW)
    assert (again.limit.kind, again.about) == (LimitKind.SAME_NAMES, "a.shop.test")
    assert budget.take(_request(3, "b.shop.test"), NOW).why is None
    third = budget.take(_request(4, "c.shop.test"), NOW)
    assert (third.limit.kind, third.about) == (LimitKind.REGISTERED_DOMAIN, "shop.test")
    assert budget.take(_request(5, "other.test"), NOW).why is None


def test_renewals_are_exempt_as_the_limit_says():
    """A renewal does not count where it is excepted; one that says what it replaces counts nowhere at Let's Encrypt."""
    budget = _budget(*PRESETS["letsencrypt"].limits)
    for number in range(400):
        assert budget.take(_request(number, f"d{number}.test", renewal=True), NOW).why is None
    for number in range(7):
        assert budget.take(_request(1000 + number, "same.test", renewal=True, ari=True), NOW).why is None
    told = [budget.take(_request(2000 + number, "same.test", renewal=True), NOW).why for number in range(6)]
    assert told == [None] * 5 + [Why.LIMIT]


def test_names_that_failed_too_often_wait():
    """After five failures within the hour the name waits until the first is an hour old; others do not."""
    budget = _budget("failed_authorizations 5 per 1h")
    for number in range(5):
        budget.failed(["bad.test"], NOW + number * MINUTE)
    turn = budget.take(_request(1, "*.bad.test"), NOW + 5 * MINUTE)
    assert (turn.why, turn.about) == (Why.LIMIT, "*.bad.test")
    assert _near(turn.until, NOW + 60 * MINUTE)
    assert budget.take(_request(2, "good.test"), NOW + 5 * MINUTE).why is None
    assert budget.take(_request(1, "*.bad.test"), turn.until).why is None


def test_a_pause_holds_everybody_until_it_ends():
    """A longer pause is kept, a shorter one changes nothing; afterwards all go on."""
    budget = _budget()
    budget.pause(NOW + 10 * MINUTE, "slow down")
    budget.pause(NOW + MINUTE, "a little")
    turn = budget.take(_request(1), NOW + 9 * MINUTE)
    assert (turn.why, turn.until, turn.detail) == (Why.PAUSE, NOW + 10 * MINUTE, "slow down")
    assert budget.paused(NOW + 10 * MINUTE) is None
    assert budget.take(_request(1), NOW + 10 * MINUTE).why is None


class _Crowded(MemoryDocuments):
    """Somebody else is always faster, for a while."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def put_many(self, values, *, versions=None):
        if self.left:
            self.left -= 1
            raise StaleWrite("document", "x", expected=1, found=2)
        super().put_many(values, versions=versions)


def test_workers_that_come_between_are_waited_for():
    """A change by somebody else is no loss; only a crowd that does not end makes one look again in a second."""
    assert _budget("orders 5 per 1h", documents=_Crowded(5)).take(_request(1), NOW).why is None
    busy = _budget("orders 5 per 1h", documents=_Crowded(1000)).take(_request(1), NOW)
    assert (busy.why, busy.until) == (Why.BUSY, NOW + timedelta(seconds=1))


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=60))
def test_the_budget_is_never_exceeded(moments):
    """Whatever comes whenever, promises that are taken up late included: no window holds more orders than permitted."""
    limit, window, now = 10, timedelta(hours=3), NOW
    budget, placed, waiting = _budget(f"orders {limit} per 3h"), [], []
    for number, (pause, urgent) in enumerate(moments):
        now += pause * MINUTE
        due = sorted(one[:2] for one in waiting if one[0] <= now)
        waiting = [one for one in waiting if one[0] > now]
        for which in (*(one for _, one in due), number):
            turn = budget.take(_request(which, urgent=urgent), now)
            if turn.why is None:
                placed.append(now)
            else:
                waiting.append((turn.until, which))
    for at in range(len(placed) - limit):
        assert placed[at + limit] - placed[at] >= window
