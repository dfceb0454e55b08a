"""Moving in from other ACME clients: real ones issue, their folders are imported, and certcore renews."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from certcore.adapters.takeover import read_folder
from certcore.cli.app import app
from certcore.errors import CertCoreError
from certcore.testing.ports import free_ports
from certcore.testing.server import find_program
from certcore_puq_acme.accounts.pool import Accounts
from certcore_puq_acme.accounts.records import own_account, read_record
from certcore_puq_acme.network import Network
from support.acme_accounts import context_of
from support.leaves import bought

EMAIL = "me@shop.test"
_DEADLINE = 160


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
        [str(argument) for argument in arguments],
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


def _account_url(panel, profile):
    """The account that the profile has, as the CA answers to it."""
    context = context_of(panel, profile)
    url = read_record(context.documents, own_account(context).key).url
    assert Accounts(network=Network()).client(context).account().status == "valid"
    return url


@pytest.mark.pebble
@pytest.mark.parametrize("client", CLIENTS)
def test_another_clients_folder_moves_in_and_is_renewed(panel, start_pebble, tmp_path, client):
    """Account and certificate come along; certcore renews automatically, with the account that the other client had."""
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
    assert [certificate["outcome"] for certificate in planned["certificates"]] == ["would_be_imported"]
    assert "authority add" in planned["accounts"][0]["command"]
    assert panel.core.certificates.list().items == ()

    profile = panel.profile(pebble.directory_url, pebble.roots_pem, email=EMAIL)
    done = _import(panel, client, data, "--owner", "anna")
    assert [(account["outcome"], account["authority"]) for account in done["accounts"]] == [("imported", "ca")]
    assert [(certificate["outcome"], certificate["authority"]) for certificate in done["certificates"]] == [
        ("imported", "ca")
    ]
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

    # The owner is told at once which CNAME to set; it renews automatically, when the leaf is due.
    assert panel.records(one)
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


# -- the command, on folders that are made by hand ----------------------------------------------------------------

DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"


def _issued(*names, age=1, days=90):
    """A leaf with its chain, and its key."""
    return bought(*names, now=datetime.now(UTC) - timedelta(days=age), lifetime=timedelta(days=days))


def _pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.fixture
def lego_folder(tmp_path):
    """Makes lego's folder: certificates by their names, and accounts by their e-mails."""
    folder = tmp_path / ".lego"

    def put(path, text):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    def make(*certificates, accounts=()):
        for names in certificates:
            stem = names[0].replace("*", "_")
            leaf, key = _issued(*names)
            put(f"certificates/{stem}.crt", leaf)
            put(f"certificates/{stem}.key", key)
            known = {"domain": names[0], "certUrl": "https://acme-v02.api.letsencrypt.org/acme/cert/1"}
            put(f"certificates/{stem}.json", json.dumps(known))
        for number, email in enumerate(accounts):
            place = f"accounts/acme-v02.api.letsencrypt.org/{email}"
            uri = f"https://acme-v02.api.letsencrypt.org/acme/acct/{number}"
            put(f"{place}/account.json", json.dumps({"email": email, "registration": {"body": {}, "uri": uri}}))
            put(f"{place}/keys/{email}.key", _pem(ec.generate_private_key(ec.SECP256R1())))
        return folder

    return make


def _outcomes(document):
    return {
        certificate["name"]: (certificate["outcome"], certificate["authority"])
        for certificate in document["certificates"]
    }


def _said(panel, *arguments, expect=0):
    """What the command says to people."""
    environment = {"CERTCORE_DATABASE_URL": panel.url, "CERTCORE_KEYRING": str(panel.keyring)}
    done = CliRunner().invoke(app, ["import", *map(str, arguments)], env=environment)
    assert done.exit_code == expect, done.output
    assert "Traceback" not in done.output
    return done.output


def test_without_a_ca_profile_and_bound_when_there_is_one(panel, lego_folder):
    """Imported unbound, with the command to type; the same import again binds what it had left unbound."""
    folder = lego_folder(("shop.test",), accounts=["me@shop.test"])
    done = _import(panel, "lego", folder)
    (one,) = done["certificates"]
    assert (one["outcome"], one["authority"]) == ("imported", None)
    assert DIRECTORY in one["detail"]
    command = shlex.split(one["command"])
    assert command[:6] == ["certcore", "authority", "add", "NAME", "--module", "puq_acme"]
    assert {"ca=letsencrypt", "email=me@shop.test", "terms_agreed=yes", "tech_zone=TECH_ZONE"} <= set(command)
    assert done["accounts"][0]["outcome"] == "left_out"
    assert panel.core.certificates.get(one["id"]).authority_id is None
    # The command leads to a profile for this directory.
    values = [name.replace("TECH_ZONE", panel.tech_zone) for name in command[6:] if name != "--set"]
    environment = {"CERTCORE_DATABASE_URL": panel.url, "CERTCORE_KEYRING": str(panel.keyring)}
    settings = [part for value in values for part in ("--set", value)]
    added = CliRunner().invoke(app, ["authority", "add", "le", "--module", "puq_acme", *settings], env=environment)
    assert added.exit_code == 0, added.output
    planned = _import(panel, "lego", folder, "--dry-run", "--without-accounts")
    assert _outcomes(planned) == {"shop.test": ("would_be_bound", "le")}
    assert panel.core.certificates.get(one["id"]).authority_id is None
    done = _import(panel, "lego", folder, "--without-accounts")
    assert (_outcomes(done), done["accounts"]) == ({"shop.test": ("bound", "le")}, [])
    assert panel.core.certificates.get(one["id"]).authority_id == panel.core.authorities.get("le").id
    assert _outcomes(_import(panel, "lego", folder, "--without-accounts")) == {"shop.test": ("already_there", "le")}


def test_which_ca_profile(panel, lego_folder):
    """Of several for one directory none is chosen unless it is named; a named one is taken for any certificate."""
    folder = lego_folder(("shop.test",), accounts=["me@shop.test"])
    for name in ("first", "second"):
        panel.core.authorities.create(
            name, module="puq_acme", settings={"ca": "letsencrypt", "tech_zone": panel.tech_zone}
        )
    panel.profile("https://ca.test/dir", name="other")
    planned = _import(panel, "lego", folder, "--dry-run")
    assert _outcomes(planned) == {"shop.test": ("would_be_imported", None)}
    assert "2 CA profiles" in planned["certificates"][0]["detail"]
    assert "--authority" in planned["accounts"][0]["detail"]
    named = _import(panel, "lego", folder, "--dry-run", "--authority", "other", "--authority", "second")
    assert _outcomes(named) == {"shop.test": ("would_be_imported", "second")}
    assert [(account["outcome"], account["authority"]) for account in named["accounts"]] == [
        ("would_be_imported", "second")
    ]
    named = _import(panel, "lego", folder, "--authority", "other", "--without-accounts")
    assert _outcomes(named) == {"shop.test": ("imported", "other")}
    assert "authority list" in _said(panel, "lego", folder, "--authority", "nobody", expect=1)


def test_one_account_for_a_profile(panel, lego_folder):
    """Of several accounts for one directory, one is imported and the others are listed."""
    folder = lego_folder(accounts=["a@shop.test", "b@shop.test"])
    panel.core.authorities.create("le", module="puq_acme", settings={"ca": "letsencrypt", "tech_zone": "acme.test"})
    planned = _import(panel, "lego", folder, "--dry-run")
    assert [account["outcome"] for account in planned["accounts"]] == ["would_be_imported", "left_out"]
    assert "one account" in planned["accounts"][1]["detail"]


def test_a_profile_that_refuses_a_name(panel, lego_folder):
    """A refused certificate is listed with the reason, the others are imported, and the exit code is 1."""
    folder = lego_folder(("*.shop.test",), ("www.shop.test",))
    settings = {"ca": "letsencrypt", "tech_zone": panel.tech_zone, "allow_wildcard": False}
    panel.core.authorities.create("le", module="puq_acme", settings=settings)
    done = _import(panel, "lego", folder, expect=1)
    assert _outcomes(done) == {"*.shop.test": ("failed", "le"), "www.shop.test": ("imported", "le")}
    assert "wildcard" in done["certificates"][0]["detail"]


def test_what_people_read(panel, lego_folder):
    """Tables with every certificate, why something was left out, and never a key; a broken file is exit code 1."""
    folder = lego_folder(("shop.test",), ("old.test",), ("bad.test",), accounts=["me@shop.test"])
    for ending, content in zip((".crt", ".key"), _issued("old.test", age=100), strict=True):
        (folder / f"certificates/old.test{ending}").write_text(content)
    (folder / "certificates/bad.test.key").write_text("no key")
    (folder / "certificates/evil\x1b[31m.crt").write_text("no certificate")
    said = _said(panel, "auto", folder, "--dry-run", expect=1)
    assert "would be imported" in said
    assert re.search(r"old\.test\.crt +It expired on", said)
    assert "Nothing was changed" in said
    assert "\x1b" not in said
    assert "certcore authority add NAME" in said
    keys = [path.read_text() for path in folder.rglob("*.key")]
    pieces = {piece for text in keys for piece in re.findall(r"[A-Za-z0-9+/]{40,}", text)}
    assert len(pieces) >= 4
    said += _said(panel, "auto", folder, expect=1) + json.dumps(_import(panel, "auto", folder, expect=1))
    assert not [piece for piece in pieces if piece in said]
    for name in ("bad.test.crt", "bad.test.key", "bad.test.json", "evil\x1b[31m.crt"):
        (folder / "certificates" / name).unlink()
    assert "already there" in _said(panel, "auto", folder)


def test_a_folder_or_client_that_is_none(panel, tmp_path):
    """Each mistake has its sentence and its exit code."""
    (tmp_path / "empty").mkdir()
    assert "not the data directory" in _said(panel, "auto", tmp_path / "empty", expect=1)
    assert "nothing of certbot" in _said(panel, "certbot", tmp_path / "empty", expect=1)
    assert "cannot be opened" in _said(panel, "certbot", tmp_path / "missing", expect=1)
    assert "none of auto, certbot, lego, acme.sh, caddy" in _said(panel, "apache", tmp_path, expect=2)
