"""Leases on running steps: renewed while a step runs, and refused writes once another process has taken over."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from certcore import CertCore
from certcore.engine.leases import LEASE
from certcore.errors import LeaseLostError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside


class SlowCA(ScriptedCA):
    """A CA that takes its time, and notes in its documents what it did."""

    def __init__(self, **options):
        super().__init__(**options)
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def advance(self, work):
        self.begun.set()
        assert self.go_on.wait(120)
        work.documents.put(f"done/{work.issuance.id}", {})
        return super().advance(work)


@pytest.fixture
def slow():
    environment = FrozenEnvironment()
    ca = SlowCA(now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("slow", module="scripted", settings={"api_key": "x"})
        draft = core.certificates.create("shop.example", authority=authority.id)
        yield core, ca, environment, core.certificates.generate_csr(draft.id).id
        ca.go_on.set()


def _schedule(core, certificate_id):
    return core.certificates.view(certificate_id).schedule


@pytest.mark.slow(reason="waits for a thread that renews leases at its own pace")
def test_the_lease_of_a_long_step_is_renewed(slow):
    """A step that takes longer than its lease keeps it, and nobody else begins the same step."""
    core, ca, environment, one = slow
    inside(core).leases.renew_after = 0.02
    ca.script = (Act.ISSUE,)
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(core.reconcile, one)
        assert ca.begun.wait(60)
        for _ in range(3):
            environment.advance(LEASE - timedelta(seconds=1))
            wanted = environment.now() + LEASE
            _until(lambda wanted=wanted: _schedule(core, one).lease_until == wanted)
            assert inside(core).engine.claim_due(10) == []
            assert not core.reconcile(one).stepped
        ca.go_on.set()
        assert step.result(10).status == "active"
    assert _schedule(core, one).lease_owner == ""
    _until(lambda: "certcore-leases" not in {thread.name for thread in threading.enumerate()})


def test_a_process_that_was_paused_past_its_lease_changes_nothing(slow):
    """What it wrote under the old lease is refused: the module's documents, and the outcome."""
    core, ca, environment, one = slow
    ca.script = (Act.ISSUE,)
    with ThreadPoolExecutor(1) as pool:
        (paused,) = inside(core).engine.claim_due(10)
        leased = inside(core).engine.load(paused)
        step = pool.submit(inside(core).engine.step, leased, keep_lease=False)
        assert ca.begun.wait(60)
        environment.advance(LEASE + timedelta(seconds=1))
        (successor,) = inside(core).engine.claim_due(10)
        ca.go_on.set()
        with pytest.raises(LeaseLostError):
            step.result(10)
        documents = inside(core).contexts.documents(ca)
        assert documents.list("done/") == []
        assert core.certificates.get(one).status == "pending"
        assert (
            inside(core).engine.step(inside(core).engine.load(successor), keep_lease=False).certificate.status
            == "active"
        )
        assert len(documents.list("done/")) == 1
    assert ca.calls == 1


def _until(condition):
    waiting = threading.Event()
    for _ in range(1000):
        if condition():
            return
        waiting.wait(0.01)
    pytest.fail("it did not happen within ten seconds")
