"""The packages under examples, installed as users install them: certcore finds them, and each CA module issues."""

import importlib.util
import json
import os
import re
import select
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.testing import LittleAuthority
from support.command_server import commands_of

EXAMPLES = Path(__file__).parents[2] / "examples"
MODULES = ("local_ca", "manual_ca", "rest_ca")

#: Issues from all of them with nothing but what is installed.
ISSUE = """
    from certcore import CertCore
    from certcore.testing import LittleAuthority
    from certcore_rest_ca.server import serve
    from certcore_rest_ca.service import CAService

    with CertCore.in_memory() as core, serve(CAService(core.now), {"panel": "token-of-the-panel"}) as server:
        assert not core.plugin_failures, core.plugin_failures
        settings = {
            "local_ca": {"permitted_domains": ["example.com"]},
            "manual_ca": {"ca_name": "Town Hall CA"},
            "rest_ca": {"url": server.url, "token": "token-of-the-panel"},
        }
        for module, values in settings.items():
            profile = core.authorities.create(module, module=module, settings=values)
            certificate = core.certificates.create(f"{module.replace('_', '-')}.example.com", authority=profile.id)
            core.certificates.generate_csr(certificate.id)
            core.reconcile(certificate.id)
            if module == "manual_ca":
                (csr,) = core.certificates.files(certificate.id)
                chain = LittleAuthority(core.now()).issue(csr.content.decode(), now=core.now())
                core.certificates.run_action(certificate.id, "upload_chain", {"chain": chain})
            if module == "rest_ca":
                (order,) = server.service.pending()
                server.service.approve("panel", order.id)
                core.certificates.check_now(certificate.id)
            core.reconcile(certificate.id)
            print(module, core.certificates.get(certificate.id).status)
"""


class Installed:
    """A fresh virtual environment with the packages, and the command in it."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True, timeout=240)
        self.python = folder / "environment/bin/python"
        (packages,) = (folder / "environment").glob("lib/*/site-packages")
        outer = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (packages / "outer.pth").write_text(outer)
        ours = ("CERTCORE_", "PIP_", "PYTHON")
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.variables |= {"HOME": str(folder), "CERTCORE_DATABASE_URL": str(folder / "c.db")}
        self.variables |= {"CERTCORE_KEYRING": str(folder / "keyring.json")}
        install = ["-m", "pip", "--python", self.python, "install", "-q", "--no-deps", "--no-build-isolation"]
        self.variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"  # which asks the package index
        self.run(sys.executable, *install, *(EXAMPLES / name for name in MODULES))
        self.variables["PATH"] = f"{self.python.parent}:{self.variables.get('PATH', os.defpath)}"

    def run(self, *command):
        """What a command printed; it must succeed."""
        run = subprocess.run(
            list(map(str, command)),
            env=self.variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert "could not be loaded" not in run.stderr
        return run.stdout

    def shell(self, commands):
        """What commands of a shell printed; each must succeed."""
        return self.run("bash", "-euo", "pipefail", "-c", commands)

    def status(self, name):
        """The status of a certificate."""
        return json.loads(self.certcore("cert", "show", name, "--json"))["status"]

    def certcore(self, *arguments):
        """What the command printed."""
        return self.run("certcore", *arguments)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The three packages in a virtual environment of their own."""
    if not importlib.util.find_spec("hatchling"):
        pytest.skip("hatchling is not installed")
    installed = Installed(tmp_path_factory.mktemp("installed"))
    with commands_of(installed.python, installed.folder / "commands", installed.variables) as commands:
        installed.variables["PATH"] = f"{commands}:{installed.variables['PATH']}"
        installed.certcore("init")
        yield installed


pytestmark = [
    pytest.mark.slow(reason="packages are built and installed, and each command is a process"),
    pytest.mark.xdist_group("installed_example_cas"),
]


def test_each_module_issues_once_it_is_installed(installed):
    """After `pip install`, certcore has the three CA modules, and each takes a request to an active certificate."""
    printed = installed.run(installed.python, "-c", textwrap.dedent(ISSUE))
    assert printed.split() == [word for module in MODULES for word in (module, "active")]


def test_the_command_lists_and_checks_them(installed):
    """`certcore plugin list` names packages and modules, and `plugin check` finds no broken rule in the private CA."""
    plugins = json.loads(installed.certcore("plugin", "list", "--json"))["plugins"]
    listed = {plugin["name"]: plugin for plugin in plugins}
    for name in MODULES:
        assert name in str(listed[name])
        assert f"certcore-{name.replace('_', '-')}" in str(listed[name])
    assert "0 failed" in installed.certcore("plugin", "check", "local_ca")


def _commands(page):
    """The shell commands of a page but those that install packages and start the server of the CA."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = block.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("pip install", "rest-ca-server")))


def test_the_private_ca_of_the_how_to_page(installed):
    """The commands of the page lead to an active certificate, and to the root, the issuing CA and the CRL as files."""
    printed = installed.shell(_commands(EXAMPLES.parent / "docs/how-to/run-a-private-ca.md"))
    assert "✓ The root is valid for another year" in printed
    assert "Make a new CA profile" not in printed  # the advice for a check that fails
    assert installed.status("intranet.house.example") == "active"
    files = json.loads(installed.certcore("authority", "files", "house", "--out", "pki", "--json"))["files"]
    assert {"0001.crl", "0001.crt", "root.crl"} < {file["name"] for file in files}
    assert len(files) == 4
    for file in files:
        path = installed.folder / "pki" / file["name"]
        assert path.stat().st_size == file["size"]
        assert str(path) == file["path"]


def test_the_commands_for_the_ca_by_hand(installed):
    """The commands of the README: the CSR is written to a file, and the answer of the CA is read from one."""
    before, mark, after = _commands(EXAMPLES / "manual_ca/README.md").partition("# Take shop.example.csr")
    assert mark
    installed.shell(before)
    csr, now = (installed.folder / "shop.example.csr").read_text(), SystemEnvironment().now()
    (installed.folder / "answer.pem").write_text(LittleAuthority(now).issue(csr, now=now))
    installed.shell(f"#{after}")
    assert installed.status("shop.example") == "active"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_for_the_ca_with_approval(installed):
    """The commands of the README, with the server of the package as a process of its own."""
    commands = _commands(EXAMPLES / "rest_ca/README.md").replace("shop.example", "approved.example")
    tokens = re.findall(r"--(?:approver-)?token \S+", (EXAMPLES / "rest_ca/README.md").read_text(encoding="utf-8"))
    command = [installed.python.parent / "rest-ca-server", "--port", "0", *" ".join(tokens).split()]
    with subprocess.Popen(command, env=installed.variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert select.select([server.stdout], [], [], 60)[0], "the server does not start"
            url = server.stdout.readline().split()[-1]
            assert "http://127.0.0.1:8765/" in commands
            listing, mark, approval = commands.replace("http://127.0.0.1:8765/", url).partition("curl -X POST")
            (order,) = json.loads(installed.shell(listing).splitlines()[-1])["orders"]
            assert "/ORDER/" in approval
            installed.shell(mark + approval.replace("/ORDER/", f"/{order['id']}/"))
        finally:
            server.terminate()
    assert installed.status("approved.example") == "active"
