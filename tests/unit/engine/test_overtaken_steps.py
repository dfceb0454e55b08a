"""Deleting and stepping at the same moment: in whatever order they come, nothing is left behind at the module."""

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from certcore import Status
from certcore.adapters.environment import SystemEnvironment
from certcore.errors import CertCoreError, NotFoundError
from certcore.ports.ca_module import Waiting, WaitingFor
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on

PATIENCE = 60


class HookedCA(ScriptedCA):
    """Calls the test before and after it takes hold of something, and before and after it takes it back."""

    def __init__(self, *script, **options):
        super().__init__(*script, **options)
        self.hooks = {}

    def reach(self, point):
        hook = self.hooks.pop(point, None)
        if hook is not None:
            hook()

    def advance(self, work):
        self.reach("before taking hold")
        step = super().advance(work)
        self.reach("after taking hold")
        return step

    def clean_up(self, work):
        self.reach("before taking back")
        again = super().clean_up(work)
        self.reach("after taking back")
        return again


@pytest.fixture
def hooked(tmp_path):
    ca = HookedCA([Act.WAIT_OWNER], now=SystemEnvironment().now())
    with core_on("memory", tmp_path, plugins=[ca.plugin()]) as core:
        core.authorities.create("test", module="scripted")
        yield core, ca


def requested(core, domain="shop.example"):
    authority_id = core.certificates.create(domain, authority=core.authorities.get("test").id).id
    core.certificates.generate_csr(authority_id)
    return authority_id


def waiting(core, ca, *, steps):
    """A certificate that has taken so many steps, and is due for the next."""
    certificate_id = requested(core)
    for _ in range(steps):
        core.reconcile(certificate_id)
    if steps:
        core.certificates.check_now(certificate_id)
    return certificate_id


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("point", ["before taking hold", "after taking hold"])
def test_deleted_in_the_middle_of_a_step(hooked, steps, point):
    """The whole deletion happens while the module is at work."""
    core, ca = hooked
    certificate_id = waiting(core, ca, steps=steps)
    ca.hooks[point] = lambda: core.certificates.delete(certificate_id)
    assert core.reconcile(certificate_id).status is None
    assert not ca.held
    with pytest.raises(NotFoundError):
        core.certificates.get(certificate_id)


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("paused", ["before taking hold", "after taking hold"])
@pytest.mark.parametrize("goes_on", ["before taking back", "after taking back"])
def test_a_step_that_ends_in_the_middle_of_a_deletion(hooked, steps, paused, goes_on):
    """The step's outcome is refused before the rows are gone, and it takes hold before or after the deletion looked."""
    core, ca = hooked
    certificate_id = waiting(core, ca, steps=steps)
    inside, gate = threading.Event(), threading.Event()

    def pause():
        inside.set()
        assert gate.wait(PATIENCE)

    ca.hooks[paused] = pause
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(core.reconcile, certificate_id)
        assert inside.wait(PATIENCE)

        def go_on():
            gate.set()
            step.result(PATIENCE)

        ca.hooks[goes_on] = go_on
        core.certificates.delete(certificate_id)
    assert not ca.held
    with pytest.raises(NotFoundError):
        core.certificates.get(certificate_id)


def test_somebody_else_takes_it_up_in_the_middle_of_a_deletion(hooked):
    """What they began is taken back as well, before the rows go."""
    core, ca = hooked
    certificate_id = waiting(core, ca, steps=1)

    def take_up():
        core.certificates.back_to_draft(certificate_id)
        core.certificates.generate_csr(certificate_id)
        core.reconcile(certificate_id)

    ca.hooks["after taking back"] = take_up
    core.certificates.delete(certificate_id)
    assert not ca.held
    with pytest.raises(NotFoundError):
        core.certificates.get(certificate_id)


def test_a_deletion_that_failed_lets_the_step_go_on(hooked):
    """What could not be taken back keeps the certificate; an attempt that goes on ends as it would have."""
    core, ca = hooked
    certificate_id = waiting(core, ca, steps=1)
    ca.busy_until = SystemEnvironment().now().replace(year=2100)
    with pytest.raises(CertCoreError, match="nothing was changed"):
        core.certificates.delete(certificate_id)
    ca.busy_until, ca.script = None, (Act.ISSUE,)
    for _ in range(4):
        core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE
    assert not ca.held
    core.certificates.delete(certificate_id)


class HandleCA(HookedCA):
    """What it holds is known by a number that only the step's new state has."""

    numbers = itertools.count(1)

    def advance(self, work):
        self.reach("before taking hold")
        handle = next(self.numbers)
        self.held.add(handle)
        self.reach("after taking hold")
        handles = [*(work.state or {}).get("handles", []), handle]
        now = work.environment.now()
        return Waiting(
            state={"handles": handles}, look_again=now, waiting_for=WaitingFor.AUTHORITY, needs_clean_up=True
        )

    def clean_up(self, work):
        self.reach("before taking back")
        self.held.difference_update((work.state or {}).get("handles", []))
        self.reach("after taking back")


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_what_only_the_refused_state_knows_is_taken_back(tmp_path, steps):
    """The module gets the state that the step returned, not the one before it."""
    ca = HandleCA([Act.WORK], now=SystemEnvironment().now())
    with core_on("memory", tmp_path, plugins=[ca.plugin()]) as core:
        core.authorities.create("test", module="scripted")
        certificate_id = waiting(core, ca, steps=steps)
        ca.hooks["after taking hold"] = lambda: core.certificates.delete(certificate_id)
        assert core.reconcile(certificate_id).status is None
        assert not ca.held


class EagerCA(ScriptedCA):
    """Is at work at each step, and wants the next one at once."""

    def advance(self, work):
        step = super().advance(work)
        now = work.environment.now()
        return Waiting(
            state=step.state, look_again=now, waiting_for=WaitingFor.AUTHORITY, needs_clean_up=step.needs_clean_up
        )


def delete_beside_workers(core, ca, count):
    """Delete so many certificates at moments that chance chooses, beside two workers that step them."""
    chance = random.Random(count)
    workers = [core.worker(threads=3, in_flight=8, poll_interval=0.001) for _ in range(2)]
    for worker in workers:
        worker.start()

    def live(number):
        certificate_id = requested(core, f"d{number}.example")
        time.sleep(chance.random() * 0.02)
        core.certificates.delete(certificate_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, range(count)))
    assert all(worker.stop(PATIENCE) for worker in workers)
    assert not core.certificates.list().items
    return set(ca.held)


@pytest.mark.slow(reason="deletes hundreds of certificates beside running workers")
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_many_deletions_beside_workers(tmp_path, storage):
    """At the end the module holds nothing."""
    ca = EagerCA([Act.WORK], now=SystemEnvironment().now())
    with core_on(storage, tmp_path, plugins=[ca.plugin()]) as core:
        core.authorities.create("test", module="scripted")
        assert delete_beside_workers(core, ca, 60) == set()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_thousand_deletions_beside_workers(tmp_path):
    """At the end the module holds nothing."""
    ca = EagerCA([Act.WORK], now=SystemEnvironment().now())
    with core_on("memory", tmp_path, plugins=[ca.plugin()]) as core:
        core.authorities.create("test", module="scripted")
        for _ in range(20):
            assert delete_beside_workers(core, ca, 1000) == set()
