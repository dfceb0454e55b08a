"""What of a step is stored when: documents with the outcome, and steps that need not be stored one by one."""

from datetime import timedelta

import pytest
from attrs import evolve

from certcore import CertCore
from certcore.engine.worker import HOLD
from certcore.errors import LeaseLostError
from certcore.ports.ca_module import Waiting, WaitingFor
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside


class PollingCA(ScriptedCA):
    """Orders at its first step, looks twice, and issues; every step notes something in its documents."""

    def __init__(self, **options):
        super().__init__(script=[Act.ISSUE], **options)
        self.seen = []
        self.pause = timedelta(seconds=1)
        self.notes = True

    def advance(self, work):
        looks = (work.state or {}).get("looks", 0)
        self.seen.append(looks)
        if looks == 0 or looks == 3:
            work.documents.with_outcome.change("count", lambda value: {"steps": value.get("steps", 0) + 1})
        if looks == 3:
            return super().advance(work)
        return Waiting(
            state={"looks": looks + 1},
            look_again=work.environment.now() + self.pause,
            waiting_for=WaitingFor.AUTHORITY,
            needs_clean_up=True,
            ordered=looks == 0,
            repeatable=looks > 0,
        )


@pytest.fixture
def polling():
    environment = FrozenEnvironment()
    ca = PollingCA(now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("polling", module="scripted")
        draft = core.certificates.create("shop.example", authority=authority.id)
        yield core, ca, environment, core.certificates.generate_csr(draft.id).id


def _claim(core):
    engine = inside(core).engine
    (schedule,) = engine.claim_due(10)
    return engine, engine.load(schedule)


def _looks(core, certificate_id):
    """How far the stored state is."""
    return core.certificates.issuances(certificate_id)[-1].module_state["looks"]


def _documents(core):
    engine = inside(core).engine
    return engine.contexts.documents(engine.plugins.module("scripted"))


def test_a_step_that_may_be_repeated_is_stored_with_a_later_one(polling):
    """An order is stored at once; the looks at it are not, until the certificate is issued."""
    core, ca, environment, one = polling
    engine, held = _claim(core)
    held = engine.step(held, keep_lease=HOLD)
    assert _looks(core, one) == 1
    for _ in range(2):
        environment.advance(ca.pause)
        held = engine.step(held, keep_lease=HOLD)
        assert held.schedule.lease_owner
        assert _looks(core, one) == 1
    environment.advance(ca.pause)
    engine.step(held, keep_lease=HOLD)
    assert core.certificates.get(one).status == "active"
    assert ca.seen == [0, 1, 2, 3]


def test_what_was_not_stored_is_done_again(polling):
    """A process that dies between such steps loses no more than these."""
    core, ca, environment, one = polling
    engine, held = _claim(core)
    held = engine.step(held, keep_lease=HOLD)
    environment.advance(ca.pause)
    engine.step(held, keep_lease=HOLD)  # and the process dies
    environment.advance(timedelta(minutes=2))
    for _ in range(3):
        core.reconcile(one)
        environment.advance(ca.pause)
    assert core.certificates.get(one).status == "active"
    assert ca.seen == [0, 1, 1, 2, 3]


@pytest.mark.parametrize("why", ["no lease", "a long pause", "after some time"])
def test_a_step_is_stored_where_it_is_not_continued_soon(polling, why):
    """Nothing is kept in memory but for a few seconds: without the lease, before a long pause, and now and then."""
    core, ca, environment, one = polling
    engine, held = _claim(core)
    held = engine.step(held, keep_lease=HOLD)
    if why == "a long pause":
        ca.pause = timedelta(minutes=1)
    environment.advance(timedelta(seconds=15 if why == "after some time" else 1))
    engine.step(held, keep_lease=False if why == "no lease" else HOLD)
    assert _looks(core, one) == 2


def test_a_worker_that_stops_stores_what_it_has_in_hand(polling):
    """A certificate that is put down between such steps keeps its state, and is free."""
    core, ca, environment, one = polling
    engine, held = _claim(core)
    held = engine.step(held, keep_lease=HOLD)
    environment.advance(ca.pause)
    engine.put_down(engine.step(held, keep_lease=HOLD))
    assert _looks(core, one) == 2
    assert core.certificates.view(one).schedule.lease_owner == ""


def test_documents_are_stored_with_the_outcome_or_not_at_all(polling):
    """A change of a document is there when the step is stored; a step that was overtaken leaves none."""
    core, _, environment, one = polling
    engine, held = _claim(core)
    taken_over = evolve(held, schedule=evolve(held.schedule, token=held.schedule.token - 1))
    with pytest.raises(LeaseLostError):
        engine.step(taken_over, keep_lease=HOLD)
    assert _documents(core).get("count") is None
    engine.step(held, keep_lease=HOLD)
    assert _documents(core).get("count").value == {"steps": 1}
    environment.advance(timedelta(minutes=2))
    for _ in range(3):
        core.reconcile(one)
        environment.advance(timedelta(seconds=1))
    assert _documents(core).get("count").value == {"steps": 2}


def test_a_step_sees_one_state_of_the_documents(polling):
    """What another process writes during a step is seen after `refresh`; own writes are seen at once."""
    core, ca, _, one = polling
    documents = _documents(core)
    documents.put("shared", {"by": "others"})
    seen = []

    def advance(work):
        mine = work.documents
        seen.append(mine.get("shared").value["by"])
        documents.put("shared", {"by": "others again"})
        seen.append(mine.get_many(["shared", "missing"])["shared"].value["by"])
        mine.refresh()
        seen.append(mine.get("shared").value["by"])
        mine.put("shared", {"by": "me"})
        seen.append(mine.get("shared").value["by"])
        return ScriptedCA.advance(ca, work)

    ca.advance = advance
    core.reconcile(one)
    assert seen == ["others", "others", "others again", "me"]
