"""A core with a notice policy, an observer, and a clock that jumps from look to look."""

from datetime import datetime, timedelta

from attrs import evolve

import certcore
from certcore import CertCore, RenewalPolicy, Status
from certcore.model.keys import KeyType
from certcore.ports.ca_module import Waiting
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.keys import generate_key
from support.inside import inside

DAY = timedelta(days=1)
KEY = generate_key(KeyType.EC_P256)
NEVER = RenewalPolicy(auto=False)


class Listener:
    """An observer, as a plugin that sends mail is one."""

    def __init__(self):
        self.heard = []

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.heard.append(event)


class Patient(ScriptedCA):
    """Looks every six hours whether the owner has done something: a month costs few looks."""

    def advance(self, work):
        step = super().advance(work)
        if isinstance(step, Waiting):
            return evolve(step, look_again=work.environment.now() + timedelta(hours=6))
        return step


class Stage:
    """A core with a notice policy, and a clock that jumps from look to look."""

    def __init__(self, notices=None, *, lifetime=90, environment=None, url=None, keyring=None, ca=None):
        self.environment = environment or FrozenEnvironment()
        self.ca = ca or Patient([Act.ISSUE], now=self.environment.now())
        self.listener = Listener()
        options = {"plugins": [self.ca.plugin(), self.listener], "installed_plugins": False, "notices": notices}
        options["environment"] = self.environment
        self.core = CertCore.open(url, keyring=keyring, **options) if url else CertCore.in_memory(**options)
        found = self.core.authorities.list()
        settings = {"lifetime_days": lifetime}
        self.authority = (
            found[0] if found else self.core.authorities.create("test", module="scripted", settings=settings)
        )

    def active(self, domain="shop.example", **fields):
        certificate_id = self.core.certificates.create(domain, authority=self.authority.id, **fields).id
        self.core.certificates.generate_csr(certificate_id)
        for _ in range(5):
            self.core.reconcile(certificate_id)
        assert self.core.certificates.get(certificate_id).status is Status.ACTIVE
        return certificate_id

    def due(self, one):
        with inside(self.core).storage.read() as transaction:
            return transaction.schedules.get(one).due_at

    def until(self, certificate_id, moment, most=400):
        """Look whenever it is due; a notice costs a look, and no more."""
        for _ in range(most):
            due = self.due(certificate_id)
            if due is None or due > moment:
                self.environment.set(max(moment, self.environment.now()))
                return
            self.environment.set(max(due, self.environment.now()))
            self.core.reconcile(certificate_id)
        raise AssertionError("it looks too often")

    def to_the_end(self, certificate_id):
        self.until(certificate_id, self.core.certificates.get(certificate_id).not_after)

    def told(self, certificate_id, kind="expires_soon"):
        """What was told, as days and how long before the end it was."""
        events = [event for event in self.core.certificates.timeline(certificate_id, limit=1000) if event.kind == kind]
        if kind != "expires_soon":
            return events
        return [(event.data["days"], datetime.fromisoformat(event.data["not_after"]) - event.at) for event in events]
