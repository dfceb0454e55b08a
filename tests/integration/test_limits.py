"""Limits at a real CA: waiting here instead of being refused there, pauses for all, the most urgent first."""

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from attrs import evolve

from certcore import Status
from certcore.engine.new_issuance import new_issuance
from certcore.model.issuance import Outcome, Purpose
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import parse_chain
from support.hint_texts import notices
from support.inside import inside

pytestmark = pytest.mark.pebble
HOUR = timedelta(hours=1)


def _requested(panel, profile, *domains):
    ids = [panel.request(profile, domain) for domain in domains]
    for certificate_id in ids:
        panel.set_cnames(certificate_id)
    return ids


def _problem(status, kind, detail, retry_after):
    def rewrite(path, was, body, headers):
        if path == "/order-plz":
            text = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}).encode()
            return status, text, {"replay-nonce": headers["replay-nonce"], "retry-after": retry_after}
        return was, body, headers

    return rewrite


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [(429, "rateLimited", "too many new orders recently"), (503, "serverInternal", "down for maintenance")],
)
def test_a_retry_after_pauses_the_whole_account(panel, trouble, status, kind, detail):
    """One refusal is heard; all certificates of the account wait until then, with the CA's words, and then go on."""
    plan, proxy = trouble
    first, second, third = _requested(panel, panel.profile(**proxy), "a.shop.test", "b.shop.test", "c.shop.test")
    plan.rewrite = _problem(status, kind, detail, "1800")
    panel.drive(first, lambda found: found.problem is not None, travel=False)
    until = panel.core.certificates.view(first).schedule.due_at
    assert timedelta(minutes=29) < until - panel.environment.now() <= timedelta(minutes=30)
    asked = len(plan.asked)
    for one in (second, third):
        panel.core.reconcile(one)
        assert panel.core.certificates.view(one).schedule.due_at == until
        assert detail in notices(panel, one)
        assert panel.core.certificates.get(one).status is Status.PENDING
    panel.core.certificates.check_now(second)  # impatience does not help
    panel.core.reconcile(second)
    assert len(plan.asked) == asked
    plan.rewrite = lambda path, status, body, headers: (status, body, headers)
    for one in (second, first, third):
        panel.until_active(one)


@pytest.mark.parametrize(("place", "status"), [("/sign-me-up", 429), ("/dir", 503)])
def test_a_pause_holds_before_there_is_an_account(panel, trouble, place, status):
    """What the CA refuses when the account is to be opened is asked once; all wait, in new processes, too."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    ids = _requested(panel, profile, *(f"{letter}.shop.test" for letter in "abc"))
    asked, text = [], json.dumps({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "slow down"}).encode()

    def rewrite(path, was, body, headers):
        asked.append(path)
        if path == place:
            nonce = {name: certificate_id for name, certificate_id in headers.items() if name == "replay-nonce"}
            return status, text, {**nonce, "retry-after": "3600"}
        return was, body, headers

    plan.rewrite = rewrite
    for certificate_id in ids:
        panel.core.reconcile(certificate_id)
        panel.restart()
    assert asked.count(place) == 1
    for certificate_id in ids:
        wait = panel.core.certificates.view(certificate_id).schedule.due_at - panel.environment.now()
        assert timedelta(minutes=59) < wait <= HOUR
    plan.rewrite = lambda path, status, body, headers: (status, body, headers)
    for certificate_id in ids:
        panel.until_active(certificate_id)


def test_what_only_waits_for_the_dns_gives_its_place_to_others(panel, start_pebble):
    """A value that does not become visible holds no place in flight after a minute; it takes one again later."""
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, max_orders=1)
    (first,) = _requested(panel, profile, "a.shop.test")
    engine, rows = inside(panel.core).engine, panel.records(first)
    (schedule,) = engine.claim_due(1)
    engine.step(engine.load(schedule), keep_lease=False)  # the order is placed, and no more
    assert panel.issuance(first).module_state["stage"] == "ordered"
    (second,) = _requested(panel, profile, "b.shop.test")
    for row in rows:
        panel.zone.set(row.name, row.type, "nowhere.shop.test")
    for _ in range(12):
        panel.core.reconcile(first)
        panel.environment.skip(timedelta(seconds=10))
    assert panel.issuance(first).module_state["stage"] == "published"
    panel.drive(second, lambda _: "order" in (panel.issuance(second).module_state or {}))
    for row in rows:
        panel.zone.set(row.name, row.type, row.value)
    panel.core.certificates.check_now(first)
    panel.core.reconcile(first)
    assert "its turn" in notices(panel, first)
    panel.until_active(second)
    panel.until_active(first)


def test_what_waits_for_a_place_checks_its_records_once_a_minute(panel, start_pebble, monkeypatch):
    """Hundreds of renewals that look for a place every few seconds ask the DNS servers for each CNAME once a minute."""
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, max_orders=1)
    (first,) = _requested(panel, profile, "a.shop.test")
    panel.drive(first, lambda _: "order" in (panel.issuance(first).module_state or {}))
    (second,) = _requested(panel, profile, "b.shop.test")
    (row,) = panel.records(second)
    asked, records = [], panel.zone.records

    def counting(zone, name):
        asked.append(name)
        return records(zone, name)

    monkeypatch.setattr(panel.zone, "records", counting)

    def look_for(seconds):
        """The looks and the queries of so many seconds."""
        before, looks = len(asked), 0
        until = panel.environment.now() + timedelta(seconds=seconds)
        while (due := panel.core.certificates.view(second).schedule.due_at) < until:
            panel.environment.skip(max(due - panel.environment.now(), timedelta(0)))
            panel.core.reconcile(second)
            looks += 1
        assert "its turn" in notices(panel, second)
        return looks, asked[before:].count(row.name)

    once = look_for(1)[1]
    assert once > 0
    looks, queries = look_for(50)
    assert looks > 5
    assert queries == 0
    panel.zone.set(row.name, row.type, "nowhere.shop.test")
    panel.drive(second, lambda _: "its turn" not in notices(panel, second))
    assert asked.count(row.name) <= 2 * once
    panel.zone.set(row.name, row.type, row.value)
    panel.drive(second, lambda _: "its turn" in notices(panel, second))
    look_for(20)
    before = len(asked)
    panel.core.certificates.check_now(second)
    panel.core.reconcile(second)
    assert row.name in asked[before:]
    panel.until_active(first)
    panel.until_active(second)


def test_a_long_wait_for_the_owner_does_not_lengthen_that_for_a_place(panel, start_pebble):
    """An owner who was waited for long gets a place in flight as soon as others do, not half a minute later."""
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, max_orders=1)
    (late,) = _requested(panel, profile, "late.shop.test")
    rows = panel.records(late)
    for row in rows:
        panel.zone.set(row.name, row.type, "nowhere.shop.test")
    for _ in range(10):
        panel.core.reconcile(late)
        panel.environment.skip(timedelta(seconds=12))
    (first,) = _requested(panel, profile, "a.shop.test")
    panel.drive(first, lambda _: "order" in (panel.issuance(first).module_state or {}))
    for row in rows:
        panel.zone.set(row.name, row.type, row.value)
    panel.core.reconcile(late)
    assert "its turn" in notices(panel, late)
    waits = panel.core.certificates.view(late).schedule.due_at - panel.environment.now()
    assert waits <= timedelta(seconds=2)
    panel.until_active(first)
    panel.until_active(late)


def test_a_limit_of_one_domain_keeps_nobody_else_waiting(panel, trouble):
    """A refusal that speaks of one domain holds up the certificates of that domain, not the account."""
    plan, proxy = trouble
    first, second = _requested(panel, panel.profile(**proxy), "a.shop.test", "b.shop.test")
    plan.rewrite = _problem(429, "rateLimited", 'too many certificates already issued for "a.shop.test"', "86400")
    panel.drive(first, lambda found: found.problem is not None, travel=False)
    plan.rewrite = lambda path, status, body, headers: (status, body, headers)
    panel.until_active(second)
    assert panel.core.certificates.get(first).status is Status.PENDING


def test_our_own_limits_are_waited_for_with_words(panel, start_pebble):
    """The third order in an hour waits until the first is an hour old; the page says for what and until when."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, limits=["orders 2 per 30m"])
    ids = _requested(panel, profile, "a.shop.test", "b.shop.test", "c.shop.test")
    begun = panel.environment.now()
    for certificate_id in ids[:2]:
        for _ in range(20):
            panel.core.reconcile(certificate_id)
            if panel.core.certificates.get(certificate_id).status is Status.ACTIVE:
                break
            panel.environment.skip(timedelta(milliseconds=50))
    panel.core.reconcile(ids[2])
    assert "orders 2 per 30m" in notices(panel, ids[2])
    assert panel.core.certificates.get(ids[2]).problem is None
    panel.until_active(ids[2])
    issued_at = panel.issuance(ids[2]).finished_at
    assert timedelta(minutes=29) < issued_at - begun < timedelta(minutes=32)


def test_orders_in_flight_are_bounded_over_all_workers(panel, start_pebble):
    """However many workers there are, the CA never sees more orders at once than the profile allows."""
    pebble = start_pebble(authz_reuse=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, max_orders=2)
    ids = _requested(panel, profile, *(f"d{number}.shop.test" for number in range(12)))
    most, left = 0, set(ids)
    for _ in range(400):
        for one in sorted(left):
            panel.core.reconcile(one)
        flying = [document.value for document in panel.documents("budget/") if document.key.endswith("flight")]
        most = max(most, *(len(one) for one in flying), 0)
        left = {one for one in left if panel.core.certificates.get(one).status is not Status.ACTIVE}
        if not left:
            break
        panel.environment.skip(timedelta(seconds=0.5))
    assert not left
    assert most == 2


LIFETIME = timedelta(days=90)


def _active_fleet(panel, profile, count, between):
    """Certificates that are due for renewal: the leaf of the first ends in an hour, each other one some time later."""
    now, environment = panel.environment.now(), panel.environment
    authority = LittleAuthority(now)
    contexts = inside(panel.core).contexts
    ids = []
    for number in range(count):
        draft = panel.core.certificates.create(f"d{number}.shop.test", authority=profile.id)
        panel.set_cnames(draft.id)
        request = new_issuance(draft, number=1, purpose=Purpose.ISSUE, environment=environment, vault=contexts.vault)
        ends = now + HOUR + between * number
        chain = parse_chain(authority.issue(request.issuance.csr_pem, now=ends - LIFETIME, lifetime=LIFETIME))
        issued = evolve(
            request.issuance,
            outcome=Outcome.ISSUED,
            leaf_pem=chain.leaf_pem,
            chain_pem=chain.chain_pem,
            leaf=chain.leaf,
            finished_at=ends - LIFETIME,
        )
        active = evolve(
            draft, status=Status.ACTIVE, active_issuance_id=issued.id, not_after=chain.leaf.not_after, updated_at=now
        )
        with inside(panel.core).storage.write() as transaction:
            transaction.issuances.add(issued)
            transaction.secrets.put(issued.key_name, request.sealed_key)
            transaction.certificates.save_progress(active)
            claimed = transaction.schedules.claim(draft.id, now=now, owner="test", lease_until=now)
            transaction.schedules.save(
                evolve(claimed, due_at=now, needed_by=chain.leaf.not_after, lease_owner="", lease_until=None)
            )
        ids.append(draft.id)
    return ids


@pytest.mark.slow(reason="renews many certificates")
@pytest.mark.timeout(1600)
@pytest.mark.parametrize(
    ("count", "limit"),
    [
        pytest.param(100, 30, id="a hundred in the gate"),
        pytest.param(1000, 300, id="a thousand", marks=pytest.mark.soak),  # more of what the hundred show
    ],
)
def test_renewals_share_a_budget_for_three_hours(panel, start_pebble, count, limit):
    """None expires, no window of three hours holds more orders than the budget, and those that end first go first."""
    pebble = start_pebble(nonce_reject=0)
    window = 3 * HOUR
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, limits=[f"orders {limit} per 3h"], max_orders=4)
    # The budget suffices, but only if those that end first go first.
    ids = _active_fleet(panel, profile, count, between=window / limit + timedelta(seconds=4))
    place = {one: number for number, one in enumerate(ids)}
    engine, environment = inside(panel.core).engine, panel.environment
    ordered, done, begun = {}, set(), environment.now()
    while len(done) < len(ids):
        assert environment.now() - begun < timedelta(hours=13)
        claimed = engine.claim_due(4)
        if not claimed:
            with engine.storage.read() as transaction:
                due = transaction.schedules.next_due(now=environment.now())
            environment.skip(due - environment.now() + timedelta(milliseconds=1))
            continue
        for schedule in claimed:
            leased = engine.load(schedule)
            assert leased.certificate.status is Status.ACTIVE, "it has expired"
            after = engine.step(leased, keep_lease=False)
            one = after.certificate.id
            current = next((each for each in after.issuances if each.id == after.certificate.issuance_id), None)
            if one not in ordered and current is not None and (current.module_state or {}).get("order"):
                ordered[one] = environment.now()
            if after.certificate.active_issuance_id != leased.certificate.active_issuance_id:
                done.add(one)
                assert leased.certificate.not_after > environment.now()
    moments = sorted(ordered.values())
    assert len(moments) == len(ids)
    assert all(moments[at + limit] - moments[at] >= window for at in range(len(moments) - limit))
    batches = [
        sorted(place[one] for one in ordered if begun + window * n <= ordered[one] < begun + window * (n + 1))
        for n in range(5)
    ]
    sizes = [len(batch) for batch in batches]
    assert sizes[:3] == [limit] * 3
    for earlier, later in pairwise(batches):
        if later:
            assert max(earlier) < min(later) + 5  # the few that are in flight at once may swap
