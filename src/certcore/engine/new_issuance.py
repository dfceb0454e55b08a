"""Begin an issuance: a key, a certificate signing request, and the row for both."""

from __future__ import annotations

from attrs import frozen

from certcore.engine.certificate_keys import SealedKey, open_key
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance, Purpose
from certcore.model.keys import KeyType
from certcore.model.secret import CERTIFICATE_KEY, SealedSecret, Secret, SecretName
from certcore.ports.environment import Environment
from certcore.ports.sealing import Vault
from certcore.x509.csr import build_csr
from certcore.x509.keys import PrivateKey, generate_key, is_usual, key_type_of, load_private_key, private_key_pem

__all__ = ["NewIssuance", "new_issuance"]


@frozen(kw_only=True)
class NewIssuance:
    """A prepared issuance. The caller stores it in one transaction with its other changes."""

    issuance: Issuance
    #: The sealed private key; None if the key of an earlier issuance is kept.
    sealed_key: SealedSecret | None


def new_issuance(  # noqa: PLR0913 - the parts of one row
    certificate: Certificate,
    *,
    number: int,
    purpose: Purpose,
    environment: Environment,
    vault: Vault,
    keep_key: SealedKey | None = None,
    any_kind: bool = False,
    authority_id: str | None = None,
    like: Issuance | None = None,
    needs_clean_up: bool = False,
) -> NewIssuance:
    """Make key and CSR. RSA is slow, so do not call this inside a transaction.

    Args:
        certificate: The certificate, with names, subject and key type.
        number: The issuance's number, from 1.
        purpose: The purpose of the issuance.
        environment: Clock and ID generator.
        vault: Seals the new key, or opens the kept one.
        keep_key: The key to use again, if the renewal policy keeps keys. An imported key may be of a type that
            certcore does not make and CAs refuse; then a new key is made.
        any_kind: Keep a key of any type.
        authority_id: The CA profile that issues; None for that of the certificate.
        like: The issuance whose names and key type are requested again, and whose CSR is reused if its key was never
            stored here; None for the names and key type of the certificate.
        needs_clean_up: Whether the CA module needs a clean-up from the first step on, see `Contexts.holds_from_start`.

    Raises:
        SealingError: The kept key cannot be opened, or is not the key of the leaf.
    """
    issuance_id = environment.new_id()
    names = certificate.names if like is None else like.names
    own_csr = certificate.csr_pem if like is None else like.own_csr_pem
    key_type = certificate.key_type if like is None else like.key_type
    sealed: SealedSecret | None = None
    name = SecretName(CERTIFICATE_KEY, issuance_id)
    if own_csr:
        csr_pem = own_csr
    else:
        key = None if keep_key is None else _kept(keep_key, None if any_kind else key_type, vault)
        if keep_key is not None and key is not None:
            name = keep_key.name
        else:
            key = generate_key(key_type)
            sealed = vault.seal(Secret(private_key_pem(key)), name, owner=certificate.owner)
        csr_pem = build_csr(key, names, certificate.subject).decode()
    issuance = Issuance(
        id=issuance_id,
        certificate_id=certificate.id,
        number=number,
        purpose=purpose,
        authority_id=authority_id or certificate.authority_id,
        names=names,
        key_type=key_type,
        key_name=name,
        csr_pem=csr_pem,
        is_keyless=bool(own_csr),
        needs_clean_up=needs_clean_up,
        created_at=environment.now(),
    )
    return NewIssuance(issuance=issuance, sealed_key=sealed)


def _kept(kept: SealedKey, key_type: KeyType | None, vault: Vault) -> PrivateKey | None:
    """The key if it has this type and certcore makes such keys, else None; without a type, any key."""
    key = load_private_key(open_key(kept, vault).reveal(), trusted=True)
    return key if key_type is None or (key_type_of(key) is key_type and is_usual(key)) else None
