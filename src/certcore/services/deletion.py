"""Delete a certificate, even while a worker takes a step. The CA module releases what it holds outside."""

from __future__ import annotations

from certcore.engine.module_context import Contexts
from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.lifecycle import Action
from certcore.model.secret import CERTIFICATE_KEY, SecretName
from certcore.model.transitions import transition
from certcore.ports.storage import Transaction
from certcore.services.certificate_changes import certificate_event
from certcore.services.exclusive import exclusively

__all__ = ["delete_certificate"]


def delete_certificate(contexts: Contexts, certificate_id: str, actor: str) -> None:
    """Let the module release what it holds outside, and delete the certificate with its keys and issuances.

    Raises:
        NotFoundError: There is no such certificate.
        CertCoreError: The module could not clean up, or other processes kept taking steps; nothing was deleted.
    """

    def delete(transaction: Transaction, stored: Certificate, _: None) -> None:
        for issuance in transaction.issuances.of_certificate(certificate_id):
            transaction.secrets.delete(SecretName(CERTIFICATE_KEY, issuance.id))
        transaction.certificates.delete(certificate_id)
        event = certificate_event(contexts, stored, EventKind.DELETED, actor, domain=stored.domain.ascii)
        transaction.events.append([event])

    exclusively(
        contexts,
        certificate_id,
        permit=lambda stored: transition(stored.status, Action.DELETE),
        prepare=lambda *_: None,
        change=delete,
    )
