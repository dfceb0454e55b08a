"""What plugins say of their targets before a renewal."""

from datetime import timedelta

import pytest
from attrs import evolve

import certcore
from certcore import CertCore
from certcore.engine.preflights import Preflights
from certcore.messages import Message
from certcore.model.events import EventKind
from certcore.model.finding import Finding, Severity
from certcore.model.readiness import WhoseTurn
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside
from support.obstacles import TOLD


class Target:
    """A plugin that deploys."""

    name = "web"

    def __init__(self):
        self.findings = ()

    @certcore.hookimpl
    def certcore_on_event(self, event):
        """Nothing."""

    @certcore.hookimpl
    def certcore_check_targets(self, certificate_id, certificates):
        """As the test says."""
        if isinstance(self.findings, Exception):
            raise self.findings
        assert certificates.view(certificate_id, actor="plugin:web").certificate.id == certificate_id
        return self.findings


class TestTargets:
    """What plugins say of their targets."""

    SECRET_PATH = "/srv/tenants/anna"

    @pytest.fixture
    def target(self):
        return Target()

    @pytest.fixture
    def core(self, target):
        environment = FrozenEnvironment()
        ca = ScriptedCA([Act.ISSUE], now=environment.now())
        policy = certcore.RolePolicy({"system": certcore.Role.ADMINISTRATOR, "plugin:web": certcore.Role.VIEWER})
        with CertCore.in_memory(
            plugins=[ca.plugin(), target, policy], installed_plugins=False, environment=environment
        ) as core:
            yield core

    @pytest.fixture
    def certificate_id(self, core):
        authority = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=authority.id, owner="anna")
        core.certificates.generate_csr(certificate.id)
        for _ in range(3):
            core.reconcile(certificate.id)
        core.deliver_events()
        return certificate.id

    def unwritable(self):
        text = Message("test.folder", "{path} cannot be written.", {"path": self.SECRET_PATH})
        return Finding(code="folder", severity=Severity.ERROR, name="", cause=text, advice=Message("test.advice", "x"))

    def test_the_administrator_is_told_and_the_owner_sees_no_path(self, core, target, certificate_id):
        """A directory that cannot be written is the administrator's turn; its path is in nobody else's sight."""
        target.findings = (self.unwritable(),)
        core.certificates.preflight(certificate_id)  # a file system may be away for a moment
        inside(core).environment.advance(timedelta(hours=1))
        preflight = core.certificates.preflight(certificate_id)
        (only,) = preflight.readiness.obstacles
        assert (only.target, only.whose_turn) == ("web", WhoseTurn.ADMINISTRATOR)
        assert self.SECRET_PATH in str(only.finding.cause)
        shown = core.certificates.preflight(certificate_id, actor="anna")
        assert shown.readiness.whose_turn is WhoseTurn.ADMINISTRATOR
        view = core.certificates.view(certificate_id, actor="anna")
        assert [event.kind for event in view.events if event.kind in TOLD] == [EventKind.RENEWAL_NOT_READY]
        for seen in (shown, view, core.certificates.hints(certificate_id, actor="anna")):
            assert self.SECRET_PATH not in repr(seen)
            assert "web" in repr(seen)

    def test_a_process_without_the_plugin_does_not_say_that_all_is_well(self, core, target, certificate_id):
        """What the process with the plugin has found stays until that one finds it gone."""
        target.findings = (self.unwritable(),)
        core.certificates.preflight(certificate_id)
        parts = inside(core)
        without = evolve(parts.contexts, plugins=evolve(parts.plugins, plugins=parts.plugins.plugins[:1]))
        elsewhere = Preflights(contexts=without, certificates=core.certificates)
        assert [one.target for one in elsewhere.check(certificate_id).readiness.obstacles] == ["web"]
        target.findings = ()
        assert core.certificates.preflight(certificate_id).readiness.is_ready

    def test_a_plugin_that_raises_is_named(self, core, target, certificate_id):
        """The check goes on, and says which target could not be checked."""
        target.findings = ValueError("with a secret")
        (only,) = core.certificates.preflight(certificate_id).readiness.obstacles
        assert (only.finding.code, only.target) == ("target_unchecked", "web")
        assert "secret" not in str(only.finding.cause)
