"""What tenants share at one CA is shared fairly: who has had least goes first, and no limit is ever exceeded."""

import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.profile.limits import stamp
from certcore_puq_acme.profile.presets import PRESETS
from certcore_puq_acme.rate_limits.limiter import OrderRequest, Why
from certcore_puq_acme.rate_limits.turns import Usage
from support.budgets import make_budget
from support.examples import examples

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def _request(owner, number, **more):
    more = {"urgent": True, **more}
    return OrderRequest(issuance_id=f"{owner}{number}", owner=owner, names=(f"d{number}-{owner.lower()}.test",), **more)


def test_a_first_certificate_does_not_wait_for_a_tenant_who_has_used_everything_up():
    """After as many orders of B as B may place, and hundreds that wait, A's first goes out at once."""
    budget = make_budget(*PRESETS["letsencrypt"].limits)
    told = [budget.take(_request("B", number), NOW).why for number in range(320)]
    assert told.count(None) == 270
    assert [budget.take(_request("A", number), NOW).why for number in range(15)] == [None] * 15
    assert budget.usage(NOW).placed == 285


@pytest.mark.parametrize("owner", ["", "B"])
def test_whoever_is_alone_may_use_what_is_there(owner):
    """The operator all of a limit, a tenant all but the tenth for later tenants, and all places but a few."""
    budget = make_budget("orders 100 per 3h", max_orders=20)
    for number in range(100):
        given_now = budget.take(_request(owner, number), NOW).why is None
        budget.leave(f"{owner}{number}")
        assert given_now == (number < (90 if owner else 100))
    crowded = make_budget(max_orders=20)
    assert [crowded.take(_request(owner, number), NOW).why for number in range(17)] == [None] * 16 + [Why.IN_FLIGHT]


def test_a_tenant_without_any_place_gets_one_at_once():
    """B holds all the places that it may: A's first order goes out, and so do renewals near their end."""
    budget = make_budget(max_orders=20)
    for number in range(30):
        budget.take(_request("B", number), NOW)
    assert budget.take(_request("A", 1), NOW).why is None
    assert budget.take(_request("A", 2), NOW).why is Why.IN_FLIGHT
    assert budget.take(_request("B", 99, near_end=True), NOW).why is None
    assert budget.usage(NOW).in_flight == 18


def test_places_that_become_free_go_to_the_tenant_who_holds_fewest():
    """Until both hold as many; a tenant who waits no more keeps no place free."""
    budget = make_budget(max_orders=10)
    for number in range(10):
        budget.take(_request("B", number), NOW)
    now = NOW
    waiting = {"A": 0, "B": 100}
    held = Counter(B=8)
    for freed in range(8):
        budget.leave(f"B{freed}")
        held["B"] -= 1
        for _ in range(3):
            now += SECOND
            for owner in ("A", "B"):
                if budget.take(_request(owner, waiting[owner]), now).why is None:
                    waiting[owner] += 1
                    held[owner] += 1
    assert abs(held["A"] - held["B"]) <= 1
    budget.leave("A0")
    assert budget.take(_request("B", 500), now + timedelta(minutes=5)).why is None


def test_a_promised_turn_goes_to_the_tenant_who_has_had_less():
    """B was promised all turns of the next hour; A, who asks later, gets the first of them, and B's goes later."""
    budget = make_budget("orders 9 per 1h")
    promised = [budget.take(_request("B", number), NOW) for number in range(18)]
    first = min(turn.until for turn in promised if turn.promised)
    mine = budget.take(_request("A", 1), NOW + MINUTE)
    assert mine.promised
    assert mine.until == first
    later = [budget.take(_request("B", number), first) for number in range(9, 18)]
    assert sum(turn.why is None for turn in later) == 8
    assert budget.take(_request("A", 1), first).why is None


def test_a_promise_to_a_renewal_near_its_end_is_not_taken_away():
    """Whoever asks: it keeps its turn, and takes that of others itself."""
    budget = make_budget("orders 5 per 1h")
    for number in range(5):
        budget.take(_request("B", number), NOW)
    kept = [budget.take(_request("B", number, near_end=True), NOW) for number in range(5, 8)]
    assert budget.take(_request("A", 1), NOW).until >= max(turn.until for turn in kept)
    for turn, number in zip(kept, range(5, 8), strict=True):
        assert budget.take(_request("B", number, near_end=True), turn.until).why is None


def test_documents_of_before_there_were_owners_are_read():
    """Orders, promises and places that were counted without an owner still count."""
    documents = MemoryDocuments()
    budget = make_budget("orders 2 per 1h", max_orders=2, documents=documents)
    (limit,) = budget.limits
    assert budget.take(_request("", 1), NOW).why is None
    keys = {document.key: document for document in documents.list("budget/")}
    counted = next(key for key in keys if "orders" in key)
    flight = next(key for key in keys if key.endswith("flight"))
    documents.put(counted, {"all": {"placed": [stamp(NOW)], "promised": {"old": stamp(NOW + HOUR)}}, "reserve": {}})
    documents.put(flight, {"old1": NOW.isoformat(), "old2": NOW.isoformat()})
    assert budget.usage(NOW) == Usage(in_flight=2, max_orders=2, limit=limit, placed=1, promised=1)
    assert budget.take(_request("A", 2), NOW).why is Why.IN_FLIGHT
    budget.leave("old1")
    assert budget.take(_request("A", 2), NOW).why is None


@pytest.mark.parametrize("ahead", [timedelta(days=3), timedelta(days=400), timedelta(days=3650)])
def test_what_a_clock_that_was_ahead_has_promised_or_queued_blocks_nobody(ahead):
    """Turns promised, orders placed, places held and tenants who waited, years from now, are forgotten at once."""
    budget = make_budget("orders 2 per 1h", max_orders=3)
    for number in range(8):
        budget.take(_request("B", number), NOW + ahead)
    told = [budget.take(_request("A", number), NOW).why for number in range(2)]
    assert told == [None, None]
    assert budget.take(_request("A", 3), NOW).until <= NOW + HOUR + MINUTE


@examples(25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(0, 90), st.integers(1, 20)), min_size=1, max_size=5),
    st.integers(3, 12),
)
def test_no_tenant_starves_and_no_limit_is_exceeded(arrivals, places):
    """Tenants come with orders at any time: each gets its share of every hour, and no window holds too much."""
    per_hour = 10
    budget, asks, numbers = make_budget(f"orders {per_hour} per 1h", max_orders=places), [], Counter()
    owners = {owner for owner, _, _ in arrivals}
    for owner, minutes, many in arrivals:
        for _ in range(many):
            numbers[owner] += 1
            heapq.heappush(asks, (NOW + minutes * MINUTE, owner, numbers[owner], 0))
    began = {owner: max(NOW + minutes * MINUTE for name, minutes, _ in arrivals if name == owner) for owner in owners}
    placed, leaves, done = [], [], Counter()
    while asks:
        now, owner, number, looks = heapq.heappop(asks)
        for ends, issuance in [entry for entry in leaves if entry[0] <= now]:
            leaves.remove((ends, issuance))
            budget.leave(issuance)
        turn = budget.take(evolve(_request(owner, number), looks=looks), now)
        if turn.why is not None:
            assert turn.until > now
            looks = looks + 1 if turn.why is Why.IN_FLIGHT else 0
            heapq.heappush(asks, (turn.until, owner, number, looks))
            continue
        placed.append(now)
        leaves.append((now + MINUTE, f"{owner}{number}"))
        assert len(leaves) <= places
        done[owner] += 1
        # Of every hour it gets at least its share, after an hour or two in which the others' orders still count.
        assert now <= began[owner] + HOUR * (done[owner] * len(owners) / per_hour + 3)
    for at in range(len(placed) - per_hour):
        assert placed[at + per_hour] - placed[at] >= HOUR


def test_a_domain_that_tenants_share_is_shared_fairly():
    """The panel's own, say, with a name for each: what B waits for goes to A, who has had none."""
    budget = make_budget("registered_domain 1 per 1h")

    def take(owner, number, now):
        request = OrderRequest(issuance_id=f"{owner}{number}", owner=owner, names=(f"{owner}{number}.panel.test",))
        return budget.take(request, now)

    assert take("B", 1, NOW).why is None
    promised = take("B", 2, NOW)
    assert promised.promised
    assert take("A", 1, NOW + MINUTE).until == promised.until
    late = take("B", 2, promised.until)
    assert (late.why, late.until >= promised.until) == (Why.LIMIT, True)
    assert take("A", 1, promised.until).why is None
