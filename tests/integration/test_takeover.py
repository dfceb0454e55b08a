"""Moving in from other ACME clients: real ones issue, their folders are imported, and certcore renews."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from certcore.adapters.takeover import read_folder
from certcore.cli.app import app
from certcore.errors import CertCoreError
from certcore.testing.ports import free_ports
from certcore.testing.server import find_program
from certcore_puq_acme.account_records import own_account, read_record
from certcore_puq_acme.accounts import Accounts

pytestmark = pytest.mark.pebble
EMAIL = "me@shop.test"
_DEADLINE = 40


def _program(name):
    try:
        return find_program(name, name, str(Path(sys.executable).parent))
    except CertCoreError as error:
        pytest.skip(str(error))


def _run(arguments, folder, roots):
    """Run another client to its end, on its own and with Pebble's root as the only one that it knows."""
    trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "LEGO_CA_CERTIFICATES", "SSL_CERT_FILE"), str(roots))
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    return subprocess.Popen(
        [str(one) for one in arguments],
        env={**os.environ, **trusted, **home},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finished(process):
    try:
        said, _ = process.communicate(timeout=_DEADLINE)
    finally:
        process.kill()
    assert process.returncode == 0, said
    return said


def _certbot(folder, pebble, roots):
    """certbot from PyPI: one certificate for a name and its wildcard."""
    data = folder / "letsencrypt"
    arguments = [_program("certbot"), "certonly", "--non-interactive", "--agree-tos", "--server", pebble.directory_url]
    arguments += ["--config-dir", data, "--work-dir", folder / "work", "--logs-dir", folder / "logs", "--email", EMAIL]
    arguments += ["--manual", "--preferred-challenges", "dns", "--manual-auth-hook", "true"]
    _finished(_run([*arguments, "-d", "shop.test", "-d", "*.shop.test"], folder, roots))
    return data


def _lego(folder, pebble, roots):
    """lego from Debian: one certificate, with http-01, which this Pebble takes unseen."""
    data, (port,) = folder / ".lego", free_ports(1)
    arguments = [_program("lego"), "--server", pebble.directory_url, "--path", data, "--email", EMAIL, "--accept-tos"]
    arguments += ["--domains", "shop.test", "--http", "--http.port", f"127.0.0.1:{port}", "run"]
    _finished(_run(arguments, folder, roots))
    return data


def _caddy(folder, pebble, roots):
    """Caddy from Debian, which serves until it has its certificate."""
    data, (http, https) = folder / "caddy", free_ports(2)
    (folder / "Caddyfile").write_text(
        f"{{\n storage file_system {data}\n acme_ca {pebble.directory_url}\n acme_ca_root {roots}\n email {EMAIL}\n"
        f" admin off\n http_port {http}\n https_port {https}\n}}\nshop.test {{\n respond hello\n}}\n"
    )
    arguments = [_program("caddy"), "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    server = _run(arguments, folder, roots)
    try:
        deadline = time.monotonic() + _DEADLINE
        while not list(data.glob("certificates/*/shop.test/shop.test.json")):
            assert server.poll() is None, server.stdout.read()
            assert time.monotonic() < deadline, "Caddy has no certificate yet"
            time.sleep(0.05)
    finally:
        server.terminate()
        server.communicate(timeout=_DEADLINE)
    return data


CLIENTS = {"certbot": _certbot, "lego": _lego, "caddy": _caddy}


def _import(panel, *arguments, expect=0):
    """The command, on the panel's store."""
    environment = {"CERTCORE_DATABASE_URL": panel.url, "CERTCORE_KEYRING": str(panel.keyring)}
    done = CliRunner().invoke(app, ["import", *map(str, arguments), "--json"], env=environment)
    assert done.exit_code == expect, done.output
    return json.loads(done.stdout)


def _context(panel, profile):
    return panel.core.engine.contexts.context(panel.core.authorities.get(profile.id))[1]


def _account_url(panel, profile):
    """The account that the profile has, as the CA answers to it."""
    context = _context(panel, profile)
    url = read_record(context.documents, own_account(context).key).url
    assert Accounts().client(context).account().status == "valid"
    return url


@pytest.mark.parametrize("client", CLIENTS)
def test_another_clients_folder_moves_in_and_is_renewed(panel, start_pebble, tmp_path, client):
    """Account and certificate come along; certcore renews by itself, with the account that the other client had."""
    pebble = start_pebble(always_valid=True, nonce_reject=0)
    roots, home = tmp_path / "roots.pem", tmp_path / "home"
    roots.write_text(pebble.roots_pem)
    home.mkdir()
    data = CLIENTS[client](home, pebble, roots)
    folder = read_folder(data, now=panel.environment.now())
    (account,), (found,) = folder.accounts, folder.certificates
    assert account.url

    # Before there is a CA profile, the command says how to add it; a dry run changes nothing.
    planned = _import(panel, "auto", data, "--dry-run")
    assert planned["client"] == client
    assert [one["outcome"] for one in planned["certificates"]] == ["would_be_imported"]
    assert "authority add" in planned["accounts"][0]["command"]
    assert panel.core.certificates.list().items == ()

    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email=EMAIL)
    done = _import(panel, client, data, "--owner", "anna")
    assert [(one["outcome"], one["authority"]) for one in done["accounts"]] == [("imported", "ca")]
    assert [(one["outcome"], one["authority"]) for one in done["certificates"]] == [("imported", "ca")]
    assert _account_url(panel, profile) == account.url
    again = _import(panel, client, data, "--owner", "anna")
    assert {one["outcome"] for one in (*again["accounts"], *again["certificates"])} == {"already_there"}

    one = done["certificates"][0]["id"]
    before = panel.core.certificates.view(one)
    assert (before.certificate.status, before.certificate.owner) == ("active", "anna")
    assert before.certificate.renewal.auto
    exported = panel.core.certificates.export(one, reason="a test", actor="root")
    assert exported.private_key.reveal_text() == found.private_key.reveal_text()
    assert exported.fullchain_pem == found.bundle.leaf_pem + found.bundle.chain_pem

    panel.set_cnames(one)
    panel.drive(one, lambda _: panel.core.certificates.view(one).leaf.serial_hex != before.leaf.serial_hex)
    after = panel.core.certificates.view(one)
    assert after.certificate.status == "active"
    assert after.leaf.names == before.leaf.names
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    assert _account_url(panel, profile) == account.url
    assert pebble.certificate_status(after.leaf.serial_hex)["Status"] == "Valid"
    # The folder still has the leaf before: it is known, and nothing is imported anew.
    assert _import(panel, client, data, "--owner", "anna")["certificates"][0]["outcome"] == "already_there"
