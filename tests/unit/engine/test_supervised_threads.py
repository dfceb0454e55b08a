"""The threads of a worker: all of them work while there is work for all, and none is lost, whatever a module does."""

import asyncio
import contextlib
import logging
import threading
import time
from datetime import timedelta

import pytest
from attrs import evolve, field, frozen

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.engine.failed_steps import put_off
from certcore.engine.supervised_threads import Crew
from certcore.engine.worker import Worker
from certcore.hookspecs import hookimpl
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on
from support.inside import inside

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
    authority = core.authorities.get("test")
    ids = [core.certificates.create(f"{prefix}{number}.example", authority=authority.id).id for number in range(count)]
    for certificate_id in ids:
        core.certificates.generate_csr(certificate_id)
    return ids


def statuses(core, ids):
    return {core.certificates.get(certificate_id).status for certificate_id in ids}


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


class Hesitant:
    """A store that does something before it lets the thread of the test read."""

    def __init__(self, storage, before):
        self.storage, self.before = storage, before

    def __getattr__(self, name):
        return getattr(self.storage, name)

    def read(self):
        if threading.current_thread() is threading.main_thread():
            self.before()
        return self.storage.read()


def test_a_worker_that_claims_while_it_is_asked_is_not_idle(meeting):
    """What it takes up between two looks, at its hands and at the store, is not taken for another process's."""
    core, ca, environment = meeting
    taken = threading.Event()

    def claimed():
        if ids and not taken.is_set():
            taken.set()
            core.certificates.generate_csr(ids[0])
            until(lambda: ca.meeting.n_waiting)

    storage = Hesitant(inside(core).storage, claimed)
    worker = Worker(
        engine=evolve(inside(core).engine, storage=storage), outbox=inside(core).outbox, threads=1, poll_interval=0.01
    )
    ids = []
    worker.start()
    rested(core, worker, environment)
    ca.meeting = threading.Barrier(2)
    ids.append(core.certificates.create("late.example", authority=core.authorities.get("test").id).id)
    assert not worker.is_idle(timedelta(seconds=10))
    assert taken.is_set()
    ca.meeting.wait(PATIENCE)
    until(lambda: worker.is_idle(timedelta(seconds=10)))
    assert statuses(core, ids) == {Status.ACTIVE}
    assert worker.stop(timeout=PATIENCE)


class DeadlyHandler(logging.Handler):
    """A handler of log records that ends the thread that logs, but for its last words."""

    def emit(self, record):
        if "died" not in record.getMessage() and threading.current_thread().name.startswith(
            ("certcore-worker", "certcore-outbox", "certcore-leases")
        ):
            raise SystemExit


@contextlib.contextmanager
def dying(logger):
    """Whoever of certcore's threads logs there dies in it: nothing in the library can contain that."""
    handler = DeadlyHandler()
    if logger is not None:
        logging.getLogger(logger).addHandler(handler)
    yield
    if logger is not None:
        logging.getLogger(logger).removeHandler(handler)


@pytest.fixture
def deadly_log():
    """Threads that take steps die when they log."""
    with dying("certcore.engine.worker"):
        yield


@pytest.mark.slow(reason="the thread on watch looks once a second")
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
    assert all(core.certificates.view(one).schedule.due_at > core.now() for one in bad)
    until(lambda: worker.busy == 0)
    assert worker.stop(timeout=PATIENCE)


def test_a_row_that_cannot_be_read_is_put_off(meeting):
    """What raises while a certificate is loaded is that certificate's trouble as well: looked at later and later."""
    core, _, environment = meeting
    (bad,) = request(core, 1, "poison")
    (schedule,) = inside(core).engine.claim_due(10)
    error = ValueError("a row that nobody can read")
    put_off(schedule, error, storage=inside(core).storage, environment=environment)
    later = core.certificates.view(bad).schedule
    assert later.lease_until is None
    assert later.due_at > environment.now()
    assert later.attempts == 1


def test_a_row_that_cannot_be_read_is_put_off_by_reconcile_too(tmp_path):
    """Celery and scripts hear of it, and it does not come at once again and again."""
    ca = MeetingCA([Act.ISSUE], now=SystemEnvironment().now())
    with core_on("sqlite", tmp_path, plugins=[ca.plugin()]) as core:
        core.authorities.create("test", module="scripted")
        (bad,) = request(core, 1, "poison")
        with inside(core).storage.write() as transaction:
            transaction.connection.exec_driver_sql("UPDATE certcore_issuances SET key_type = 'none of ours'")
        with pytest.raises(ValueError, match="none of ours"):
            core.reconcile(bad)
        with inside(core).storage.read() as transaction:
            later = transaction.schedules.get(bad)
        assert later.lease_until is None
        assert later.due_at > core.now()


class Poisonous:
    """An observer that throws at one certificate's events, and notes the others."""

    def __init__(self, error):
        self.error = error
        self.bad = None
        self.heard = set()
        self.thrown = 0

    @hookimpl
    def certcore_on_event(self, event):
        if event.certificate_id == self.bad:
            self.thrown += 1
            raise self.error
        self.heard.add(event.certificate_id)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, Leaving])
def test_an_observer_that_throws_anything_keeps_others_from_nothing(error):
    """The thread that tells observers lives on, and tells of the other certificates."""
    ca = MeetingCA([Act.ISSUE], now=SystemEnvironment().now())
    observer = Poisonous(error)
    with CertCore.in_memory(plugins=[ca.plugin(), observer], installed_plugins=False) as core:
        core.authorities.create("test", module="scripted")
        (observer.bad,) = request(core, 1, "poison")
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        until(lambda: observer.thrown)
        good = request(core, 3)
        until(lambda: observer.heard >= set(good))
        assert worker.health().replaced == 0
        assert core.failed_deliveries[observer.bad]
        assert worker.stop(timeout=PATIENCE)


@frozen
class Throwing(SystemEnvironment):
    """Its clock throws in one of certcore's threads when the test says so."""

    throws: list = field(factory=list)

    def now(self):
        if self.throws and threading.current_thread().name.startswith(self.throws[0][0]):
            raise self.throws.pop()[1]
        return super().now()


@frozen
class Thrown(SystemEnvironment):
    """Its random source throws at those that take steps when the test says so."""

    throws: list = field(factory=list)

    def roll(self):
        if self.throws and threading.current_thread().name.startswith("certcore-worker"):
            raise self.throws.pop()
        return super().roll()


@pytest.mark.slow(reason="the thread on watch looks once a second")
@pytest.mark.parametrize("logger", ["certcore.engine.worker", None], ids=["dies", "is thrown at"])
def test_what_a_thread_had_in_hand_is_given_back(logger):
    """Thrown at in a step, and again while it puts the certificate off: another thread takes it at once."""
    environment = Thrown()
    ca = MeetingCA([Act.ISSUE], now=environment.now())
    plugins = {"plugins": [ca.plugin()], "installed_plugins": False}
    with CertCore.in_memory(environment=environment, **plugins) as core, dying(logger):
        core.authorities.create("test", module="scripted")
        environment.throws.extend([SystemExit(), SystemExit()])
        (certificate_id,) = request(core, 1)
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        until(lambda: core.certificates.get(certificate_id).status is Status.ACTIVE)
        assert not environment.throws
        assert worker.health().replaced == (0 if logger is None else 1)
        until(lambda: worker.busy == 0)
        assert worker.stop(timeout=PATIENCE)


@pytest.mark.slow(reason="the thread on watch looks once a second")
@pytest.mark.parametrize("logger", ["certcore.engine.worker", None], ids=["dies", "is thrown at"])
def test_the_thread_that_tells_observers_is_replaced(logger):
    """Whether it dies or is only thrown at, what happened is told afterwards."""
    environment = Throwing()
    ca = MeetingCA([Act.ISSUE], now=environment.now())
    observer = Poisonous(SystemExit)
    with (
        CertCore.in_memory(plugins=[ca.plugin(), observer], installed_plugins=False, environment=environment) as core,
        dying(logger),
    ):
        core.authorities.create("test", module="scripted")
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        environment.throws.append(("certcore-outbox", SystemExit()))
        until(lambda: not environment.throws)
        good = request(core, 3)
        until(lambda: observer.heard >= set(good))
        assert worker.health().replaced == (0 if logger is None else 1)
        assert worker.stop(timeout=PATIENCE)


@pytest.mark.parametrize("logger", ["certcore.engine.leases", None], ids=["dies", "is thrown at"])
def test_the_thread_that_renews_leases_is_replaced(logger):
    """Whether it dies or is only thrown at, the lease of a step that runs is renewed afterwards."""
    environment = Throwing()
    ca = MeetingCA([Act.ISSUE], now=environment.now())
    with (
        CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core,
        dying(logger),
    ):
        core.authorities.create("test", module="scripted")
        inside(core).leases.renew_after = 0.04
        ca.meeting = threading.Barrier(2)
        (certificate_id,) = request(core, 1)
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        until(lambda: ca.meeting.n_waiting)
        environment.throws.append(("certcore-leases", SystemExit()))
        until(lambda: not environment.throws)
        since = core.certificates.view(certificate_id).schedule.lease_until
        until(lambda: core.certificates.view(certificate_id).schedule.lease_until > since)
        assert worker.health().replaced == (0 if logger is None else 1)
        ca.meeting.wait(PATIENCE)
        until(lambda: core.certificates.get(certificate_id).status is Status.ACTIVE)
        assert worker.stop(timeout=PATIENCE)


def test_a_thread_that_was_told_to_end_is_not_taken_for_a_dead_one():
    """A thread that still works looks after the others: those that have ended are not replaced, and not counted."""
    told, ended = threading.Event(), threading.Event()

    def job():
        assert told.wait(PATIENCE)
        if threading.current_thread().name.endswith("-0"):
            ended.set()
            return
        assert ended.wait(PATIENCE)
        until(lambda: not first.is_alive())
        crew.check()

    crew = Crew(name="told", size=2, job=job, let_go=lambda thread: None)
    crew.start()
    (first,) = (thread for thread in threading.enumerate() if thread.name == "told-0")
    crew.expect_end()
    told.set()
    assert crew.end(time.monotonic() + PATIENCE)
    assert crew.replaced == 0


def test_workers_that_are_stopped_at_once_have_lost_no_thread(caplog):
    """However soon after the start: nothing is logged, and health counts no thread that died."""
    with CertCore.in_memory(installed_plugins=False) as core:
        for _ in range(20):
            worker = core.worker(threads=8)
            worker.start()
            assert worker.stop(PATIENCE)
            assert worker.health().replaced == 0
    assert "died" not in caplog.text
