"""`certcore doctor`: what keeps a domain from being validated, as text, as JSON and as an exit code."""

import pytest

from certcore.adapters.environment import SystemEnvironment
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.server import ZoneServer

NAME = "_acme-challenge.shop.test"


@pytest.fixture(scope="module")
def zone():
    return MemoryZone("shop.test")


@pytest.fixture(scope="module")
def store(certcore, zone):
    """A store with one CA profile, whose resolver knows the customer's zone and the tech zone."""
    certcore("init")
    server = ZoneServer(("127.0.0.1", 0), [zone, MemoryZone("acme.panel.test")], SystemEnvironment())
    certcore(
        *("authority", "add", "local", "--module", "puq_acme", "--set", "ca=custom", "--set", "terms_agreed=yes"),
        *("--set", "directory_url=https://127.0.0.1:1/dir", "--set", "tech_zone=acme.panel.test"),
        *("--set", f"dns_servers=127.0.0.1:{server.address[1]}", "--set", "api_timeout=2"),
    )
    yield certcore
    server.close()


def test_what_is_missing_is_said_and_the_record_is_ready_to_copy(store, zone):
    """Exit code 1 until the record is there; then 0. No certificate is needed, none is made."""
    said = store.inside("doctor", "shop.test", expect=1).stdout
    assert f"{NAME} has no record" in said
    (line,) = [line for line in said.splitlines() if line.strip().startswith("set:")]
    _, name, kind, target = line.split()
    assert (name, kind) == (NAME, "CNAME")
    zone.set(NAME, "CNAME", target.removesuffix("."))
    assert "Nothing keeps the names" in store.inside("doctor", "shop.test", "--authority", "local").stdout
    assert store.json("cert", "list")["certificates"] == []


def test_programs_get_codes(store, zone):
    """With --json: every finding with its code; another owner has another target."""
    zone.set(NAME, "CNAME", "elsewhere.example")
    document = store.json("doctor", "shop.test", "*.shop.test", "--owner", "42", expect=1)
    assert document["ok"] is False
    (finding,) = document["findings"]
    assert (finding["code"], finding["severity"], finding["seen"]) == (
        "cname_wrong_target",
        "error",
        "elsewhere.example",
    )


def test_without_a_ca_profile_it_asks_which(store):
    """With several profiles one has to be named; a name that is not one is refused."""
    store("authority", "add", "second", "--module", "puq_acme", "--set", "tech_zone=acme.panel.test")
    refused = store.json("doctor", "shop.test", expect=1)
    assert refused["error"]["code"] == "invalid_input"
    assert store.json("doctor", "not a name", "--authority", "local", expect=1)["error"]["code"]
