"""Revoked leaves: every certificate with the leaf in service becomes revoked, not only the requested one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError, NotFoundError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.conditions import with_standing
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action, Status
from certcore.model.listing import CertificateFilter, Position, SortKey
from certcore.model.revocation import RevocationReason
from certcore.model.transitions import transition
from certcore.ports.storage import Transaction
from certcore.services.issuance_attempts import end_attempt

__all__ = ["put_out_of_service", "refuse_revoked", "tell_other_holders"]

#: How many certificates are read in one transaction.
_BATCH: Final = 200


def tell_other_holders(contexts: Contexts, revoked: Issuance, why: RevocationReason, through: str) -> None:
    """Mark all other certificates with this leaf as revoked, after a CA has confirmed the revocation.

    Several tenants may have the same leaf, because a leaf is public and anybody may import it. They learn nothing of
    each other: their timelines only have what the CA's revocation list says, not who asked for the revocation.

    A CA profile may belong to a tenant, and its CA could confirm anything. So another certificate is changed only if
    the leaf's private key is in the store, or if the certificate uses the same CA profile.

    Args:
        contexts: The store's module contexts.
        revoked: The issuance of the leaf.
        why: The reason given to the CA.
        through: The ID of the CA profile through which it was revoked.
    """
    if revoked.leaf is None:
        return
    for certificate_id in list(_holders(contexts, revoked.leaf)):
        if certificate_id == revoked.certificate_id:
            continue
        with contexts.storage.write() as transaction:
            try:
                certificate = transaction.certificates.get(certificate_id)
            except NotFoundError:
                continue
            active = _in_service(transaction, certificate)
            if active is None or not _is_same(active.leaf, revoked.leaf):
                continue
            theirs = (active.authority_id, certificate.authority_id, *certificate.fallbacks)
            if not revoked.is_keyless or through in theirs:
                put_out_of_service(contexts, transaction, certificate, active, why, noticed=True)


def put_out_of_service(
    contexts: Contexts,
    transaction: Transaction,
    stored: Certificate,
    revoked: Issuance,
    why: RevocationReason,
    *,
    actor: str = "engine",
    noticed: bool = False,
) -> Certificate:
    """Record a revocation. The certificate becomes revoked if this leaf is in service.

    Args:
        contexts: The store's module contexts.
        transaction: A write transaction.
        stored: The stored certificate.
        revoked: The issuance whose leaf was revoked.
        why: The reason given to the CA.
        actor: Who asked for the revocation.
        noticed: Whether the revocation was requested for another certificate.
    """
    now = contexts.environment.now()
    changed = stored
    if stored.active_issuance_id == revoked.id and stored.status is Status.ACTIVE:
        status = transition(stored.status, Action.REVOKE)
        changed = evolve(stored, status=status, issuance_id=revoked.id, problem=None, updated_at=now)
        # Take the lease from any worker. The next step releases what the issuance still holds outside.
        transaction.schedules.take_over(stored.id, due_at=now, attempts=0)
        end_attempt(transaction, stored, now)
        changed = with_standing(changed, [revoked], now, changed_at=now)
        transaction.certificates.save_progress(changed)
    data = {"reason": str(why), "serial": "" if revoked.leaf is None else revoked.leaf.serial_hex}
    event = Event(
        certificate_id=stored.id,
        kind=EventKind.REVOKED,
        at=now,
        owner=stored.owner,
        actor=actor,
        from_status=stored.status,
        to_status=changed.status,
        data={**data, "noticed": True} if noticed else data,
    )
    transaction.events.append([event])
    return changed


def refuse_revoked(transaction: Transaction, leaf: Leaf) -> None:
    """Refuse to import a leaf that the store knows to be revoked.

    Raises:
        InvalidInputError: The leaf was revoked, which is public. The error does not reveal who has the leaf.
    """
    only = CertificateFilter(status=Status.REVOKED, serial=_serial(leaf))
    for certificate in transaction.certificates.page(only=only, limit=_BATCH):
        issuance = transaction.issuances.get(certificate.active_issuance_id or "")
        if _is_same(issuance.leaf, leaf) and not issuance.is_keyless:
            raise InvalidInputError(
                "leaf",
                Message("import.revoked_leaf", "its CA has revoked it."),
                advice=Message("import.revoked_leaf.advice", "Obtain a new certificate, with a new key."),
            )


def _holders(contexts: Contexts, leaf: Leaf) -> Iterator[str]:
    only = CertificateFilter(status=Status.ACTIVE, serial=_serial(leaf))
    after: Position | None = None
    while True:
        with contexts.storage.read() as transaction:
            page = transaction.certificates.page(only=only, after=after, limit=_BATCH)
        yield from (certificate.id for certificate in page)
        if len(page) < _BATCH:
            return
        after = Position.of(page[-1], SortKey.DOMAIN)


def _in_service(transaction: Transaction, certificate: Certificate) -> Issuance | None:
    if certificate.status is not Status.ACTIVE or certificate.active_issuance_id is None:
        return None
    return transaction.issuances.get(certificate.active_issuance_id)


def _serial(leaf: Leaf) -> str:
    return leaf.serial_hex.lstrip("0") or "0"


def _is_same(leaf: Leaf | None, revoked: Leaf) -> bool:
    """Whether two leaves are the same for a revocation.

    A revocation names an issuer and a serial number (RFC 5280 section 5.3). Another CA can put these into its leaves,
    so the public keys are compared, too.
    """
    if leaf is None:
        return False
    return (leaf.issuer, _serial(leaf), leaf.spki_sha256) == (revoked.issuer, _serial(revoked), revoked.spki_sha256)
