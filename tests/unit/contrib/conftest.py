"""A core in memory with targets: its CA issues at once, and its clock stands still."""

import contextlib
import socket
from datetime import timedelta

import pytest
from attrs import define

import certcore
from certcore import CertCore
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.deployments import SHELL
from support.mailboxes import running_mailbox
from support.webhook_receivers import running_receiver


@define(eq=False)
class Place:
    """What the tests of targets hold."""

    core: CertCore
    ca: ScriptedCA
    environment: FrozenEnvironment
    authority: object

    def issued(self, domain="shop.example", **fields):
        """The id of a certificate that is active, and at rest."""
        fields = {"authority": self.authority.id, **fields}
        certificate_id = self.core.certificates.create(domain, **fields).id
        self.core.certificates.generate_csr(certificate_id)
        for _ in range(3):
            self.core.reconcile(certificate_id)
        assert self.core.certificates.get(certificate_id).status == "active"
        return certificate_id

    def renewed(self, certificate_id):
        """Put another leaf into service."""
        self.environment.advance(timedelta(seconds=1))
        self.core.certificates.renew(certificate_id)
        for _ in range(4):
            self.core.reconcile(certificate_id)

    def deliver(self):
        """Tell the targets; a target that failed is asked again."""
        self.environment.advance(timedelta(hours=2))
        self.core.deliver_events()

    def reason(self, certificate_id, target):
        """Why a target did not take an event; None when it took all."""
        behind = self.core.certificates.deliveries(certificate_id).behind.get(target)
        return None if behind is None else behind.reason

    def event(self, certificate_id, kind="installed"):
        """The last event of a kind."""
        return [event for event in self.core.certificates.timeline(certificate_id) if event.kind == kind][-1]

    def reveals(self, certificate_id):
        """Who took the key out, and why."""
        record = self.core.certificates.timeline(certificate_id)
        return [(one.actor, one.data["reason"]) for one in record if one.kind == "key_revealed"]


class Witness:
    """Another observer, which takes every event."""

    @certcore.hookimpl
    def certcore_on_event(self, event):
        pass


@pytest.fixture
def open_place():
    """Opens a core with these targets."""
    with contextlib.ExitStack() as stack:

        def open_one(*targets, alone=False):
            environment = FrozenEnvironment()
            ca = ScriptedCA([Act.ISSUE], now=environment.now())
            plugins = [ca.plugin(), *targets, *([] if alone else [Witness()])]
            core = CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment)
            stack.callback(core.close)
            assert not core.plugin_failures
            return Place(core, ca, environment, core.authorities.create("test", module="scripted"))

        yield open_one


@pytest.fixture
def folder(tmp_path):
    """Where the files go; not there yet."""
    return tmp_path / "ssl"


@pytest.fixture
def script(tmp_path):
    """Makes a command of lines of shell; what it notes with `note` is read by `noted`."""
    notes = tmp_path / "notes"

    def make(*lines):
        path = tmp_path / "command.sh"
        path.write_text("\n".join((f'note() {{ echo "$@" >> "{notes}"; }}', *lines)) + "\n")
        return (SHELL, str(path))

    make.noted = lambda: notes.read_text().splitlines() if notes.exists() else []
    return make


@pytest.fixture
def named(monkeypatch):
    """The resolver gives every name the address of this machine."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))


@pytest.fixture
def mailbox():
    """A mail server without protection."""
    with running_mailbox() as one:
        yield one


@pytest.fixture
def receiver():
    """An HTTP server that takes every event."""
    with running_receiver() as one:
        yield one
