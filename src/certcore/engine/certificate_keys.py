"""Find the private keys of certificates, open them, and compare them with the leaf or the request.

Rows are not trusted, because anyone with write access to the database can make them point to any key. So the key must
belong to one of the certificate's issuances, opens only for the certificate's owner, and must have the public key of
the leaf or, before there is a leaf, of the request.
"""

from __future__ import annotations

from attrs import frozen

from certcore.errors import NotFoundError, StoredKeyMismatchError
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.secret import SealedSecret, Secret, SecretName
from certcore.ports.sealing import Vault
from certcore.ports.storage import Transaction
from certcore.x509.csr import csr_spki_sha256
from certcore.x509.keys import certificate_spki_sha256, load_private_key, spki_sha256

__all__ = ["SealedKey", "find_key", "open_key"]


@frozen(kw_only=True)
class SealedKey:
    """The sealed private key of an issuance, with the values that are needed to open it."""

    name: SecretName
    sealed: SealedSecret
    certificate: Certificate
    issuance: Issuance


def find_key(transaction: Transaction, certificate: Certificate, issuance: Issuance) -> SealedKey | None:
    """The private key of an issuance; None if it is not stored.

    Args:
        transaction: The transaction to read in.
        certificate: The certificate.
        issuance: One of its issuances; its key may be the kept key of an earlier issuance.

    Raises:
        StoredKeyMismatchError: The rows name a key of another certificate.
    """
    name = issuance.key_name
    if name.owner_id != issuance.id and not _is_of(transaction, name.owner_id, certificate):
        raise StoredKeyMismatchError(certificate.domain.ascii)
    if issuance.certificate_id != certificate.id:
        raise StoredKeyMismatchError(certificate.domain.ascii)
    sealed = transaction.secrets.get(name)
    if sealed is None:
        return None
    return SealedKey(name=name, sealed=sealed, certificate=certificate, issuance=issuance)


def open_key(key: SealedKey, vault: Vault) -> Secret:
    """The private key, as PKCS#8 PEM. Do not call this inside a transaction, because a keyring may be slow.

    Raises:
        SealingError: It does not open for this owner.
        StoredKeyMismatchError: It is not the key of the leaf or, before there is one, of the request.
    """
    opened = vault.open(key.sealed, key.name, owner=key.certificate.owner)
    issuance = key.issuance
    fingerprint = certificate_spki_sha256(issuance.leaf_pem) if issuance.leaf_pem else csr_spki_sha256(issuance.csr_pem)
    if spki_sha256(load_private_key(opened.reveal(), trusted=True).public_key()) != fingerprint:
        raise StoredKeyMismatchError(key.certificate.domain.ascii)
    return opened


def _is_of(transaction: Transaction, issuance_id: str, certificate: Certificate) -> bool:
    try:
        return transaction.issuances.get(issuance_id).certificate_id == certificate.id
    except NotFoundError:
        return False
