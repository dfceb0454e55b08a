"""`certcore cert preflight`: whether a certificate could be renewed now, as text, as JSON and as an exit code."""

from datetime import UTC, datetime

import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.server import ZoneServer
from support.leaves import bought

NAME = "_acme-challenge.shop.test"


@pytest.fixture(scope="module")
def zone():
    return MemoryZone("shop.test")


@pytest.fixture(scope="module")
def store(certcore, zone):
    """An imported certificate, whose CA profile sees the customer's zone and the tech zone."""
    certcore("init")
    tech = MemoryZone("acme.panel.test")
    server = ZoneServer(("127.0.0.1", 0), [zone, tech], SystemEnvironment())
    certcore(
        *("authority", "add", "local", "--module", "puq_acme", "--set", "ca=custom", "--set", "terms_agreed=yes"),
        *("--set", "directory_url=https://127.0.0.1:1/dir", "--set", "tech_zone=acme.panel.test"),
        *("--set", f"dns_servers=127.0.0.1:{server.address[1]}", "--set", "api_timeout=2"),
    )
    leaf_pem, key_pem = bought("shop.test", now=datetime.now(UTC))
    (certcore.folder / "leaf.pem").write_text(leaf_pem)
    (certcore.folder / "key.pem").write_text(key_pem)
    certcore(
        "cert", "import", certcore.folder / "leaf.pem", "--key", certcore.folder / "key.pem", "--authority", "local"
    )
    yield certcore
    server.close()


def test_it_says_why_and_whose_turn_it_is(store, zone):
    """Exit code 1 with the record that is ready to copy until it is there; then 0."""
    document = store.json("cert", "preflight", "shop.test", expect=1)
    assert (document["ready"], document["whose_turn"], document["domain"]) == (False, "owner", "shop.test")
    (missing,) = [obstacle for obstacle in document["obstacles"] if obstacle["code"] == "cname_missing"]
    assert (missing["blocks"], missing["whose_turn"]) == (True, "owner")
    said = store.inside("cert", "preflight", "shop.test", expect=1).stdout
    assert "shop.test could not be renewed now." in said
    assert "The owner of the domain has to repair this:" in said
    assert f"set:  {NAME} CNAME" in said
    assert store.json("cert", "show", "shop.test")["preflight"]["whose_turn"] == "owner"
    _repair(store, zone)


def _repair(store, zone):
    obstacles = store.json("cert", "preflight", "shop.test", expect=1)["obstacles"]
    (record,) = [record for obstacle in obstacles for record in obstacle["remedy"]]
    zone.set(record["name"], record["type"], record["value"].removesuffix("."))


def test_a_target_that_cannot_be_written_is_said(store, zone):
    """With --targets the file's deployments are looked at: why, for the administrator; repaired, it is ready."""
    if not zone.records(zone.zones()[0], NAME):  # the test above has not set it
        _repair(store, zone)
    folder = store.folder / "deployed"
    targets = store.folder / "targets.toml"
    targets.write_text(f'[[deploy]]\nname = "web"\nfolder = "{folder}"\nimports = true\n')
    targets.chmod(0o600)
    folder.write_text("a file is in the way")
    options = ("cert", "preflight", "shop.test", "--targets", targets)
    target = [one for one in store.json(*options, expect=1)["obstacles"] if one["target"]]
    assert [(one["code"], one["target"], one["whose_turn"]) for one in target] == [
        ("target_not_writable", "web", "administrator")
    ]
    folder.unlink()
    document = store.json(*options)
    assert document["ready"] is True
    assert document["next_check_at"]
    assert "shop.test could be renewed now." in store.inside(*options).stdout
