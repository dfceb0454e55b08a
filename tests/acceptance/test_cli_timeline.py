"""`certcore cert timeline` and `certcore cert list --search`: what is asked when something went wrong."""

import sqlite3
from datetime import UTC, datetime

import pytest

from certcore import CertCore
from certcore.testing.scripted_ca import Act, ScriptedCA


@pytest.fixture
def made(store):
    """A certificate with a few entries on its record; its id."""
    made = store.json("cert", "create", "shop.example.com", "--alias", "wiki.example.com", "--authority", "dead")
    store.inside("cert", "csr", made["id"])
    yield made["id"]
    if any(certificate["id"] == made["id"] for certificate in store.json("cert", "list")["certificates"]):
        store.inside("cert", "delete", made["id"], "--yes")


def test_the_record_is_shown_and_outlives_the_certificate(store, made):
    """Who did what, when: by name while it is there, by id after it was deleted."""
    shown = store.inside("cert", "timeline", "shop.example.com").stdout
    assert "created" in shown
    assert "csr generated" in shown
    assert [event["number"] for event in store.json("cert", "timeline", made)["timeline"]] == [1, 2]
    assert [event["number"] for event in store.json("cert", "timeline", made, "--limit", "1")["timeline"]] == [2]
    store.inside("cert", "delete", made, "--yes")
    last = store.json("cert", "timeline", made)["timeline"][-1]
    assert (last["number"], last["kind"]) == (3, "deleted")
    assert last["actor"].startswith("cli:")
    assert "shop.example.com" in store.inside("cert", "timeline", "shop.example.com", expect=1).stderr


def test_the_record_says_why(store):
    """What was changed, from what to what; which CA failed, with what, and which one is next; the reason given."""
    ca = ScriptedCA([Act.CA_REFUSES], now=datetime.now(UTC))
    url = f"sqlite:///{store.database}"
    with CertCore.open(url, keyring=store.keyring, plugins=[ca.plugin()]) as core:
        first, second = (core.authorities.create(name, module="scripted").id for name in ("first", "second"))
        certificate_id = core.certificates.create(
            "why.test", authority=first, subject={"country": "DE", "organization": "A"}
        ).id
        subject = {"country": "DE", "organization": "B"}
        core.certificates.edit(
            certificate_id, aliases=["a.why.test"], wildcard=True, subject=subject, fallbacks=[second]
        )
        core.certificates.edit(certificate_id, module_data={"order_reference": "canary"}, renewal={"days_before": 20})
        core.certificates.generate_csr(certificate_id)
        for act in (Act.CA_REFUSES, Act.CA_REFUSES, Act.ISSUE, Act.ISSUE):
            ca.script = (act,)
            core.reconcile(certificate_id)
        core.certificates.revoke(certificate_id, reason="superseded")
    for command in ("timeline", "show"):
        said = store.inside("cert", command, certificate_id).stdout
        for words in (
            "wildcard: no → yes; aliases: nothing → a.why.test; organization: A → B; fallbacks: nothing → ",
            "days_before: nothing → 20; module_data",
            "The scripted CA refuses. The CA said: ca_refuses",
            "from first to second; The scripted CA refuses.",
            "superseded",
        ):
            assert words in said
        assert "country" not in said
        assert "canary" not in said


def test_a_changed_record_is_found(store, made):
    """Exit code 0 and a hash to keep while it is as it was written; 1, naming the entry, when it is not."""
    good = store.json("cert", "timeline", made, "--verify")
    assert (good["intact"], good["events"], good["fault"]) == (True, 2, "")
    assert good["head"] == store.json("cert", "timeline", made)["timeline"][-1]["hash"]
    assert good["head"] in store.inside("cert", "timeline", made, "--verify", "--head", good["head"]).stdout
    assert not store.json("cert", "timeline", made, "--verify", "--head", "0" * 64, expect=1)["intact"]
    with sqlite3.connect(store.database) as database:
        database.execute("UPDATE certcore_events SET actor = 'nobody' WHERE certificate_id = ? AND number = 2", [made])
    bad = store.json("cert", "timeline", made, "--verify", expect=1)
    assert not bad["intact"]
    assert "event 2" in bad["fault"]
    assert "was tampered with" in store.inside("cert", "timeline", made, "--verify", expect=1).stdout
    assert "--verify" in store.inside("cert", "timeline", made, "--head", "x", expect=2).stderr


def test_a_certificate_is_found_by_what_is_known_of_it(store, made):
    """By the beginning of any of its names, in any case; what fits nothing finds nothing."""

    def found(*arguments):
        return [certificate["id"] for certificate in store.json("cert", "list", *arguments)["certificates"]]

    assert found("--search", "WIKI.exam") == [made]
    assert found("--search", "example.com") == [made]
    assert found("--search", "nothing.example") == []
    assert "No certificate matches" in store.inside("cert", "list", "--search", "ab:cd").stdout
    assert "--search" in store.inside("cert", "list", "--search", "x", "--status", "draft", expect=2).stderr
