"""Orders are placed only where the limits of a CA, its pauses and the places in flight permit it."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import StaleWriteError
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.profile.limits import (
    LimitKind,
)
from certcore_puq_acme.profile.presets import PRESETS
from certcore_puq_acme.rate_limits.limiter import Budget, OrderRequest, Why
from support.budgets import make_budget

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _near(moment, wanted):
    """At this moment, or some seconds later: requests take their time to the CA."""
    return timedelta(0) <= moment - wanted <= timedelta(seconds=40)


def _request(number=1, name=None, **more):
    return OrderRequest(issuance_id=f"i{number}", names=(name or f"d{number}.test",), **more)


def test_without_limits_it_is_always_our_turn():
    """Only the orders in flight count."""
    budget = make_budget()
    assert all(budget.take(_request(number), NOW).why is None for number in range(50))
    assert budget.usage(NOW).in_flight == 50


def test_orders_in_flight_are_bounded_and_given_back():
    """The next one waits a moment, longer each time; asking twice takes one place; leaving makes room."""
    budget = make_budget(max_orders=2)
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
    budget = make_budget(max_orders=1)
    budget.take(_request(1), NOW)
    assert budget.take(_request(2), NOW + timedelta(days=1)).why is Why.IN_FLIGHT
    assert budget.take(_request(2), NOW + timedelta(days=2)).why is None


def test_a_full_limit_promises_a_turn_within_the_hour():
    """What comes soon is promised and counted once; with the promise the order goes out without asking again."""
    budget = make_budget("orders 2 per 30m")
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
    budget = make_budget("orders 1 per 5h")
    budget.take(_request(1), NOW)
    second = budget.take(_request(2), NOW)
    assert (second.why, second.promised) == (Why.LIMIT, False)
    assert _near(second.until, NOW + timedelta(hours=4))
    assert budget.take(_request(3), second.until).promised


def test_a_share_is_kept_for_those_that_cannot_wait():
    """Of ten, renewals with time get eight; the last two go to the urgent, who may take the others' as well."""
    budget = make_budget("orders 10 per 1d")
    told = [budget.take(_request(number), NOW).why for number in range(9)]
    assert told == [None] * 8 + [Why.LIMIT]
    urgent = [budget.take(_request(number, urgent=True), NOW).why for number in (10, 11, 12)]
    assert urgent == [None, None, Why.LIMIT]
    fresh = make_budget("orders 10 per 1d")
    assert [fresh.take(_request(number, urgent=True), NOW).why for number in range(11)] == [None] * 10 + [Why.LIMIT]


def test_limits_by_domain_and_by_set_of_names():
    """What one domain has used up keeps no other waiting, and it is said which domain it is."""
    budget = make_budget("registered_domain 2 per 7d", "same_names 1 per 7d")
    assert budget.take(_request(1, "a.shop.test"), NOW).why is None
    again = budget.take(_request(2, "a.shop.test"), NOW)
    assert (again.limit.kind, again.about) == (LimitKind.SAME_NAMES, "a.shop.test")
    assert budget.take(_request(3, "b.shop.test"), NOW).why is None
    third = budget.take(_request(4, "c.shop.test"), NOW)
    assert (third.limit.kind, third.about) == (LimitKind.REGISTERED_DOMAIN, "shop.test")
    assert budget.take(_request(5, "other.test"), NOW).why is None


def test_renewals_are_exempt_as_the_limit_says():
    """A renewal does not count where it is excepted; one that says what it replaces counts nowhere at Let's Encrypt."""
    budget = make_budget(*PRESETS["letsencrypt"].limits)
    for number in range(400):
        assert budget.take(_request(number, f"d{number}.test", renewal=True), NOW).why is None
    for number in range(7):
        assert budget.take(_request(1000 + number, "same.test", renewal=True, ari=True), NOW).why is None
    told = [budget.take(_request(2000 + number, "same.test", renewal=True), NOW).why for number in range(6)]
    assert told == [None] * 5 + [Why.LIMIT]


def test_a_preview_says_what_would_be_waited_for_and_takes_nothing():
    """Until when a limit, a pause or failed names would keep an order; nothing is counted, promised or written."""
    budget = make_budget("orders 2 per 5h", "failed_authorizations 1 per 1h")
    assert budget.preview(_request(), NOW).why is None
    for number in (1, 2):
        assert budget.preview(_request(number), NOW).why is None
        assert budget.take(_request(number), NOW).why is None
    stored = {document.key: document.version for document in budget.documents.list("")}
    waits = budget.preview(_request(3), NOW)
    assert (waits.why, waits.promised, str(waits.limit)) == (Why.LIMIT, False, "orders 2 per 5h")
    assert _near(waits.until, NOW + timedelta(hours=5))
    assert {document.key: document.version for document in budget.documents.list("")} == stored
    budget.failed(["d9.test"], NOW)
    assert budget.preview(_request(9), NOW).about == "d9.test"
    budget.pause(NOW + timedelta(hours=2), "Visit https://ca.test/unpause", NOW)
    paused = budget.preview(_request(3), NOW)
    assert (paused.why, paused.until) == (Why.PAUSE, NOW + timedelta(hours=2))


def test_names_that_failed_too_often_wait():
    """After five failures within the hour the name waits until the first is an hour old; others do not."""
    budget = make_budget("failed_authorizations 5 per 1h")
    for number in range(5):
        budget.failed(["bad.test"], NOW + number * MINUTE)
    turn = budget.take(_request(1, "*.bad.test"), NOW + 5 * MINUTE)
    assert (turn.why, turn.about) == (Why.LIMIT, "*.bad.test")
    assert _near(turn.until, NOW + 60 * MINUTE)
    assert budget.take(_request(2, "good.test"), NOW + 5 * MINUTE).why is None
    assert budget.take(_request(1, "*.bad.test"), turn.until).why is None


def test_a_pause_holds_everybody_until_it_ends():
    """A longer pause is kept, a shorter one changes nothing; afterwards all go on."""
    budget = make_budget()
    budget.pause(NOW + 10 * MINUTE, "slow down", NOW)
    budget.pause(NOW + MINUTE, "a little", NOW)
    turn = budget.take(_request(1), NOW + 9 * MINUTE)
    assert (turn.why, turn.until, turn.detail) == (Why.PAUSE, NOW + 10 * MINUTE, "slow down")
    assert budget.paused(NOW + 10 * MINUTE) is None
    assert budget.take(_request(1), NOW + 10 * MINUTE).why is None


class _Crowded(MemoryDocuments):
    """Somebody else is always faster, for a while."""

    def __init__(self, times):
        super().__init__()
        self.left = times

    def put_many(self, values, *, versions=None, announces_order=False):
        if self.left:
            self.left -= 1
            raise StaleWriteError("document", "x", expected=1, found=2)
        super().put_many(values, versions=versions, announces_order=announces_order)


def test_workers_that_come_between_are_waited_for():
    """A change by somebody else is no loss; only a crowd that does not end makes one look again in a second."""
    assert make_budget("orders 5 per 1h", documents=_Crowded(5)).take(_request(1), NOW).why is None
    busy = make_budget("orders 5 per 1h", documents=_Crowded(1000)).take(_request(1), NOW)
    assert (busy.why, busy.until) == (Why.BUSY, NOW + timedelta(seconds=1))


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=60))
def test_the_budget_is_never_exceeded(moments):
    """Whatever comes whenever, promises that are taken up late included: no window holds more orders than permitted."""
    limit, window, now = 10, timedelta(hours=3), NOW
    budget, placed, waiting = make_budget(f"orders {limit} per 3h"), [], []
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


# -- what belongs to the account, and what to the CA --------------------------------------------------------------

DIRECTORY = "https://ca.test/directory"


def _shared(documents, account, *limits, url="", max_orders=1000, directory=DIRECTORY):
    """The budget of a profile's account, which exists when it has a URL."""
    if url:
        documents.put(account, {"url": url, "directory": directory})
    return make_budget(*limits, documents=documents, account=account, max_orders=max_orders, directory=directory)


def test_profiles_with_the_same_account_share_what_the_ca_counts_by_account():
    """Orders, failed authorizations and pauses are the account's, whichever profile it is used by; not another's."""
    documents, limits = MemoryDocuments(), ("orders 1 per 1d", "failed_authorizations 1 per 1h")
    first = _shared(documents, "account/a/1", *limits, url="https://ca.test/acct/1")
    second = _shared(documents, "account/b/1", *limits, url="https://ca.test/acct/1")
    other = _shared(documents, "account/b/2", *limits, url="https://ca.test/acct/2")
    assert first.take(_request(1), NOW).why is None
    assert second.take(_request(2), NOW).limit.kind is LimitKind.ORDERS
    assert second.usage(NOW).placed == 1
    assert other.take(_request(3), NOW).why is None
    first.failed(["bad.test"], NOW)
    assert second.take(_request(4, "bad.test"), NOW).limit.kind is LimitKind.FAILED_AUTHORIZATIONS
    first.pause(NOW + MINUTE, "slow down", NOW)
    assert second.paused(NOW).until == NOW + MINUTE
    assert other.paused(NOW) is None


def test_accounts_at_one_ca_share_what_the_ca_counts_across_accounts():
    """Certificates of a domain or a set of names, and the orders in flight; another CA has its own count."""
    documents, limits = MemoryDocuments(), ("registered_domain 2 per 7d", "same_names 1 per 7d")
    first = _shared(documents, "account/a/1", *limits, url="https://ca.test/acct/1")
    second = _shared(documents, "account/b/2", *limits, url="https://ca.test/acct/2", max_orders=2)
    elsewhere = _shared(documents, "account/c/3", *limits, url="https://x.test/acct/1", directory="https://x.test/dir")
    assert first.take(_request(1, "a.shop.test"), NOW).why is None
    assert second.take(_request(2, "a.shop.test"), NOW).limit.kind is LimitKind.SAME_NAMES
    assert second.take(_request(3, "b.shop.test"), NOW).why is None
    assert second.usage(NOW).in_flight == 2
    assert second.take(_request(4, "d.test"), NOW).why is Why.IN_FLIGHT
    assert first.take(_request(5, "c.shop.test"), NOW).limit.kind is LimitKind.REGISTERED_DOMAIN
    assert elsewhere.take(_request(6, "a.shop.test"), NOW).why is None


def test_a_pause_is_known_before_there_is_an_account():
    """Who would open an account at this CA waits as well; an account that is open already does not."""
    documents = MemoryDocuments()
    new = _shared(documents, "account/a/1")
    new.pause(NOW + MINUTE, "too many registrations", NOW)
    assert new.take(_request(1), NOW).why is Why.PAUSE
    assert _shared(documents, "account/b/2").paused(NOW).detail == "too many registrations"
    assert _shared(documents, "account/b/3", url="https://ca.test/acct/3").paused(NOW) is None
    assert _shared(documents, "account/c/4", directory="https://x.test/dir").paused(NOW) is None
    assert Budget(documents=documents, account="account/a/1", limits=(), max_orders=1).paused(NOW) is not None


def test_profiles_with_other_numbers_do_not_forget_each_others_orders():
    """Another window, and a limit without a share for the urgent, leave what was counted as it is."""
    documents = MemoryDocuments()
    large = _shared(documents, "account/a/1", "registered_domain 10 per 7d", url="https://ca.test/acct/1")
    small = _shared(documents, "account/a/1", "registered_domain 5 per 7d")
    quick = _shared(documents, "account/a/1", "registered_domain 1 per 1h", "registered_domain 10 per 7d")
    assert [large.take(_request(n, "shop.test", urgent=True), NOW).why for n in range(4)] == [None] * 4
    assert small.take(_request(10, "shop.test"), NOW).why is None
    assert small.take(_request(11, "shop.test"), NOW).why is Why.LIMIT
    later = NOW + timedelta(days=1)
    assert quick.take(_request(12, "shop.test"), later).why is None
    assert quick.take(_request(13, "shop.test"), later).limit.count == 1
    told = [large.take(_request(n, "shop.test", urgent=True), later).why for n in range(20, 24)]
    assert told == [None] * 3 + [Why.LIMIT]  # with the turn that is promised to number 13


def test_an_order_that_was_refused_as_a_replacement_counts_like_others():
    """What was exempt for what it replaces is counted then, and what was not is not counted twice."""
    budget = make_budget("orders 1 per 1d except ari", "same_names 2 per 1d")
    ari = _request(1, "a.test", renewal=True, ari=True)
    assert budget.take(ari, NOW).why is None
    assert budget.take(evolve(ari, ari=False, counted_as_ari=True), NOW).why is None
    assert budget.take(_request(2, "a.test", renewal=True, ari=True), NOW).why is None
    full = budget.take(evolve(_request(2, "a.test", renewal=True), counted_as_ari=True), NOW)
    assert full.limit.kind is LimitKind.ORDERS


# -- orders in flight ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("places", "kept"), [(1, 0), (2, 0), (3, 1), (9, 1), (20, 4)])
def test_places_in_flight_are_kept_for_renewals_near_their_end(places, kept):
    """A fifth; however many first orders there are, a leaf that ends soon is renewed, and the bound holds."""
    budget = make_budget(max_orders=places)
    told = [budget.take(_request(number, urgent=True), NOW).why for number in range(places)]
    assert told == [None] * (places - kept) + [Why.IN_FLIGHT] * kept
    late = [budget.take(_request(100 + number, urgent=True, near_end=True), NOW).why for number in range(kept + 1)]
    assert late == [None] * kept + [Why.IN_FLIGHT]


def test_an_order_may_leave_and_come_back():
    """It waits while there is no place, and takes one once."""
    budget = make_budget(max_orders=1)
    assert budget.take(_request(1), NOW).why is None
    budget.leave("i1")
    assert budget.take(_request(2), NOW).why is None
    waiting = budget.enter(_request(1), NOW)
    assert (waiting.why, waiting.until > NOW) == (Why.IN_FLIGHT, True)
    budget.leave("i2")
    assert budget.enter(_request(1), NOW) is None
    assert budget.enter(_request(1), NOW) is None
    assert budget.usage(NOW).in_flight == 1


# -- clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [MINUTE, timedelta(hours=1), timedelta(hours=23)])
def test_a_clock_that_is_set_back_lets_nothing_through(back):
    """What went out by the clock of before counts as now, and no longer than the clock needs to get there again."""
    budget = make_budget("orders 20 per 30m", "failed_authorizations 1 per 1h")
    first = [budget.take(_request(number, urgent=True), NOW + timedelta(seconds=number)).why for number in range(20)]
    assert first == [None] * 20
    budget.failed(["bad.test"], NOW)
    earlier = NOW - back
    assert all(budget.take(_request(100 + number, urgent=True), earlier).why is Why.LIMIT for number in range(20))
    bad = budget.take(_request(200, "bad.test", urgent=True), earlier)
    assert bad.limit.kind is LimitKind.FAILED_AUTHORIZATIONS
    fresh = make_budget("orders 20 per 30m", documents=budget.documents)
    assert fresh.take(_request(300, urgent=True), NOW + timedelta(hours=5)).why is None


def test_a_clock_that_was_far_ahead_does_not_block_for_ever():
    """Orders that went out a year from now keep nobody waiting until then."""
    budget = make_budget("orders 2 per 30m")
    for number in range(2):
        assert budget.take(_request(number), NOW + timedelta(days=365)).why is None
    assert budget.take(_request(3), NOW).why is None
    assert budget.usage(NOW).in_flight == 1
