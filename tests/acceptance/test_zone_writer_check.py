"""`certcore plugin check --zone`: an installed zone writer is checked in a zone of a real DNS server."""

import json
import os

import pytest

from certcore.testing.server import ProgramMissingError
from support.forked import run
from support.servers.dns_servers import TSIG_SECRET, HostingBind

pytestmark = pytest.mark.integration

ZONE = "acme.panel.test"
PLUGIN = """
import os

from certcore.plugin import Secret, ZoneServer, hookimpl
from certcore_puq_acme.techzone.writers.rfc2136 import Rfc2136Writer


@hookimpl
def certcore_zone_writers():
    server = ZoneServer("127.0.0.1", int(os.environ["HOUSE_DNS_PORT"]))
    key = Secret(os.environ["HOUSE_DNS_KEY"])
    return [Rfc2136Writer(server=server, key_name="certcore", key=key, name="house_dns")]
"""


@pytest.fixture
def check(tmp_path):
    """Runs the check in an environment in which the plugin is installed: as a file with metadata, without pip."""
    info = tmp_path / "house_dns-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-dns\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[certcore]\nhouse_dns = house_dns\n")
    (tmp_path / "house_dns.py").write_text(PLUGIN)

    def checked(port, *arguments):
        variables = {"PYTHONPATH": str(tmp_path), "HOUSE_DNS_PORT": str(port), "HOUSE_DNS_KEY": TSIG_SECRET}
        arguments = ["plugin", "check", "house_dns", *arguments]
        return run(arguments, env={**os.environ, **variables}, cwd=tmp_path, timeout=300)

    return checked


@pytest.fixture(scope="module")
def bind():
    try:
        server = HostingBind.start(ZONE)
    except ProgramMissingError as error:
        pytest.skip(error.message)
    with server:
        yield server


def test_a_writer_is_checked_in_a_real_zone(check, bind):
    """Rules of TXT values and of CNAMEs are judged by what the name server shows, and the zone is left as it was."""
    done = check(bind.port, "--zone", ZONE, "--server", f"127.0.0.1:{bind.port}", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True), done.stdout
    outcomes = {result["check"]: result["outcome"] for result in report["results"]}
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {"server-down", "after-server-down"}
    assert "setup" in report["not_checked"][-1]
    assert TSIG_SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--zone", "elsewhere.test"), "elsewhere.test with authority"),
        (("--zone", ZONE, "--server", "ns1.panel.test"), "is not an IP address"),
        (("--zone", ZONE, "--server", "[::1]:1"), "does not answer DNS queries"),
    ],
)
def test_a_zone_that_cannot_be_looked_at_is_refused(check, bind, arguments, text):
    """A zone or server that cannot be used is named before anything is written."""
    done = check(bind.port, *arguments)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
