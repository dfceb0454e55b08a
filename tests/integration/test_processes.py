"""Several processes on one database: each certificate's steps run once, whatever happens to a process."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from certcore.adapters.sql.tables import metadata
from certcore.testing.pebble import Pebble
from support.leases import expire_leases

pytestmark = pytest.mark.pebble
KINDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(params=KINDS)
def shared(request, tmp_path, integration_panel):
    """A panel on a database of each kind."""
    database = "" if request.param == "sqlite" else request.getfixturevalue(request.param).new_database()
    with integration_panel(tmp_path, database) as panel:
        yield panel


@pytest.fixture
def ca(shared):
    """Pebble, without refused nonces so that its log counts orders."""
    with Pebble.start(dns_server=shared.dns_address, nonce_reject=0, authz_reuse=0) as pebble:
        yield pebble


@pytest.fixture
def start_worker(shared, tmp_path):
    """Starts `certcore run` processes; all are ended by their pid."""
    with contextlib.ExitStack() as running:

        def start(*options):
            log = tmp_path / f"worker-{len(list(tmp_path.iterdir()))}.log"
            command = [sys.executable, "-m", "certcore", "run", *options]
            command += ["--database", shared.url, "--keyring", str(shared.keyring)]
            with log.open("wb") as out:
                process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
            process.log = log
            running.callback(_end, process)
            return process

        yield start


def _end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(60)


def _requested(shared, ca, count):
    authority = shared.profile(ca.directory_url, ca.roots_pem)
    ids = [shared.request(authority, f"c{number}.shop.test") for number in range(count)]
    for certificate_id in ids:
        shared.set_cnames(certificate_id)
    return ids


def _wait(condition, processes, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, [process.log.read_text()[-2000:] for process in processes]
        time.sleep(0.05)


def _active(shared):
    return shared.core.certificates.count_by_status()["active"]


def _said(ca, words):
    return sum(words in line for line in ca.log_path.read_text(errors="replace").splitlines())


def _terminate(processes):
    """A clean drain on SIGTERM: exit code 0."""
    for process in processes:
        process.terminate()
    assert [process.wait(120) for process in processes] == [0] * len(processes)
    return "".join(process.log.read_text() for process in processes)


@pytest.mark.slow(reason="issues with four processes")
@pytest.mark.parametrize(
    ("shared", "count"),
    [
        ("sqlite", 60),
        ("postgresql", 100),
        ("mariadb", 100),
        # More of what the hundred show: that the processes come upon each other's rows for longer.
        *(pytest.param(kind, 300, marks=pytest.mark.soak) for kind in ("postgresql", "mariadb")),
    ],
    indirect=["shared"],
)
def test_many_processes_share_the_work(shared, ca, start_worker, count):
    """Four processes: orders = certificates, nothing is left behind, and nobody hears of a deadlock."""
    ids = _requested(shared, ca, count)
    workers = [start_worker("--threads", "1", "--in-flight", "1") for _ in range(4)]
    _wait(lambda: _active(shared) == count, workers, 500)
    said = _terminate(workers)
    assert _said(ca, "Added order") == count
    assert _said(ca, "Issued certificate serial") == count
    assert shared.txt_values() == []
    assert "eadlock" not in said
    assert "Traceback" not in said
    serials = set()
    for one in ids:
        events = shared.core.certificates.view(one).events
        assert [event.kind for event in events].count("installed") == 1
        serials |= {event.data.get("serial") for event in events}
    assert len(serials - {None}) == count


@pytest.mark.slow(reason="issues with several processes, one of them stopped")
def test_a_process_that_was_stopped_past_its_lease_changes_nothing(shared, ca, start_worker):
    """SIGSTOP in the middle, another process takes over and finishes; SIGCONT: not a row is different afterwards."""
    count = 6
    _requested(shared, ca, count)
    paused = start_worker("--threads", "1", "--in-flight", "3")
    _wait(lambda: _said(ca, "Added order") >= 1, [paused], 120)
    _stop_between_transactions(paused, shared)
    successor = start_worker("--threads", "1", "--in-flight", "1")
    _wait(lambda: _active(shared) == count, [paused, successor], 240)
    _terminate([successor])
    before = _rows(shared)
    paused.send_signal(signal.SIGCONT)
    _terminate([paused])
    assert _rows(shared) == before
    assert shared.txt_values() == []
    assert "Traceback" not in paused.log.read_text()
    # An order whose reply the paused process had not stored yet may have been placed anew: once, at most.
    assert count <= _said(ca, "Issued certificate serial") <= count + 1


def _stop_between_transactions(process, shared):
    """Stop it with leases in its hands, and let these run out: what a minute does.

    In the middle of a transaction it would keep its rows locked until the server ends the transaction.
    """
    for _ in range(100):
        process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(sa.exc.OperationalError):
            if expire_leases(shared.url):
                return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.003)
    pytest.fail("It was never found with a lease and without a lock.")


def _rows(shared):
    engine = sa.create_engine(shared.url)
    with engine.connect() as connection:
        rows = {table.name: sorted(map(repr, connection.execute(table.select()))) for table in metadata.sorted_tables}
    engine.dispose()
    return rows


# What the file says does not depend on the database; on the servers, the tests above show that workers run and end.
@pytest.mark.parametrize(
    "shared",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("postgresql", "mariadb"))],
    indirect=True,
)
def test_a_supervisor_sees_how_it_is(shared, start_worker, tmp_path):
    """The health file says that the worker is well while it works, and is gone when it has ended."""
    file = tmp_path / "health.json"
    worker = start_worker("--health-file", str(file))
    _wait(file.exists, [worker], 120)
    health = json.loads(file.read_text())
    assert health["healthy"]
    assert health["pid"] == worker.pid
    assert health["threads"] == 4
    _terminate([worker])
    assert not file.exists()
