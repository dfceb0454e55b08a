"""Two users who edit one draft do not overwrite each other, and the second sees why."""

import pytest

from certcore import CertCore
from certcore.errors import StaleWriteError
from certcore.model.renewal import RenewalPolicy
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA


@pytest.fixture
def core():
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        yield core


@pytest.fixture
def draft(core):
    return core.certificates.create("shop.example", authority=core.authorities.list()[0].id, actor="root")


def test_the_second_sees_what_the_first_changed(core, draft):
    """The error names who saved in between, each field with what it was and what it is; nothing is overwritten."""
    core.certificates.edit(draft.id, aliases=["www.shop.example"], version=draft.version, actor="anna")
    renewal = RenewalPolicy(auto=False)
    again = core.certificates.edit(draft.id, aliases="www.shop.example\nb.shop.example", renewal=renewal, actor="carl")
    with pytest.raises(StaleWriteError) as conflict:
        core.certificates.edit(draft.id, domain="other.example", wildcard=True, version=draft.version, actor="bert")
    error = conflict.value
    assert error.actors == ("anna", "carl")
    assert error.changes["aliases"] == ([], ["www.shop.example", "b.shop.example"])
    assert (error.changes["renewal"][0]["auto"], error.changes["renewal"][1]["auto"]) == (True, False)
    assert set(error.changes) == {"aliases", "renewal"}
    assert "by anna, carl" in error.message
    assert "aliases: nothing → www.shop.example, b.shop.example" in error.advice
    assert error.as_dict()["params"]["changes"]["aliases"] == {"from": [], "to": ["www.shop.example", "b.shop.example"]}
    assert core.certificates.get(draft.id) == again
    core.certificates.edit(draft.id, domain="other.example", version=again.version, actor="bert")


def test_one_who_saved_the_same_version_conflicts_with_the_newer_only(core, draft):
    """Only what came after the version that was read is shown."""
    second = core.certificates.edit(draft.id, wildcard=True, actor="anna")
    core.certificates.edit(draft.id, key_type="rsa-2048", actor="carl")
    with pytest.raises(StaleWriteError) as conflict:
        core.certificates.edit(draft.id, wildcard=False, version=second.version, actor="bert")
    assert conflict.value.changes == {"key_type": ("ec-p256", "rsa-2048")}
    assert conflict.value.actors == ("carl",)


def test_the_timeline_says_what_an_edit_changed(core, draft):
    """The record of an edit has every changed field, before and after; of fields that stayed, none."""
    core.certificates.edit(draft.id, subject={"organization": "Größe AG"}, wildcard=False, actor="anna")
    event = core.certificates.timeline(draft.id)[-1]
    assert event.actor == "anna"
    assert event.data["changes"] == {"subject": {"from": {}, "to": {"organization": "Größe AG"}}}
