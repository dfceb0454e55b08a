"""Changes during which no step may run: a deletion, and a transfer to another owner.

Such a change first takes the lease, under the name `DELETION`. From then on, the result of a running step is refused,
and the process that ran the step cleans up after it, see `certcore.engine.overtaken_steps`. Then the module releases
what earlier steps hold outside, and the change is stored only if the lease is still held. So nothing is left behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from attrs import evolve

from certcore.engine.leases import LEASE
from certcore.engine.module_context import Contexts
from certcore.errors import CertCoreError, CertificateBusyError, NotFoundError, StorageError
from certcore.messages import Message
from certcore.model.certificate import DELETION, Certificate
from certcore.model.issuance import Issuance
from certcore.model.plugin_calls import call_plugin
from certcore.ports.ca_module import SupportsCleanUp, SupportsDeletion
from certcore.ports.storage import Transaction

__all__ = ["exclusively"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
#: If this process dies during the change, a worker takes the certificate over after this time.
_TIME_TO_CHANGE: Final = timedelta(minutes=5)
#: How often the change starts over when another process takes the lease.
_TRIES: Final = 3


def exclusively(
    contexts: Contexts,
    certificate_id: str,
    *,
    permit: Callable[[Certificate], object],
    prepare: Callable[[Certificate, Sequence[Issuance]], T],
    change: Callable[[Transaction, Certificate, T], object],
) -> None:
    """Change a certificate while no step runs, after the modules have released what they hold outside for it.

    Args:
        contexts: The store's module contexts.
        certificate_id: The certificate.
        permit: Raises an error unless the stored certificate may be changed.
        prepare: Prepares the change, outside of transactions, from the certificate and its issuances.
        change: Stores the change, inside the write transaction.

    Raises:
        NotFoundError: There is no such certificate.
        CertificateBusyError: Other processes kept taking steps, or a module cannot release what it holds now.
        CertCoreError: One of the functions raised it; nothing was changed.
    """
    for _ in range(_TRIES):
        certificate, issuances = _begin(contexts, certificate_id, permit)
        try:
            for issuance in issuances:
                if issuance.needs_clean_up:
                    _clean_up(contexts, certificate, issuance)
                elif issuance.outcome is None:
                    _clean_up_unfinished(contexts, certificate, issuance)
            _tell_modules(contexts, certificate, issuances)
            if _is_stored(contexts, certificate_id, prepare(certificate, issuances), change):
                return
        except BaseException:  # boundary: nothing was changed, so the engine continues to reconcile the certificate
            with contexts.storage.write() as transaction:
                transaction.schedules.take_over(certificate_id, due_at=contexts.environment.now())
            raise
    text = "The certificate for {domain} is being worked on; nothing was changed."
    raise CertificateBusyError(
        Message("certificate.busy", text, {"domain": certificate.domain}),
        domain=certificate.domain.ascii,
        advice=Message("certificate.busy.advice", "Try again in a moment."),
    )


def _begin(
    contexts: Contexts, certificate_id: str, permit: Callable[[Certificate], object]
) -> tuple[Certificate, Sequence[Issuance]]:
    """Take the lease, and read the issuances that may need cleaning up."""
    now = contexts.environment.now()
    with contexts.storage.write() as transaction:
        stored = transaction.certificates.get(certificate_id)
        permit(stored)
        schedule = transaction.schedules.take_over(certificate_id, due_at=now + _TIME_TO_CHANGE)
        transaction.schedules.save(evolve(schedule, lease_owner=DELETION, lease_until=now + LEASE))
        return stored, transaction.issuances.of_certificate(certificate_id)


def _is_stored(
    contexts: Contexts, certificate_id: str, prepared: T, change: Callable[[Transaction, Certificate, T], object]
) -> bool:
    """Store the change unless another process has taken the lease; returns whether it was stored."""
    with contexts.storage.write() as transaction:
        stored = transaction.certificates.get(certificate_id)
        if transaction.schedules.get(certificate_id).lease_owner != DELETION:
            return False
        change(transaction, stored, prepared)
    return True


def _clean_up(contexts: Contexts, certificate: Certificate, issuance: Issuance) -> None:
    if issuance.authority_id is None:
        return
    try:
        with contexts.storage.read() as transaction:
            authority = transaction.authorities.get(issuance.authority_id)
    except NotFoundError:
        return  # the CA profile was deleted: no clean-up is possible
    module, work = contexts.work(authority, certificate, issuance)
    if not isinstance(module, SupportsCleanUp):
        return
    again = call_plugin(authority.module, "clean_up", module.clean_up, work, returns=datetime | None)
    if again is not None and not isinstance(module, SupportsDeletion):
        raise CertificateBusyError(
            Message(
                "certificate.records_not_removed",
                "The DNS records of {domain} could not be removed now; nothing was changed.",
                {"domain": certificate.domain},
            ),
            domain=certificate.domain.ascii,
            advice=Message("certificate.busy.advice", "Try again in a moment."),
        )


def _tell_modules(contexts: Contexts, certificate: Certificate, issuances: Sequence[Issuance]) -> None:
    """Tell the modules of the CA profiles that the certificate has used, so that they release what they keep for it."""
    used = (certificate.authority_id, *(issuance.authority_id for issuance in issuances))
    for authority_id in dict.fromkeys(used):
        if authority_id is None:
            continue
        try:
            with contexts.storage.read() as transaction:
                authority = transaction.authorities.get(authority_id)
            module, context = contexts.context(authority)
        except StorageError:
            raise
        except CertCoreError as error:  # the CA profile or its module was removed, or cannot be used
            _log.warning("No module is told that certificate %s is deleted: %s", certificate.id, error.message)
            continue
        if isinstance(module, SupportsDeletion):
            of_owner = evolve(context, owner=certificate.owner)
            call_plugin(
                authority.module, "certificate_deleted", module.certificate_deleted, certificate, of_owner, returns=None
            )


def _clean_up_unfinished(contexts: Contexts, certificate: Certificate, issuance: Issuance) -> None:
    """Clean up after an issuance without ``needs_clean_up``, because a step may have crashed before it was stored."""
    try:
        _clean_up(contexts, certificate, issuance)
    except CertCoreError as error:
        _log.warning("Could not clean up what certificate %s may have held: %s", certificate.id, error.message)
