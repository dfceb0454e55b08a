"""From a broken record to a certificate: authoritative servers decide, the page says why, a repair is seen at once."""

from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import AccessDeniedError, InvalidInputError
from certcore.hookspecs import hookimpl
from certcore.model.finding import Severity
from certcore.model.hints import DnsRecords
from certcore_puq_acme.dns.port import Question
from certcore_puq_acme.profile.settings import NameServer
from support.hint_texts import notices
from support.internet import is_in
from support.simulation.panel_internet import NAME, RESOLVER, SECOND, TECH, panel_world
from support.simulation.simulated_world import TECH_ZONE

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def world():
    world = panel_world()
    yield world
    world.close()


def waiting(world):
    """A certificate whose owner has not acted yet, and the record to set."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id)
    world.core.certificates.generate_csr(draft.id)
    world.core.reconcile(draft.id)
    return draft.id, row_of(world, draft.id)


def row_of(world, certificate_id):
    hints = world.core.certificates.hints(certificate_id)
    return next(row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows)


@pytest.mark.parametrize("minutes", [0, 17, 58])
def test_a_repair_within_the_first_hour_is_seen_within_20_seconds(world, minutes):
    """Also when a resolver holds a negative answer for a day."""
    one, row = waiting(world)
    world.run(world.environment.now() + minutes * MINUTE, [one])
    kept = world.dns.query(NameServer(RESOLVER), Question(name=NAME, kind="CNAME"), (1.0,))
    assert not kept.answer
    world.dns.set(NAME, "CNAME", row.value)
    world.run(world.environment.now() + timedelta(seconds=20), [one])
    assert world.get(one).status is Status.ACTIVE


def test_later_the_pause_grows_to_ten_minutes_and_somebody_who_acts_shortens_it(world):
    """The page shows the next look; "Check now" begins another hour of short pauses."""
    one, row = waiting(world)
    world.run(world.environment.now() + 4 * HOUR, [one])
    due = world.core.certificates.view(one).schedule.due_at
    last = max(due - timedelta(minutes=10), world.environment.now() - timedelta(minutes=10))
    assert due - last <= timedelta(minutes=10)
    assert due - world.environment.now() > timedelta(seconds=20)
    assert f"{due:%Y-%m-%d %H:%M:%S UTC}" in notices(world, one)
    world.core.certificates.check_now(one)
    world.run(world.environment.now() + MINUTE, [one])
    world.dns.set(NAME, "CNAME", row.value)
    world.run(world.environment.now() + timedelta(seconds=20), [one])
    assert world.get(one).status is Status.ACTIVE


def test_the_page_tells_the_cause_the_remedy_and_the_next_look(world):
    """In the row of the record, as a finding with its code; the first look asked no resolver for the name."""
    one, row = waiting(world)
    assert {name for address, name, *_ in world.dns.asked if address == RESOLVER} <= {"", "a.root"}
    world.dns.set(f"{NAME}.shop.test", "CNAME", row.value)
    world.run(world.environment.now() + timedelta(seconds=15), [one])
    (finding,) = row_of(world, one).findings
    assert (finding.code, finding.seen) == ("cname_doubled_suffix", f"{NAME}.shop.test")
    assert ("set", NAME, "CNAME", f"{row.value}.") in [
        (record.change, record.name, record.type, record.value) for record in finding.remedy
    ]
    assert finding.next_look == world.core.certificates.view(one).schedule.due_at


def test_no_order_is_placed_while_a_server_of_the_tech_zone_is_old(world):
    """The operator is told which server it is; when it is repaired, the certificate comes."""
    world.dns.old.add(SECOND)
    one, row = waiting(world)
    world.dns.set(NAME, "CNAME", row.value)
    world.run(world.environment.now() + 5 * MINUTE, [one])
    assert world.get(one).status is Status.PENDING
    assert not world.ca.orders
    assert f"ns2.{TECH_ZONE} ({SECOND})" in notices(world, one)
    world.dns.old.clear()
    world.run(world.environment.now() + timedelta(seconds=20), [one])
    assert world.get(one).status is Status.ACTIVE


def test_a_new_check_value_is_made_each_day(world):
    """A server that holds yesterday's copy of the zone is told from a present one."""
    one, row = waiting(world)
    world.dns.set(NAME, "CNAME", row.value)
    world.run(world.environment.now() + MINUTE, [one])
    first = world.dns.stored(f"_certcore-check.{TECH_ZONE}")
    assert len(first) == 1
    world.environment.advance(timedelta(days=1, hours=1))
    another = world.core.certificates.create("shop.test", wildcard=True, authority=world.authority.id).id
    world.core.certificates.generate_csr(another)
    world.run(world.environment.now() + MINUTE, [another])
    second = world.dns.stored(f"_certcore-check.{TECH_ZONE}")
    assert len(second) == 1
    assert second != first


def test_the_test_of_a_ca_profile_takes_its_value_back(world):
    """It is published, seen at every server of the zone, and withdrawn."""
    report = world.core.authorities.check(world.authority.id)
    assert all(item.ok for item in report.items if "tech zone acme" in str(item.title))
    assert {TECH, SECOND} <= {
        address for address, name, *_ in world.dns.asked if is_in(name, f"_certcore-trial.{TECH_ZONE}")
    }
    for name in {name for _, name, *_ in world.dns.asked if is_in(name, TECH_ZONE)}:
        assert world.dns.stored(name) in ((), [])


def test_names_are_diagnosed_without_a_certificate(world):
    """Nothing is stored, the CA is not asked; what keeps the names from being validated comes first."""
    diagnose = world.core.diagnose
    findings = diagnose(["shop.test", "*.shop.test"], authority=world.authority.id)
    assert [one.code for one in findings] == ["cname_missing"]
    label = findings[0].remedy[0].value
    assert diagnose(["shop.test"], authority="simulated", owner="other")[0].remedy[0].value != label
    world.dns.set(NAME, "CNAME", label.removesuffix("."))
    assert diagnose(["shop.test"], authority=world.authority.id) == ()
    assert [one.code for one in diagnose("gone.test", authority="simulated")] == ["domain_not_registered"]
    assert not world.core.certificates.list().items
    assert not world.ca.accounts
    for names in ([], ["not a name"]):
        with pytest.raises(InvalidInputError):
            diagnose(names, authority="simulated")


def test_wildcards_and_caa_are_diagnosed_too(world):
    """What the profile forbids, and what the CA's own rules would refuse, once its directory is known."""
    world.core.authorities.edit(world.authority.id, settings={"allow_wildcard": False})
    found = world.core.diagnose(["*.shop.test"], authority="simulated")
    assert {one.code for one in found} == {"wildcard_forbidden", "cname_missing"}
    assert {one.severity for one in found} == {Severity.ERROR}


def test_a_validation_that_fails_is_explained_by_what_is_seen(world):
    """What the CA says of a name is matched to what is seen from here; its own words stay beside it."""
    one, row = waiting(world)
    world.dns.set(NAME, "CNAME", row.value)
    world.dns.breaks = "somewhere.else.test"
    world.run(world.environment.now() + timedelta(seconds=13), [one])
    (sub,) = world.get(one).problem.subproblems
    assert "points to somewhere.else.test" in sub.title
    assert sub.detail


def test_a_policy_decides_who_may_diagnose():
    """Whoever may not request a certificate for an owner may not probe the DNS for it either."""

    class Policy:
        @hookimpl
        def certcore_authorize(self, actor, action):
            return actor == "system"

    from certcore import CertCore

    with CertCore.in_memory(plugins=[Policy()]) as core:
        authority = core.authorities.create("a", module="puq_acme", settings={"tech_zone": TECH_ZONE})
        with pytest.raises(AccessDeniedError):
            core.diagnose(["shop.test"], authority=authority.id, actor="guest")
