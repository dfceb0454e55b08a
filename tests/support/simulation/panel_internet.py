"""An Internet in which a panel's tech zone is served by two servers, with one customer's domain."""

from attrs import define, field

from certcore_puq_acme.dns.port import Answer, Record
from support.internet import Internet, Server, is_in
from support.simulation.simulated_world import TECH_ZONE, World

__all__ = ["NAME", "RESOLVER", "SECOND", "TECH", "PanelInternet", "panel_world"]

RESOLVER = "192.0.2.53"
NAME = "_acme-challenge.shop.test"
TECH, SECOND = "8.0.2.2", "8.0.2.3"


@define(eq=False)
class PanelInternet(Internet):
    """The tech zone's servers serve what the module has stored."""

    sources: list = field(factory=list)
    resolvers: tuple = (RESOLVER,)
    #: Servers of the tech zone that serve nothing of it.
    old: set = field(factory=set)
    #: Where the CNAME points from the moment on in which the CA looks.
    breaks: str = ""

    def query(self, server, question, waits):
        """As the Internet, with stored values in the tech zone."""
        here = self.servers.get(server.address)
        is_tech = here is not None and TECH_ZONE in here.zones and question.name.endswith(f".{TECH_ZONE}")
        if is_tech and not here.behaviour and server.address not in self.old and question.kind == "TXT":
            self.asked.append((server.address, question.name, question.kind, question.recursive))
            values = self.stored(question.name)
            found = tuple(Record(name=question.name, kind="TXT", value=value, ttl=30) for value in values)
            return Answer(rcode="NOERROR", authoritative=True, answer=found)
        return super().query(server, question, waits)

    def stored(self, name):
        """The TXT values of a name in the tech zone."""
        (source, *_) = self.sources
        return source.records(source.zones()[0], name).get("TXT", ())

    def follow(self, name):
        """What the simulated CA finds; it has no cache."""
        if self.breaks:
            self.set(name, "CNAME", self.breaks)
        for _ in range(8):
            if is_in(name, TECH_ZONE):
                return {"TXT": self.stored(name)}
            targets = self.one(name, "CNAME").at(name, "CNAME")
            if not targets:
                break
            name = targets[0]
        return {}


def panel_world(**options):
    """A simulated world whose names are looked up in such an Internet."""
    net = PanelInternet(minimum=86400)
    net.servers[RESOLVER] = Server()
    net.add_zone("test", {"ns.nic.test": "8.0.0.2"})
    net.add_zone("shop.test", {"ns1.shop.test": "8.0.1.1", "ns2.shop.test": "8.0.1.2"})
    net.add_zone("panel.test", {"ns.panel.test": "8.0.2.1"})
    net.add_zone(TECH_ZONE, {f"ns1.{TECH_ZONE}": TECH, f"ns2.{TECH_ZONE}": SECOND})
    return World(dns=net, most_steps_an_hour=310, **options)
