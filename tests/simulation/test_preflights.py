"""Certificates of the ACME module are checked before they are renewed: records, CAA, tech zone, account and limits."""

from datetime import timedelta

import pytest

from certcore.model.events import EventKind
from certcore.model.finding import Severity
from certcore.model.hints import DnsRecords
from certcore.model.readiness import WhoseTurn
from certcore_puq_acme.accounts.records import own_account
from certcore_puq_acme.rate_limits.limiter import Budget
from support.inside import inside
from support.simulation.panel_internet import NAME, RESOLVER, SECOND, panel_world
from support.simulation.simulated_ca import problem
from support.simulation.simulated_world import World

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world():
    world = panel_world()
    yield world
    world.close()


def active(world):
    """A certificate in service, and the target of its CNAME."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id, owner="anna")
    world.core.certificates.generate_csr(draft.id)
    world.core.reconcile(draft.id)
    hints = world.core.certificates.hints(draft.id)
    row = next(row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows)
    world.dns.set(NAME, "CNAME", row.value)
    world.run(world.environment.now() + MINUTE, [draft.id])
    assert world.in_service(draft.id)
    return draft.id, row.value


def found(world, certificate_id):
    readiness = world.core.certificates.preflight(certificate_id).readiness
    return [(one.finding.code, one.whose_turn) for one in readiness.obstacles if one.blocks]


def told(world, certificate_id):
    kinds = (EventKind.RENEWAL_NOT_READY, EventKind.RENEWAL_READY)
    return [event.kind for event in world.core.certificates.timeline(certificate_id) if event.kind in kinds]


def test_a_healthy_certificate_is_ready_and_nothing_is_left_behind(world):
    """Nothing is ordered, resolvers are not asked for a record that does not exist, and no lease is taken."""
    one, _ = active(world)
    orders, schedule = len(world.ca.orders), world.core.certificates.view(one).schedule
    world.dns.asked.clear()
    assert found(world, one) == []
    of_resolver = {(name, kind) for address, name, kind, *_ in world.dns.asked if address == RESOLVER}
    assert of_resolver <= {("", "NS"), ("a.root", "A"), (NAME, "CNAME")}
    assert len(world.ca.orders) == orders
    assert world.core.certificates.view(one).schedule == schedule


def test_a_broken_cname_is_told_within_the_check_and_its_repair_within_a_day(world):
    """The page has the record to set, the owner has the turn; after the repair all is well, and that is told, too."""
    one, target = active(world)
    world.core.run_preflights()
    world.environment.advance(8 * DAY)
    world.dns.set(NAME, "CNAME", "old.elsewhere.test")
    assert world.core.run_preflights() == 1
    assert told(world, one) == [EventKind.RENEWAL_NOT_READY]
    view = world.core.certificates.view(one)
    assert view.preflight.readiness.whose_turn is WhoseTurn.OWNER
    assert "cname_wrong_target" in [one.finding.code for one in view.preflight.readiness.obstacles]
    rows = [row for hint in world.core.certificates.hints(one) if isinstance(hint, DnsRecords) for row in hint.rows]
    assert (NAME, "CNAME", f"{target}.") in [(row.name, row.type, row.value) for row in rows]
    world.dns.set(NAME, "CNAME", target)
    world.environment.advance(DAY)
    assert world.core.run_preflights() == 1
    assert told(world, one) == [EventKind.RENEWAL_NOT_READY, EventKind.RENEWAL_READY]
    assert not any("renewal would not succeed" in text for text in world.warnings(one))


def test_a_server_of_the_tech_zone_that_is_old_is_the_administrators_turn(world):
    """It is told when a second check sees it, too: a copy of the zone may be late."""
    one, _ = active(world)
    world.dns.old.add(SECOND)
    world.environment.advance(10 * MINUTE)
    assert found(world, one) == [("tech_zone_old_server", WhoseTurn.ADMINISTRATOR)]
    assert told(world, one) == []
    world.environment.advance(HOUR)
    found(world, one)
    assert told(world, one) == [EventKind.RENEWAL_NOT_READY]


def test_caa_records_that_forbid_the_ca_are_the_owners_turn(world):
    """A CAA record that was set since would make the CA refuse the renewal."""
    world.ca.directory = {"meta": {"caaIdentities": ["ca.test"]}}
    one, _ = active(world)
    assert found(world, one) == []
    world.dns.set("shop.test", "CAA", '0 issue "other.test"')
    assert found(world, one) == [("caa_issue", WhoseTurn.OWNER)]


class TestAccount:
    """What would happen at the CA; the DNS is the simple one."""

    @pytest.fixture
    def world(self):
        world = World()
        yield world
        world.close()

    @pytest.fixture
    def one(self, world):
        certificate_id = world.request("shop.test")
        world.run(world.environment.now() + HOUR, [certificate_id])
        assert world.in_service(certificate_id)
        return certificate_id

    def test_the_ca_is_asked_about_an_account_once_a_day(self, world, one):
        """However many certificates are checked, a process asks the CA once a day for each account."""
        for _ in range(5):
            assert found(world, one) == []
        asked = [request for request in world.ca.asked if request.kind == "account"]
        world.environment.advance(25 * HOUR)
        found(world, one)
        after = [request for request in world.ca.asked if request.kind == "account"]
        assert (len(asked), len(after)) == (1, 2)

    def test_an_account_that_was_closed_is_the_administrators_turn(self, world, one):
        """Somebody has closed it: no renewal succeeds before another one is open."""
        world.core.authorities.run_action(world.authority.id, "deactivate_account", {})
        assert found(world, one) == [("account_closed", WhoseTurn.ADMINISTRATOR)]
        assert told(world, one) == [EventKind.RENEWAL_NOT_READY]

    def test_a_ca_that_is_down_is_in_nobodys_way(self, world, one):
        """It is said, and told to nobody: a CA comes back."""
        world.ca.tamper = _unavailable
        readiness = world.core.certificates.preflight(one).readiness
        assert readiness.is_ready
        assert [item.finding.code for item in readiness.obstacles] == ["ca_unreachable"]
        assert told(world, one) == []

    @pytest.mark.parametrize(
        ("limit", "severity", "whose_turn"),
        [
            ("same_names 1 per 2d", Severity.INFO, WhoseTurn.NOBODY),
            ("same_names 1 per 50d", Severity.ERROR, WhoseTurn.ADMINISTRATOR),
        ],
    )
    def test_a_limit_that_is_used_up_is_said(self, world, limit, severity, whose_turn):
        """A renewal waits for its turn: nobody's turn while it comes in time, the administrator's when it does not."""
        world.core.authorities.edit(world.authority.id, settings={"limits": [limit]})
        one = world.request("shop.test")
        world.run(world.environment.now() + HOUR, [one])
        (used_up,) = world.core.certificates.preflight(one).readiness.obstacles
        assert (used_up.finding.code, used_up.finding.severity) == ("limit_used_up", severity)
        assert used_up.whose_turn is whose_turn
        assert limit.removesuffix("d") in str(used_up.finding.cause)
        assert len(world.ca.orders) == 1

    @pytest.mark.parametrize(
        ("detail", "severity", "whose_turn"),
        [
            ("Busy, come back later", Severity.INFO, WhoseTurn.NOBODY),
            ("Paused: visit https://ca.simulated.test/unpause to go on", Severity.ERROR, WhoseTurn.ADMINISTRATOR),
        ],
    )
    def test_a_pause_of_the_ca_is_kept(self, world, one, detail, severity, whose_turn):
        """The CA is not asked then; somebody has to act only where it wants its page to be visited."""
        parts = inside(world.core)
        module = parts.plugins.module("puq_acme")
        context = parts.contexts.context(world.core.authorities.get(world.authority.id))[1]
        budget = Budget(
            documents=parts.contexts.documents(module),
            account=own_account(context).key,
            limits=(),
            max_orders=20,
            directory=context.profile.directory,
        )
        now = world.environment.now()
        budget.pause(now + 2 * HOUR, detail, now)
        asked = len(world.ca.asked)
        (pause,) = world.core.certificates.preflight(one).readiness.obstacles
        assert (pause.finding.code, pause.finding.severity, pause.whose_turn) == ("ca_pause", severity, whose_turn)
        assert detail in str(pause.finding.cause)
        assert len(world.ca.asked) == asked

    def test_a_profile_can_switch_the_checks_off(self, world, one):
        """Nothing is asked by itself then; whoever asks for one certificate gets the answer."""
        world.core.authorities.edit(world.authority.id, settings={"preflights": False})
        world.core.run_preflights()
        asked = world.dns.asked, len(world.ca.asked)
        world.environment.advance(8 * DAY)
        assert world.core.run_preflights() == 1
        assert (world.dns.asked, len(world.ca.asked)) == asked
        assert found(world, one) == []

    def test_a_certificate_profile_that_is_not_offered_is_said(self, world, one):
        """The CA offers none of that name: every order would be refused."""
        world.ca.directory = {"meta": {"profiles": {"classic": "as ever"}}}
        world.core.authorities.edit(world.authority.id, settings={"certificate_profile": "classic"})
        assert found(world, one) == []
        world.ca.directory = {"meta": {"profiles": {"modern": "since today"}}}
        world.environment.advance(25 * HOUR)
        assert found(world, one) == [("certificate_profile_unknown", WhoseTurn.ADMINISTRATOR)]

    def test_the_way_of_validation_that_counts_now_is_looked_at(self, world, one):
        """The profile was set to lasting TXT records since: those are missing, and the CNAME does not matter."""
        world.ca.directory = {"meta": {"caaIdentities": ["ca.test"]}}
        world.core.authorities.edit(world.authority.id, settings={"challenges": "dns-persist-01"})
        assert found(world, one) == [("persist_missing", WhoseTurn.OWNER)]


def _unavailable(ca, kind, count, handle):
    return problem(503, "serverInternal", "down")


def test_a_fleet_with_preflights_is_renewed_as_without():
    """Over two simulated months each order is placed at the same moment, whether the checks run or not."""
    placed = []
    for has_preflights in (False, True):
        world = World(seed=7)
        names = ["shop.test", "a.shop.test", "b.shop.test"]
        ids = [world.request(name) for name in names]
        end = world.environment.now() + 60 * DAY
        checks = 0
        while world.environment.now() < end:
            world.run(world.environment.now() + 6 * HOUR, ids)
            if has_preflights:
                checks += world.core.run_preflights()
        placed.append([(order.placed_at, order.names) for order in world.ca.orders.values()])
        assert all(world.in_service(one) for one in ids)
        assert not world.lapses
        assert not any(told(world, one) for one in ids)
        assert checks >= (3 * 8 if has_preflights else 0)
        assert checks <= 3 * 14
        world.close()
    assert placed[0] == placed[1]
    assert len(placed[0]) >= 6
