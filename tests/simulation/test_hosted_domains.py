"""Domains that the panel hosts: it sets their CNAMEs itself, for the owner that it says controls them."""

from datetime import timedelta

import pytest
from attrs import define, field

from certcore import Status
from certcore.errors import InvalidInputError, ZoneWriteError
from certcore.hookspecs import hookimpl
from certcore.model.hints import DnsRecords, Notice
from certcore.ports.zone_writers import CnameChange, CnameOutcome, HostedName
from support.inside import inside
from support.internet import Internet, Server, is_in
from support.simulation.simulated_world import TECH_ZONE, World

RESOLVER = "192.0.2.53"
NAME = "_acme-challenge.shop.test"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@define(eq=False)
class PanelInternet(Internet):
    """The tech zone's servers serve what the module has stored."""

    sources: list = field(factory=list)
    resolvers: tuple = (RESOLVER,)

    def authoritative(self, here, name, kind):
        if kind == "TXT" and TECH_ZONE in here.zones and name.endswith(f".{TECH_ZONE}"):
            here.zones[TECH_ZONE][name, "TXT"] = list(self.stored(name))
        return super().authoritative(here, name, kind)

    def stored(self, name):
        (source, *_) = self.sources
        return source.records(source.zones()[0], name).get("TXT", ())

    def at(self, name):
        """The records at a name, by type."""
        zone = self.zone_of(name)
        server = next(server for server in self.servers.values() if zone in server.zones)
        return {kind: tuple(values) for (owner, kind), values in server.zones[zone].items() if owner == name and values}

    def follow(self, name):
        """What the simulated CA finds."""
        for _ in range(8):
            if is_in(name, TECH_ZONE):
                return {"TXT": self.stored(name)}
            if "CNAME" not in self.at(name):
                break
            (name,) = self.at(name)["CNAME"]
        return {}


@define(eq=False)
class Panel:
    """A panel with a DNS server of its own, as a plugin: what it hosts, and whose it is."""

    net: PanelInternet
    #: Zone to owner.
    hosted: dict = field(factory=lambda: {"shop.test": "anna", "other.test": "bert"})
    is_down: bool = False
    #: What happens, once, while a CNAME is being set.
    meanwhile: object = None
    #: Instead of what `hosted` says: a value, or an exception.
    answer: object = None
    calls: list = field(factory=list)
    asked: list = field(factory=list)
    name: str = "panel"
    one_at_a_time: bool = False

    @hookimpl
    def certcore_zone_writers(self):
        return [self]

    @hookimpl
    def certcore_controls_name(self, owner, name):
        self.asked.append((owner, name))
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is not None:
            return self.answer
        return any(is_in(name, zone) and owner == of for zone, of in self.hosted.items())

    def write(self, zone, changes, *, ttl):
        self._refuse()

    def servers(self, zone):
        return ()

    def look_up(self, name):
        self._refuse()
        zone = max((zone for zone in self.hosted if is_in(name, zone)), key=len, default="")
        return HostedName(zone=zone, target=self.net.at(name).get("CNAME", ("",))[0]) if zone else None

    def set_cname(self, zone, name, target, *, ttl):
        def change():
            there = self.net.at(name)
            if not there:
                self.net.set(name, "CNAME", target)
                return CnameChange(outcome=CnameOutcome.SET)
            if there == {"CNAME": (target,)}:
                return CnameChange(outcome=CnameOutcome.PRESENT)
            return CnameChange(outcome=CnameOutcome.OCCUPIED, seen=" ".join(there))

        return self._call("set", name, change)

    def remove_cname(self, zone, name, target):
        def change():
            if self.net.at(name) == {"CNAME": (target,)}:
                self.net.set(name, "CNAME")

        self._call("remove", name, change)

    def _call(self, kind, name, change):
        self._refuse()
        self.calls.append((kind, name))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return change()

    def _refuse(self):
        if self.is_down:
            raise ZoneWriteError("192.0.2.9", "shop.test", "refused the connection", advice="Start it.")


@pytest.fixture
def panel():
    net = PanelInternet()
    net.servers[RESOLVER] = Server()
    net.add_zone("test", {"ns.nic.test": "8.0.0.2"})
    net.add_zone("shop.test", {"ns1.shop.test": "8.0.1.1", "ns2.shop.test": "8.0.1.2"})
    net.add_zone("other.test", {"ns1.other.test": "8.0.3.1"})
    net.add_zone("panel.test", {"ns.panel.test": "8.0.2.1"})
    net.add_zone(TECH_ZONE, {f"ns1.{TECH_ZONE}": "8.0.2.2"})
    return Panel(net)


@pytest.fixture
def world(panel):
    settings = {"zone_writer": "plugin", "zone_plugin": "panel", "set_cnames": True}
    world = World(dns=panel.net, plugins=[panel], settings=settings, most_steps_an_hour=400)
    yield world
    world.close()


def requested(world, domain="shop.test", owner="anna", **fields):
    """A certificate that was asked for; nobody has set a record for it."""
    draft = world.core.certificates.create(domain, authority=world.authority.id, owner=owner, **fields)
    return world.core.certificates.generate_csr(draft.id).id


def run(world, *ids, time=10 * MINUTE):
    world.run(world.environment.now() + time, ids)


def texts(world, certificate_id):
    hints = world.core.certificates.hints(certificate_id)
    return "\n".join(str(hint.text) for hint in hints if isinstance(hint, Notice))


def target_of(world, certificate_id, name=NAME):
    """Where the page of a certificate says that a CNAME is to point."""
    hints = world.core.certificates.hints(certificate_id)
    rows = [row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows]
    return next(row.value for row in rows if row.name == name)


def documents(world, prefix):
    module = inside(world.core).plugins.module("puq_acme")
    return [document.key for document in inside(world.core).contexts.documents(module).list(prefix)]


def is_left_alone(world, certificate_id):
    """Whether nothing was ordered for a certificate."""
    run(world, certificate_id)
    orders = [issuance.module_state or {} for issuance in world.core.certificates.issuances(certificate_id)]
    return not any(state.get("order") for state in orders)


# -- for the owner


def test_the_owner_has_nothing_to_do(world, panel):
    """The CNAME is set when the certificate is asked for, the page says so, and it stays as long as that lives."""
    one = requested(world, wildcard=True, aliases=["www.shop.test"])
    run(world, one)
    assert world.in_service(one)
    first = world.get(one).not_after
    run(world, one, time=35 * DAY)
    assert world.get(one).not_after > first
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert [name for kind, name in panel.calls if kind == "remove"] == []


def test_the_page_says_what_the_panel_has_done(world, panel):
    """While something else is waited for, the owner reads that the panel has set the record."""
    panel.net.set("_acme-challenge.www.shop.test", "TXT", "something")
    one = requested(world, aliases=["www.shop.test"])
    assert is_left_alone(world, one)
    assert "The panel has set 1 of the CNAMEs below" in texts(world, one)


def test_what_the_panel_will_set_is_not_missed(world, panel):
    """A look before any certificate exists finds nothing for the owner to do; another tenant is told to act."""
    diagnose, authority = world.core.diagnose, world.authority.id
    codes = {
        owner: [finding.code for finding in diagnose(["shop.test"], authority=authority, owner=owner)]
        for owner in ("anna", "bert")
    }
    assert "cname_missing" not in codes["anna"]
    assert "cname_missing" in codes["bert"]
    panel.is_down = True
    found = world.core.diagnose(["shop.test"], authority=world.authority.id, owner="anna")
    assert "cname_missing" in [finding.code for finding in found]


def test_a_draft_says_what_will_happen(world):
    """Before anything is asked, the page says that the panel sets the record where it hosts the domain."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id, owner="anna")
    assert "it sets the CNAME when" in texts(world, draft.id)


def test_the_last_certificate_takes_it_along(world, panel):
    """Two certificates need the same CNAME: it goes when the second one is deleted, and the ledger is empty then."""
    first, second = requested(world), requested(world, aliases=["www.shop.test"])
    run(world, first, second)
    assert world.in_service(first)
    assert world.in_service(second)
    world.core.certificates.delete(first)
    assert set(panel.net.at(NAME)) == {"CNAME"}
    world.core.certificates.delete(second)
    assert panel.net.at(NAME) == panel.net.at("_acme-challenge.www.shop.test") == {}
    assert documents(world, "cname") == []


def test_an_alias_that_is_given_up_loses_its_cname(world, panel):
    """After a reissue without it, the next attempt takes the CNAME of the old name away."""
    one = requested(world, aliases=["www.shop.test"])
    run(world, one)
    world.core.certificates.reissue(one, aliases=[])
    run(world, one)
    run(world, one, time=35 * DAY)
    assert panel.net.at("_acme-challenge.www.shop.test") == {}
    assert set(panel.net.at(NAME)) == {"CNAME"}


def test_a_record_that_somebody_removed_is_set_again(world, panel):
    """The ledger is not believed when the DNS does not show it."""
    one = requested(world)
    run(world, one)
    panel.net.set(NAME, "CNAME")
    world.core.certificates.renew(one)
    run(world, one)
    assert set(panel.net.at(NAME)) == {"CNAME"}


# -- not without the panel's word


def test_the_default_is_no(panel):
    """Without a plugin that says who controls the name, the owner sets the CNAME."""

    class Writer:
        name = "writer"

        @hookimpl
        def certcore_zone_writers(self):
            return [panel]

    settings = {"zone_writer": "plugin", "zone_plugin": "panel", "set_cnames": True}
    world = World(dns=panel.net, plugins=[Writer()], settings=settings)
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.calls == []
    world.close()


@pytest.mark.parametrize("answer", [1, "yes", RuntimeError("s3cr3t"), SystemExit("s3cr3t")])
def test_a_plugin_that_fails_is_a_no_that_is_told(world, panel, answer):
    """Whatever it raises or returns but True: nothing is set, and the page says why, without the text of the error."""
    panel.answer = answer
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.net.at(NAME) == {}
    assert "could not say who controls the domain" in texts(world, one)
    assert "s3cr3t" not in texts(world, one)
    panel.answer = None
    run(world, one)
    assert world.in_service(one)


def test_a_plugin_that_fails_later_removes_nothing_and_validates_nothing(world, panel):
    """A renewal waits for the panel's word; the CNAME of a living certificate is not torn down for an outage."""
    one = requested(world)
    run(world, one)
    panel.answer = RuntimeError()
    world.core.certificates.renew(one)
    assert len(world.ca.orders) == 1
    run(world, one)
    assert len(world.ca.orders) == 1
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert world.in_service(one)
    panel.answer = None
    run(world, one)
    assert len(world.ca.orders) == 2


# -- tenants


def _name_of(function):
    return function.__name__


def _created(world, _):
    return requested(world, owner="bert")


def _as_alias(world, _):
    return requested(world, "other.test", owner="bert", aliases=["shop.test", "www.shop.test"])


def _below(world, _):
    return requested(world, "www.shop.test", owner="bert", wildcard=True)


def _other_case(world, _):
    return requested(world, owner="Anna")


def _cloned(world, one):
    return world.core.certificates.generate_csr(world.core.certificates.clone(one, owner="bert").id).id


def _imported(world, one):
    leaf = world.core.certificates.view(one).active
    certificates = world.core.certificates
    imported = certificates.import_certificate(leaf.leaf_pem, None, authority=world.authority.id, owner="bert").id
    certificates.renew(imported)
    return imported


def _reissued(world, _):
    own = requested(world, "other.test", owner="bert")
    run(world, own)
    before = len(world.ca.orders)
    world.core.certificates.reissue(own, domain="shop.test")
    run(world, own)
    assert len(world.ca.orders) == before
    return


def _fallback(world, _):
    dead = world.profile("dead")
    return requested(world, owner="bert", fallbacks=[dead.id])


@pytest.mark.parametrize(
    "route",
    [_created, _as_alias, _below, _other_case, _cloned, _imported, _reissued, _fallback],
    ids=_name_of,
)
def test_no_route_leads_to_another_tenants_domain(world, panel, route):
    """Bert gets no CNAME set for Anna's domain, and no order for it, however he asks; Anna's record stays."""
    one = requested(world)
    run(world, one)
    before = panel.net.at(NAME)
    other = route(world, one)
    if other is not None:
        assert is_left_alone(world, other)
    assert panel.net.at(NAME) == before
    owners = {owner for owner, name in panel.asked if is_in(name, "shop.test")}
    assert {kind for kind, name in panel.calls if is_in(name, "shop.test")} == {"set"}
    assert owners
    assert len([1 for kind, name in panel.calls if name == NAME]) == 1


def test_a_domain_that_moves_to_another_owner(world, panel):
    """The old owner's next renewal is refused and the CNAME taken away; the new owner gets one."""
    old = requested(world)
    run(world, old)
    panel.hosted["shop.test"] = "bert"
    world.core.certificates.renew(old)
    run(world, old)
    assert len(world.ca.orders) == 1
    assert panel.net.at(NAME) == {}
    assert "no longer confirms" in texts(world, old)
    new = requested(world, owner="bert")
    run(world, new)
    assert world.in_service(new)
    (issuance,) = world.core.certificates.issuances(new)
    assert panel.net.at(NAME) == {"CNAME": (issuance.module_state["targets"]["shop.test"],)}
    world.core.certificates.check_now(old)
    run(world, old)
    assert len(world.ca.orders) == 2


def test_what_cannot_be_removed_proves_nothing(world, panel):
    """The domain has moved and the server is down: its CNAME is still there and right, and no order relies on it."""
    old = requested(world)
    run(world, old)
    panel.hosted["shop.test"] = "bert"
    panel.is_down = True
    world.core.certificates.renew(old)
    run(world, old)
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert len(world.ca.orders) == 1
    panel.is_down = False
    world.core.certificates.check_now(old)
    run(world, old)
    assert panel.net.at(NAME) == {}
    assert len(world.ca.orders) == 1


def test_switching_it_off_does_not_make_old_records_count(world, panel):
    """What was set before still needs the panel's word at each renewal, and goes with its certificate."""
    one = requested(world)
    run(world, one)
    world.core.authorities.edit(world.authority.id, settings={"set_cnames": False})
    panel.hosted["shop.test"] = "bert"
    world.core.certificates.renew(one)
    run(world, one)
    assert len(world.ca.orders) == 1
    panel.hosted["shop.test"] = "anna"
    run(world, one)
    world.core.certificates.delete(one)
    assert panel.net.at(NAME) == {}


# -- what others have set


@pytest.mark.parametrize(
    ("kind", "value"), [("CNAME", "elsewhere.example"), ("TXT", "v=spf1 -all"), ("A", "192.0.2.7")]
)
def test_a_record_of_somebody_else_stays(world, panel, kind, value):
    """It is neither replaced nor removed, and the page says what is in the way."""
    panel.net.set(NAME, kind, value)
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.net.at(NAME) == {kind: (value,)}
    assert "another record exists there" in texts(world, one)
    world.core.certificates.delete(one)
    assert panel.net.at(NAME) == {kind: (value,)}
    assert documents(world, "cname") == []


def test_a_cname_that_the_owner_has_set_stays(world, panel):
    """The right one, set by hand before: it is used, and not taken away with the certificate."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id, owner="anna")
    panel.net.set(NAME, "CNAME", target_of(world, draft.id))
    world.core.certificates.generate_csr(draft.id)
    run(world, draft.id)
    assert world.in_service(draft.id)
    world.core.certificates.delete(draft.id)
    assert set(panel.net.at(NAME)) == {"CNAME"}


def test_a_domain_that_is_not_hosted_is_its_owners_business(world, panel):
    """The panel says yes, and its server has no such zone: nothing is written, and the owner sets the CNAME."""
    panel.answer = True
    del panel.hosted["shop.test"]
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.calls == []
    panel.net.set(NAME, "CNAME", target_of(world, one))
    run(world, one)
    assert world.in_service(one)


# -- failures


def test_a_server_that_is_down(world, panel):
    """The page says so; when it is back the order goes on."""
    panel.is_down = True
    one = requested(world)
    assert is_left_alone(world, one)
    assert "refused the connection" in texts(world, one)
    panel.is_down = False
    run(world, one)
    assert world.in_service(one)


def test_deleted_while_the_server_is_down(world, panel):
    """The certificate is gone at once; the CNAME goes with the next step about another one."""
    one = requested(world)
    run(world, one)
    panel.is_down = True
    world.core.certificates.delete(one)
    assert set(panel.net.at(NAME)) == {"CNAME"}
    panel.is_down = False
    world.core.reconcile(requested(world, "other.test", owner="bert"))
    assert panel.net.at(NAME) == {}
    assert [key for key in documents(world, "cname") if "shop" in key] == []


def test_deleted_while_a_step_sets_it(world, panel):
    """Whichever comes first, nothing is left: neither the CNAME nor a document."""
    one = requested(world)
    panel.meanwhile = lambda: world.core.certificates.delete(one)
    world.core.reconcile(one)
    world.environment.set(world.environment.now() + 2 * MINUTE)
    world.core.reconcile(requested(world, "other.test", owner="bert"))
    assert panel.net.at(NAME) == {}
    assert [key for key in documents(world, "cname") if "shop" in key] == []


def test_it_is_not_for_certcores_own_server(world):
    """A profile whose tech zone certcore serves itself cannot set CNAMEs, and says so."""
    with pytest.raises(InvalidInputError) as refused:
        world.core.authorities.edit(world.authority.id, settings={"zone_writer": "embedded"})
    assert refused.value.field == "set_cnames"
    assert world.get(requested(world)).status is Status.PENDING


def test_a_preflight_tells_that_the_panel_will_refuse(world, panel):
    """Before the renewal: the domain has moved to another owner, and the administrator has the turn."""
    one = requested(world)
    run(world, one)
    assert world.core.certificates.preflight(one).readiness.is_ready
    panel.hosted["shop.test"] = "bert"
    readiness = world.core.certificates.preflight(one).readiness
    assert not readiness.is_ready
    assert readiness.whose_turn == "administrator"
    assert [obstacle.finding.code for obstacle in readiness.obstacles] == ["name_not_controlled"]


def test_a_certificate_that_is_transferred(world, panel):
    """The CNAME of the old owner does nothing for the new one: it is replaced where the domain was handed over, too."""
    one = requested(world)
    run(world, one)
    old = panel.net.at(NAME)
    world.core.certificates.transfer(one, to="bert")
    world.core.certificates.renew(one)
    run(world, one)
    assert panel.net.at(NAME) == {}
    assert len(world.ca.orders) == 1
    panel.hosted["shop.test"] = "bert"
    world.core.certificates.check_now(one)
    run(world, one)
    assert len(world.ca.orders) == 2
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert panel.net.at(NAME) != old
    world.core.certificates.delete(one)
    assert panel.net.at(NAME) == {}
    assert documents(world, "cname") == []


def test_a_transfer_into_a_tenant_whose_domain_it_is_not(world, panel):
    """No detour leads to Anna's domain: a certificate for it is handed over, and nothing is validated."""
    one = requested(world, owner="bert")
    world.core.certificates.transfer(one, to="carla")
    world.core.certificates.generate_csr(one)
    assert is_left_alone(world, one)
    assert panel.net.at(NAME) == {}
