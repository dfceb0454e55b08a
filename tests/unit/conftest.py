"""A core in memory with a CA that does what the test says, and a clock that stands still."""

from datetime import timedelta

import pytest
from attrs import define

from certcore import CertCore, NoticePolicy, Role, RolePolicy
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA, ScriptedRenewalCA


@define(eq=False)
class Bench:
    """What most tests hold."""

    core: CertCore
    ca: ScriptedCA
    environment: FrozenEnvironment
    authority: object

    def draft(self, domain="shop.example", **fields):
        return self.core.certificates.create(domain, authority=self.authority.id, **fields)

    def requested(self, domain="shop.example", **fields):
        return self.core.certificates.generate_csr(self.draft(domain, **fields).id).id

    def get(self, certificate_id):
        return self.core.certificates.get(certificate_id)

    def advance(self, **duration):
        self.environment.advance(timedelta(**duration))

    def step(self, certificate_id):
        """Put the clock to the next look, and reconcile once."""
        due = self.core.certificates.view(certificate_id).schedule.due_at
        if due is not None and due > self.environment.now():
            self.environment.set(due)
        return self.core.reconcile(certificate_id)

    def active(self, domain="shop.example", **fields):
        """A certificate that is active, and at rest."""
        certificate_id = self.requested(domain, **fields)
        script, self.ca.script = self.ca.script, (Act.ISSUE,)
        for _ in range(3):
            self.core.reconcile(certificate_id)
        self.ca.script = script
        assert self.get(certificate_id).status == "active"
        return certificate_id


def _bench(ca_type, *plugins):
    environment = FrozenEnvironment()
    ca = ca_type(now=environment.now())
    # Without steps of their own for notices; tests of these make their own core.
    quiet = NoticePolicy(days_before=())
    with CertCore.in_memory(
        plugins=[ca.plugin(), *plugins], installed_plugins=False, environment=environment, notices=quiet
    ) as core:
        authority = core.authorities.create("test", module="scripted", settings={"api_key": "canary-api-key"})
        yield Bench(core=core, ca=ca, environment=environment, authority=authority)


@pytest.fixture
def bench():
    """Its CA has no opinion about renewals."""
    yield from _bench(ScriptedCA)


@pytest.fixture
def bench_with_roles():
    """Its panel knows a viewer, an operator and an administrator; owners own what has their name."""
    roles = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.ADMINISTRATOR, "system": Role.ADMINISTRATOR}
    yield from _bench(ScriptedCA, RolePolicy(roles))


@pytest.fixture
def wishing_bench():
    """Its CA issues at once, and says when it wants renewals."""
    yield from _bench(ScriptedRenewalCA)
