"""Attempts to obtain a leaf, as users begin and end them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve

from certcore.engine.contexts import Contexts
from certcore.engine.requests import NewIssuance, new_issuance
from certcore.errors import InvalidInput
from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.form import structure
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.lifecycle import Action, Status, transition
from certcore.ports.storage import Transaction
from certcore.services.edits import certificate_event

__all__ = ["begin", "end_attempt", "is_under_way", "prepare"]


def is_under_way(transaction: Transaction, certificate: Certificate) -> bool:
    """Whether an attempt is under way."""
    if certificate.issuance_id in (None, certificate.active_issuance_id):
        return False
    return transaction.issuances.get(certificate.issuance_id or "").outcome is None


def prepare(contexts: Contexts, certificate: Certificate, purpose: Purpose, *, keep_key: bool) -> NewIssuance:
    """Make key and CSR for what the certificate says; slow for RSA, so not inside of a transaction.

    Args:
        contexts: Of this store.
        certificate: With the changes that the attempt is to be made with.
        purpose: Why.
        keep_key: Use the key of the leaf in service again, when it is here and was not revoked.

    Raises:
        InvalidInput: There is no CA profile, or it does not permit these names.
        SealingError: The kept key does not open.
    """
    with contexts.storage.read() as transaction:
        if certificate.authority_id is None:
            raise InvalidInput(
                "authority",
                f"{certificate.domain} has no CA profile that could issue it.",
                advice="Choose one: edit the certificate, or name it in the reissue.",
            )
        authority = transaction.authorities.get(certificate.authority_id)
        issuances = transaction.issuances.of_certificate(certificate.id)
        active = next((one for one in issuances if one.id == certificate.active_issuance_id), None)
        kept = active.key_name if active is not None and keep_key else None
        sealed = None if kept is None or certificate.status is Status.REVOKED else transaction.secrets.get(kept)
    module, context = contexts.context(authority)
    settings: object = structure(module.certificate_type, certificate.module_data)
    module.check_request(context, certificate.names, settings)
    return new_issuance(
        certificate,
        number=1 + max((one.number for one in issuances), default=0),
        purpose=purpose,
        environment=contexts.environment,
        vault=contexts.vault,
        keep_key=None if kept is None or sealed is None else (kept, sealed),
    )


def begin(
    contexts: Contexts,
    transaction: Transaction,
    certificate: Certificate,
    request: NewIssuance,
    action: Action,
    actor: str,
    **data: Any,
) -> Certificate:
    """Store a prepared attempt: inside of a writing transaction, which refuses it when somebody was faster.

    Raises:
        TransitionNotAllowed: The stored status does not permit it.
        StaleWrite: The certificate was edited at the same moment.
    """
    now = contexts.environment.now()
    stored = transaction.certificates.get(certificate.id)
    status = transition(stored.status, action)
    fields = evolve(
        certificate,
        status=status,
        issuance_id=request.issuance.id,
        active_issuance_id=stored.active_issuance_id,
        not_after=stored.not_after,
        problem=None,
        updated_at=now,
    )
    saved = transaction.certificates.save(fields)
    transaction.issuances.add(request.issuance)
    if request.sealed_key is not None:
        transaction.secrets.put(request.issuance.key_name, request.sealed_key)
    transaction.schedules.take_over(certificate.id, due_at=now, attempts=0)
    kind = EventKind.CSR_GENERATED if action is Action.GENERATE_CSR else EventKind.RENEWAL_STARTED
    told = {"number": request.issuance.number, "key_type": str(request.issuance.key_type), **data}
    event = certificate_event(contexts, saved, kind, actor, from_status=stored.status, **told)
    transaction.events.append([event])
    return saved


def end_attempt(transaction: Transaction, certificate: Certificate, now: datetime) -> Issuance | None:
    """End the attempt that a certificate has beside, or before, its leaf, and destroy its key.

    A key that the leaf in service has, too, is kept. What the attempt holds outside is taken back by the engine.

    Returns:
        The attempt as it ended; None when there was none.
    """
    if certificate.issuance_id in (None, certificate.active_issuance_id):
        return None
    attempt = transaction.issuances.get(certificate.issuance_id or "")
    ended = evolve(attempt, outcome=Outcome.ABANDONED, finished_at=now)
    transaction.issuances.save(ended)
    active = None
    if certificate.active_issuance_id is not None:
        active = transaction.issuances.get(certificate.active_issuance_id)
    if active is None or attempt.key_name != active.key_name:
        transaction.secrets.delete(attempt.key_name)
    return ended
