"""Certificates per second, and CPU of each, of the engine alone, with a CA that answers at once, in several processes.

    python benchmarks/engine.py [--certificates 1000] [--processes 1 2 4] [--databases sqlite postgresql]
                                [--against 1c2fb3d] [--rounds 1]

Every process runs one worker on the same database, beside the others. The requests are made before the clock starts.
With --against, the code of another revision of this repository is measured in turn, in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA

_DONE_WITHIN = 300.0
_THREADS = 4


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--certificates", type=int, default=1000, help="how many in each measurement")
    options.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options.add_argument("--against", default="", help="a revision of this repository to compare with")
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.work:
        work(*chosen.work)
    elif chosen.measure:
        url, keyring, processes, certificates = chosen.measure
        print(*measure(url, keyring, int(processes), int(certificates)))
    else:
        compare(chosen)


def compare(chosen: argparse.Namespace) -> None:
    """Measure every database with every number of processes, for this code and the other one in turn."""
    with contextlib.ExitStack() as stack:
        sources = {"this code": ""}
        if chosen.against:
            sources[chosen.against] = stack.enter_context(checked_out(chosen.against))
        for kind in chosen.databases:
            new_database = stack.enter_context(databases(kind))
            first: dict[str, float] = {}
            for processes in chosen.processes:
                figures: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
                for _ in range(chosen.rounds):
                    for name, source in sources.items():
                        figures[name].append(_measured(new_database(), source, processes, chosen.certificates))
                for name, measured in figures.items():
                    rate = statistics.median(rate for rate, _ in measured)
                    # The least: what else the machine does makes it more.
                    cpu = f"{1000 * min(cpu for _, cpu in measured):.1f} ms of CPU each"
                    first.setdefault(name, rate)
                    ratio = f"{rate / first[name]:.2f} times {chosen.processes[0]}"
                    print(f"{kind:<11} {processes} processes  {rate:6.1f}/s  ({ratio}), {cpu}  {name}", flush=True)


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[str]:
    """The folder ``src`` of another revision."""
    repository = Path(__file__).parents[1]
    packed = subprocess.run(["git", "archive", revision, "src"], cwd=repository, capture_output=True, check=True)
    with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
        with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield f"{folder}/src"


@contextlib.contextmanager
def databases(kind: str) -> Iterator[Any]:
    """A function that makes a new database of this kind and returns its URL."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
            numbers = iter(range(1_000_000))
            yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"
    else:
        # Here, because the other revision's processes cannot import it.
        from servers import PostgreSQL  # noqa: PLC0415

        with PostgreSQL.start() as server:
            yield server.new_database


def _measured(url: str, source: str, processes: int, certificates: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
        keyring = f"{folder}/keyring.json"
        command = [sys.executable, __file__, "--measure", url, keyring, str(processes), str(certificates)]
        environment = {**os.environ, "PYTHONPATH": source} if source else None
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


def measure(url: str, keyring: str, processes: int, certificates: int) -> tuple[float, float]:
    """Certificates per second, and CPU seconds of each; all processes together, without the database's server."""
    CertCore.create_keyring(keyring)
    with opened(url, keyring) as core:
        authority = core.authorities.create("bench", module="scripted")
        ids = [core.certificates.create(f"c{n}.example", authority=authority.id).id for n in range(certificates)]
        for certificate_id in ids:
            core.certificates.generate_csr(certificate_id)
        storage: Any = core._storage
        with storage.write() as transaction:
            for certificate_id in ids:
                transaction.schedules.take_over(certificate_id, due_at=None)
        command = [sys.executable, __file__, "--work", url, keyring]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for worker in workers:
            _read(worker, "ready")
        with storage.write() as transaction:
            now = SystemEnvironment().now()
            for certificate_id in ids:
                transaction.schedules.take_over(certificate_id, due_at=now)
        begun = time.perf_counter()
        for worker in workers:
            _say(worker, "go")
        cpu = sum(float(_read(worker, "done")) for worker in workers)
        seconds = time.perf_counter() - begun
        for worker in workers:
            worker.communicate(timeout=30)
        active = len(core.certificates.list(status=Status.ACTIVE, limit=1000).items)
        if active != min(certificates, 1000):
            raise SystemExit(f"{active} of {certificates} certificates are active")
    return certificates / seconds, cpu / certificates


def work(url: str, keyring: str) -> None:
    """Be one of the processes: answer when ready, wait for the word, and work until nothing is due."""
    with opened(url, keyring) as core:
        worker = core.worker(threads=_THREADS, poll_interval=0.05)
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.process_time()
        worker.start()
        if not worker.wait_until_idle(timeout=_DONE_WITHIN):
            raise SystemExit("the worker hung")
        print("done", time.process_time() - begun, flush=True)
        worker.stop()


def opened(url: str, keyring: str) -> CertCore:
    ca = ScriptedCA([Act.ISSUE], now=SystemEnvironment().now())
    return CertCore.open(url, keyring=keyring, plugins=[ca.plugin()], installed_plugins=False)


def _read(worker: subprocess.Popen[str], word: str) -> str:
    """Wait until a process says this word; returns what it says behind it."""
    said = "" if worker.stdout is None else worker.stdout.readline().strip()
    if not said.startswith(word):
        raise SystemExit("a worker's process ended early")
    return said.removeprefix(word)


def _say(worker: subprocess.Popen[str], word: str) -> None:
    if worker.stdin is not None:
        worker.stdin.write(f"{word}\n")
        worker.stdin.flush()


if __name__ == "__main__":
    main()
