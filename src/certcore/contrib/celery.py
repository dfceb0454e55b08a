"""certcore's engine as three Celery tasks, for panels that already run Celery workers.

::

    app = Celery("panel", broker="redis://…")
    tasks = install(app, lambda: CertCore.open("postgresql://…", keyring="keyring.json"))

- ``certcore.sweep`` is sent by beat. It looks up the certificates that are due, sends one ``certcore.reconcile`` for
  each, and delivers new events to the observers. When no more are due, it sends ``certcore.preflights``.
- ``certcore.reconcile`` takes all steps of one certificate that are due. If the next step is due soon, it schedules
  itself for that time; otherwise a later sweep finds the certificate.
- ``certcore.preflights`` checks certificates in service as if they were renewed; see `CertCore.run_preflights`.

Messages are only triggers; the state is in the store. The next sweep makes up for a lost message. A message does no
harm if it arrives twice, late, or while ``certcore run`` works on the same certificate: its task finds a lease, or
nothing to do. The lease of a killed worker expires within a minute. If a worker continues after its lease has expired,
its fencing token is outdated, and the store rejects its writes.

Needs the PyPI package celery.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from attrs import define, field, frozen

from certcore.core import CertCore
from certcore.engine.reconcile import Reconciled
from certcore.errors import InvalidInputError, MissingPackageError, StorageError

try:
    from celery import Celery, Task, signals
except ImportError:
    raise MissingPackageError("certcore.contrib.celery", "celery", extra="celery") from None

__all__ = ["CertcoreTasks", "install"]

_SWEEP: Final = "certcore.sweep"
_RECONCILE: Final = "certcore.reconcile"
_PREFLIGHTS: Final = "certcore.preflights"
_BEAT_ENTRY: Final = "certcore-sweep"
#: The most steps per message, so that other messages of the queue get their turn.
_MAX_STEPS: Final = 20
#: A message expires when it has waited for this many sweeps. Newer messages replace it.
_MESSAGE_LIFETIME_IN_SWEEPS: Final = 10
#: The most preflights per message. Each may take some seconds, because it waits for DNS answers.
_MAX_PREFLIGHTS: Final = 10
#: The most that `CertCore.due` returns.
_MAX_BATCH: Final = 1000
_MIN_INTERVAL: Final = timedelta(seconds=1)


@frozen(kw_only=True)
class CertcoreTasks:
    """The tasks, as `celery.Task` objects of the panel's app."""

    #: ``certcore.sweep``, without arguments: send a `reconcile` for each certificate that is due. Returns their number.
    sweep: Task
    #: ``certcore.reconcile(certificate_id)``: take the steps of this certificate that are due. Returns its status.
    reconcile: Task
    #: ``certcore.preflights``, without arguments: run the preflights that are due. Returns their number.
    preflights: Task


def install(
    app: Celery, open_core: Callable[[], CertCore], *, every: timedelta = timedelta(seconds=30), batch: int = 100
) -> CertcoreTasks:
    """Register the tasks of `CertcoreTasks`, and the beat entry ``certcore-sweep``.

    No other setting of the app is changed or read, so the app may be configured before or after. Call it once per app.
    Lost, late and duplicate messages, killed workers and a ``certcore run`` on the same database are harmless; see the
    module.

    Args:
        app: The panel's Celery app.
        open_core: Opens a new `CertCore`. It is called in each worker process at the first task, never before the fork,
            so that no connection is shared between processes. The `CertCore` is closed when the process ends.
        every: Time between two sweeps, at least a second. A certificate whose next step is due within this time does
            not wait for a sweep.
        batch: How many certificates one sweep looks up, 1 to 1000. If more are due, the next sweep follows at once.

    Returns:
        The tasks. Call ``tasks.reconcile.delay(certificate.id)`` after a user's action to skip the wait for a sweep.

    Raises:
        InvalidInputError: ``every`` or ``batch`` is out of range.
    """
    if every < _MIN_INTERVAL:
        raise InvalidInputError("every", "must be at least one second.")
    if not 1 <= batch <= _MAX_BATCH:
        raise InvalidInputError("batch", f"must be from 1 to {_MAX_BATCH}.")
    cores = _Cores(open_core)
    message_lifetime = every.total_seconds() * _MESSAGE_LIFETIME_IN_SWEEPS

    def sweep() -> int:
        """Send a message for each certificate that is due, and deliver new events."""
        core = cores.of_this_process()
        due = core.due(batch)
        for certificate_id in due:
            tasks.reconcile.apply_async((certificate_id,), expires=message_lifetime)
        if len(due) == batch:
            # More certificates may be due. When a worker gets to the next sweep, these are done or leased. If the queue
            # is slower than beat, the message expires, and beat's own sweeps are enough.
            tasks.sweep.apply_async(expires=every.total_seconds())
        else:
            tasks.preflights.apply_async(expires=every.total_seconds())
        core.deliver_events()  # last, so that slow observers do not delay certificates
        return len(due)

    def reconcile(certificate_id: str) -> str | None:
        """Take the steps of one certificate that are due."""
        core = cores.of_this_process()
        result = _advance(core, certificate_id)
        if result.stepped and result.look_again is not None:
            wait = max(result.look_again - core.now(), timedelta(0))
            if wait < every:
                seconds = wait.total_seconds()
                tasks.reconcile.apply_async((certificate_id,), countdown=seconds, expires=seconds + message_lifetime)
        return None if result.status is None else str(result.status)

    def preflights() -> int:
        """Run some of the preflights that are due. Their number is limited, so that other messages get their turn."""
        return cores.of_this_process().run_preflights(_MAX_PREFLIGHTS)

    # acks_late: the message survives a killed worker. shared=False: other apps in this process do not get these tasks.
    # throws: when the database is unavailable, the task fails with one log line and no traceback.
    options: dict[str, Any] = {"acks_late": True, "ignore_result": True, "serializer": "json", "shared": False}
    options["throws"] = (StorageError,)
    tasks = CertcoreTasks(
        sweep=app.task(name=_SWEEP, **options)(sweep),
        reconcile=app.task(name=_RECONCILE, **options)(reconcile),
        preflights=app.task(name=_PREFLIGHTS, **options)(preflights),
    )
    _add_to_beat(app, {"task": _SWEEP, "schedule": every, "options": {"expires": message_lifetime}})
    # Each process of a prefork pool sends the first signal. In the pools threads and solo, the worker sends the other.
    signals.worker_process_shutdown.connect(cores.close)
    signals.worker_shutdown.connect(cores.close)
    return tasks


def _advance(core: CertCore, certificate_id: str) -> Reconciled:
    """Take steps until none is due, at most `_MAX_STEPS`."""
    result = core.reconcile(certificate_id)
    for _ in range(_MAX_STEPS - 1):
        if not result.stepped or result.look_again is None or result.look_again > core.now():
            break
        result = core.reconcile(certificate_id)
    return result


def _add_to_beat(app: Celery, entry: dict[str, Any]) -> None:
    """Add the beat entry now if the app is configured, and every time it is configured from now on."""

    def add(sender: Celery, **_: object) -> None:
        # A new dict, because the old one may belong to the panel's settings.
        sender.conf.beat_schedule = {**sender.conf.beat_schedule, _BEAT_ENTRY: entry}

    app.on_after_configure.connect(add, weak=False)
    if app.configured:
        add(app)


@define(eq=False)
class _Slot:
    lock: threading.Lock = field(factory=threading.Lock, init=False)
    core: CertCore | None = field(default=None, init=False)


@define(eq=False)
class _Cores:
    """One `CertCore` per process.

    A forked process inherits its parent's slot, lock and connections. It must neither use, close nor free them, because
    that would write to the parent's connections. They therefore stay in the dictionary under the parent's process ID.
    """

    _open: Callable[[], CertCore]
    _slots: dict[int, _Slot] = field(factory=dict, init=False)

    def of_this_process(self) -> CertCore:
        """The `CertCore` of this process, opened at the first call."""
        slot = self._slots.setdefault(os.getpid(), _Slot())
        with slot.lock:
            if slot.core is None:
                slot.core = self._open()
            return slot.core

    def close(self, **_: object) -> None:
        """Close the `CertCore` of this process, if any. Receives Celery's signals."""
        slot = self._slots.get(os.getpid())
        if slot is None:
            return
        with slot.lock:
            if slot.core is not None:
                slot.core.close()
                slot.core = None
