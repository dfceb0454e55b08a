"""A simulated panel that hosts domains at a DNS server of its own, and sets CNAMEs there for their owners."""

from datetime import timedelta

from attrs import define, field

from certcore.errors import ZoneWriteError
from certcore.hookspecs import hookimpl
from certcore.model.hints import DnsRecords
from certcore.ports.zone_writers import CnameChange, CnameOutcome, HostedName
from support.inside import inside
from support.internet import Internet, Server, is_in
from support.simulation.simulated_world import TECH_ZONE, World

RESOLVER = "192.0.2.53"
NAME = "_acme-challenge.shop.test"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@define(eq=False)
class HostedInternet(Internet):
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
class HostingPanel:
    """A panel with a DNS server of its own, as a plugin: what it hosts, and whose it is."""

    net: HostedInternet
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


def hosting_panel():
    """A panel that hosts shop.test and other.test, in an Internet with the tech zone."""
    net = HostedInternet()
    net.servers[RESOLVER] = Server()
    net.add_zone("test", {"ns.nic.test": "8.0.0.2"})
    net.add_zone("shop.test", {"ns1.shop.test": "8.0.1.1", "ns2.shop.test": "8.0.1.2"})
    net.add_zone("other.test", {"ns1.other.test": "8.0.3.1"})
    net.add_zone("panel.test", {"ns.panel.test": "8.0.2.1"})
    net.add_zone(TECH_ZONE, {f"ns1.{TECH_ZONE}": "8.0.2.2"})
    return HostingPanel(net)


def hosted_world(panel, **options):
    """A simulated world whose CA profile lets the panel set the CNAMEs."""
    settings = {"zone_writer": "plugin", "zone_plugin": "panel", "set_cnames": True}
    return World(dns=panel.net, settings=settings, **options)


def requested(world, domain="shop.test", owner="anna", **fields):
    """A certificate that was asked for; nobody has set a record for it."""
    draft = world.core.certificates.create(domain, authority=world.authority.id, owner=owner, **fields)
    return world.core.certificates.generate_csr(draft.id).id


def run(world, *ids, time=10 * MINUTE):
    """Let time pass."""
    world.run(world.environment.now() + time, ids)


def target_of(world, certificate_id, name=NAME):
    """Where the page of a certificate says that a CNAME is to point."""
    hints = world.core.certificates.hints(certificate_id)
    rows = [row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows]
    return next(row.value for row in rows if row.name == name)


def documents(world, prefix):
    """The keys of the documents of the ACME module."""
    module = inside(world.core).plugins.module("puq_acme")
    return [document.key for document in inside(world.core).contexts.documents(module).list(prefix)]


def is_left_alone(world, certificate_id):
    """Whether nothing was ordered for a certificate."""
    run(world, certificate_id)
    orders = [issuance.module_state or {} for issuance in world.core.certificates.issuances(certificate_id)]
    return not any(state.get("order") for state in orders)
