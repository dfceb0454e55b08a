"""The packages under examples, installed as users install them: each CA module issues through the command."""

import importlib.util
import json
import os
import select
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.testing import LittleAuthority

EXAMPLES = Path(__file__).parents[2] / "examples"
MODULES = ("local_ca", "manual_ca", "rest_ca")


class Installed:
    """A fresh virtual environment with the packages, and the command in it."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True, timeout=240)
        self.bin = folder / "environment/bin"
        (packages,) = (folder / "environment").glob("lib/*/site-packages")
        outer = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (packages / "outer.pth").write_text(outer)
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("CERTCORE_", "PIP_"))
        }
        self.variables |= {"HOME": str(folder), "CERTCORE_DATABASE_URL": str(folder / "c.db")}
        self.variables |= {"CERTCORE_KEYRING": str(folder / "keyring.json")}
        install = ["-m", "pip", "--python", self.bin / "python", "install", "-q", "--no-deps", "--no-build-isolation"]
        self.run(sys.executable, *install, *(EXAMPLES / name for name in MODULES))
        self.certcore("init")

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

    def certcore(self, *arguments):
        """What the command printed."""
        return self.run(self.bin / "python", "-m", "certcore", *arguments)

    def requested(self, name, authority):
        """Have a certificate requested."""
        self.certcore("cert", "create", name, "--authority", authority)
        self.certcore("cert", "csr", name)
        self.certcore("cert", "check", name)

    def status(self, name):
        """The status of a certificate."""
        return json.loads(self.certcore("cert", "show", name, "--json"))["status"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The three packages in a virtual environment of their own."""
    if not importlib.util.find_spec("hatchling"):
        pytest.skip("hatchling is not installed")
    return Installed(tmp_path_factory.mktemp("installed"))


pytestmark = [
    pytest.mark.slow(reason="packages are built and installed, and each command is a process"),
    pytest.mark.xdist_group("installed_example_cas"),
]


def test_the_private_ca_issues(installed):
    """From `pip install` to an active certificate without any other step than a CA profile."""
    installed.certcore("authority", "add", "house", "--module", "local_ca", "--set", "permitted_domains=house.example")
    installed.certcore("authority", "test", "house")
    installed.certcore("obtain", "a.house.example", "--authority", "house")
    assert installed.status("a.house.example") == "active"
    installed.certcore("authority", "run", "house", "replace_issuing_ca", "--yes")
    installed.certcore("cert", "revoke", "a.house.example", "--yes")
    files = json.loads(installed.certcore("authority", "files", "house", "--out", "pki", "--json"))["files"]
    assert {"0001.crl", "0001.crt", "0002.crl", "0002.crt"} < {file["name"] for file in files}
    crl = installed.run("openssl", "crl", "-inform", "der", "-in", installed.folder / "pki/0001.crl", "-noout", "-text")
    assert crl.count("Serial Number:") == 1


def test_the_ca_by_hand_issues(installed):
    """The CSR goes to a CA, and its answer comes back as a file."""
    installed.certcore("authority", "add", "town-hall", "--module", "manual_ca", "--set", "ca_name=Town Hall CA")
    installed.requested("hand.example", "town-hall")
    assert installed.status("hand.example") == "pending"
    assert "upload_chain" in installed.certcore("cert", "actions", "hand.example")
    assert "hand.example.csr" in installed.certcore("cert", "files", "hand.example")
    installed.certcore("cert", "files", "hand.example", "--out", "files")
    csr = (installed.folder / "files/hand.example.csr").read_text()
    now = SystemEnvironment().now()
    (installed.folder / "answer.pem").write_text(LittleAuthority(now).issue(csr, now=now))
    installed.certcore("cert", "run", "hand.example", "upload_chain", "--set", "chain=@answer.pem")
    installed.certcore("cert", "check", "hand.example")
    assert installed.status("hand.example") == "active"


def test_the_ca_with_approval_issues(installed):
    """The server of the package runs as its own process; the approver accepts the order there."""
    tokens = ["--token", "token-of-the-panel", "--approver-token", "token-of-the-approver"]
    command = [installed.bin / "rest-ca-server", "--port", "0", *tokens]
    server = subprocess.Popen(command, env=installed.variables, stdout=subprocess.PIPE, text=True)
    try:
        assert select.select([server.stdout], [], [], 60)[0], "the server does not start"
        url = server.stdout.readline().split()[-1]
        settings = ["--set", f"url={url}", "--set", "token=token-of-the-panel"]
        installed.certcore("authority", "add", "approving", "--module", "rest_ca", *settings)
        installed.certcore("authority", "test", "approving")
        installed.requested("approved.example", "approving")
        assert installed.status("approved.example") == "pending"
        headers = {"Authorization": "Bearer token-of-the-approver"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}pending", headers=headers), timeout=60) as answer:
            (order,) = json.load(answer)["orders"]
        approve = urllib.request.Request(f"{url}pending/panel/{order['id']}/approve", headers=headers, method="POST")
        urllib.request.urlopen(approve, timeout=60).close()
        deadline = time.monotonic() + 60
        while installed.status("approved.example") != "active":
            assert time.monotonic() < deadline
            installed.certcore("cert", "check", "approved.example")
    finally:
        server.terminate()
        server.wait(60)
