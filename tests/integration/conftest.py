"""A panel as it is in production, with every server real and on loopback."""

import contextlib
import shutil
import time
from datetime import timedelta

import pytest
from attrs import define, field

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.model.hints import DnsRecords
from certcore.testing.pebble import Pebble
from certcore.testing.zone import MemoryZone

_DEADLINE = 60


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

    @property
    def keyring(self):
        return self.folder / "keyring.json"

    def open(self):
        if not self.keyring.exists():
            CertCore.create_keyring(self.keyring)
        url = f"sqlite:///{self.folder}/certcore.db"
        self.core = CertCore.open(url, keyring=self.keyring, environment=self.environment)

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
                "dns_servers": [self.dns_address],
                **settings,
            },
        )

    def request(self, authority, domain, **fields):
        """A draft whose key and CSR are made."""
        draft = self.core.certificates.create(domain, authority=authority.id, **fields)
        return self.core.certificates.generate_csr(draft.id).id

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
        contexts = self.core.engine.contexts
        return contexts.documents(self.core.engine.plugins.module("puq_acme")).list(prefix)

    def txt_values(self):
        """What is published in the tech zone at this moment."""
        return [one.value["value"] for one in self.documents("txt/")]

    def issuance(self, certificate_id):
        """The newest attempt."""
        return self.core.certificates.issuances(certificate_id)[-1]


@contextlib.contextmanager
def open_panel(folder):
    """A panel with its DNS server running."""
    panel = Panel(folder=folder)
    panel.open()
    # The server has a store of its own on the same database, as a process of its own would.
    serving = CertCore.open(f"sqlite:///{folder}/certcore.db", keyring=panel.keyring)
    panel.dns = serving.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[panel.zone])
    try:
        yield panel
    finally:
        panel.dns.close()
        serving.close()
        panel.core.close()


@pytest.fixture
def panel(tmp_path):
    """A panel of its own for each test."""
    with open_panel(tmp_path) as panel:
        yield panel


@pytest.fixture
def start_pebble(panel):
    """Starts a Pebble that validates through the panel's DNS server; any number of them, all stopped at the end."""
    with contextlib.ExitStack() as running:

        def start(**switches):
            switches.setdefault("dns_server", panel.dns_address)
            return running.enter_context(Pebble.start(**switches))

        yield start
