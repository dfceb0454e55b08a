"""``certcore run``: the worker that issues and renews certificates."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from attrs import define, field

from certcore.cli.commands.dns import parse_address
from certcore.cli.errors import CommandError
from certcore.cli.failing_renewals import draw_failing, failing_renewals
from certcore.cli.health_file import HealthFile
from certcore.cli.interrupts import sigterm_interrupts
from certcore.cli.lost_work import LostStep, broken_requests, draw_lost, lost_steps, take_step
from certcore.cli.options import FAILED, INTERRUPTED, Database, Json, Keyring, Targets
from certcore.cli.output import plain
from certcore.cli.session import Session, open_session, read_targets_file
from certcore.cli.undelivered import draw_undelivered, undelivered
from certcore.core import CertCore
from certcore.engine.worker import Worker
from certcore.errors import NotFoundError, StorageUnavailableError
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status
from certcore.serialization import moment

if TYPE_CHECKING:
    from rich.console import Console


__all__ = ["Progress", "run", "run_until_idle"]

#: Seconds between two checks for changes.
_POLL_INTERVAL: Final = 0.2
#: ``--until-idle`` waits for work that becomes due within this time. Checks that wait for an owner are due later.
_SOON: Final = timedelta(seconds=8)
#: After this many seconds without a change, ``--until-idle`` only waits for work that is due now.
_QUIET: Final = 10.0
#: Seconds that running steps have to finish when the command stops.
_DRAIN_TIMEOUT: Final = 60.0
#: Seconds between two writes of the health file.
_HEALTH_INTERVAL: Final = 5
#: How many due certificates ``--once`` asks for at a time. Some may have had their step, and be due again.
_BATCH: Final = 1000
#: The most preflights of one ``--once``. Each may take some seconds, because it waits for DNS answers.
_PREFLIGHTS: Final = 20
#: The most certificates per status that are watched for changes.
_MAX_WATCHED: Final = 1000


def run(  # noqa: PLR0917 - Typer gives them all by name
    once: Annotated[
        bool, typer.Option("--once", help="Take one step of every certificate that is due, then exit. For cron.")
    ] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Exit when nothing is left to do but to wait for owners.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0.0, help="With --until-idle: give up after this time."),
    ] = 600.0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="How many threads take steps.")] = 4,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, help="How many certificates this process leases at a time.")
    ] = 8,
    health_file: Annotated[
        Path | None,
        typer.Option(
            "--health-file", metavar="PATH", help="Write the worker's health here every few seconds, as JSON."
        ),
    ] = None,
    dns: Annotated[
        str, typer.Option("--dns", metavar="HOST:PORT", help="Serve the tech zones from this process, too.")
    ] = "",
    dns_module: Annotated[
        str,
        typer.Option(
            "--dns-module", metavar="MODULE", help="The CA module whose DNS server runs; by default the only one."
        ),
    ] = "",
    targets: Targets = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Validate, issue and renew all certificates. Runs until Ctrl-C or SIGTERM, then finishes running steps.

    With --once and --until-idle, the exit code is 1 when a delivery to a target failed, a certificate cannot be
    renewed, a step failed inside certcore or a plugin or could not be stored, or a thread died. Each is reported, and
    tried again later.
    """
    if once and until_idle:
        raise typer.BadParameter("choose one of --once and --until-idle.", param_hint="--once")
    address = parse_address(dns, "--dns") if dns else None
    with (
        open_session(database, keyring, as_json=as_json, targets=lambda: read_targets_file(targets)) as session,
        sigterm_interrupts(),
        _serving(session, address, dns_module),
    ):
        if once:
            _run_once(session)
        elif until_idle:
            _run_until_idle(session, timeout, session.core.worker(threads=threads, in_flight=in_flight))
        else:
            _run_for_ever(session, session.core.worker(threads=threads, in_flight=in_flight), health_file)


@define(kw_only=True)
class Progress:
    """Watches the certificates that are pending or processing, and reports their changes."""

    core: CertCore
    _watched: dict[str, Certificate] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._watched = self._look()

    def changes(self) -> list[tuple[Certificate | None, Certificate]]:
        """The certificates whose status or problem changed since the last call, each before (None if new) and after."""
        before, after = self._watched, self._look()
        self._watched = dict(after)
        for certificate_id in before.keys() - after.keys():
            try:
                after[certificate_id] = self.core.certificates.get(certificate_id)
            except NotFoundError:
                continue
        changed = ((before.get(certificate_id), certificate) for certificate_id, certificate in after.items())
        return [(old, new) for old, new in changed if old is None or _state(old) != _state(new)]

    def _look(self) -> dict[str, Certificate]:
        return {
            certificate.id: certificate
            for status in (Status.PENDING, Status.PROCESSING)
            for certificate in self.core.certificates.list(status=status, limit=_MAX_WATCHED).items
        }


def run_until_idle(
    worker: Worker, progress: Progress, *, timeout: float
) -> Iterator[tuple[Certificate | None, Certificate]]:
    """Wait until a worker has nothing left to do, and yield the changes meanwhile.

    Args:
        worker: A started worker.
        progress: Created before the worker was started.
        timeout: The most seconds to wait.

    Yields:
        Each change, as `Progress.changes` returns it.

    Raises:
        TimeoutError: There is still work to do after `timeout`.
    """
    core, pause = progress.core, threading.Event()
    deadline = time.monotonic() + timeout
    last_change = time.monotonic()
    while True:
        for change in progress.changes():
            last_change = time.monotonic()
            yield change
        # If many certificates wait for owners, the check of one of them is always due soon.
        within = timedelta(0) if time.monotonic() - last_change > _QUIET else _SOON
        if worker.is_idle(within) and not core.certificates.list(status=Status.PROCESSING, limit=1).items:
            yield from progress.changes()
            return
        if time.monotonic() >= deadline:
            raise TimeoutError
        pause.wait(_POLL_INTERVAL)


@contextmanager
def _serving(session: Session, address: tuple[str, int] | None, module: str) -> Iterator[None]:
    """Run the DNS server beside the worker, if an address is given."""
    if address is None:
        yield
        return
    server = session.core.dns_server(listen=address, module=module)
    try:
        session.output.note(f"Serving DNS on {server.address[0]}, port {server.address[1]}.", "dim")
        yield
    finally:
        server.close()


def _run_once(session: Session) -> None:
    progress = Progress(core=session.core)
    looked_at: set[str] = set()
    lost: list[LostStep] = []
    # One step per certificate, even if its next step is due at once.
    while batch := [certificate_id for certificate_id in session.core.due(_BATCH) if certificate_id not in looked_at]:
        looked_at.update(batch)
        steps = (take_step(session.core, certificate_id) for certificate_id in batch)
        lost += [step for step in steps if step is not None]
    checked_ahead = session.core.run_preflights(_PREFLIGHTS)
    session.core.deliver_events()
    undelivered_events = undelivered(session.core)
    failing = failing_renewals(session.core)
    lost += broken_requests(session.core, looked_at - {step.certificate_id for step in lost})
    changes = [_report_change(session, change) for change in progress.changes()]
    summary = {0: "Nothing was due.", 1: "One certificate was due and was checked."}.get(
        len(looked_at), f"{len(looked_at)} certificates were due and were checked."
    )
    document = {
        "looked_at": len(looked_at),
        "preflights": checked_ahead,
        "changed": changes,
        "undelivered": [delivery.to_json() for delivery in undelivered_events],
        "lost": [step.to_json() for step in lost],
        "failing": [renewal.to_json() for renewal in failing],
    }

    def draw(to: Console) -> None:
        to.print(summary)
        draw_lost(to, lost)
        draw_undelivered(to, undelivered_events)
        draw_failing(to, failing)

    session.output.result(document, draw)
    if undelivered_events or lost or failing:
        raise typer.Exit(FAILED)


def _run_until_idle(session: Session, timeout: float, worker: Worker) -> None:
    changes: list[dict[str, Any]] = []
    outcome = "idle"
    try:
        with _working(session, worker) as progress, _spinner(session):
            for change in run_until_idle(worker, progress, timeout=timeout):
                changes.append(_report_change(session, change))  # noqa: PERF401 - keeps the changes before a timeout
    except TimeoutError:
        outcome = "timeout"
    except KeyboardInterrupt:
        outcome = "interrupted"
    undelivered_events, lost, died = (
        undelivered(session.core),
        lost_steps(session.core, worker.lost),
        worker.health().replaced,
    )
    failing = failing_renewals(session.core)
    lost_ids = {step.certificate_id for step in lost}
    lost += [step for step in broken_requests(session.core) if step.certificate_id not in lost_ids]
    broken = {step.certificate_id for step in lost}
    pending = session.core.certificates.list(status=Status.PENDING, limit=_MAX_WATCHED).items
    waiting = tuple(certificate for certificate in pending if certificate.id not in broken)
    domain_counts = Counter(certificate.domain for certificate in waiting)
    document = {
        "outcome": outcome,
        "changed": changes,
        "waiting": [{"id": certificate.id, "domain": certificate.domain.ascii} for certificate in waiting],
        "undelivered": [delivery.to_json() for delivery in undelivered_events],
        "lost": [step.to_json() for step in lost],
        "threads_replaced": died,
        "failing": [renewal.to_json() for renewal in failing],
    }

    def draw(to: Console) -> None:
        if outcome == "timeout":
            to.print(
                f"Not finished after {timeout:g} seconds. Run it again, or with a longer --timeout.", style="yellow"
            )
        elif outcome == "idle":
            unfinished = "Everything else is done; this is tried again later:"
            to.print(unfinished if undelivered_events or lost or failing else "Nothing is left to do now.")
        draw_lost(to, lost, died)
        draw_undelivered(to, undelivered_events)
        draw_failing(to, failing)
        for certificate in waiting:
            name = certificate.id if domain_counts[certificate.domain] > 1 else certificate.domain
            to.print(f"{plain(certificate.domain)} waits: certcore cert hints {name}")

    session.output.result(document, draw)
    if outcome == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if outcome == "timeout" or undelivered_events or lost or died or failing:
        raise typer.Exit(FAILED)


def _run_for_ever(session: Session, worker: Worker, health_file: Path | None) -> None:
    changes = 0
    pause = threading.Event()
    health = HealthFile(path=health_file, worker=worker, now=session.core.now)
    try:
        with _working(session, worker) as progress:
            session.output.note("Working. Press Ctrl-C to stop.", "dim")
            for second in itertools.count():
                with suppress(StorageUnavailableError):  # the worker logs it; the worker and this loop try again
                    for change in progress.changes():
                        changes += 1
                        _report_change(session, change)
                if second % _HEALTH_INTERVAL == 0:
                    health.write()
                pause.wait(1.0)
    except KeyboardInterrupt:
        session.output.result({"outcome": "stopped", "changes": changes}, lambda to: to.print("Stopped."))
    finally:
        health.remove()


@contextmanager
def _working(session: Session, worker: Worker) -> Iterator[Progress]:
    progress = Progress(core=session.core)
    try:
        worker.start()
        yield progress
    except KeyboardInterrupt:
        session.output.note("Stopping after the running steps have finished.", "dim")
        raise
    finally:
        if not worker.stop(_DRAIN_TIMEOUT):
            raise CommandError(
                f"A step was still running {_DRAIN_TIMEOUT:g} seconds after the stop, and was abandoned.",
                advice="Its lease expires within a minute; then another worker continues.",
            )


@contextmanager
def _spinner(session: Session) -> Iterator[None]:
    """Show a spinner if stderr is a terminal."""
    to = session.output.stderr
    if not to.is_terminal:
        yield
        return
    with to.status("Working …"):
        yield


def _report_change(session: Session, change: tuple[Certificate | None, Certificate]) -> dict[str, Any]:
    """Print a change on stderr, and return it as JSON."""
    old, new = change
    at = session.core.now()
    before = "" if old is None or old.status is new.status else f"{old.status} → "
    problem = "" if new.problem is None else f": {new.problem}"
    session.output.note(f"{at:%H:%M:%S} {new.domain}: {before}{new.status}{problem}")
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
