"""A leaf that its CA has revoked: every certificate that has it in service learns it, whoever asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from certcore.engine.contexts import Contexts
from certcore.errors import InvalidInput, NotFound
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action, Status, transition
from certcore.model.listing import CertificateFilter, Order, Position
from certcore.model.revocation import RevocationReason
from certcore.ports.storage import Transaction
from certcore.services.attempts import end_attempt

__all__ = ["put_out_of_service", "refuse_revoked", "tell_other_holders"]

#: How many certificates are looked at in one transaction.
_BATCH: Final = 200


def tell_other_holders(contexts: Contexts, revoked: Issuance, why: RevocationReason, through: str) -> None:
    """Put a revoked leaf out of service wherever else it is; a CA has confirmed the revocation.

    Tenants may hold one leaf: it is public, and anybody may import it. None learns of another one: the record of each
    says what the CA's own list says, and not who asked for it.

    A CA profile may be a tenant's own, and its CA may confirm anything. So others believe it only where the leaf's
    private key is here, which proves more than the CA's word, or where the profile is one of theirs.

    Args:
        contexts: Of this store.
        revoked: The issuance with the leaf.
        why: The reason that the CA was given.
        through: The id of the CA profile that was asked.
    """
    if revoked.leaf is None:
        return
    for certificate_id in list(_holders(contexts, revoked.leaf)):
        if certificate_id == revoked.certificate_id:
            continue
        with contexts.storage.write() as transaction:
            try:
                certificate = transaction.certificates.get(certificate_id)
            except NotFound:
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
    """Note a revocation: the certificate is revoked if this leaf is in service, else the record alone tells of it.

    Args:
        contexts: Of this store.
        transaction: A writing one.
        stored: The certificate as it stands.
        revoked: The issuance whose leaf was revoked.
        why: The reason that the CA was given.
        actor: Who asked for it.
        noticed: Whether it was not asked for with this certificate.
    """
    now = contexts.environment.now()
    changed = stored
    if stored.active_issuance_id == revoked.id and stored.status is Status.ACTIVE:
        status = transition(stored.status, Action.REVOKE)
        changed = evolve(stored, status=status, issuance_id=revoked.id, problem=None, updated_at=now)
        # Overtakes any worker; its next look takes back what an attempt that was given up still holds.
        transaction.schedules.take_over(stored.id, due_at=now, attempts=0)
        end_attempt(transaction, stored, now)
        transaction.certificates.save_progress(changed)
    data = {"reason": str(why), "serial": "" if revoked.leaf is None else revoked.leaf.serial_hex}
    event = Event(
        certificate_id=stored.id,
        kind=EventKind.REVOKED,
        at=now,
        actor=actor,
        from_status=stored.status,
        to_status=changed.status,
        data={**data, "noticed": True} if noticed else data,
    )
    transaction.events.append([event])
    return changed


def refuse_revoked(transaction: Transaction, leaf: Leaf) -> None:
    """Refuse to take in a leaf of which it is known here that its CA has revoked it.

    Raises:
        InvalidInput: It was revoked. That is public; who holds the leaf is not said.
    """
    only = CertificateFilter(status=Status.REVOKED, serial=_serial(leaf))
    for certificate in transaction.certificates.page(only=only, limit=_BATCH):
        issuance = transaction.issuances.get(certificate.active_issuance_id or "")
        if _is_same(issuance.leaf, leaf) and not issuance.is_keyless:
            raise InvalidInput("leaf", "its CA has revoked it.", advice="Obtain a new certificate, with a new key.")


def _holders(contexts: Contexts, leaf: Leaf) -> Iterator[str]:
    only = CertificateFilter(status=Status.ACTIVE, serial=_serial(leaf))
    after: Position | None = None
    while True:
        with contexts.storage.read() as transaction:
            page = transaction.certificates.page(only=only, after=after, limit=_BATCH)
        yield from (one.id for one in page)
        if len(page) < _BATCH:
            return
        after = Position.of(page[-1], Order.DOMAIN)


def _in_service(transaction: Transaction, certificate: Certificate) -> Issuance | None:
    if certificate.status is not Status.ACTIVE or certificate.active_issuance_id is None:
        return None
    return transaction.issuances.get(certificate.active_issuance_id)


def _serial(leaf: Leaf) -> str:
    return leaf.serial_hex.lstrip("0") or "0"


def _is_same(leaf: Leaf | None, revoked: Leaf) -> bool:
    """Whether a CA's revocation of the one is that of the other.

    A revocation is of an issuer and a serial number (RFC 5280 section 5.3), which another CA can write into its leaves,
    too: the key is compared as well.
    """
    if leaf is None:
        return False
    return (leaf.issuer, _serial(leaf), leaf.spki_sha256) == (revoked.issuer, _serial(revoked), revoked.spki_sha256)
