"""The threads of a worker: all of them work while there is work for all, and none is lost, whatever a module does."""

import asyncio
import logging
import threading
import time
from datetime import timedelta

import pytest
from attrs import field, frozen

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.engine.troubles import put_off
from certcore.testing.scripted_ca import Act, ScriptedCA

PATIENCE = 60


def until(condition):
    """Wait for what has to come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Leaving(BaseException):
    """What greenlets and other frameworks throw to end whatever runs."""


@frozen
class Watched(SystemEnvironment):
    """Notes the looks that workers take at the clock, and throws at those that do when the test says so."""

    looks: list = field(factory=list)
    throws: list = field(factory=list)

    def now(self):
        if threading.current_thread().name.startswith("certcore-worker"):
            self.looks.append(None)
            if self.throws:
                raise self.throws.pop()
        return super().now()


class MeetingCA(ScriptedCA):
    """Its steps wait for each other; names that begin with "poison" do what `poison` does instead."""

    meeting = None
    poison = None

    def advance(self, work):
        if self.poison is not None and work.certificate.domain.ascii.startswith("poison"):
            self.poison()
        if self.meeting is not None:
            self.meeting.wait(PATIENCE)
        return super().advance(work)


@pytest.fixture
def meeting():
    environment = Watched()
    ca = MeetingCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        yield core, ca, environment


def request(core, count, prefix="d"):
    """So many certificates that wait for their first step."""
    authority = core.authorities.find("test")
    ids = [core.certificates.create(f"{prefix}{number}.example", authority=authority.id).id for number in range(count)]
    for one in ids:
        core.certificates.generate_csr(one)
    return ids


def statuses(core, ids):
    return {core.certificates.get(one).status for one in ids}


def rested(core, worker, environment):
    """Let the worker work once, and then look into the store in vain a few times."""
    request(core, 1, "first")
    worker.wake()
    until(lambda: worker.is_idle(timedelta(0)))
    looks = len(environment.looks)
    until(lambda: len(environment.looks) > looks + 20)


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_a_worker_that_has_rested_uses_all_its_threads(meeting, threads):
    """Forty steps of which each waits until all threads are in one: they come through in forty / threads rounds."""
    core, ca, environment = meeting
    worker = core.worker(threads=threads, in_flight=8, poll_interval=0.01)
    worker.start()
    rested(core, worker, environment)
    ca.meeting = threading.Barrier(threads)
    ids = request(core, 40)
    until(lambda: statuses(core, ids) == {Status.ACTIVE} or ca.meeting.broken)
    assert not ca.meeting.broken
    assert worker.stop(timeout=PATIENCE)


class DeadlyHandler(logging.Handler):
    """A handler of log records that ends the thread that logs."""

    def emit(self, record):
        if threading.current_thread().name.startswith(("certcore-worker", "certcore-outbox", "certcore-leases")):
            raise SystemExit


@pytest.fixture
def deadly_log():
    """Whoever of certcore's threads logs dies in it: nothing in the library can contain that."""
    handler = DeadlyHandler()
    logger = logging.getLogger("certcore.engine.worker")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.parametrize("deaths", [1, 4])
def test_threads_that_die_are_replaced(meeting, deadly_log, deaths):
    """Health counts them, and those that live afterwards use all threads, also when the one on watch has died."""
    core, ca, environment = meeting
    worker = core.worker(threads=4, in_flight=8, poll_interval=0.01)
    worker.start()
    rested(core, worker, environment)
    environment.throws.extend(SystemExit() for _ in range(deaths))
    until(lambda: worker.health().replaced == deaths)
    until(lambda: worker.health().threads == 4)
    ca.meeting = threading.Barrier(4)
    ids = request(core, 8)
    until(lambda: statuses(core, ids) == {Status.ACTIVE} or ca.meeting.broken)
    assert not ca.meeting.broken
    until(lambda: worker.busy == 0)
    assert worker.stop(timeout=PATIENCE)


@pytest.mark.parametrize("count", [2, 6, 20])
@pytest.mark.parametrize(
    "error",
    [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, Leaving, RecursionError, MemoryError],
)
def test_modules_that_throw_anything_cost_nobody_else_a_thread(meeting, error, count):
    """Each poisonous certificate has the problem; every other one becomes active, and no thread is lost."""
    core, ca, _ = meeting

    def poison():
        raise error

    ca.poison = poison
    worker = core.worker(threads=2, in_flight=8, poll_interval=0.01)
    worker.start()
    bad = request(core, count, "poison")
    good = request(core, 4)
    until(lambda: statuses(core, good) == {Status.ACTIVE})
    until(lambda: all(core.certificates.get(one).problem is not None for one in bad))
    health = worker.health()
    assert (health.threads, health.replaced) == (2, 0)
    assert all(core.certificates.view(one).schedule.due_at > core.engine.environment.now() for one in bad)
    until(lambda: worker.busy == 0)
    assert worker.stop(timeout=PATIENCE)


def test_a_row_that_cannot_be_read_is_put_off(meeting):
    """What raises while a certificate is loaded is that certificate's trouble as well: looked at later and later."""
    core, _, environment = meeting
    (bad,) = request(core, 1, "poison")
    (schedule,) = core.engine.claim_due(10)
    error = ValueError("a row that nobody can read")
    put_off(schedule, error, storage=core.engine.storage, environment=environment)
    later = core.certificates.view(bad).schedule
    assert later.lease_until is None
    assert later.due_at > environment.now()
    assert later.attempts == 1
