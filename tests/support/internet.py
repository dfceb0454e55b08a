"""A DNS in process, from the root down: zones, servers that hold copies of them, and resolvers with views and caches.

`certcore_puq_acme.dns.port.DnsPort`. Addresses are public numbers, so that they may be asked; no packet is sent.
"""

from attrs import define, field

from certcore_puq_acme.dns.checks import DnsAccess, DnsChecks
from certcore_puq_acme.dns.port import NO_ANSWER, Answer, Record
from certcore_puq_acme.profile.settings import NameServer

ROOT = "8.0.0.1"
RESOLVER = "8.0.0.53"
SOA = "ns.invalid. hostmaster.invalid. 1 3600 600 86400 {minimum}"


@define(eq=False)
class Server:
    """One address: the zones that it holds, and how it behaves."""

    #: apex -> (name, type) -> values
    zones: dict = field(factory=dict)
    #: silent, or an rcode that it answers to everything.
    behaviour: str = ""
    #: Answers by (name, type) instead of its data: an `Answer`.
    special: dict = field(factory=dict)


def is_in(name, apex):
    return not apex or name == apex or name.endswith(f".{apex}")


@define(eq=False)
class Internet:
    """Every server of a small world."""

    servers: dict = field(factory=dict)
    #: Every question: address, name, type, and whether recursion was desired.
    asked: list = field(factory=list)
    #: What resolvers have cached: (address, name, type) -> `Answer`.
    cached: dict = field(factory=dict)
    resolvers: tuple = (RESOLVER,)
    #: Which server of a zone a resolver asks: its number.
    minimum: int = 3600

    def __attrs_post_init__(self):
        if ROOT not in self.servers:
            self.add_zone("", {"a.root": ROOT})

    def add_zone(self, apex, hosts, records=None, *, delegate=True):
        """Serve a zone from hosts with addresses, and delegate it in its parent with glue.

        Args:
            apex: The zone.
            hosts: Host names to one address, or a list of them.
            records: (name, type) to values.
            delegate: Whether the parent is told.
        """
        hosts = {host: [at] if isinstance(at, str) else list(at) for host, at in hosts.items()}
        data = {(apex, "NS"): list(hosts), (apex, "SOA"): [SOA.format(minimum=self.minimum)], **(records or {})}
        for host, addresses in hosts.items():
            for address in addresses:
                if is_in(host, apex):
                    data.setdefault((host, "AAAA" if ":" in address else "A"), []).append(address)
                self.servers.setdefault(address, Server())
        for addresses in hosts.values():
            for address in addresses:
                self.servers[address].zones[apex] = dict(data)
        if delegate and apex:
            parent = self.parent(apex)
            for server in self.servers.values():
                if parent in server.zones:
                    zone = server.zones[parent]
                    zone[apex, "NS"] = list(hosts)
                    for host, addresses in hosts.items():
                        for address in addresses if is_in(host, parent) else ():
                            kind = "AAAA" if ":" in address else "A"
                            if address not in zone.setdefault((host, kind), []):
                                zone[host, kind].append(address)

    def parent(self, apex):
        """The closest zone above."""
        known = {zone for server in self.servers.values() for zone in server.zones}
        return max((zone for zone in known if zone != apex and is_in(apex, zone)), key=len)

    def set(self, name, kind, *values, at=None):
        """Set records in the zone that holds a name, at all its servers or at one address."""
        for address, server in self.servers.items():
            if at is not None and address != at:
                continue
            held = [apex for apex in server.zones if is_in(name, apex)]
            if held and (apex := max(held, key=len)) == self.zone_of(name):
                server.zones[apex].pop((name, kind), None)
                if values:
                    server.zones[apex][name, kind] = list(values)

    def zone_of(self, name):
        """The deepest zone that holds a name."""
        known = {zone for server in self.servers.values() for zone in server.zones}
        return max((zone for zone in known if is_in(name, zone)), key=len)

    # -- the port

    def query(self, server, question, waits):
        """The answer of one server."""
        self.asked.append((server.address, question.name, question.kind, question.recursive))
        here = self.servers.get(server.address, Server(behaviour="silent"))
        if here.behaviour == "silent":
            return Answer(failure=NO_ANSWER)
        if here.behaviour:
            return Answer(rcode=here.behaviour)
        if (question.name, question.kind) in here.special:
            return here.special[question.name, question.kind]
        if server.address in self.resolvers:
            return self.resolved(server.address, question)
        return self.authoritative(here, question.name, question.kind)

    def system_servers(self):
        """The resolvers."""
        return tuple(NameServer(address) for address in self.resolvers)

    def authoritative(self, server, name, kind):
        """What a server answers from its zones."""
        held = [apex for apex in server.zones if is_in(name, apex)]
        if not held:
            return Answer(rcode="REFUSED")
        apex = max(held, key=len)
        zone = server.zones[apex]
        labels = name.split(".") if name else []
        for start in range(len(labels) - 1, -1, -1):
            cut = ".".join(labels[start:])
            if is_in(cut, apex) and cut != apex and (cut, "NS") in zone:
                return self.referral(zone, cut)
        return self.from_zone(zone, apex, name, kind)

    def referral(self, zone, cut):
        """To the servers of a zone below, with glue."""
        hosts = zone[cut, "NS"]
        glue = [(host, kind, at) for host in hosts for kind in ("A", "AAAA") for at in zone.get((host, kind), ())]
        return Answer(
            rcode="NOERROR",
            authority=tuple(Record(name=cut, kind="NS", value=host, ttl=3600) for host in hosts),
            additional=tuple(Record(name=host, kind=kind, value=at, ttl=3600) for host, kind, at in glue),
        )

    def from_zone(self, zone, apex, name, kind, hops=4):
        """Data, no data, or no name."""
        owner, exists = name, any(is_in(known, name) for known, _ in zone)
        if not exists:
            above = name
            while above and above != apex and not exists:
                above = above.partition(".")[2]
                if any(known == f"*.{above}" for known, _ in zone):
                    owner, exists = f"*.{above}", True
                elif any(is_in(known, above) for known, _ in zone):
                    break
        found = zone.get((owner, kind), ())
        cname = zone.get((owner, "CNAME"), ())
        answer = [Record(name=name, kind=kind, value=value, ttl=300) for value in found]
        if cname and not found:
            answer = [Record(name=name, kind="CNAME", value=cname[0], ttl=300)]
            target = cname[0]
            if is_in(target, apex) and kind != "CNAME" and hops:
                answer += self.from_zone(zone, apex, target, kind, hops - 1).answer
        soa = Record(name=apex, kind="SOA", value=zone[apex, "SOA"][0], ttl=self.minimum)
        return Answer(
            rcode="NOERROR" if exists else "NXDOMAIN",
            authoritative=True,
            answer=tuple(answer),
            authority=() if answer else (soa,),
        )

    def resolved(self, address, question):
        """What a resolver finds out, and keeps."""
        key = (address, question.name, question.kind)
        if key in self.cached:
            return self.cached[key]
        chain, name = [], question.name
        for _ in range(10):
            answer = self.one(name, question.kind)
            if answer.rcode not in ("NOERROR", "NXDOMAIN"):
                return Answer(rcode="SERVFAIL")
            chain += answer.answer
            targets = answer.at(name, "CNAME")
            if not targets or question.kind == "CNAME":
                break
            name = targets[0]
        found = Answer(rcode=answer.rcode, answer=tuple(dict.fromkeys(chain)), authority=answer.authority)
        if not found.answer:
            self.cached[key] = found
        return found

    def one(self, name, kind):
        """What the first usable server of the zone of a name answers."""
        zone = self.zone_of(name)
        for server in self.servers.values():
            if zone in server.zones and not server.behaviour:
                return self.authoritative(server, name, kind)
        return Answer(rcode="SERVFAIL")

    def checks(self, **options):
        """The checks of a profile that uses the resolvers."""
        return DnsChecks(resolvers=self.system_servers(), timeout=5, access=DnsAccess(self), **options)


def customer(**servers):
    """An Internet with the domain shop.test at two servers, and the tech zone acme.panel.test at another one."""
    net = Internet()
    net.servers[RESOLVER] = Server()
    net.add_zone("test", {"ns.nic.test": "8.0.0.2"})
    net.add_zone("shop.test", servers or {"ns1.shop.test": "8.0.1.1", "ns2.shop.test": "8.0.1.2"})
    net.add_zone("panel.test", {"ns.panel.test": "8.0.2.1"})
    net.add_zone("acme.panel.test", {"ns1.acme.panel.test": "8.0.2.2"})
    return net
