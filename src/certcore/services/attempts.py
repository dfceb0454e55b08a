"""Attempts to obtain a leaf, as users begin and end them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve

from certcore.engine.certificate_keys import find_key
from certcore.engine.contexts import Contexts, read_settings
from certcore.engine.requests import NewIssuance, new_issuance
from certcore.errors import InvalidInput, StaleWrite
from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.plugin_calls import call_plugin
from certcore.ports.storage import Transaction
from certcore.services.edits import certificate_event
from certcore.x509.csr import csr_spki_sha256

__all__ = ["begin", "current_attempt", "end_attempt", "is_under_way", "prepare"]


def current_attempt(transaction: Transaction, certificate: Certificate) -> Issuance | None:
    """The attempt that is under way, or the last one that failed; None when the leaf in service came of it."""
    if certificate.issuance_id is None or certificate.issuance_id == certificate.active_issuance_id:
        return None
    return transaction.issuances.get(certificate.issuance_id)


def is_under_way(transaction: Transaction, certificate: Certificate) -> bool:
    """Whether an attempt is under way."""
    attempt = current_attempt(transaction, certificate)
    return attempt is not None and attempt.outcome is None


def prepare(
    contexts: Contexts, certificate: Certificate, purpose: Purpose, *, keep_key: bool, any_kind: bool = False
) -> NewIssuance:
    """Make key and CSR for what the certificate says; slow for RSA, so not inside of a transaction.

    Args:
        contexts: Of this store.
        certificate: With the changes that the attempt is to be made with.
        purpose: Why.
        keep_key: Use the key of the leaf in service again, when it is here, of the kind that is wished, and was not
            revoked.
        any_kind: Keep it also when we would not make one like it, and the CA may refuse it: the user said so.

    Raises:
        InvalidInput: There is no CA profile, or it does not permit these names; or the user's own CSR is for the key
            that was revoked.
        SealingError: The kept key does not open, or is not that of the leaf.
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
        keeps = keep_key and active is not None and active.key_type is certificate.key_type
        keeps = keeps and certificate.status is not Status.REVOKED
        kept = find_key(transaction, certificate, active) if active is not None and keeps else None
    if certificate.status is Status.REVOKED and certificate.csr_pem:
        _refuse_revoked_key(certificate.csr_pem, active)
    module, context = contexts.context(authority)
    settings: object = read_settings(authority.module, module.certificate_type, certificate.module_data)
    check = module.check_request
    about = evolve(context, owner=certificate.owner)
    call_plugin(authority.module, "check_request", check, about, certificate.names, settings, returns=None)
    return new_issuance(
        certificate,
        number=1 + max((one.number for one in issuances), default=0),
        purpose=purpose,
        environment=contexts.environment,
        vault=contexts.vault,
        keep_key=kept,
        any_kind=any_kind,
    )


def _refuse_revoked_key(csr_pem: str, revoked: Issuance | None) -> None:
    """After a revocation the key is a new one: of ours by itself, of the user's by the user."""
    leaf = None if revoked is None else revoked.leaf
    if leaf is not None and csr_spki_sha256(csr_pem) == leaf.spki_sha256:
        raise InvalidInput(
            "csr", "is for the key that was revoked.", advice="Make another key, and reissue with its CSR."
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
        StaleWrite: The certificate was edited or revoked at the same moment.
    """
    now = contexts.environment.now()
    stored = transaction.certificates.get(certificate.id)
    status = transition(stored.status, action)
    if stored.status is Status.REVOKED and certificate.status is not Status.REVOKED:
        # Its key may have been kept for this attempt, and is never used again now.
        changes = {"status": (str(certificate.status), str(stored.status))}
        raise StaleWrite("certificate", stored.id, expected=certificate.version, found=stored.version, changes=changes)
    fields = evolve(
        certificate,
        status=status,
        issuance_id=request.issuance.id,
        active_issuance_id=stored.active_issuance_id,
        not_after=stored.not_after,
        problem=None,
        updated_at=now,
    )
    _forget_key(transaction, stored)
    saved = transaction.certificates.save(fields)
    # Numbered now: the engine may have begun another one since this one was prepared.
    numbers = (one.number for one in transaction.issuances.of_certificate(certificate.id))
    by_user = evolve(request.issuance.engine_state, by_user=True)
    issuance = evolve(request.issuance, number=1 + max(numbers, default=0), engine_state=by_user)
    transaction.issuances.add(issuance)
    if request.sealed_key is not None:
        transaction.secrets.put(request.issuance.key_name, request.sealed_key)
    transaction.schedules.take_over(certificate.id, due_at=now, attempts=0)
    kind = EventKind.CSR_GENERATED if action is Action.GENERATE_CSR else EventKind.RENEWAL_STARTED
    told = {"number": issuance.number, "key_type": str(issuance.key_type), **data}
    event = certificate_event(contexts, saved, kind, actor, from_status=stored.status, **told)
    transaction.events.append([event])
    return saved


def end_attempt(transaction: Transaction, certificate: Certificate, now: datetime) -> Issuance | None:
    """End the attempt that a certificate has beside, or before, its leaf, and destroy its key.

    A key that the leaf in service has, too, is kept. What the attempt holds outside is taken back by the engine.

    Returns:
        The attempt as it ended, now or before; None when there was none.
    """
    if certificate.issuance_id in (None, certificate.active_issuance_id):
        return None
    attempt = transaction.issuances.get(certificate.issuance_id or "")
    if attempt.outcome is None:
        attempt = evolve(attempt, outcome=Outcome.ABANDONED, finished_at=now)
        transaction.issuances.save(attempt)
    _forget_key(transaction, certificate)
    return attempt


def _forget_key(transaction: Transaction, certificate: Certificate) -> None:
    """Destroy the key of the attempt that a certificate has, or had last, unless the leaf in service has the same."""
    if certificate.issuance_id in (None, certificate.active_issuance_id):
        return
    name = transaction.issuances.get(certificate.issuance_id or "").key_name
    active_id = certificate.active_issuance_id
    if active_id is None or transaction.issuances.get(active_id).key_name != name:
        transaction.secrets.delete(name)
