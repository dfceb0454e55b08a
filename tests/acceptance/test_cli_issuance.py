"""The tutorial's way with the command alone: a DNS server with the owner's zone file, a CA, a worker, the files."""

import json
import shutil
import signal
import stat
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certcore.testing.pebble import Pebble

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="the program pebble is not installed"),
]

ZONE = """\
$TTL 30
@   IN SOA ns1 hostmaster 1 3600 600 86400 1
@   IN NS  ns1
ns1 IN A   127.0.0.1
"""


def _ends(process, number):
    """Ask a started command to end; returns what it said."""
    process.send_signal(number)
    try:
        said, complaints = process.communicate(timeout=120)
    finally:
        process.kill()
    assert "Traceback" not in said + complaints
    return process.returncode, said, complaints


@pytest.fixture(scope="module")
def zone_file(certcore):
    """The zone of the domain's owner."""
    path = certcore.folder / "owner.test.zone"
    path.write_text(ZONE)
    return path


@pytest.fixture(scope="module")
def dns_address(certcore, zone_file):
    """`certcore dns serve` with the owner's zone beside the tech zone."""
    certcore("init")
    process = certcore.start("dns", "serve", "--listen", "127.0.0.1:0", "--zone", f"owner.test={zone_file}")
    deadline = threading.Timer(120, process.kill)
    deadline.start()
    line = process.stdout.readline()
    deadline.cancel()
    assert line.startswith("Listening on 127.0.0.1:"), process.communicate()
    yield line.split()[2]
    assert _ends(process, signal.SIGTERM)[0] == 0


@pytest.fixture(scope="module")
def issued(certcore, zone_file, dns_address):
    """A store in which ``shop.owner.test`` was issued, all with commands."""
    with Pebble.start(dns_server=dns_address) as pebble:
        roots = certcore.folder / "roots.pem"
        roots.write_text(pebble.roots_pem)
        certcore(
            *("authority", "add", "local", "--module", "puq_acme", "--set", "ca=custom", "--set", "terms_agreed=yes"),
            *("--set", f"directory_url={pebble.directory_url}", "--set", f"trusted_roots=@{roots}"),
            *("--set", "tech_zone=acme.panel.test", "--set", f"dns_servers={dns_address}"),
        )
        certcore.inside("cert", "create", "shop.owner.test", "--wildcard", "--authority", "local")
        hints = certcore.json("cert", "hints", "shop.owner.test")["hints"]
        record = next(hint["rows"][0] for hint in hints if hint["kind"] == "dns_records")
        certcore.inside("cert", "csr", "shop.owner.test")
        waited = json.loads(certcore("run", "--until-idle", "--json").stdout)
        with zone_file.open("a") as file:
            file.write(f"{record['name']}. IN CNAME {record['value']}.\n")
        certcore.inside("cert", "check", "shop.owner.test")
        done = certcore("run", "--until-idle", "--json")
        yield certcore, waited, done


def test_until_idle_waits_for_the_ca_and_not_for_the_owner(issued):
    """Without the CNAME the command ends with the certificate waiting; with it, once the certificate is active."""
    _, waited, done = issued
    assert waited["outcome"] == "idle"
    assert [one["domain"] for one in waited["waiting"]] == ["shop.owner.test"]
    told = json.loads(done.stdout)
    assert told["outcome"] == "idle"
    assert told["waiting"] == []
    assert told["changed"][-1]["to_status"] == "active"
    assert "shop.owner.test" in done.stderr  # progress


def test_the_details_of_the_leaf_are_shown(issued):
    """`cert show` has the leaf's details and the timeline with who did what."""
    certcore = issued[0]
    shown = certcore.json("cert", "show", "shop.owner.test")
    assert shown["status"] == "active"
    leaf = x509.load_pem_x509_certificate(shown["leaf_pem"].encode())
    assert int(shown["leaf"]["serial_decimal"]) == leaf.serial_number == int(shown["leaf"]["serial_hex"], 16)
    assert shown["not_after"] == f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert shown["leaf"]["serial_hex"] in certcore.inside("cert", "show", "shop.owner.test").stdout
    assert "active" in certcore.inside("cert", "hints", "shop.owner.test").stdout


def test_the_files_are_what_a_server_needs(issued):
    """`cert export` writes four files, the key for its owner's eyes alone, and puts the taking-out on the record."""
    certcore = issued[0]
    out = certcore.folder / "etc" / "shop"
    certcore("cert", "export", "shop.owner.test", "--out", out, "--reason", "for the web server")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    assert modes == {"cert.pem": 0o644, "chain.pem": 0o644, "fullchain.pem": 0o644, "privkey.pem": 0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    key = load_pem_private_key((out / "privkey.pem").read_bytes(), None)
    leaf = x509.load_pem_x509_certificate((out / "cert.pem").read_bytes())
    assert leaf.public_key() == key.public_key()
    full = (out / "fullchain.pem").read_text()
    assert full == (out / "cert.pem").read_text() + (out / "chain.pem").read_text()
    assert len(x509.load_pem_x509_certificates(full.encode())) > 1
    last = certcore.json("cert", "show", "shop.owner.test")["timeline"][-1]
    assert (last["kind"], last["data"]["reason"]) == ("key_revealed", "for the web server")


def test_an_export_replaces_the_files_of_the_last_one(issued):
    """A second export writes over the first; other files stay, and a private key never stays readable by others."""
    certcore = issued[0]
    out = certcore.folder / "again"
    out.mkdir()
    (out / "nginx.conf").write_text("mine")
    (out / "privkey.pem").write_text("old")
    (out / "privkey.pem").chmod(0o644)
    files = certcore.json("cert", "export", "shop.owner.test", "--out", out)["files"]
    assert files["privkey"] == str(out / "privkey.pem")
    assert stat.S_IMODE((out / "privkey.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in out.iterdir()) == [
        "cert.pem", "chain.pem", "fullchain.pem", "nginx.conf", "privkey.pem",
    ]  # fmt: skip
    blocked = certcore.folder / "roots.pem"
    assert str(blocked) in certcore.inside("cert", "export", "shop.owner.test", "--out", blocked, expect=1).stderr


def test_a_renewal_changes_the_leaf(issued):
    """`cert renew` and a run later another leaf is in service; nobody touched the DNS."""
    certcore = issued[0]
    before = certcore.json("cert", "show", "shop.owner.test")["leaf"]
    assert certcore.json("cert", "renew", "shop.owner.test")["status"] == "active"
    certcore("run", "--until-idle")
    after = certcore.json("cert", "show", "shop.owner.test")["leaf"]
    assert after["serial_hex"] != before["serial_hex"]
    assert after["names"] == before["names"]


def test_a_renewal_that_cannot_go_on_is_named(issued, zone_file):
    """Without the owner's CNAME a run ends with 1 and says what the renewal waits for; with it, it goes on."""
    certcore = issued[0]
    zone = zone_file.read_text()
    serial = certcore.json("cert", "show", "shop.owner.test")["leaf"]["serial_hex"]
    zone_file.write_text("".join(line for line in zone.splitlines(keepends=True) if "CNAME" not in line))
    try:
        certcore.inside("cert", "renew", "shop.owner.test")
        told = json.loads(certcore("run", "--until-idle", "--json", expect=1).stdout)
        (failing,) = told["failing"]
        assert failing["domain"] == "shop.owner.test"
        assert "waits for the owner" in failing["problem"]["title"]
        once = certcore("run", "--once", expect=1)
        assert "shop.owner.test is not renewed" in once.stdout
    finally:
        zone_file.write_text(zone)
    certcore.inside("cert", "check", "shop.owner.test")
    assert json.loads(certcore("run", "--until-idle", "--json").stdout)["failing"] == []
    assert certcore.json("cert", "show", "shop.owner.test")["leaf"]["serial_hex"] != serial


def test_a_leaf_is_revoked_and_replaced(issued):
    """`cert revoke` asks the CA; `cert renew` and a run later a leaf with another key is in service."""
    certcore = issued[0]
    before = certcore.json("cert", "show", "shop.owner.test")["leaf"]
    assert certcore.json("cert", "revoke", "shop.owner.test", "--yes", "--reason", "superseded")["status"] == "revoked"
    assert "revoked" in certcore.inside("cert", "hints", "shop.owner.test").stdout
    assert certcore.json("cert", "renew", "shop.owner.test")["status"] == "pending"
    certcore("run", "--until-idle")
    after = certcore.json("cert", "show", "shop.owner.test")
    assert after["status"] == "active"
    assert after["leaf"]["serial_hex"] != before["serial_hex"]
    assert [event["data"]["reason"] for event in after["timeline"] if event["kind"] == "revoked"] == ["superseded"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_running_worker_ends_cleanly(issued, number):
    """`run` ends with 0 on Ctrl-C and SIGTERM, and gives back what it had in hand."""
    certcore = issued[0]
    prelude = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = certcore.start("run", "--dns", "127.0.0.1:0", prelude=prelude)
    deadline = threading.Timer(120, process.kill)
    deadline.start()
    serving, working = process.stderr.readline(), process.stderr.readline()
    deadline.cancel()
    assert "Serving DNS" in serving
    assert "Working" in working
    code, said, _ = _ends(process, number)
    assert (code, said) == (0, "Stopped.\n")


def test_a_timeout_is_a_failure(issued):
    """`run --until-idle --timeout 0` with something still to do ends with 1 and says what to do."""
    certcore = issued[0]
    certcore.inside("cert", "renew", "shop.owner.test")
    done = certcore("run", "--until-idle", "--timeout", "0", expect=1)
    assert "--timeout" in done.stdout
    certcore("run", "--until-idle")
    assert certcore.json("cert", "show", "shop.owner.test")["status"] == "active"


def test_a_closed_pipe_is_no_bug(issued):
    """`certcore cert list | head -0` ends quietly."""
    certcore = issued[0]
    process = certcore.start("cert", "show", "shop.owner.test")
    process.stdout.close()
    complaints = process.stderr.read()
    assert process.wait(120) != 0
    assert complaints == ""
    process.stderr.close()
