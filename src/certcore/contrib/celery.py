"""certcore's engine as two Celery tasks, for a panel that runs Celery workers already.

::

    app = Celery("panel", broker="redis://…")
    tasks = install(app, lambda: CertCore.open("postgresql://…", keyring="keyring.json"))

- ``certcore.sweep`` is sent by beat. It looks up what is due, sends one ``certcore.reconcile`` for each certificate,
  and hands new events to the observers.
- ``certcore.reconcile`` takes the steps of one certificate that can be taken now. When the next one is near it sends
  itself again, to be run at that time; else a later sweep finds the certificate.

Messages are hints, the truth is in the store. A lost message is made good by the next sweep. A message that comes
twice, or late, or while ``certcore run`` works on the same certificate, meets a lease or finds nothing to do. A worker
that is killed leaves a lease that runs out within a minute; should it go on after all, its fencing token is an old one
and the store refuses what it writes.

It needs the PyPI package celery.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from attrs import define, field, frozen

from certcore.core import CertCore
from certcore.engine.reconcile import Reconciled
from certcore.errors import CertCoreError, InvalidInput, StorageBusy, StorageError

try:
    from celery import Celery, Task, signals
except ImportError:
    raise CertCoreError(
        "certcore.contrib.celery needs the package celery, which is not installed.",
        advice="Run: pip install 'certcore[celery]'",
    ) from None

__all__ = ["CertcoreTasks", "install"]

_SWEEP: Final = "certcore.sweep"
_RECONCILE: Final = "certcore.reconcile"
_BEAT_ENTRY: Final = "certcore-sweep"
#: Steps for one message; after these the other messages of the queue have their turn.
_STEPS: Final = 20
#: A message is dropped when the queue is this many sweeps behind: newer ones say the same.
_SWEEPS_KEPT: Final = 10
_A_SECOND: Final = timedelta(seconds=1)


@frozen(kw_only=True)
class CertcoreTasks:
    """The two tasks, as `celery.Task` objects of the panel's app."""

    #: ``certcore.sweep``, without arguments: send a `reconcile` for all that is due. Returns how many were sent.
    sweep: Task
    #: ``certcore.reconcile(certificate_id)``: take this certificate's steps that can be taken now. Returns its status.
    reconcile: Task


def install(
    app: Celery, open_core: Callable[[], CertCore], *, every: timedelta = timedelta(seconds=30), batch: int = 100
) -> CertcoreTasks:
    """Register the tasks ``certcore.sweep`` and ``certcore.reconcile``, and the beat entry ``certcore-sweep``.

    No other setting of the app is touched, and none is read: it may be configured before or after. Call it once for
    an app. Lost, late and double messages, killed workers and a ``certcore run`` on the same database are all
    harmless; see the module.

    Args:
        app: The panel's Celery app.
        open_core: Opens a new `CertCore`. It is called in each worker process when that has its first task, never
            before the fork, so that no connection is shared between processes. What it returns is closed when the
            process ends.
        every: Time between two sweeps, at least a second. A certificate whose next step is nearer than this does not
            wait for a sweep.
        batch: Certificates that one sweep looks up. When there are more, the next sweep follows behind these.

    Returns:
        The tasks: ``tasks.reconcile.delay(certificate.id)`` after a user's click spares the wait for the next sweep.

    Raises:
        InvalidInput: ``every`` or ``batch`` is too small.
    """
    if every < _A_SECOND:
        raise InvalidInput("every", "is at least one second.")
    if batch < 1:
        raise InvalidInput("batch", "is at least 1.")
    cores = _Cores(open_core)
    keep = every.total_seconds() * _SWEEPS_KEPT

    def sweep() -> int:
        """Send a message for each certificate that is due, and tell the observers what is new."""
        core = cores.of_this_process()
        due = _due(core, batch)
        for certificate_id in due:
            tasks.reconcile.apply_async((certificate_id,), expires=keep)
        if len(due) == batch:
            # More may be due. By the time that the queue gets there, these are done or under a lease. When the queue
            # is slower than beat, beat's own sweeps are enough.
            tasks.sweep.apply_async(expires=every.total_seconds())
        core.outbox.deliver()  # last: slow observers keep no certificate waiting
        return len(due)

    def reconcile(certificate_id: str) -> str | None:
        """Take the steps of one certificate that can be taken now."""
        core = cores.of_this_process()
        done = _advance(core, certificate_id)
        if done.stepped and done.look_again is not None:
            ahead = max(done.look_again - core.engine.environment.now(), timedelta(0))
            if ahead < every:
                seconds = ahead.total_seconds()
                tasks.reconcile.apply_async((certificate_id,), countdown=seconds, expires=seconds + keep)
        return None if done.status is None else str(done.status)

    # acks_late: a message outlives its worker. shared=False: other apps in this process do not get these tasks. throws:
    # a database that is away fails the task in one line of the log, without a traceback.
    options: dict[str, Any] = {"acks_late": True, "ignore_result": True, "serializer": "json", "shared": False}
    options["throws"] = (StorageError,)
    tasks = CertcoreTasks(
        sweep=app.task(name=_SWEEP, **options)(sweep), reconcile=app.task(name=_RECONCILE, **options)(reconcile)
    )
    _add_to_beat(app, {"task": _SWEEP, "schedule": every, "options": {"expires": keep}})
    # A process of a prefork pool ends with the first; with threads or solo there is only the worker itself.
    signals.worker_process_shutdown.connect(cores.close)
    signals.worker_shutdown.connect(cores.close)
    return tasks


def _due(core: CertCore, limit: int) -> list[str]:
    """Ids of what is due and not in anybody's hands, most urgent first.

    The leases are given back: the task that gets the message takes one of its own. If this process dies in between,
    they run out, and a later sweep finds the certificates again.
    """
    due = []
    for schedule in core.engine.claim_due(limit):
        with contextlib.suppress(StorageBusy):  # whoever has locked this row keeps no other certificate waiting
            core.engine.release(schedule)
            due.append(schedule.certificate_id)
    return due


def _advance(core: CertCore, certificate_id: str) -> Reconciled:
    """Take steps until none can be taken at once."""
    done = core.reconcile(certificate_id)
    for _ in range(_STEPS - 1):
        if not done.stepped or done.look_again is None or done.look_again > core.engine.environment.now():
            break
        done = core.reconcile(certificate_id)
    return done


def _add_to_beat(app: Celery, entry: dict[str, Any]) -> None:
    """Add the beat entry now if the app is configured, and whenever it is configured (anew) from now on."""

    def add(sender: Celery, **_: object) -> None:
        # A new dict: the old one may be an object in the panel's settings.
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
    """One `CertCore` for each process that asks for one.

    A fork inherits its parent's slot, lock and connections. It uses neither, and must not close or free them, as that
    would talk over the parent's connections: they stay in the dictionary under the parent's process id.
    """

    _open: Callable[[], CertCore]
    _slots: dict[int, _Slot] = field(factory=dict, init=False)

    def of_this_process(self) -> CertCore:
        """The one of this process, opened when it is asked for first."""
        slot = self._slots.setdefault(os.getpid(), _Slot())
        with slot.lock:
            if slot.core is None:
                slot.core = self._open()
            return slot.core

    def close(self, **_: object) -> None:
        """Close the one of this process if there is one: the receiver of Celery's signals."""
        slot = self._slots.get(os.getpid())
        if slot is None:
            return
        with slot.lock:
            if slot.core is not None:
                slot.core.close()
                slot.core = None
