"""Release a certificate after an unexpected error in its step, and retry it after a growing pause."""

from __future__ import annotations

import logging
import traceback

from attrs import evolve

from certcore.engine.apply_step import LeasedCertificate, after_trouble
from certcore.errors import LeaseLostError, NotFoundError, StorageError
from certcore.model.certificate import Schedule
from certcore.model.renewal import Retry, retry_delay
from certcore.ports.environment import Environment
from certcore.ports.storage import Storage

__all__ = ["put_off"]

_log = logging.getLogger(__name__)


def put_off(
    claimed: LeasedCertificate | Schedule, error: BaseException, *, storage: Storage, environment: Environment
) -> None:
    """Release a certificate and retry it after a growing pause. The problem is stored if possible.

    Does nothing if the lease is lost.

    Args:
        claimed: The certificate, or only its leased schedule if it could not be loaded.
        error: The error. Its text is not logged because it might contain a secret.
        storage: The store.
        environment: Clock and random source.

    Raises:
        StorageError: The store cannot be used now.
    """
    schedule = claimed.schedule if isinstance(claimed, LeasedCertificate) else claimed
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error(
        "The step of certificate %s raised %s:\n%s", schedule.certificate_id, type(error).__name__, frames.rstrip()
    )
    now, roll = environment.now(), environment.roll()
    attempts = schedule.attempts + 1
    due_at = now + retry_delay(Retry.SOON, attempts, roll)
    later = evolve(schedule, due_at=due_at, attempts=attempts, lease_owner="", lease_until=None, written_at=now)
    try:
        if isinstance(claimed, LeasedCertificate):
            _keep_problem(after_trouble(evolve(claimed, events=()), error, now=now, roll=roll), later, storage)
            return
    except (LeaseLostError, NotFoundError):
        return
    except StorageError:
        raise
    except Exception as second:  # isolation: broken rows must not keep the certificate due forever
        _log.error("The problem of that certificate cannot be stored: %s", type(second).__name__)
    try:
        with storage.write() as transaction:
            transaction.schedules.save(later)
    except (LeaseLostError, NotFoundError):
        return


def _keep_problem(after: LeasedCertificate, later: Schedule, storage: Storage) -> None:
    with storage.write() as transaction:
        transaction.schedules.save(later)  # first, because it checks the token
        transaction.certificates.save_progress(after.certificate)
        transaction.events.append(after.events)
