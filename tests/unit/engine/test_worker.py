"""The embedded worker: it gets everything done, waits for nothing in vain, and stops cleanly."""

import threading
import time

import pytest

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.errors import InvalidInputError, StorageUnavailableError
from certcore.ports.ca_module import Waiting, WaitingFor
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside


class QuickCA(ScriptedCA):
    """Waits for milliseconds instead of a minute, and notes how many steps run at once."""

    def __init__(self, script, **options):
        super().__init__(script, **options)
        self.running = self.most = 0
        self.gate = None

    def advance(self, work):
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                assert self.gate.wait(120)
            step = super().advance(work)
            if isinstance(step, Waiting):
                return Waiting(
                    state=step.state,
                    look_again=work.environment.now(),
                    waiting_for=WaitingFor.AUTHORITY,
                    needs_clean_up=True,
                )
            return step
        finally:
            with self._lock:
                self.running -= 1


@pytest.fixture
def quick():
    environment = SystemEnvironment()
    ca = QuickCA([Act.WORK, Act.WORK, Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False) as core:
        core.authorities.create("test", module="scripted")
        yield core, ca


def _request(core, count):
    authority = core.authorities.get("test")
    ids = [core.certificates.create(f"d{number}.example", authority=authority.id).id for number in range(count)]
    for certificate_id in ids:
        core.certificates.generate_csr(certificate_id)
    return ids


@pytest.mark.parametrize("threads", [1, 4])
def test_everything_that_is_due_gets_done(quick, threads):
    """Many certificates and few threads: all active, nothing held, no lease left."""
    core, ca = quick
    ids = _request(core, 25)
    worker = core.worker(threads=threads, in_flight=6, poll_interval=0.01)
    worker.start()
    assert worker.wait_until_idle(timeout=120)
    assert worker.busy == 0
    assert worker.stop(timeout=60)
    assert [core.certificates.get(certificate_id).status for certificate_id in ids] == [Status.ACTIVE] * 25
    assert ca.held == set()
    assert ca.most <= threads
    assert all(core.certificates.view(certificate_id).schedule.lease_until is None for certificate_id in ids)
    assert ca.calls == 25 * 3


def test_stopping_lets_running_steps_end(quick):
    """Stop waits for the steps that run, gives everything else back, and another worker goes on at once."""
    core, ca = quick
    ids = _request(core, 8)
    ca.gate = threading.Event()
    worker = core.worker(threads=2, in_flight=8, poll_interval=0.01)
    worker.start()
    deadline = time.monotonic() + 60
    while ca.running < 2:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert not worker.stop(timeout=0.01)
    ca.gate.set()
    assert worker.stop(timeout=60)
    with inside(core).storage.read() as transaction:
        assert all(transaction.schedules.get(one).lease_until is None for one in ids)
    second = core.worker(threads=2, poll_interval=0.01)
    second.start()
    assert second.wait_until_idle(timeout=120)
    second.stop()
    assert {core.certificates.get(certificate_id).status for certificate_id in ids} == {Status.ACTIVE}


def test_work_that_comes_later_is_found(quick):
    """A certificate that is requested while the worker rests is taken up at its next look, or at once when woken."""
    core, _ = quick
    worker = core.worker(threads=2, poll_interval=30)
    worker.start()
    assert worker.wait_until_idle(timeout=120)
    (certificate_id,) = _request(core, 1)
    worker.wake()
    deadline = time.monotonic() + 60
    while core.certificates.get(certificate_id).status is not Status.ACTIVE:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    worker.stop()


def test_two_workers_share(quick):
    """Two workers on one store take every step once between them."""
    core, ca = quick
    _request(core, 20)
    workers = [core.worker(threads=2, in_flight=3, poll_interval=0.01) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert all(worker.wait_until_idle(timeout=120) for worker in workers)
    for worker in workers:
        worker.stop()
    assert ca.calls == 20 * 3
    assert len(core.certificates.list(status="active").items) == 20


def test_it_can_be_started_again(quick):
    """A stopped worker starts again; a running one refuses to; stopping twice is harmless."""
    core, _ = quick
    worker = core.worker(threads=1, poll_interval=0.01)
    for _ in range(2):
        worker.start()
        with pytest.raises(RuntimeError):
            worker.start()
        assert worker.stop()
        assert worker.stop()


def test_it_outlives_a_store_in_trouble(quick, caplog):
    """A store that fails is asked again after a moment, and the worker still stops when it is told to."""
    core, _ = quick
    worker = core.worker(threads=2, poll_interval=0.01)
    worker.start()
    core.close()
    deadline = time.monotonic() + 60
    while "The store cannot be used" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert worker.stop(timeout=60)
    with pytest.raises(StorageUnavailableError):
        core.certificates.list()


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"in_flight": 0}, {"poll_interval": 0}])
def test_a_worker_that_could_not_work_is_refused(quick, wrong):
    """At least one thread, one certificate and some time between two looks."""
    core, _ = quick
    with pytest.raises(InvalidInputError):
        core.worker(**wrong)


@pytest.mark.slow(reason="waits for a thread that renews leases at its own pace")
def test_how_a_worker_is(quick):
    """What runs, what is in hand, and for how long the store has been silent."""
    core, ca = quick
    worker = core.worker(threads=2, in_flight=8, poll_interval=0.01)
    ca.gate = threading.Event()
    _request(core, 3)
    worker.start()
    _until(lambda: worker.health().in_hand == 3)
    assert (worker.health().threads, worker.health().wanted) == (2, 2)
    _until(lambda: worker.health().silent > 0.2)  # both threads wait for the CA, so nobody asks the store
    inside(core).leases.renew_after = 0.02
    _until(lambda: worker.health().silent < 0.1)  # long steps have their leases renewed: the store is there
    ca.gate.set()
    _until(lambda: worker.health().silent < 0.1)
    assert worker.stop(timeout=60)
    assert worker.health().threads == 0


def _until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
