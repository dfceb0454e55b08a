"""The tech zone at a DNS server that somebody else runs: "Save and Test" step by step, and orders that wait for it."""

from datetime import timedelta

import pytest
from attrs import define, field

from certcore import Status
from certcore.errors import PluginError, ZoneWriteError
from certcore.hookspecs import hookimpl
from certcore.model.events import EventKind
from certcore.model.hints import DnsRecords
from certcore.model.readiness import WhoseTurn
from certcore_puq_acme.dns.port import Question
from support.hint_texts import notices
from support.internet import Internet, Server, is_in
from support.simulation.simulated_world import TECH_ZONE, World

RESOLVER = "192.0.2.53"
NAME = "_acme-challenge.shop.test"
CHECK, TRIALS = f"_certcore-check.{TECH_ZONE}", f"_certcore-trial.{TECH_ZONE}"
PRIMARY, SECONDARY = "8.0.2.2", "8.0.2.3"
MINUTE = timedelta(minutes=1)


@define(eq=False)
class ForeignInternet(Internet):
    """As it is; the CA asks it through a resolver without a cache."""

    sources: list = field(factory=list)

    def follow(self, name):
        """What the CA finds."""
        answer = self.resolved(RESOLVER, Question(name=name, kind="TXT"))
        self.cached.clear()
        return {"TXT": answer.values("TXT")}


@define(eq=False)
class Primary:
    """A server that takes TXT values, and a secondary that copies them after so many questions for the value."""

    net: Internet
    name: str = "panel_dns"
    one_at_a_time: bool = False
    #: What it says instead of taking values, and instead of removing them.
    refuses: str = ""
    keeps: str = ""
    #: The secondary has the zone as it was so many looks ago; -1: it copies nothing.
    lag: int = 0

    def write(self, zone, changes, *, ttl):
        """As `certcore.ports.zone_writers.ZoneWriter.write`."""
        del ttl
        if self.refuses:
            raise ZoneWriteError("dns.panel.test", zone, self.refuses, advice="Set the key again.")
        for change in changes:
            if self.keeps and change.withdrawn:
                raise ZoneWriteError("dns.panel.test", zone, self.keeps, advice="Permit removals.")
            self.net.set(change.name, "TXT", *change.values, at=PRIMARY)
            if not self.lag:
                self.net.set(change.name, "TXT", *change.values, at=SECONDARY)

    def servers(self, zone):
        """It knows none."""
        del zone
        return ()

    def copy(self):
        """The secondary catches up."""
        zone = self.net.servers[PRIMARY].zones
        self.net.servers[SECONDARY].zones.update({apex: dict(records) for apex, records in zone.items()})

    def waited(self, seconds):
        """Time passes."""
        del seconds
        self.lag -= self.lag > 0
        if not self.lag:
            self.copy()


@pytest.fixture
def net():
    net = ForeignInternet(resolvers=(RESOLVER,))
    net.servers[RESOLVER] = Server()
    net.add_zone("test", {"ns.nic.test": "8.0.0.2"})
    net.add_zone("shop.test", {"ns1.shop.test": "8.0.1.1"})
    net.add_zone("panel.test", {"ns.panel.test": "8.0.2.1"})
    net.add_zone(TECH_ZONE, {f"ns1.{TECH_ZONE}": PRIMARY, f"ns2.{TECH_ZONE}": SECONDARY})
    return net


@pytest.fixture
def primary(net):
    return Primary(net)


@pytest.fixture
def world(net, primary):
    class DnsPlugin:
        @hookimpl
        def certcore_zone_writers(self):
            return [primary]

    world = World(dns=net, plugins=[DnsPlugin()], pause=primary.waited, most_steps_an_hour=310)
    at = {"zone_writer": "plugin", "zone_plugin": "panel_dns", "zone_shown_by": [PRIMARY, SECONDARY]}
    world.core.authorities.edit(world.authority.id, settings=at)
    yield world
    world.close()


def steps_of(world):
    """What "Save and Test" says of the tech zone: whether each step passed, and its words."""
    report = world.core.authorities.check(world.authority.id)
    steps = [item for item in report.items if item.title.key.startswith("puq_acme.check.zone")]
    return [(item.ok, f"{item.title} | {item.detail} | {item.advice}") for item in steps]


def values_at(net, address, below=TRIALS):
    """The TXT values that a server has at a name and below."""
    zone = net.servers[address].zones[TECH_ZONE]
    return [value for (name, kind), values in zone.items() if kind == "TXT" and is_in(name, below) for value in values]


def test_each_step_is_told_when_all_is_well(world, net):
    """Written, seen at each named server and by the delegation, removed; nothing is left behind."""
    steps = steps_of(world)
    assert [ok for ok, _ in steps] == [True] * 5
    words = [text.partition(" | ")[0] for _, text in steps]
    assert words == [
        f"panel_dns takes a TXT value for the zone {TECH_ZONE}",
        f"The name server {PRIMARY} shows the value",
        f"The name server {SECONDARY} shows the value",
        f"The tech zone {TECH_ZONE} in the DNS",
        "panel_dns removes the value again",
    ]
    assert values_at(net, PRIMARY) == values_at(net, SECONDARY) == []


def test_each_step_is_told_before_the_next_one_begins(world, net):
    """Somebody who watches sees "written" while the value is there, and "removed" when it is gone."""
    seen = []

    def watch(item):
        if item.title.key.startswith("puq_acme.check.zone"):
            seen.append((item.title.key.rpartition(".")[2], len(values_at(net, PRIMARY))))

    world.core.authorities.check(world.authority.id, progress=watch)
    assert seen == [("zone_written", 1), ("zone_shown", 1), ("zone_shown", 1), ("zone", 1), ("zone_removed", 0)]


def test_a_watcher_that_fails_leaves_nothing_in_the_ledger(world, net):
    """The test ends there, and the next one takes the value away."""

    def watch(item):
        if item.title.key == "puq_acme.check.zone_shown":
            raise ZeroDivisionError

    with pytest.raises(PluginError):
        world.core.authorities.check(world.authority.id, progress=watch)
    assert len(values_at(net, PRIMARY)) == 1
    assert [ok for ok, _ in steps_of(world)] == [True] * 5
    assert values_at(net, PRIMARY) == values_at(net, SECONDARY) == []


def test_its_own_name_servers_need_no_address_in_the_profile(world):
    """The foreign server has the records of hosts inside the zone; the profile need not even name them."""
    report = world.core.authorities.check(world.authority.id)
    assert [str(item.title) for item in report.items if not item.ok] == []
    world.core.authorities.edit(world.authority.id, settings={"tech_zone_nameservers": [f"ns1.{TECH_ZONE}"]})
    assert world.core.authorities.check(world.authority.id).ok


def test_a_secondary_that_takes_a_moment_is_waited_for(world, primary):
    """NOTIFY and the transfer need a second: that is no fault."""
    primary.lag = 3
    assert [ok for ok, _ in steps_of(world)] == [True] * 5


def test_a_secondary_that_copies_nothing_is_named(world, primary, net):
    """The server that does not show the value, what it is to be told, and that the removal still worked."""
    primary.lag = -1
    steps = steps_of(world)
    assert [ok for ok, _ in steps] == [True, True, False, False, True]
    assert f"{SECONDARY} shows the value | It does not show the TXT value at " in steps[2][1]
    assert f"{TRIALS} within 5.75 seconds: it shows no value." in steps[2][1]
    assert "NOTIFY" in steps[2][1]
    assert f"ns2.{TECH_ZONE} ({SECONDARY}) serves an outdated copy of the tech zone" in steps[3][1]
    assert "certcore dns serve" not in " ".join(text for _, text in steps)
    assert values_at(net, PRIMARY) == []


def test_a_refusal_to_write_ends_the_test_there(world, primary, net):
    """The server's own word and what to do; nothing is looked for that was never written."""
    primary.refuses = "refuses the update (REFUSED)"
    steps = steps_of(world)
    assert [ok for ok, _ in steps] == [False, True]
    assert "refuses the update (REFUSED)" in steps[0][1]
    assert "Set the key again." in steps[0][1]
    assert not [name for _, name, *_ in net.asked if is_in(name, TRIALS)]


def test_a_refusal_to_remove_is_a_step_of_its_own(world, primary, net):
    """The value stays at the server, and goes with the next test that may remove it."""
    primary.keeps = "refuses the removal (REFUSED)"
    steps = steps_of(world)
    assert [ok for ok, _ in steps] == [True, True, True, True, False]
    assert "refuses the removal (REFUSED)" in steps[4][1]
    assert len(values_at(net, PRIMARY)) == 1
    primary.keeps = ""
    assert all(ok for ok, _ in steps_of(world))
    assert values_at(net, PRIMARY) == []


def test_a_zone_that_is_a_part_of_a_larger_one(world, net):
    """The larger zone is what is delegated; the tech zone needs no delegation of its own."""
    for address in (PRIMARY, SECONDARY):
        net.servers[address].zones.pop(TECH_ZONE)
    del net.servers["8.0.2.1"]
    net.add_zone("panel.test", {"ns1.panel.test": PRIMARY, "ns2.panel.test": SECONDARY})
    world.core.authorities.edit(world.authority.id, settings={"zone_at_server": "panel.test"})
    assert [ok for ok, _ in steps_of(world)] == [True] * 5
    one = pending(world)
    world.run(world.environment.now() + MINUTE, [one])
    assert world.get(one).status is Status.ACTIVE


def pending(world):
    """A certificate whose owner has set the CNAME."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id)
    world.core.certificates.generate_csr(draft.id)
    hints = world.core.certificates.hints(draft.id)
    row = next(row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows)
    world.dns.set(NAME, "CNAME", row.value.removesuffix("."))
    return draft.id


def test_a_certificate_is_issued_through_it(world, net):
    """The check value is written before the order, so that the zone's servers can be told from old ones."""
    one = pending(world)
    world.run(world.environment.now() + MINUTE, [one])
    assert world.get(one).status is Status.ACTIVE
    assert len(values_at(net, PRIMARY, CHECK)) == 1


def test_no_order_is_placed_while_the_server_refuses_values(world, primary):
    """The page says why, since when and what to do; when it is repaired, the certificate comes."""
    primary.refuses = "refuses the API key (401)"
    one = pending(world)
    begun = f"{world.environment.now():%Y-%m-%d %H:%M}"
    world.run(world.environment.now() + 5 * MINUTE, [one])
    assert world.get(one).status is Status.PENDING
    assert not world.ca.orders
    text = notices(world, one)
    assert f"since {begun}" in text
    assert "refuses the API key (401)" in text
    assert "Set the key again." in text
    primary.refuses = ""
    world.run(world.environment.now() + timedelta(seconds=20), [one])
    assert world.get(one).status is Status.ACTIVE


def test_a_check_value_that_the_server_has_lost_is_written_again(world, net):
    """A restored backup has yesterday's zone: nobody waits for the next day's check value."""
    first = pending(world)
    world.run(world.environment.now() + MINUTE, [first])
    for address in (PRIMARY, SECONDARY):
        net.set(CHECK, "TXT", at=address)
    second = world.core.certificates.create("shop.test", wildcard=True, authority=world.authority.id).id
    world.core.certificates.generate_csr(second)
    world.run(world.environment.now() + 5 * MINUTE, [second])
    assert world.get(second).status is Status.ACTIVE


def test_values_of_somebody_else_at_our_label_are_told(world, net, primary):
    """An older panel that writes into the zone is named by what it wrote, at which server; ours are not."""
    one = pending(world)
    primary.lag = -1  # the secondary never shows the order's values
    label = row_target(world, one)
    world.run(world.environment.now() + timedelta(seconds=5), [one])
    world.environment.advance(timedelta(hours=1))
    net.set(label, "TXT", "old-value", at=SECONDARY)
    findings = world.core.diagnose(["shop.test"], authority=world.authority.id)
    (foreign,) = [finding for finding in findings if finding.code == "txt_foreign"]
    assert foreign.server == f"ns2.{TECH_ZONE} ({SECONDARY})"
    assert foreign.seen == "old-value"
    assert foreign.name == label


def row_target(world, certificate_id):
    hints = world.core.certificates.hints(certificate_id)
    return next(row.value for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows).removesuffix(".")


def test_a_server_that_takes_no_values_is_found_before_the_renewal(world, net, primary):
    """The key was changed at the server since: the administrator is told when a second check finds it, too."""
    certificate_id = world.core.certificates.create("shop.test", authority=world.authority.id).id
    world.core.certificates.generate_csr(certificate_id)
    world.core.reconcile(certificate_id)
    hints = world.core.certificates.hints(certificate_id)
    row = next(row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows)
    net.set(row.name, "CNAME", row.value)
    world.run(world.environment.now() + timedelta(minutes=5), [certificate_id])
    assert world.in_service(certificate_id)
    assert world.core.certificates.preflight(certificate_id).readiness.is_ready
    world.environment.advance(timedelta(days=2))
    primary.refuses = "it answered NOTAUTH"
    readiness = world.core.certificates.preflight(certificate_id).readiness
    found = {one.finding.code: one for one in readiness.obstacles if one.blocks}
    assert "it answered NOTAUTH" in str(found["tech_zone_not_written"].finding.cause)
    assert found["tech_zone_not_written"].whose_turn is WhoseTurn.ADMINISTRATOR
    world.environment.advance(timedelta(hours=1))
    world.core.certificates.preflight(certificate_id)
    kinds = [event.kind for event in world.core.certificates.timeline(certificate_id)]
    assert EventKind.RENEWAL_NOT_READY in kinds
