"""``certcore run``: the worker that takes certificates from request to leaf, and renews them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from attrs import define, field

from certcore.cli.deliveries import draw_undelivered, undelivered
from certcore.cli.dns import parse_address
from certcore.cli.documents import moment
from certcore.cli.failing import draw_failing, failing_renewals
from certcore.cli.health import HealthFile
from certcore.cli.interrupts import sigterm_interrupts
from certcore.cli.lost import LostStep, broken_requests, draw_lost, lost_steps, take_step
from certcore.cli.options import FAILED, INTERRUPTED, Database, Json, Keyring, Targets
from certcore.cli.output import plain
from certcore.cli.store import Session, read_targets_file, session
from certcore.core import CertCore
from certcore.engine.worker import Worker
from certcore.errors import CertCoreError, NotFound, StorageUnavailable
from certcore.model.certificate import Certificate, Schedule
from certcore.model.lifecycle import Status

if TYPE_CHECKING:
    from rich.console import Console


__all__ = ["Progress", "run", "run_until_idle"]

#: Seconds between two looks at how far the certificates are.
_LOOK: Final = 0.2
#: What becomes due this soon is waited for; the owner's next turn is further away.
_SOON: Final = timedelta(seconds=8)
#: After so many seconds without any change, what only becomes due later is not waited for.
_QUIET: Final = 10.0
#: Seconds that running steps have to end.
_DRAIN: Final = 60.0
#: Seconds between two writes of the health file.
_HEALTH_EVERY: Final = 5
#: How many certificates are watched for changes.
_WATCHED: Final = 1000


def run(  # noqa: PLR0917 - Typer gives them all by name
    once: Annotated[
        bool, typer.Option("--once", help="Take one step of every certificate that is due, and end: for cron.")
    ] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when nothing can be done now; what waits for an owner is left.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0.0, help="With --until-idle: give up after this long."),
    ] = 600.0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="How many threads take steps.")] = 4,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, help="How many certificates this process has in hand at once.")
    ] = 8,
    health_file: Annotated[
        Path | None,
        typer.Option("--health-file", metavar="PATH", help="Write here every few seconds how the worker is, as JSON."),
    ] = None,
    dns: Annotated[
        str, typer.Option("--dns", metavar="HOST:PORT", help="Serve the tech zones from this process, too.")
    ] = "",
    dns_module: Annotated[
        str,
        typer.Option("--dns-module", metavar="MODULE", help="Whose DNS server; by default the only one there is."),
    ] = "",
    targets: Targets = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Work on all certificates: validate, issue, renew. Runs until Ctrl-C or SIGTERM, and lets running steps end.

    With --once and --until-idle, exit code 1 when a target was not told, a certificate cannot be renewed, or a step was
    lost (it failed inside certcore or a plugin, or could not be stored): each is named, and tried again later. So it is
    when a thread died.
    """
    if once and until_idle:
        raise typer.BadParameter("choose one of --once and --until-idle.", param_hint="--once")
    address = parse_address(dns, "--dns") if dns else None
    with (
        session(database, keyring, as_json=as_json, targets=lambda: read_targets_file(targets)) as now,
        sigterm_interrupts(),
        _serving(now, address, dns_module),
    ):
        if once:
            _run_once(now)
        elif until_idle:
            _run_until_idle(now, timeout, now.core.worker(threads=threads, in_flight=in_flight))
        else:
            _run_for_ever(now, now.core.worker(threads=threads, in_flight=in_flight), health_file)


@define(kw_only=True)
class Progress:
    """Which certificates are on their way, and what became of them since the last look."""

    core: CertCore
    _on_their_way: dict[str, Certificate] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._on_their_way = self._look()

    def changes(self) -> list[tuple[Certificate | None, Certificate]]:
        """What changed in status or problem since the last call: before (None: it is new) and now."""
        before, now = self._on_their_way, self._look()
        self._on_their_way = dict(now)
        for gone in before.keys() - now.keys():
            try:
                now[gone] = self.core.certificates.get(gone)
            except NotFound:
                continue
        changed = ((before.get(one), certificate) for one, certificate in now.items())
        return [(old, new) for old, new in changed if old is None or _state(old) != _state(new)]

    def _look(self) -> dict[str, Certificate]:
        return {
            one.id: one
            for status in (Status.PENDING, Status.PROCESSING)
            for one in self.core.certificates.list(status=status, limit=_WATCHED).items
        }


def run_until_idle(
    worker: Worker, progress: Progress, *, timeout: float
) -> Iterator[tuple[Certificate | None, Certificate]]:
    """Wait until a started worker has nothing to do now, with what changes meanwhile.

    Args:
        worker: It runs already.
        progress: Made before it was started.
        timeout: Seconds.

    Yields:
        Each change, as `Progress.changes` has it.

    Raises:
        TimeoutError: There is still something to do.
    """
    core, pause = progress.core, threading.Event()
    deadline = time.monotonic() + timeout
    last_change = time.monotonic()
    while True:
        for change in progress.changes():
            last_change = time.monotonic()
            yield change
        # With many owners to wait for there is always one whose turn comes soon.
        within = timedelta(0) if time.monotonic() - last_change > _QUIET else _SOON
        if worker.is_idle(within) and not core.certificates.list(status=Status.PROCESSING, limit=1).items:
            yield from progress.changes()
            return
        if time.monotonic() >= deadline:
            raise TimeoutError
        pause.wait(_LOOK)


@contextmanager
def _serving(now: Session, address: tuple[str, int] | None, module: str) -> Iterator[None]:
    """The DNS server beside the worker, where one is wanted."""
    if address is None:
        yield
        return
    server = now.core.dns_server(listen=address, module=module)
    try:
        now.output.note(f"Serving DNS on {server.address[0]}, port {server.address[1]}.", "dim")
        yield
    finally:
        server.close()


def _run_once(now: Session) -> None:
    engine = now.core.engine
    progress = Progress(core=now.core)
    seen: set[str] = set()
    again: list[Schedule] = []
    lost: list[LostStep] = []
    # One that is due again at once is kept until the others have had their turn.
    while claimed := engine.claim_due(1):
        schedule = claimed[0]
        if schedule.certificate_id in seen:
            again.append(schedule)
            continue
        seen.add(schedule.certificate_id)
        if (step := take_step(now.core, schedule)) is not None:
            lost.append(step)
    for schedule in again:
        engine.release(schedule)
    now.core.outbox.deliver()
    untold = undelivered(now.core)
    failing = failing_renewals(now.core)
    lost += broken_requests(now.core, seen - {step.certificate_id for step in lost})
    changes = [_told(now, change) for change in progress.changes()]
    words = {0: "Nothing was due.", 1: "One certificate was due; it was looked at."}.get(
        len(seen), f"{len(seen)} certificates were due; each was looked at."
    )
    document = {
        "looked_at": len(seen),
        "changed": changes,
        "undelivered": [one.to_json() for one in untold],
        "lost": [one.to_json() for one in lost],
        "failing": [one.to_json() for one in failing],
    }

    def draw(to: Console) -> None:
        to.print(words)
        draw_lost(to, lost)
        draw_undelivered(to, untold)
        draw_failing(to, failing)

    now.output.result(document, draw)
    if untold or lost or failing:
        raise typer.Exit(FAILED)


def _run_until_idle(now: Session, timeout: float, worker: Worker) -> None:
    changes: list[dict[str, Any]] = []
    outcome = "idle"
    try:
        with _working(now, worker) as progress, _spinner(now):
            for change in run_until_idle(worker, progress, timeout=timeout):
                changes.append(_told(now, change))  # noqa: PERF401 - what was told before the end is kept
    except TimeoutError:
        outcome = "timeout"
    except KeyboardInterrupt:
        outcome = "interrupted"
    untold, lost, died = undelivered(now.core), lost_steps(now.core, worker.lost), worker.health().replaced
    failing = failing_renewals(now.core)
    known = {step.certificate_id for step in lost}
    lost += [step for step in broken_requests(now.core) if step.certificate_id not in known]
    broken = {step.certificate_id for step in lost}
    pending = now.core.certificates.list(status=Status.PENDING, limit=_WATCHED).items
    waiting = tuple(one for one in pending if one.id not in broken)
    document = {
        "outcome": outcome,
        "changed": changes,
        "waiting": [{"id": one.id, "domain": one.domain.ascii} for one in waiting],
        "undelivered": [one.to_json() for one in untold],
        "lost": [one.to_json() for one in lost],
        "threads_replaced": died,
        "failing": [one.to_json() for one in failing],
    }

    def draw(to: Console) -> None:
        if outcome == "timeout":
            to.print(f"Not done after {timeout:g} seconds. Run it again, or with a longer --timeout.", style="yellow")
        elif outcome == "idle":
            done = "All else is done; this is tried again later:"
            to.print(done if untold or lost or failing else "Nothing is left to do now.")
        draw_lost(to, lost, died)
        draw_undelivered(to, untold)
        draw_failing(to, failing)
        for one in waiting:
            to.print(f"{plain(one.domain)} waits: certcore cert hints {one.id if as_id(one, waiting) else one.domain}")

    def as_id(one: Certificate, others: tuple[Certificate, ...]) -> bool:
        return sum(one.domain == other.domain for other in others) > 1

    now.output.result(document, draw)
    if outcome == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if outcome == "timeout" or untold or lost or died or failing:
        raise typer.Exit(FAILED)


def _run_for_ever(now: Session, worker: Worker, health_file: Path | None) -> None:
    changes = 0
    pause = threading.Event()
    health = HealthFile(path=health_file, worker=worker, now=now.core.engine.environment.now)
    try:
        with _working(now, worker) as progress:
            now.output.note("Working. Ctrl-C ends it.", "dim")
            for second in itertools.count():
                try:
                    for change in progress.changes():
                        changes += 1
                        _told(now, change)
                except StorageUnavailable as error:  # the worker goes on trying, and so does this
                    now.core.engine.leases.outage.failed(error)
                if second % _HEALTH_EVERY == 0:
                    health.write()
                pause.wait(1.0)
    except KeyboardInterrupt:
        now.output.result({"outcome": "stopped", "changes": changes}, lambda to: to.print("Stopped."))
    finally:
        health.remove()


@contextmanager
def _working(now: Session, worker: Worker) -> Iterator[Progress]:
    progress = Progress(core=now.core)
    try:
        worker.start()
        yield progress
    except KeyboardInterrupt:
        now.output.note("Stopping: running steps are finished first.", "dim")
        raise
    finally:
        if not worker.stop(_DRAIN):
            raise CertCoreError(
                f"A step still ran {_DRAIN:g} seconds after the end; it was left alone.",
                advice="Its lease runs out within a minute; then another worker goes on with it.",
            )


@contextmanager
def _spinner(now: Session) -> Iterator[None]:
    """A sign of life, on a terminal only."""
    to = now.output.stderr
    if not to.is_terminal:
        yield
        return
    with to.status("Working …"):
        yield


def _told(now: Session, change: tuple[Certificate | None, Certificate]) -> dict[str, Any]:
    """Say on stderr what changed; returns it for machines."""
    old, new = change
    at = now.core.engine.environment.now()
    before = "" if old is None or old.status is new.status else f"{old.status} → "
    problem = "" if new.problem is None else f": {new.problem}"
    now.output.note(f"{at:%H:%M:%S} {new.domain}: {before}{new.status}{problem}")
    return {
        "at": moment(at),
        "id": new.id,
        "domain": new.domain.ascii,
        "from_status": None if old is None else str(old.status),
        "to_status": str(new.status),
        "problem": None if new.problem is None else new.problem.to_json(),
    }


def _state(certificate: Certificate) -> tuple[Status, Mapping[str, Any] | None]:
    return certificate.status, None if certificate.problem is None else certificate.problem.to_json()
