"""How many of its threads a worker uses: at once, and after it has rested with nothing to do.

    python benchmarks/rested.py [--steps 40] [--seconds 1] [--threads 4 8] [--databases sqlite postgresql mariadb]

Each certificate takes one step that waits for so many seconds, as a step does that waits for a CA. The ideal is what
the threads would take if nothing else took any time: steps / threads x seconds. Quoted is the ratio to it, for a worker
that starts with work due, and for one that has looked for work in vain for a while before the same work comes.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from claim import database

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.ports.ca_module import StepResult, Work
from certcore.testing.scripted_ca import Act, ScriptedCA

_DONE_WITHIN = 300.0
#: Seconds for which the worker has nothing to do.
_REST = 3.0


class SlowCA(ScriptedCA):
    """Issues after a pause."""

    def __init__(self, seconds: float) -> None:
        super().__init__([Act.ISSUE], now=SystemEnvironment().now())
        self._seconds = seconds
        self._never = threading.Event()

    def advance(self, work: Work) -> StepResult:
        self._never.wait(self._seconds)
        return super().advance(work)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--threads", type=int, nargs="+", default=[4, 8])
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql", "mariadb"])
    chosen = options.parse_args()
    for kind in chosen.databases:
        for threads in chosen.threads:
            ideal = chosen.steps / threads * chosen.seconds
            with database(kind) as url:
                fresh = run(url, chosen.steps, chosen.seconds, threads, rest=0.0)
            with database(kind) as url:
                rested = run(url, chosen.steps, chosen.seconds, threads, rest=_REST)
            print(
                f"{kind}, {threads} threads: {chosen.steps} steps of {chosen.seconds:g} s, ideal {ideal:.2f} s; "
                f"fresh {fresh:.2f} s (ratio {fresh / ideal:.2f}), rested {rested:.2f} s (ratio {rested / ideal:.2f})",
                flush=True,
            )


def run(url: str, steps: int, seconds: float, threads: int, *, rest: float) -> float:
    """Seconds until all are active."""
    ca = SlowCA(seconds)
    with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
        keyring = Path(folder) / "keyring.json"
        CertCore.create_keyring(keyring)
        with CertCore.open(url, keyring=keyring, plugins=[ca.plugin()], installed_plugins=False) as core:
            authority = core.authorities.create("bench", module="scripted")
            worker = core.worker(threads=threads, in_flight=max(8, threads), poll_interval=0.05)
            ids = [core.certificates.create(f"c{number}.example", authority=authority.id).id for number in range(steps)]
            for one in ids:
                core.certificates.generate_csr(one)
            with core._engine.storage.write() as transaction:  # keys are made before the clock starts
                held = [transaction.schedules.take_over(one, due_at=None) for one in ids]
            if rest:
                worker.start()
                time.sleep(rest)
            with core._engine.storage.write() as transaction:
                now = core.now()
                for one in held:
                    transaction.schedules.take_over(one.certificate_id, due_at=now)
            begun = time.perf_counter()
            if not rest:
                worker.start()
            if not worker.wait_until_idle(timeout=_DONE_WITHIN):
                raise SystemExit("the worker hung")
            taken = time.perf_counter() - begun
            worker.stop()
            if {core.certificates.get(one).status for one in ids} != {Status.ACTIVE}:
                raise SystemExit("not all certificates are active")
    return taken


if __name__ == "__main__":
    main()
