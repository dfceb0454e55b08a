"""A lock that another program holds costs the certificates concerned some seconds, and nobody else anything."""

import contextlib
import itertools
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.sql import open_storage
from certcore.errors import StorageBusyError
from certcore.ports.ca_module import Waiting, WaitingFor
from certcore.ports.storage import LockWait
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import DATABASE_SERVERS
from support.inside import inside
from support.leases import expire_leases

#: Seconds: far more than a step waits for a lock, and far less than the half minute that it used to.
SOON = 15


class GatedCA(ScriptedCA):
    """Steps of names that begin with "locked" wait for the gate."""

    def __init__(self, *script, **options):
        super().__init__(*script, **options)
        self.gate = threading.Event()
        self.inside = threading.Semaphore(0)

    def advance(self, work):
        if work.certificate.domain.ascii.startswith("locked"):
            self.inside.release()
            assert self.gate.wait(SOON)
        return super().advance(work)


class PacedCA(ScriptedCA):
    """Each certificate wants a step every few seconds, for ever; notes when it got them."""

    pace = timedelta(seconds=5)

    def __init__(self, *script, **options):
        super().__init__(*script, **options)
        self.steps = {}

    def advance(self, work):
        self.steps.setdefault(work.certificate.id, []).append(time.monotonic())
        look_again = work.environment.now() + self.pace
        return Waiting(state={}, look_again=look_again, waiting_for=WaitingFor.AUTHORITY)


@pytest.fixture(params=DATABASE_SERVERS)
def url(request, tmp_path):
    CertCore.create_keyring(tmp_path / "keyring.json")
    return request.getfixturevalue(request.param).new_database()


def opened(url, ca, tmp_path):
    return CertCore.open(url, keyring=tmp_path / "keyring.json", plugins=[ca.plugin()], installed_plugins=False)


def requested(core, *domains):
    authority = core.authorities.get("test")
    ids = [core.certificates.create(domain, authority=authority.id).id for domain in domains]
    for certificate_id in ids:
        core.certificates.generate_csr(certificate_id)
    return ids


@contextlib.contextmanager
def locked(url, ids):
    """These rows of the schedules, in the hands of a program that is none of ours."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        statement = sa.text("SELECT token FROM certcore_schedules WHERE certificate_id IN :ids FOR UPDATE")
        connection.execute(statement.bindparams(sa.bindparam("ids", ids, expanding=True))).all()
        try:
            yield
        finally:
            connection.rollback()
    engine.dispose()


def until(condition, seconds=SOON):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_step_waits_for_a_lock_for_seconds_and_a_release_not_at_all(url, tmp_path):
    """Both say that somebody else has locked the row; other rows can be written meanwhile."""
    ca = ScriptedCA([Act.ISSUE], now=SystemEnvironment().now())
    with opened(url, ca, tmp_path) as core:
        core.authorities.create("test", module="scripted")
        one, other = requested(core, "a.example", "b.example")
        claimed = {schedule.certificate_id: schedule for schedule in inside(core).engine.claim_due(2)}
        with locked(url, [one]):
            begun = time.monotonic()
            with pytest.raises(StorageBusyError, match="holds a lock"):
                inside(core).engine.step(inside(core).engine.load(claimed[one]), keep_lease=False)
            waited = time.monotonic() - begun
            begun = time.monotonic()
            with pytest.raises(StorageBusyError, match="holds a lock"):
                inside(core).engine.release(claimed[one])
            released = time.monotonic() - begun
            assert (
                inside(core).engine.step(inside(core).engine.load(claimed[other]), keep_lease=False).certificate.status
                == "active"
            )
        assert 2 < waited < SOON
        assert released < 1.5
        inside(core).engine.release(claimed[one])
        assert inside(core).engine.claim_due(9)


def test_the_lease_of_a_row_that_is_locked_is_renewed_when_it_is_free(url, tmp_path, caplog):
    """The log says something only about a row that stays locked for long, and once."""
    caplog.set_level(logging.DEBUG, logger="certcore.engine.leases")

    def told(level):
        ours = (record for record in caplog.records if record.name == "certcore.engine.leases")
        return [record for record in ours if record.levelno == level]

    ca = GatedCA([Act.ISSUE], now=SystemEnvironment().now())
    with opened(url, ca, tmp_path) as core, ThreadPoolExecutor(1) as pool:
        leases = inside(core).leases
        leases.renew_after = 0.04
        core.authorities.create("test", module="scripted")
        (one,) = requested(core, "locked.example")
        step = pool.submit(core.reconcile, one)
        assert ca.inside.acquire(timeout=SOON)
        with locked(url, [one]):
            until(lambda: len(told(logging.DEBUG)) > 2)
            assert told(logging.WARNING) == []
            leases.warn_after = 0
            until(lambda: told(logging.WARNING))
            tried = len(told(logging.DEBUG))
            until(lambda: len(told(logging.DEBUG)) > tried + 2)
            before = core.certificates.view(one).schedule.lease_until
        until(lambda: core.certificates.view(one).schedule.lease_until > before)
        ca.gate.set()
        assert step.result(SOON).status == "active"
    (warning,) = told(logging.WARNING)
    assert "has not been renewed for" in warning.getMessage()


def test_administration_waits_longer(url):
    """Whoever works on the whole store gives others half a minute."""
    waits = {}
    with contextlib.closing(open_storage(url)) as storage:
        for lock_wait in (LockWait.LONG, LockWait.SHORT, LockWait.NONE, LockWait.LONG):
            with storage.write(lock_wait) as transaction:
                waits[lock_wait] = seconds_of(transaction.connection)
    assert waits == {LockWait.LONG: 30, LockWait.SHORT: 3, LockWait.NONE: pytest.approx(0, abs=0.1)}


def test_all_threads_in_steps_that_are_locked_out(url, tmp_path):
    """Two threads in two steps whose rows are locked under them: the others go on within seconds, in good health."""
    ca = GatedCA([Act.ISSUE], now=SystemEnvironment().now())
    with opened(url, ca, tmp_path) as core:
        core.authorities.create("test", module="scripted")
        bad = requested(core, "locked1.example", "locked2.example")
        worker = core.worker(threads=2, in_flight=8, poll_interval=0.1)
        worker.start()
        for _ in bad:
            assert ca.inside.acquire(timeout=SOON)
        good = requested(core, *(f"free{number}.example" for number in range(4)))
        late = requested(core, "later.example")
        with locked(url, [*bad, *late]):
            ca.gate.set()
            until(lambda: {core.certificates.get(one).status for one in good} == {Status.ACTIVE})
            health = worker.health()
            assert (health.threads, health.replaced) == (2, 0)
            assert health.silent < 5
            assert not worker.is_idle(timedelta(0))
        until(lambda: core.certificates.get(late[0]).status is Status.ACTIVE)
        expire_leases(url)
        until(lambda: {core.certificates.get(one).status for one in bad} == {Status.ACTIVE})
        assert worker.stop(SOON)


def seconds_of(connection):
    """For how long this connection waits for a lock now."""
    if connection.dialect.name == "postgresql":
        wanted = "SELECT setting::float / 1000 FROM pg_settings WHERE name = 'lock_timeout'"
        return connection.exec_driver_sql(wanted).scalar()
    return connection.exec_driver_sql("SELECT @@innodb_lock_wait_timeout").scalar()


@pytest.mark.soak
def test_a_tenth_of_the_fleet_is_locked_for_75_seconds(url, tmp_path):
    """30 of 300 rows; the other 270 have their steps at their pace, and health stays green in all workers."""
    ca = PacedCA([Act.WORK], now=SystemEnvironment().now())
    with contextlib.ExitStack() as stack:
        cores = [stack.enter_context(opened(url, ca, tmp_path)) for _ in range(3)]
        cores[0].authorities.create("test", module="scripted")
        ids = requested(cores[0], *(f"d{number}.example" for number in range(300)))
        workers = [core.worker(threads=4, in_flight=8) for core in cores]
        for worker in workers:
            worker.start()
            stack.callback(worker.stop, SOON)
        until(lambda: len(ca.steps) == 300 and min(map(len, ca.steps.values())) >= 3, 120)
        before = widest_pause(ca, ids[30:], time.monotonic() - 15)
        with locked(url, ids[:30]):
            begun = time.monotonic()
            silent = []
            while time.monotonic() < begun + 75:
                silent += [worker.health().silent for worker in workers]
                time.sleep(0.2)
            during = widest_pause(ca, ids[30:], begun)
        figures = f"pause before {before:.1f} s, during {during:.1f} s; longest silence {max(silent):.1f} s"
        sys.stdout.write(figures + "\n")  # for `pytest -s`
        assert during < before + 8
        assert max(silent) < 10
        assert all(worker.health().threads == 4 for worker in workers)
        freed = time.monotonic()
        until(lambda: all(ca.steps[one][-1] > freed for one in ids[:30]), 90)


def widest_pause(ca, ids, since):
    """The longest time for which one of them had to wait for a step."""
    until = time.monotonic()
    pauses = []
    for one in ids:
        moments = [since, *(at for at in ca.steps[one] if at > since), until]
        pauses += [later - earlier for earlier, later in itertools.pairwise(moments)]
    return max(pauses)
