"""Two CA modules that have nothing in common pass the same contract: the scripted one, and PUQ ACME at a Pebble."""

import doctest
import importlib
import inspect
import shutil
import textwrap
import time

import pytest
from attrs import evolve

from certcore import CertCore
from certcore.errors import PluginError
from certcore.model.hints import DnsRecords, Level, Message, Notice
from certcore.model.plugin_results import UnexpectedResultError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.contracts import ca_module
from certcore.testing.contracts.ca_module import CAModuleContract
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.pebble import Pebble
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import sqlite_with_tables
from support.inside import inside

#: Any 256 bits and more in base64url.
HMAC_KEY = "c2FtcGxlLWhtYWMta2V5LWZvci10aGUtdGVzdHMtb2YtZWFi"


class TestScripted(CAModuleContract):
    """A CA that waits for the owner, then works, then issues."""

    module_name = "scripted"
    invalid_settings = (
        ({"lifetime_days": 0}, "lifetime_days"),
        ({"region": "moon"}, "region"),
        ({"note": "refused"}, "note"),
        ({"contacts": ["a", "b", "c", "d"]}, "contacts"),
    )

    @pytest.fixture
    def core(self):
        environment = FrozenEnvironment()
        self.ca = ScriptedCA(now=environment.now())
        with CertCore.in_memory(plugins=[self.ca.plugin()], installed_plugins=False, environment=environment) as core:
            yield core

    @pytest.fixture
    def settings(self):
        return {"api_key": "hunter2-canary", "contacts": "a\nb", "region": "us"}

    def wait(self, core, duration):
        inside(core).environment.advance(duration)

    def held_outside(self, core):
        return len(self.ca.held)


class _MyCA(ScriptedCA):
    """What an author would write, for the example in the suite's documentation."""

    name = "my_module"


my_plugin = _MyCA([Act.ISSUE], now=FrozenEnvironment().now()).plugin()

# The example as it is printed: the class TestMyModule.
exec(textwrap.dedent((ca_module.__doc__ or "").partition("::\n")[2].rpartition("\n\n")[0]))


class _Breaking(ScriptedCA):
    """Breaks one promise, which the suite has to see."""

    name = "breaking"
    plan = Act.ISSUE

    def advance(self, work):
        step = super().advance(work)
        match self.plan:
            case "secret":
                return evolve(step, state={"key": work.profile.api_key.reveal_text()})
            case "huge":
                return evolve(step, state={"all": "x" * 1_000_000})
        return step

    def hints(self, view, context):
        shown = context.profile.api_key.reveal_text() if self.plan == "shown" else ""
        return [Notice(Level.INFO, Message("breaking", f"The key is {shown}."))]

    def profile_hints(self, context):
        return ["text"] if self.plan == "profile" else []

    def renewal_info(self, issuance, context):
        return "soon" if self.plan == "renewal" else None


@pytest.mark.parametrize(
    ("plan", "check", "error"),
    [
        ("secret", "test_steps_are_plain_and_quick", UnexpectedResultError),
        ("huge", "test_steps_are_plain_and_quick", UnexpectedResultError),
        ("shown", "test_hints_for_every_status", AssertionError),
        ("profile", "test_the_forms_and_the_profile_can_be_shown", AssertionError),
        ("renewal", "test_the_ca_can_be_asked_about_renewals", PluginError),
    ],
)
def test_the_suite_sees_a_broken_promise(plan, check, error):
    """A secret or too much in a state, a secret on a page, hints and answers of a wrong kind fail the suite."""
    environment = FrozenEnvironment()
    breaking = _Breaking([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[breaking.plugin()], installed_plugins=False, environment=environment) as core:
        suite = CAModuleContract()
        profile = core.authorities.create("x", module="breaking", settings={"api_key": "canary-api-key"}).id
        needed = inspect.signature(getattr(suite, check)).parameters
        given = {"core": core, "module": breaking, "authority_id": profile}
        arguments = {name: value for name, value in given.items() if name in needed}
        getattr(suite, check)(**arguments)
        breaking.plan = plan
        profile = core.authorities.create("y", module="breaking", settings={"api_key": "canary-api-key"}).id
        with pytest.raises(error):
            getattr(suite, check)(**arguments | ({"authority_id": profile} if "authority_id" in arguments else {}))


@pytest.mark.pebble
@pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed: install the Debian package pebble")
class TestPuqAcme(CAModuleContract):
    """An ACME CA, validated through the DNS."""

    module_name = "puq_acme"
    invalid_settings = (
        ({"ttl": 29}, "ttl"),
        ({"directory_url": "http://acme.example/dir"}, "directory_url"),
        ({"eab_hmac_key": ""}, "eab_hmac_key"),
        ({"tech_zone": "*.acme.test"}, "tech_zone"),
    )

    @pytest.fixture
    def core(self, tmp_path):
        CertCore.create_keyring(tmp_path / "keyring.json")
        with CertCore.open(sqlite_with_tables(tmp_path), keyring=tmp_path / "keyring.json") as core:
            yield core

    @pytest.fixture
    def settings(self, core):
        self.zone = MemoryZone("shop.test")
        server = core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[self.zone])
        address = f"127.0.0.1:{server.address[1]}"
        try:
            with Pebble.start(dns_server=address, eab={"kid": HMAC_KEY}) as pebble:
                yield {
                    "ca": "custom",
                    "directory_url": pebble.directory_url,
                    "trusted_roots": pebble.roots_pem,
                    "terms_agreed": True,
                    "tech_zone": "acme.panel.test",
                    "tech_zone_nameservers": "ns.acme.panel.test 127.0.0.1",
                    "dns_servers": address,
                    "eab_kid": "kid",
                    "eab_hmac_key": HMAC_KEY,
                }
        finally:
            server.close()

    def wait(self, core, duration):
        time.sleep(min(duration.total_seconds(), 0.05))  # the CA works in real time

    def owner_acts(self, core, certificate_id):
        for hint in core.certificates.hints(certificate_id):
            for row in hint.rows if isinstance(hint, DnsRecords) else ():
                self.zone.set(row.name, row.type, row.value)

    def held_outside(self, core):
        module = core.authorities.modules()["puq_acme"]
        return len(inside(core).contexts.documents(module).list("txt/"))


@pytest.mark.parametrize("name", ["clock", "scripted_ca", "dns_zone"])
def test_examples_of_the_kit_are_true(name):
    """The examples in the docstrings of the test kit do what they say."""
    result = doctest.testmod(importlib.import_module(f"certcore.testing.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
