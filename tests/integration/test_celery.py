"""The engine on a panel's Celery: a real broker, workers that are killed, messages that are lost or come twice."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define, field

from certcore import CertCore
from certcore.errors import InvalidInputError, StorageUnavailableError
from certcore.testing.pebble import Pebble
from certcore.testing.ports import free_port
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.testing.server import Child
from support.inside import inside
from support.leases import expire_leases

celery = pytest.importorskip("celery", reason="celery is not installed")
redis = pytest.importorskip("redis", reason="the Python package redis is not installed")
pytestmark = pytest.mark.integration

#: What a panel's developer writes, with a CA that notes down whom it is asked for and takes its time.
PANEL = """
import os
import time
from datetime import timedelta
from pathlib import Path

from attrs import evolve
from celery import Celery
from celery.signals import worker_process_shutdown

from certcore import CertCore, hookimpl
from certcore.adapters.environment import SystemEnvironment
from certcore.contrib.celery import install
from certcore.errors import StorageUnavailableError
from certcore.ports.ca_module import Waiting
from certcore.testing.scripted_ca import Act, ScriptedCA

HERE = Path(__file__).parent


def note(file, *words):
    with (HERE / file).open("a") as out:
        out.write(" ".join(map(str, words)) + "\\n")


class SlowCA(ScriptedCA):
    def advance(self, work):
        step = super().advance(work)
        note("asked", work.certificate.id, type(step).__name__)
        for _ in range(1200):
            if not (HERE / "hold").exists():
                break
            time.sleep(0.05)
        if isinstance(step, Waiting):
            return evolve(step, look_again=work.environment.now() + timedelta(seconds=0.3))
        return step


class Observer:
    @hookimpl
    def certcore_on_event(self, event):
        note("told", event.certificate_id, event.kind)


opened = []


def open_core():
    ca = SlowCA([Act.WORK, Act.WORK, Act.ISSUE], now=SystemEnvironment().now())
    plugins = [ca.plugin(), Observer()]
    opened.append(CertCore.open(os.environ["PANEL_DATABASE"], keyring=os.environ["PANEL_KEYRING"], plugins=plugins))
    note("opened", os.getpid())
    return opened[-1]


app = Celery("panel", broker=os.environ["PANEL_BROKER"])
app.conf.broker_connection_retry_on_startup = True
every = timedelta(seconds=float(os.environ["PANEL_EVERY"]))
tasks = install(app, open_core, every=every, batch=int(os.environ["PANEL_BATCH"]))


@worker_process_shutdown.connect
def after_certcore(**_):
    for core in opened:
        try:
            core.authorities.list()
        except StorageUnavailableError:
            note("closed", os.getpid())
"""


@define(eq=False)
class Fleet:
    """Celery workers of a panel, its broker, and what they noted down."""

    folder: Path
    broker: str
    database: str
    keyring: Path
    processes: list = field(factory=list)

    def start(self, *options, beat=True, every=1.0, batch=100):
        number = len(self.processes)
        command = [sys.executable, "-m", "celery", "-A", "panel", "worker", "--pool", "prefork", "-c", "2"]
        command += ["-n", f"w{number}@panel", "--without-gossip", "--without-mingle", "--loglevel", "INFO", *options]
        command += ["-B", "-s", str(self.folder / f"beat-{number}")] if beat else []
        (self.folder / "panel.py").write_text(PANEL)
        panel = {"PANEL_BROKER": self.broker, "PANEL_DATABASE": self.database, "PANEL_KEYRING": str(self.keyring)}
        panel.update(PANEL_EVERY=str(every), PANEL_BATCH=str(batch))
        log = self.folder / f"worker-{number}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **panel},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its pool is killed with it, and nothing else
            )
        process.log = log
        self.processes.append(process)
        return process

    def app(self):
        """The panel's web process: it only sends."""
        return contextlib.closing(celery.Celery("web", broker=self.broker, set_as_current=False))

    def noted(self, file):
        path = self.folder / file
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []

    def wait(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "\n".join(each.log.read_text()[-3000:] for each in self.processes)
            time.sleep(0.05)

    def idle(self):
        """Whether no message is queued, in a worker's hands, or waiting for its time."""
        with contextlib.closing(redis.Redis.from_url(self.broker)) as client:
            return not client.llen("celery") and not client.hlen("unacked")

    def stop(self, process):
        """A warm shutdown; Celery's pool waits half a minute when it comes between a task's end and its result."""
        self.wait(self.idle, 120)
        process.terminate()
        assert process.wait(240) == 0, process.log.read_text()[-3000:]
        assert "Traceback" not in process.log.read_text()

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


@pytest.fixture(scope="module")
def redis_server():
    """A broker for all tests of this module, on a port of its own, that keeps nothing."""
    binary = shutil.which("redis-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if binary is None:
        pytest.skip("redis-server is not installed: install the Debian package redis-server")
    folder, port = Path(tempfile.mkdtemp(prefix="certcore-redis-")), free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no"]
    child = Child(binary, arguments, folder=folder, env={})
    with contextlib.closing(redis.Redis(port=port)) as client:

        def ready():
            with contextlib.suppress(redis.ConnectionError):
                return client.ping()
            return False

        try:
            assert child.wait_until(ready), child.log_tail()
            numbers = itertools.count()
            yield lambda: f"redis://127.0.0.1:{port}/{next(numbers)}"
        finally:
            child.stop()


@contextlib.contextmanager
def _fleet(folder, broker, database=""):
    keyring = folder / "keyring.json"
    if not keyring.exists():
        CertCore.create_keyring(keyring)
    fleet = Fleet(folder, broker, database or f"sqlite:///{folder}/certcore.db", keyring)
    try:
        yield fleet
    finally:
        fleet.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def fleet(request, tmp_path, redis_server):
    """The workers of a panel on each kind of database, none started yet."""
    database = "" if request.param == "sqlite" else request.getfixturevalue(request.param).new_database()
    with _fleet(tmp_path, redis_server(), database) as fleet:
        yield fleet


@pytest.fixture
def core(fleet):
    """The panel's web process on the same database."""
    ca = ScriptedCA([Act.ISSUE], now=datetime.now(UTC))
    with CertCore.open(fleet.database, keyring=fleet.keyring, plugins=[ca.plugin()]) as core:
        yield core


def _requested(core, count, *, authority="ca"):
    authority = core.authorities.create(authority, module="scripted")
    drafts = [core.certificates.create(f"c{number}.shop.test", authority=authority.id) for number in range(count)]
    return [core.certificates.generate_csr(draft.id).id for draft in drafts]


def _active(core):
    return core.certificates.count_by_status()["active"]


def _installed(core, certificate_id):
    return sum(event.kind == "installed" for event in core.certificates.view(certificate_id).events)


def test_beat_alone_gets_certificates_issued(fleet, core):
    """20 certificates go active with nothing but the beat entry; each order is placed once, and observers are told.

    Each process of the pool opens its own CertCore after the fork, and closes it on a warm shutdown.
    """
    ids = _requested(core, 20)
    worker = fleet.start()
    fleet.wait(lambda: _active(core) == 20, 240)
    fleet.wait(lambda: {(one, "installed") for one in ids} <= set(fleet.noted("told")), 120)
    fleet.stop(worker)
    assert Counter(fleet.noted("asked")) == Counter(
        {(one, kind): times for one in ids for kind, times in (("Waiting", 2), ("Issued", 1))}
    )
    assert [_installed(core, one) for one in ids] == [1] * 20
    opened = [pid for (pid,) in fleet.noted("opened")]
    assert len(opened) == len(set(opened)) <= 2
    assert str(worker.pid) not in opened
    assert sorted(pid for (pid,) in fleet.noted("closed")) == sorted(opened)


def test_lost_and_doubled_messages_change_nothing(fleet, core):
    """Every message is sent four times, and the queue is emptied again and again: each certificate is issued once."""
    ids = _requested(core, 20)
    with fleet.app() as web:
        for one in ids * 4:
            web.send_task("certcore.reconcile", (one,))
        web.send_task("certcore.reconcile", ("no-such-certificate",))
        worker = fleet.start()
        fleet.wait(lambda: fleet.noted("asked"), 120)
        lost = 0
        deadline = time.monotonic() + 240
        while _active(core) < 20:
            assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
            lost += web.control.purge()
            time.sleep(0.2)
    assert lost
    issued = Counter(one for one, kind in fleet.noted("asked") if kind == "Issued")
    assert issued == Counter(ids)
    assert [_installed(core, one) for one in ids] == [1] * 20
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("fleet", ["sqlite"], indirect=True)
def test_a_click_does_not_wait_for_a_sweep(fleet, core):
    """A message of the panel's own starts the work at once; the steps that follow soon need no sweep, nor beat."""
    (certificate,) = _requested(core, 1)
    fleet.start(beat=False, every=3600)
    with fleet.app() as web:
        web.send_task("certcore.reconcile", (certificate,))
    fleet.wait(lambda: _active(core) == 1, 120)


@pytest.mark.parametrize("fleet", ["sqlite"], indirect=True)
def test_a_backlog_does_not_wait_for_beat(fleet, core):
    """When more is due than one sweep looks up, the next sweeps follow at once: one message is enough for all."""
    ids = _requested(core, 20)
    fleet.start(beat=False, every=3600, batch=3)
    with fleet.app() as web:
        web.send_task("certcore.sweep")
    fleet.wait(lambda: _active(core) == 20, 240)
    assert [_installed(core, one) for one in ids] == [1] * 20


@pytest.mark.slow(reason="starts, kills and starts Celery workers")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fleet", ["sqlite"], indirect=True)
def test_a_killed_worker_loses_nothing(fleet, core):
    """SIGKILL to all processes of a worker, leases in their hands: when these end another worker has done it all."""
    ids = _requested(core, 6)
    (fleet.folder / "hold").touch()
    killed = fleet.start()
    fleet.wait(lambda: len(fleet.noted("asked")) == 2, 120)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(60)
    with inside(core).storage.read() as transaction:
        owners = {one: transaction.schedules.get(one).lease_owner for one in ids}
    leased = sorted(one for one in ids if owners[one])
    assert leased == sorted(one for one, _ in fleet.noted("asked"))
    (fleet.folder / "hold").unlink()
    fleet.start()
    fleet.wait(lambda: _active(core) == 4, 45)  # those that nobody had in hand do not wait for the leases
    assert not any(_installed(core, one) for one in leased)
    assert sum(expire_leases(fleet.database, owner) for owner in {owners[one] for one in leased}) == 2
    fleet.wait(lambda: _active(core) == 6, 240)
    assert [_installed(core, one) for one in ids] == [1] * 6
    assert Counter(one for one, kind in fleet.noted("asked") if kind == "Issued") == Counter(ids)


@pytest.mark.pebble
def test_celery_and_certcore_run_share_the_work(tmp_path, redis_server, integration_panel):
    """`certcore run` and Celery on one database and a real CA: as many orders as certificates, nothing left behind."""
    count = 20
    with contextlib.ExitStack() as running:
        panel = running.enter_context(integration_panel(tmp_path))
        ca = running.enter_context(Pebble.start(dns_server=panel.dns_address, nonce_reject=0, authz_reuse=0))
        fleet = running.enter_context(_fleet(tmp_path, redis_server(), panel.url))
        authority = panel.profile(ca.directory_url, ca.roots_pem)
        ids = [panel.request(authority, f"c{number}.shop.test") for number in range(count)]
        for certificate_id in ids:
            panel.set_cnames(certificate_id)
        worker = fleet.start()
        fleet.wait(lambda: fleet.noted("opened"), 120)
        command = [sys.executable, "-m", "certcore", "run", "--threads", "1", "--in-flight", "1"]
        command += ["--database", panel.url, "--keyring", str(panel.keyring)]
        log = tmp_path / "run.log"
        with log.open("wb") as out:
            run = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        run.log = log
        fleet.processes.append(run)
        fleet.wait(lambda: _active(panel.core) == count, 360)
        fleet.stop(worker)
        run.terminate()
        assert run.wait(120) == 0
        assert "Traceback" not in run.log.read_text()
        said = ca.log_path.read_text(errors="replace")
        assert said.count("Added order") == count
        assert said.count("Issued certificate serial") == count
        assert [_installed(panel.core, one) for one in ids] == [1] * count
        assert panel.txt_values() == []


def _alone(tmp_path, *, plugins=(), **how):
    """An app with the tasks, in this process; returns it, the tasks and what was opened."""
    from certcore.contrib.celery import install

    keyring = tmp_path / "keyring.json"
    CertCore.create_keyring(keyring)
    opened = []

    def open_core():
        opened.append(CertCore.open(f"sqlite:///{tmp_path}/certcore.db", keyring=keyring, plugins=plugins))
        return opened[-1]

    app = celery.Celery("panel", broker="memory://", set_as_current=False)
    return app, install(app, open_core, **how), opened


def test_the_last_task_of_a_process_closes_the_store(tmp_path):
    """Nothing is opened by `install`; a process opens one CertCore for all its tasks, and closes it when it ends."""
    from celery.signals import worker_process_shutdown, worker_shutdown

    app, tasks, opened = _alone(tmp_path)
    with contextlib.closing(app):
        assert opened == []
        assert tasks.sweep() == 0
        assert tasks.reconcile("no-such-certificate") is None
        (core,) = opened
        for ending in (worker_process_shutdown, worker_shutdown):
            ending.send(sender=None, pid=os.getpid(), exitcode=0)
            with pytest.raises(StorageUnavailableError):
                core.authorities.list()
        assert tasks.sweep() == 0
        assert len(opened) == 2
        opened[1].close()


def test_a_panels_own_tests_need_no_broker(tmp_path):
    """With `task_always_eager` one call of the sweep issues all that is due, more than a batch, and comes to an end."""
    ca = ScriptedCA([Act.WORK, Act.ISSUE], now=datetime.now(UTC))
    app, tasks, opened = _alone(tmp_path, plugins=[ca.plugin()], batch=2, every=timedelta(minutes=5))
    app.conf.task_always_eager = True
    tasks.sweep()
    (core,) = opened
    with contextlib.closing(core), contextlib.closing(app):
        ids = _requested(core, 5)
        tasks.sweep.delay()
        assert [core.certificates.get(certificate_id).status for certificate_id in ids] == ["processing"] * 5
        ca.script = (Act.ISSUE,)
        more = _requested(core, 5, authority="another")
        tasks.sweep.delay()
        assert [core.certificates.get(one).status for one in more] == ["active"] * 5


def test_a_fork_opens_its_own(tmp_path):
    """A process that is forked after a task ran shares nothing with its parent, whose CertCore goes on working."""
    script = tmp_path / "forks.py"
    script.write_text(
        "import os, celery\n"
        "from certcore import CertCore\n"
        "from certcore.contrib.celery import install\n"
        "CertCore.create_keyring('keyring.json')\n"
        "opened = []\n"
        "def open_core():\n"
        "    opened.append((os.getpid(), CertCore.open('sqlite:///certcore.db', keyring='keyring.json')))\n"
        "    return opened[-1][1]\n"
        "tasks = install(celery.Celery('panel', broker='memory://'), open_core)\n"
        "tasks.sweep()\n"
        "child = os.fork()\n"
        "tasks.sweep()\n"
        "if child == 0:\n"
        "    from celery.signals import worker_process_shutdown\n"
        "    worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)\n"
        "    os._exit(0 if [pid for pid, _ in opened] == [os.getppid(), os.getpid()] else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "tasks.sweep()\n"
        "((pid, core),) = opened\n"
        "core.authorities.list()\n"
        "core.close()\n"
    )
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240
    )
    assert run.returncode == 0, run.stderr


def test_the_panels_settings_stay_as_they_are(tmp_path):
    """Whether the app is configured before or after `install`, it has its own settings and one beat entry more."""
    own = {"report": {"task": "panel.report", "schedule": 60.0}}
    app, tasks, opened = _alone(tmp_path, every=timedelta(seconds=20))
    for prefix in ("a", "b"):  # the second time all is configured anew
        app.config_from_object({"beat_schedule": own, "task_default_queue": f"{prefix}-queue", "task_acks_late": False})
        assert app.conf.task_default_queue == f"{prefix}-queue"
        assert app.conf.task_acks_late is False
        entry = app.conf.beat_schedule["certcore-sweep"]
        assert app.conf.beat_schedule == {**own, "certcore-sweep": entry}
        assert entry["task"] == tasks.sweep.name == "certcore.sweep"
        assert entry["schedule"] == timedelta(seconds=20)
        assert entry["options"]["expires"] > 20
    assert own == {"report": {"task": "panel.report", "schedule": 60.0}}
    changed = {name for name in app.conf if app.conf[name] != celery.Celery(set_as_current=False).conf[name]}
    assert changed <= {"beat_schedule", "task_default_queue", "broker_url", "deprecated_settings"}
    assert tasks.reconcile.name == "certcore.reconcile"
    assert all(task.acks_late and task.ignore_result for task in (tasks.sweep, tasks.reconcile))
    assert opened == []


@pytest.mark.parametrize(("name", "how"), [("every", {"every": timedelta(0)}), ("batch", {"batch": 0})])
def test_nonsense_is_refused(tmp_path, name, how):
    """An interval or a batch that could never work is refused by name, when the panel starts."""
    with pytest.raises(InvalidInputError) as refused:
        _alone(tmp_path, **how)
    assert refused.value.field == name


def test_it_says_what_to_install():
    """Without celery, importing the adapter says which extra is missing; certcore.contrib itself does not need it."""
    script = "import sys; sys.modules['celery'] = None; import certcore.contrib; import certcore.contrib.celery"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 1
    assert "pip install 'certcore[celery]'" in run.stderr
