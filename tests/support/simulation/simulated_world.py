"""certcore with a simulated CA and DNS, run by jumping from one due moment to the next."""

import heapq
import random
from datetime import timedelta

from attrs import define, field

from certcore import CertCore, Status
from certcore.hookspecs import hookimpl
from certcore.model.hints import DnsRecords, Level, Notice
from certcore.ports.dns import Zone
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.dns.port import Answer, Record
from certcore_puq_acme.module import PuqAcme
from certcore_puq_acme.profile.settings import NameServer
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from support.inside import inside
from support.simulation.simulated_ca import BASE, SimulatedCA

TECH_ZONE = "acme.panel.test"
#: As a rule. While an owner is at work there are more: a look at the DNS every 12 seconds.
MOST_STEPS_AN_HOUR = 150


class SeededEnvironment(FrozenEnvironment):
    """A clock that stands still, and chances that come from a seed."""

    def __init__(self, seed):
        super().__init__()
        self._random = random.Random(seed)

    def roll(self):
        """The next chance."""
        return self._random.random()


@define(eq=False)
class SimulatedDns:
    """`certcore_puq_acme.dns.port.DnsPort`: the tech zone as the module has stored it, and a customer's zone."""

    sources: list = field(factory=list)
    asked: int = 0

    def query(self, server, question, waits):
        """One recursive answer; nobody tells the servers of the root, so that no other server is asked."""
        self.asked += 1
        chain, name = [], question.name
        for _ in range(8):
            records = self.records(name)
            target = records.get("CNAME", ("",))[0]
            if not target or (question.kind == "CNAME" and chain):
                break
            chain.append(Record(name=name, kind="CNAME", value=target))
            name = target
        values = () if question.kind == "CNAME" else self.records(name).get(question.kind, ())
        found = [Record(name=name, kind=question.kind, value=value) for value in values]
        return Answer(rcode="NOERROR", answer=(*chain, *found))

    def system_servers(self):
        """There is one."""
        return (NameServer("192.0.2.53"),)

    def records(self, name):
        """What is at a name itself."""
        for source in self.sources:
            for zone in source.zones():
                if name == zone.apex:
                    return {"SOA": (f"ns1.{name}. hostmaster.{name}. 1 2 3 4 5",), **source.records(zone, name)}
                if name.endswith(f".{zone.apex}"):
                    return source.records(zone, name)
        return {}

    def follow(self, name):
        """What is at the end of the CNAMEs."""
        for _ in range(8):
            records = self.records(name)
            if "CNAME" not in records:
                return records
            name = records["CNAME"][0]
        return {}


@define(eq=False)
class SimulatedNetwork:
    """`certcore_puq_acme.network.NetworkPort`."""

    ca: object
    names: SimulatedDns

    def http(self, *, timeout, extra_roots=""):
        """The CA itself."""
        return self.ca

    def dns(self):
        """The DNS."""
        return self.names


@define(eq=False)
class World:
    """A store in memory, the ACME module, a CA and a DNS, all under one clock."""

    seed: int = 0
    environment: SeededEnvironment = field(init=False)
    ca: SimulatedCA = field(init=False)
    dns: SimulatedDns = field(factory=SimulatedDns)
    zone: MemoryZone = field(factory=lambda: MemoryZone("shop.test"))
    #: More plugins, and what waits while the test of a CA profile looks again.
    plugins: list = field(factory=list)
    pause: object = field(default=lambda seconds: None)
    core: CertCore = field(init=False)
    authority: object = field(init=False)
    #: Steps that the engine took.
    steps: int = 0
    #: More steps of one certificate within a simulated hour than this: something runs free.
    most_steps_an_hour: int = MOST_STEPS_AN_HOUR
    #: Settings of CA profiles besides those that all have.
    settings: dict = field(factory=dict)
    #: Every moment at which a certificate had no leaf in service any more.
    lapses: list = field(factory=list)

    def __attrs_post_init__(self):
        self.environment = SeededEnvironment(self.seed)
        self.ca = SimulatedCA(self.environment, lambda name: self.dns.follow(name).get("TXT", ()))
        module = PuqAcme(network=SimulatedNetwork(self.ca, self.dns), pause=self.pause)

        class Plugin:
            @hookimpl
            def certcore_ca_modules(self):
                return [module]

        self.core = CertCore.in_memory(
            plugins=[Plugin(), *self.plugins], installed_plugins=False, environment=self.environment
        )
        documents = inside(self.core).contexts.documents(module)
        zone = Zone(apex=TECH_ZONE, nameservers=("ns1.panel.test",))
        self.dns.sources = [DocumentsZoneSource(documents, lambda: [zone], self.environment), self.zone]
        self.authority = self.profile("simulated")

    def profile(self, name):
        """A CA profile, with an account of its own."""
        settings = {
            "ca": "custom",
            "directory_url": f"{BASE}/directory",
            "terms_agreed": True,
            "tech_zone": TECH_ZONE,
            "dns_servers": ["192.0.2.53"],
            **self.settings,
        }
        return self.core.authorities.create(name, module="puq_acme", settings=settings)

    def request(self, domain, *, profile=None, **fields):
        """A certificate whose owner has set the CNAME; gives its id."""
        draft = self.core.certificates.create(domain, authority=(profile or self.authority).id, **fields)
        self.core.certificates.generate_csr(draft.id)
        for hint in self.core.certificates.hints(draft.id):
            for row in hint.rows if isinstance(hint, DnsRecords) else ():
                self.zone.set(row.name, row.type, row.value)
        return draft.id

    def run(self, until, ids):
        """Reconcile these certificates whenever they are due, until a moment."""
        due = [(self.environment.now(), number, one) for number, one in enumerate(ids)]
        heapq.heapify(due)
        hour, in_hour = self.environment.now(), 0
        while due and due[0][0] <= until:
            at, number, one = heapq.heappop(due)
            if at > self.environment.now():
                self.environment.set(at)
            now = self.environment.now()
            if now - hour >= timedelta(hours=1):
                hour, in_hour = now, 0
            in_hour += 1
            assert in_hour <= self.most_steps_an_hour * len(ids), f"{in_hour} steps within an hour from {hour}"
            done = self.core.reconcile(one)
            self.steps += 1
            if done.status is Status.EXPIRED:
                self.lapses.append((now, one))
            if done.look_again is not None:
                heapq.heappush(due, (done.look_again, number, one))
        if self.environment.now() < until:
            self.environment.set(until)

    def get(self, certificate_id):
        """The certificate."""
        return self.core.certificates.get(certificate_id)

    def in_service(self, certificate_id):
        """Whether a leaf is in service that is valid now."""
        certificate = self.get(certificate_id)
        return certificate.status is Status.ACTIVE and certificate.not_after > self.environment.now()

    def warnings(self, certificate_id):
        """What the certificate's page warns of."""
        hints = self.core.certificates.hints(certificate_id)
        loud = (Level.WARNING, Level.ERROR)
        return [str(hint.text) for hint in hints if isinstance(hint, Notice) and hint.level in loud]

    def close(self):
        """Close the store."""
        self.core.close()
