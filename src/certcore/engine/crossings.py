"""A step that was overtaken, by a user or by a deletion: it leaves nothing outside that nobody knows of."""

from __future__ import annotations

import logging
from datetime import datetime

from certcore.engine.contexts import Contexts
from certcore.engine.outcome import Held
from certcore.errors import NotFound, StorageError
from certcore.model.certificate import DELETION
from certcore.model.plugin_calls import call_plugin
from certcore.ports.ca_module import SupportsCleanUp

__all__ = ["take_back"]

_log = logging.getLogger(__name__)


def take_back(held: Held, issuance_id: str, contexts: Contexts) -> None:
    """Let the module take back what a step got hold of whose outcome was refused.

    Nothing happens while the attempt goes on under somebody else, who takes it back when it ends.

    Args:
        held: The state that could not be stored: it says what the step got hold of.
        issuance_id: Which issuance the step was about.
        contexts: For the module and the store.
    """
    try:
        if _goes_on(held.certificate.id, issuance_id, contexts):
            return
        issuance = next(one for one in held.issuances if one.id == issuance_id)
        module, work = contexts.work(held.authority(issuance.authority_id), held.certificate, issuance)
        if not isinstance(module, SupportsCleanUp):
            return
        again = call_plugin(module.name, "clean_up", module.clean_up, work, returns=datetime | None)
    except Exception as error:  # isolation: the step's own end is what counts, and it has been refused
        what = getattr(error, "message", type(error).__name__)
        _log.error("What certificate %s held could not be taken back: %s", held.certificate.id, what)
        return
    if again is not None:
        _log.error("What certificate %s held could not be taken back: the module says later.", held.certificate.id)


def _goes_on(certificate_id: str, issuance_id: str, contexts: Contexts) -> bool:
    try:
        with contexts.storage.read() as transaction:
            if transaction.issuances.get(issuance_id).outcome is not None:
                return False
            return transaction.schedules.get(certificate_id).lease_owner != DELETION
    except NotFound:
        return False
    except StorageError:  # nobody knows; whoever works on it, or deletes it, comes after this step
        return True
