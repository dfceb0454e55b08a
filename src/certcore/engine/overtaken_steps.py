"""Clean up after a step whose outcome was refused because a user or a deletion took the certificate over."""

from __future__ import annotations

import logging
from datetime import datetime

from certcore.engine.apply_step import LeasedCertificate
from certcore.engine.module_context import Contexts
from certcore.errors import NotFoundError, StorageError
from certcore.model.certificate import DELETION
from certcore.model.plugin_calls import call_plugin
from certcore.ports.ca_module import SupportsCleanUp

__all__ = ["take_back"]

_log = logging.getLogger(__name__)


def take_back(leased: LeasedCertificate, issuance_id: str, contexts: Contexts) -> None:
    """Let the module release what a step acquired, because the step's outcome was refused.

    Does nothing while the attempt continues elsewhere, because its end releases it.

    Args:
        leased: The state that could not be stored.
        issuance_id: The issuance of the step.
        contexts: Gives access to the module and the store.
    """
    try:
        if _goes_on(leased.certificate.id, issuance_id, contexts):
            return
        issuance = next(each for each in leased.issuances if each.id == issuance_id)
        module, work = contexts.work(leased.authority(issuance.authority_id), leased.certificate, issuance)
        if not isinstance(module, SupportsCleanUp):
            return
        again = call_plugin(module.name, "clean_up", module.clean_up, work, returns=datetime | None)
    except Exception as error:  # isolation: the step has failed already
        reason = getattr(error, "message", type(error).__name__)
        _log.error("The clean-up of certificate %s failed: %s", leased.certificate.id, reason)
        return
    if again is not None:
        _log.error("The clean-up of certificate %s failed: the module asks to try again later.", leased.certificate.id)


def _goes_on(certificate_id: str, issuance_id: str, contexts: Contexts) -> bool:
    try:
        with contexts.storage.read() as transaction:
            if transaction.issuances.get(issuance_id).outcome is not None:
                return False
            return transaction.schedules.get(certificate_id).lease_owner != DELETION
    except NotFoundError:
        return False
    except StorageError:  # unknown: the next step, or the deletion, cleans up
        return True
