"""A panel as it is in production, and the name servers around it: every server real and on loopback."""

import contextlib
import importlib.util
import shutil
import time
from collections import Counter
from datetime import timedelta

import pytest
from attrs import define, field

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.model.hints import DnsRecords
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.pebble import Pebble
from certcore.testing.ports import free_port
from support.ca_proxy import proxy_before
from support.databases import sqlite_with_tables
from support.inside import inside
from support.killed_copies import orders_to
from support.servers.acme2certifier import Acme2certifier
from support.servers.configurations import unbound_arguments
from support.servers.name_servers import bind, program
from support.servers.name_servers import running as running_server

_DEADLINE = 240


def pytest_collection_modifyitems(items):
    """Tests that use Pebble are skipped with a reason where it is missing."""
    if shutil.which("pebble") and shutil.which("pebble-challtestsrv"):
        return
    for item in items:
        if item.get_closest_marker("pebble"):
            item.add_marker(pytest.mark.skip(reason="pebble is not installed: install the Debian package pebble"))


@define(eq=False)
class Travelling:
    """The system's environment, with a clock that can be put forward."""

    system: SystemEnvironment = field(factory=SystemEnvironment)
    skipped: timedelta = timedelta(0)

    def now(self):
        return self.system.now() + self.skipped

    def new_id(self):
        return self.system.new_id()

    def roll(self):
        return self.system.roll()

    def skip(self, duration):
        self.skipped += duration


@define(eq=False)
class Panel:
    """A store on disk, the tech zone's DNS server, and a customer whose zone the same server serves."""

    folder: object
    zone: MemoryZone = field(factory=lambda: MemoryZone("shop.test"))
    environment: Travelling = field(factory=Travelling)
    core: CertCore | None = None
    dns: object = None
    tech_zone: str = "acme.panel.test"
    database: str = ""
    #: How the store is opened, for a network of one's own say.
    options: dict = field(factory=dict)

    @property
    def url(self):
        return self.database or sqlite_with_tables(self.folder)

    @property
    def keyring(self):
        return self.folder / "keyring.json"

    def open(self):
        if not self.keyring.exists():
            CertCore.create_keyring(self.keyring)
        self.core = CertCore.open(self.url, keyring=self.keyring, environment=self.environment, **self.options)

    def restart(self):
        """What a crash and a new process look like to the store: nothing in memory is carried over."""
        self.core.close()
        self.open()

    @property
    def dns_address(self):
        return f"127.0.0.1:{self.dns.address[1]}"

    def profile(self, directory_url, roots_pem="", *, name="ca", **settings):
        """A CA profile for an ACME directory, checked through our own DNS server unless said otherwise."""
        return self.core.authorities.create(
            name,
            module="puq_acme",
            settings={
                "ca": "custom",
                "directory_url": directory_url,
                "trusted_roots": roots_pem,
                "terms_agreed": True,
                "tech_zone": self.tech_zone,
                "tech_zone_nameservers": [f"ns.{self.tech_zone} 127.0.0.1"],
                "dns_servers": [self.dns_address],
                **settings,
            },
        )

    def move(self, authority, server, **settings):
        """Set a CA profile to another ACME server, whose terms are agreed to."""
        at = {"directory_url": server.directory_url, "trusted_roots": server.roots_pem, "terms_agreed": True}
        return self.core.authorities.edit(authority.id, settings={**at, **settings})

    def request(self, authority, domain, **fields):
        """A draft whose key and CSR are made."""
        draft = self.core.certificates.create(domain, authority=authority.id, **fields)
        return self.core.certificates.generate_csr(draft.id).id

    def issued(self, authority, domain, **fields):
        """A certificate that is active."""
        certificate_id = self.request(authority, domain, **fields)
        self.set_cnames(certificate_id)
        self.until_active(certificate_id)
        return certificate_id

    def records(self, certificate_id):
        """The CNAME rows of the right column."""
        hints = self.core.certificates.hints(certificate_id)
        return [row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows]

    def set_cnames(self, certificate_id):
        """What the owner does, once."""
        for row in self.records(certificate_id):
            self.zone.set(row.name, row.type, row.value)

    def drive(self, certificate_id, until, *, restart=False, travel=True):
        """Reconcile until the certificate is as wanted; waits that are longer than a moment are skipped."""
        deadline = time.monotonic() + _DEADLINE
        while not until(certificate := self.core.certificates.get(certificate_id)):
            assert time.monotonic() < deadline, f"still {certificate.status}: {certificate.problem}"
            if restart:
                self.restart()
            done = self.core.reconcile(certificate_id)
            if done.look_again is None:
                continue
            ahead = done.look_again - self.environment.now()
            if travel and ahead > timedelta(seconds=0.5):
                self.environment.skip(ahead)
            elif ahead > timedelta(0):
                time.sleep(min(ahead.total_seconds(), 0.05))  # the CA works in real time
        return certificate

    def until_active(self, certificate_id, **how):
        """Reconcile until the certificate is active."""
        return self.drive(certificate_id, lambda one: one.status is Status.ACTIVE, **how)

    def documents(self, prefix):
        """The module's documents below a prefix."""
        contexts = inside(self.core).contexts
        return contexts.documents(inside(self.core).plugins.module("puq_acme")).list(prefix)

    def txt_values(self):
        """What is published in the tech zone at this moment."""
        return [document.value["value"] for document in self.documents("txt/")]

    def issuance(self, certificate_id):
        """The newest attempt."""
        return self.core.certificates.issuances(certificate_id)[-1]


@contextlib.contextmanager
def open_panel(folder, database="", dns_port=0):
    """A panel with its DNS server running."""
    panel = Panel(folder=folder, database=database)
    panel.open()
    # The server has a store of its own on the same database, as a process of its own would.
    serving = CertCore.open(panel.url, keyring=panel.keyring)
    panel.dns = serving.dns_server(listen=("127.0.0.1", dns_port), module="puq_acme", also=[panel.zone])
    try:
        yield panel
    finally:
        panel.dns.close()
        serving.close()
        panel.core.close()


@pytest.fixture
def integration_panel():
    """Opens a panel on any database."""
    return open_panel


@pytest.fixture(scope="module")
def dns_port():
    """Where the DNS servers of a module's panels listen, one after the other: a CA is told once, when it starts."""
    return free_port()


@pytest.fixture
def panel(tmp_path, dns_port):
    """A panel of its own for each test."""
    with open_panel(tmp_path, dns_port=dns_port) as panel:
        yield panel


@contextlib.contextmanager
def _kept_servers(kind, dns_port):
    """Servers of a kind that validate through the DNS server at this port, kept for all tests of a module.

    Gives a context manager for one test, in which each start with the same switches gives another server. A test finds
    the accounts and orders of the tests before it there, whose keys nobody has any more.
    """
    kept, at_port = {}, f"127.0.0.1:{dns_port}"
    with contextlib.ExitStack() as all_tests:

        @contextlib.contextmanager
        def of_a_test(panel):
            in_use = Counter()
            with contextlib.ExitStack() as this_test:

                def start(**switches):
                    if switches.setdefault("dns_server", panel.dns_address) != at_port:
                        return this_test.enter_context(kind.start(**switches))
                    alike = repr(sorted(switches.items()))
                    in_use[alike] += 1
                    key = alike, in_use[alike]
                    if key not in kept:
                        kept[key] = all_tests.enter_context(kind.start(**switches))
                    assert kept[key].running(), kept[key].log_tail()
                    return kept[key]

                yield start

        yield of_a_test


@pytest.fixture(scope="module")
def kept_pebbles(dns_port):
    """The Pebbles of a module's tests: each start costs half a second of computing for the keys of its CA."""
    with _kept_servers(Pebble, dns_port) as of_a_test:
        yield of_a_test


@pytest.fixture(scope="module")
def kept_acme2certifiers(dns_port):
    """The servers of the other kind that a module's tests use."""
    with _kept_servers(Acme2certifier, dns_port) as of_a_test:
        yield of_a_test


@pytest.fixture
def start_pebble(panel, kept_pebbles):
    """Gives Pebbles that validate through the panel's DNS server, or another one; any number of them."""
    with kept_pebbles(panel) as start:
        yield start


@pytest.fixture
def start_acme2certifier(panel, kept_acme2certifiers):
    """Gives servers that validate through the panel's DNS server, or another one; any number of them."""
    if importlib.util.find_spec("acme2certifier") is None:
        pytest.skip("acme2certifier is not installed: pip install acme2certifier")
    with kept_acme2certifiers(panel) as start:
        yield start


@pytest.fixture
def before(tmp_path_factory):
    """Puts a proxy before a CA; gives its plan, and what a profile needs to use it."""
    with contextlib.ExitStack() as running:
        yield lambda server: running.enter_context(proxy_before(server, tmp_path_factory.mktemp("proxy")))


@pytest.fixture
def trouble(start_pebble, before):
    """A Pebble behind a proxy that makes faults; gives the plan, and what a profile needs to use the proxy."""
    return before(start_pebble(nonce_reject=0, authz_reuse=0))


@pytest.fixture
def crashing():
    """Sends orders to a process that kills copies of itself; see crashing.py."""
    with orders_to("support.crashing") as order:
        yield order


@pytest.fixture(scope="module")
def start_named(tmp_path_factory):
    """Starts BIND with a customer's zone and these records besides SOA and NS; gives its port."""
    with contextlib.ExitStack() as running:

        def start(zone, records):
            folder, port = tmp_path_factory.mktemp("named"), free_port()
            (folder / "customer.zone").write_text(
                "$TTL 1\n"
                f"@ IN SOA ns1.{zone}. hostmaster.{zone}. 1 3600 600 604800 1\n"
                f"@ IN NS ns1.{zone}.\n"
                "ns1 IN A 127.0.0.1\n" + records
            )
            statement = f'zone "{zone}" {{ type primary; file "customer.zone"; }};'
            running.enter_context(bind(folder, port, statement, first=zone))
            return port

        yield start


@pytest.fixture(scope="module")
def start_unbound(tmp_path_factory):
    """Starts Unbound as a recursive resolver that finds each zone at a port; gives its own. With 0x20 and QNAME min."""
    with contextlib.ExitStack() as running:

        def start(zones):
            folder, port = tmp_path_factory.mktemp("unbound"), free_port()
            stubs = "".join(
                f'stub-zone:\n    name: "{zone}"\n    stub-addr: 127.0.0.1@{at}\n    stub-prime: no\n'
                for zone, at in zones.items()
            )
            server = """
    do-ip6: no
    do-not-query-localhost: no
    module-config: "iterator"
    qname-minimisation-strict: yes"""
            arguments = unbound_arguments(folder, ("127.0.0.1", port), server, stubs)
            running.enter_context(running_server(program("unbound"), arguments, port, next(iter(zones))))
            return port

        yield start
