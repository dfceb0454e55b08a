"""certcore as a pytest plugin: its fixtures, in test runs of their own as a plugin's author has them."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

needs_pebble = pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed")


@pytest.fixture
def run(tmp_path):
    """Runs tests with the plugin, as if nothing else were installed; returns the output."""

    def run_tests(code, *arguments, status=0):
        (tmp_path / "test_it.py").write_text(code)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "certcore.testing.pytest_plugin", "-p", "no:cacheprovider"),
                *("-W", "error", "-rs", "-v", "--rootdir", str(tmp_path), *arguments, "test_it.py"),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run_tests


def test_it_is_found_by_pytest():
    """The package names the plugin in pytest's entry-point group."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"certcore": "certcore.testing.pytest_plugin"}


def test_it_is_light_where_it_is_not_used():
    """Loading it imports nothing but pytest: no cryptography, no attrs classes of certcore, no database."""
    code = (
        "import pytest, sys; before = set(sys.modules); import certcore.testing.pytest_plugin; "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('encodings')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert {name.partition(".")[0] for name in eval(done.stdout)} == {"certcore"}
    assert eval(done.stdout) == [
        "certcore",
        "certcore.lazy",
        "certcore.testing",
        "certcore.testing.pytest_plugin",
        *(["certcore.version"] if "certcore.version" in done.stdout else []),
    ]


@pytest.mark.slow(reason="starts pytest in a process of its own")
def test_its_fixtures(run):
    """A core with a frozen clock and a CA that issues; plugins are added by a fixture of the test."""
    output = run(
        """
import certcore
import pytest
from datetime import timedelta

class Observer:
    def __init__(self):
        self.kinds = []

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.kinds.append(str(event.kind))

@pytest.fixture
def certcore_plugins():
    return [Observer()]

def test_it_issues(certcore_core, certcore_clock, certcore_ca, certcore_plugins):
    profile = certcore_core.authorities.create("test", module="scripted")
    certificate = certcore_core.certificates.create("shop.example", authority=profile.id)
    certcore_core.certificates.generate_csr(certificate.id)
    certcore_core.reconcile(certificate.id)
    assert certcore_core.certificates.get(certificate.id).status == "active"
    certcore_clock.advance(timedelta(days=80))
    while certcore_ca.calls < 2:
        certcore_core.reconcile(certificate.id)
    certcore_core.deliver_events()
    assert certcore_plugins[0].kinds[0] == "created"

def test_a_zone(certcore_zone):
    certcore_zone.set("www.shop.test", "A", "192.0.2.1")
    assert certcore_zone.records(certcore_zone.zone, "www.shop.test") == {"A": ("192.0.2.1",)}
"""
    )
    assert "2 passed" in output


@pytest.mark.slow(reason="starts pytest in a process of its own")
def test_a_module_has_a_test_for_each_rule(run):
    """A module's author sees each rule by its name, and of a broken one what was done, the rule and the reason."""
    code = """
from certcore.testing import Act, FrozenEnvironment, ModuleConformance, ScriptedCA
from certcore.testing.conformance import ModuleSetup

ca = ScriptedCA([Act.{act}], now=FrozenEnvironment().now())

class TestMyCA(ModuleConformance):
    conformance_setup = ModuleSetup(plugin=ca.plugin(), settings={{"api_key": "a key of the CA"}})
"""
    output = run(code.format(act="ISSUE"))
    assert "test_rule[step-json] PASSED" in output
    assert "failed" not in output
    output = run(code.format(act="WRONG_KEY"), status=1)
    assert "test_rule[leaf-key] FAILED" in output
    assert "Rule: The leaf is for the public key of the request." in output
    assert "1 failed" in output


@pytest.mark.slow(reason="starts pytest in a process of its own")
def test_asserts_of_the_suites_are_explained(run):
    """A check of a suite that fails shows both sides."""
    output = run(
        """
import pytest
from certcore.testing import Act, CAModuleContract, FrozenEnvironment, ScriptedCA
from certcore import CertCore

class TestMyCA(CAModuleContract):
    module_name = "scripted"
    invalid_settings = (({"note": "refused"}, "region"),)

    @pytest.fixture
    def settings(self):
        return {}

    @pytest.fixture
    def core(self):
        environment = FrozenEnvironment()
        plugins = [ScriptedCA([Act.ISSUE], now=environment.now()).plugin()]
        with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
            yield core
""",
        "-k",
        "bad_settings",
        status=1,
    )
    assert "assert 'note' == 'region'" in output


@pytest.mark.slow(reason="starts pytest in a process of its own")
def test_what_is_not_installed_skips_the_test(run, tmp_path, monkeypatch):
    """A test that needs a program that is missing is skipped, and names the Debian package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    output = run("def test_it(certcore_dns):\n    pass\n")
    assert "1 skipped" in output
    assert "apt-get install pebble" in output


@pytest.mark.pebble
@needs_pebble
@pytest.mark.slow(reason="starts Pebble")
def test_a_whole_panel(run):
    """One fixture, or one `with`, is a panel that issues from an ACME server through the DNS."""
    output = run(
        """
from certcore.testing import IssuingPanel

def test_a_fixture(certcore_panel):
    certificate = certcore_panel.obtain("www.shop.test")
    assert certcore_panel.core.certificates.view(certificate.id).leaf.names == ("www.shop.test",)

def test_pebble_and_its_dns(certcore_pebble, certcore_dns):
    certcore_dns.set_txt("_acme-challenge.shop.test", "value")
    assert "BEGIN CERTIFICATE" in certcore_pebble.issuer_root_pem()
"""
    )
    assert "2 passed" in output


@pytest.mark.integration
@pytest.mark.slow(reason="starts PostgreSQL")
def test_a_database(run):
    """A test gets an empty PostgreSQL database of its own, where PostgreSQL is installed."""
    output = run(
        """
from certcore import CertCore

def test_it(certcore_postgresql_url, tmp_path):
    CertCore.create_keyring(tmp_path / "keyring.json")
    with CertCore.open(certcore_postgresql_url, keyring=tmp_path / "keyring.json", installed_plugins=False) as core:
        assert core.authorities.list() == []
"""
    )
    assert "1 passed" in output or "postgres is not installed" in output
