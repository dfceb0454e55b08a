"""One INFO record for each entry of a timeline, with fields that do not change; nothing before the commit."""

import json
import logging

import pytest

from certcore.adapters.logged_storage import LOGGER
from certcore.errors import StaleWriteError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on

FIELDS = ("event", "certificate_id", "domain", "owner", "actor", "status_from", "status_to", "code")


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger=LOGGER)
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.WAIT_OWNER, Act.WORK, Act.ISSUE], now=environment.now())
    with core_on(request.param, tmp_path, plugins=[ca.plugin()], environment=environment) as core:
        profile = core.authorities.create("test", module="scripted", settings={"api_key": "canary-api-key"})
        yield core, ca, environment, profile.id


def _records(caplog):
    return [
        tuple(getattr(record, name) for name in FIELDS)
        for record in caplog.records
        if record.name == LOGGER and record.levelno == logging.INFO
    ]


def _step(core, environment, certificate_id):
    due_at = core.certificates.view(certificate_id).schedule.due_at
    environment.set(max(due_at, environment.now()))
    core.reconcile(certificate_id)


def test_a_whole_issuance_logs_exactly_its_transitions(world, caplog):
    """From draft to active: five records, each on one line, without a secret."""
    core, _, environment, authority = world
    one = core.certificates.create("shop.example", authority=authority, owner="anna", actor="carla").id
    core.certificates.generate_csr(one, actor="carla")
    while core.certificates.get(one).status != "active":
        _step(core, environment, one)
    assert _records(caplog) == [
        ("created", one, "shop.example", "anna", "carla", "", "draft", ""),
        ("csr_generated", one, "shop.example", "anna", "carla", "draft", "pending", ""),
        ("waiting", one, "shop.example", "anna", "engine", "pending", "pending", ""),
        ("processing", one, "shop.example", "anna", "engine", "pending", "processing", ""),
        ("installed", one, "shop.example", "anna", "engine", "processing", "active", ""),
    ]
    assert f"Certificate shop.example ({one}): installed, processing -> active" in caplog.messages
    assert all("\n" not in message and "canary" not in message for message in caplog.messages)
    assert json.dumps(_records(caplog))


def test_a_failure_has_the_code_of_its_problem(world, caplog):
    """So that alerts can be made for a kind of failure."""
    core, ca, environment, authority = world
    ca.script = (Act.FAIL_NEVER,)
    one = core.certificates.create("shop.example", authority=authority).id
    core.certificates.generate_csr(one)
    _step(core, environment, one)
    assert _records(caplog)[-1][-3:] == ("pending", "error", "urn:scripted:fail_never")


def test_what_is_rolled_back_is_not_logged(world, caplog):
    """A save over a newer one leaves no record; a deletion has the domain although the row is gone."""
    core, _, _, authority = world
    draft = core.certificates.create("shop.example", authority=authority)
    core.certificates.edit(draft.id, wildcard=True, version=draft.version)
    caplog.clear()
    with pytest.raises(StaleWriteError):
        core.certificates.edit(draft.id, wildcard=False, version=draft.version)
    assert _records(caplog) == []
    core.certificates.delete(draft.id)
    assert [record[:3] for record in _records(caplog)] == [("deleted", draft.id, "shop.example")]


def test_nothing_is_logged_below_info(world, caplog):
    """The usual level of a program is a warning."""
    core, _, _, authority = world
    caplog.set_level(logging.WARNING, logger=LOGGER)
    core.certificates.create("shop.example", authority=authority)
    assert _records(caplog) == []
