"""Deleting a certificate, whose worker may be in the middle of a step: what its module holds outside is taken back.

A deletion first takes the lease, under the name `DELETION`. The result of a step that runs is refused from then on, and
whoever took it takes back what the step got hold of: see `certcore.engine.crossings`. Then the deletion takes back what
earlier steps held, and deletes the rows only if the lease is still a deletion's. So nothing is left behind, in whatever
order the two come.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.engine.contexts import Contexts
from certcore.engine.leases import LEASE
from certcore.errors import CertCoreError, NotFound
from certcore.model.certificate import DELETION, Certificate
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action, transition
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import CERTIFICATE_KEY, SecretName
from certcore.ports.ca_module import SupportsCleanUp
from certcore.services.edits import certificate_event

__all__ = ["delete_certificate"]

_log = logging.getLogger(__name__)
#: Should this process die in the middle, a worker goes on with the certificate after this long.
_TIME_TO_DELETE: Final = timedelta(minutes=5)
#: How often it is begun anew when somebody else takes the certificate up in the middle.
_TRIES: Final = 3


def delete_certificate(contexts: Contexts, certificate_id: str, actor: str) -> None:
    """Take back what the module holds outside, and delete the certificate with its keys and issuances.

    Raises:
        NotFound: There is no such certificate.
        CertCoreError: Something could not be taken back, or others kept working on it; nothing was deleted.
    """
    for _ in range(_TRIES):
        certificate, issuances = _begin(contexts, certificate_id)
        try:
            for issuance in issuances:
                if issuance.needs_clean_up:
                    _clean_up(contexts, certificate, issuance)
                elif issuance.outcome is None:
                    _clean_up_unfinished(contexts, certificate, issuance)
            if _delete_rows(contexts, certificate_id, actor):
                return
        except BaseException:  # boundary: it is not deleted, so it is looked after as before
            with contexts.storage.write() as transaction:
                transaction.schedules.take_over(certificate_id, due_at=contexts.environment.now())
            raise
    raise CertCoreError(
        f"The certificate for {certificate.domain} is being worked on; it was not deleted.",
        advice="Try again in a moment.",
    )


def _begin(contexts: Contexts, certificate_id: str) -> tuple[Certificate, Sequence[Issuance]]:
    """Take the lease, and see what there is to take back."""
    now = contexts.environment.now()
    with contexts.storage.write() as transaction:
        stored = transaction.certificates.get(certificate_id)
        transition(stored.status, Action.DELETE)
        taken = transaction.schedules.take_over(certificate_id, due_at=now + _TIME_TO_DELETE)
        transaction.schedules.save(evolve(taken, lease_owner=DELETION, lease_until=now + LEASE))
        return stored, transaction.issuances.of_certificate(certificate_id)


def _delete_rows(contexts: Contexts, certificate_id: str, actor: str) -> bool:
    """Delete it, unless somebody has taken it up meanwhile; returns whether it was deleted."""
    with contexts.storage.write() as transaction:
        stored = transaction.certificates.get(certificate_id)
        if transaction.schedules.get(certificate_id).lease_owner != DELETION:
            return False
        for issuance in transaction.issuances.of_certificate(certificate_id):
            transaction.secrets.delete(SecretName(CERTIFICATE_KEY, issuance.id))
        transaction.certificates.delete(certificate_id)
        event = certificate_event(contexts, stored, EventKind.DELETED, actor, domain=stored.domain.ascii)
        transaction.events.append([event])
    return True


def _clean_up(contexts: Contexts, certificate: Certificate, issuance: Issuance) -> None:
    if issuance.authority_id is None:
        return
    try:
        with contexts.storage.read() as transaction:
            authority = transaction.authorities.get(issuance.authority_id)
    except NotFound:
        return  # the CA profile is gone, and with it whatever could be taken back
    module, work = contexts.work(authority, certificate, issuance)
    if not isinstance(module, SupportsCleanUp):
        return
    again = call_plugin(authority.module, "clean_up", module.clean_up, work, returns=datetime | None)
    if again is not None:
        raise CertCoreError(
            f"The DNS records of {certificate.domain} could not be taken back now; it was not deleted.",
            advice="Try again in a moment.",
        )


def _clean_up_unfinished(contexts: Contexts, certificate: Certificate, issuance: Issuance) -> None:
    """An attempt that says that it holds nothing; one of its steps may have died, or been overtaken, before it said."""
    try:
        _clean_up(contexts, certificate, issuance)
    except CertCoreError as error:
        _log.warning("What certificate %s may have held was not taken back: %s", certificate.id, error.message)
