"""Begin and end issuances for users."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve

from certcore.engine.certificate_keys import find_key
from certcore.engine.module_context import Contexts, read_settings
from certcore.engine.new_issuance import NewIssuance, new_issuance
from certcore.errors import InvalidInputError, StaleWriteError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.conditions import with_standing
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.lifecycle import Action, Status
from certcore.model.plugin_calls import call_plugin
from certcore.model.transitions import transition
from certcore.ports.storage import Transaction
from certcore.services.certificate_changes import certificate_event
from certcore.x509.csr import csr_spki_sha256

__all__ = ["begin", "current_attempt", "end_attempt", "is_under_way", "issuances_in_use", "prepare"]


def current_attempt(transaction: Transaction, certificate: Certificate) -> Issuance | None:
    """The issuance under way, or the last one if it failed; None if it issued the leaf in service."""
    if certificate.issuance_id is None or certificate.issuance_id == certificate.active_issuance_id:
        return None
    return transaction.issuances.get(certificate.issuance_id)


def issuances_in_use(transaction: Transaction, certificate: Certificate) -> list[Issuance]:
    """The issuance whose leaf is in service, and the one under way or the last one if it failed."""
    ids = {certificate.issuance_id, certificate.active_issuance_id} - {None}
    return [transaction.issuances.get(issuance_id) for issuance_id in sorted(filter(None, ids))]


def is_under_way(transaction: Transaction, certificate: Certificate) -> bool:
    """Whether an issuance is under way."""
    attempt = current_attempt(transaction, certificate)
    return attempt is not None and attempt.outcome is None


def prepare(
    contexts: Contexts, certificate: Certificate, purpose: Purpose, *, keep_key: bool, any_kind: bool = False
) -> NewIssuance:
    """Generate the key and CSR for a certificate. Slow for RSA, so do not call it in a transaction.

    Args:
        contexts: The store's module contexts.
        certificate: The certificate with its changes.
        purpose: Why the issuance begins.
        keep_key: Whether to reuse the key of the leaf in service, if it is in the store, has the certificate's key
            type, and is not revoked.
        any_kind: Whether to keep even a key of a type that certcore does not generate, because the user asked for it.

    Raises:
        InvalidInputError: There is no CA profile, or it does not allow these names; or the user's own CSR is for the
            revoked key.
        SealingError: The kept key cannot be opened, or does not belong to the leaf.
    """
    with contexts.storage.read() as transaction:
        if certificate.authority_id is None:
            raise InvalidInputError(
                "authority",
                Message(
                    "certificate.no_authority",
                    "{domain} has no CA profile that could issue it.",
                    {"domain": certificate.domain},
                ),
                advice=Message(
                    "certificate.no_authority.advice", "Choose one: edit the certificate, or name it in the reissue."
                ),
            )
        authority = transaction.authorities.get(certificate.authority_id)
        issuances = transaction.issuances.of_certificate(certificate.id)
        active = next((issuance for issuance in issuances if issuance.id == certificate.active_issuance_id), None)
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
        number=1 + max((issuance.number for issuance in issuances), default=0),
        purpose=purpose,
        environment=contexts.environment,
        vault=contexts.vault,
        keep_key=kept,
        any_kind=any_kind,
        needs_clean_up=contexts.holds_from_start(authority.id, [authority]),
    )


def _refuse_revoked_key(csr_pem: str, revoked: Issuance | None) -> None:
    """Refuse a user's CSR for the revoked key."""
    leaf = None if revoked is None else revoked.leaf
    if leaf is not None and csr_spki_sha256(csr_pem) == leaf.spki_sha256:
        raise InvalidInputError(
            "csr",
            Message("csr.revoked_key", "is for the key that was revoked."),
            advice=Message("csr.revoked_key.advice", "Make another key, and reissue with its CSR."),
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
    """Store a prepared issuance, inside a write transaction.

    Raises:
        TransitionNotAllowedError: The stored status does not allow it.
        StaleWriteError: The certificate was edited or revoked at the same time.
    """
    now = contexts.environment.now()
    stored = transaction.certificates.get(certificate.id)
    status = transition(stored.status, action)
    if stored.status is Status.REVOKED and certificate.status is not Status.REVOKED:
        # The revoked key may have been kept for this issuance, and must not be used again.
        changes = {"status": (str(certificate.status), str(stored.status))}
        raise StaleWriteError(
            "certificate", stored.id, expected=certificate.version, found=stored.version, changes=changes
        )
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
    # The number is assigned here, because the engine may have begun another issuance since this one was prepared.
    issuances = transaction.issuances.of_certificate(certificate.id)
    number = 1 + max((earlier.number for earlier in issuances), default=0)
    by_user = evolve(request.issuance.engine_state, by_user=True)
    issuance = evolve(request.issuance, number=number, engine_state=by_user)
    fields = with_standing(evolve(fields, standing=stored.standing), [*issuances, issuance], now, changed_at=now)
    saved = transaction.certificates.save(fields)
    transaction.issuances.add(issuance)
    if request.sealed_key is not None:
        transaction.secrets.put(request.issuance.key_name, request.sealed_key)
    transaction.schedules.take_over(certificate.id, due_at=now, attempts=0)
    kind = EventKind.CSR_GENERATED if action is Action.GENERATE_CSR else EventKind.RENEWAL_STARTED
    data = {"number": issuance.number, "key_type": str(issuance.key_type), **data}
    event = certificate_event(contexts, saved, kind, actor, from_status=stored.status, **data)
    transaction.events.append([event])
    return saved


def end_attempt(transaction: Transaction, certificate: Certificate, now: datetime) -> Issuance | None:
    """End the issuance under way of a certificate, and destroy its key, unless the leaf in service uses that key.

    The engine lets the module release what the issuance holds outside.

    Returns:
        The ended issuance, which may have ended earlier; None if there was none.
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
    """Destroy the key of the certificate's latest issuance, unless the leaf in service uses it."""
    if certificate.issuance_id in (None, certificate.active_issuance_id):
        return
    name = transaction.issuances.get(certificate.issuance_id or "").key_name
    active_id = certificate.active_issuance_id
    if active_id is None or transaction.issuances.get(active_id).key_name != name:
        transaction.secrets.delete(name)
