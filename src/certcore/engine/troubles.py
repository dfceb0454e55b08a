"""What becomes of a certificate whose step raised what nobody expected: it waits, so that others have their turn."""

from __future__ import annotations

import logging
import traceback

from attrs import evolve

from certcore.engine.outcome import Held, after_trouble
from certcore.errors import LeaseLost, NotFound, StorageError
from certcore.model.certificate import Schedule
from certcore.model.renewal import Retry, retry_delay
from certcore.ports.environment import Environment
from certcore.ports.storage import Storage

__all__ = ["put_off"]

_log = logging.getLogger(__name__)


def put_off(taken: Held | Schedule, error: BaseException, *, storage: Storage, environment: Environment) -> None:
    """Give a certificate back and try it again later and later; it keeps the problem, where that can be stored.

    Nothing happens when the lease is lost already.

    Args:
        taken: What was in hand; only the leased schedule when the certificate could not be loaded.
        error: What was raised. Its text is not logged: it might hold a secret.
        storage: Where the certificate is.
        environment: For the present moment, and the chance in the pause.

    Raises:
        StorageError: The store cannot be used now.
    """
    schedule = taken.schedule if isinstance(taken, Held) else taken
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error(
        "The step of certificate %s raised %s:\n%s", schedule.certificate_id, type(error).__name__, frames.rstrip()
    )
    now, roll = environment.now(), environment.roll()
    attempts = schedule.attempts + 1
    due_at = now + retry_delay(Retry.SOON, attempts, roll)
    later = evolve(schedule, due_at=due_at, attempts=attempts, lease_owner="", lease_until=None, written_at=now)
    try:
        if isinstance(taken, Held):
            _keep_problem(after_trouble(evolve(taken, events=()), error, now=now, roll=roll), later, storage)
            return
    except (LeaseLost, NotFound):
        return
    except StorageError:
        raise
    except Exception as second:  # isolation: what is wrong with its rows must not keep it due for ever
        _log.error("Its problem cannot be stored: %s", type(second).__name__)
    try:
        with storage.write() as transaction:
            transaction.schedules.save(later)
    except (LeaseLost, NotFound):
        return


def _keep_problem(after: Held, later: Schedule, storage: Storage) -> None:
    with storage.write() as transaction:
        transaction.schedules.save(later)  # checks the token: first, so that nothing else is written without it
        transaction.certificates.save_progress(after.certificate)
        transaction.events.append(after.events)
