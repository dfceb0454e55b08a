"""Certificate revocation lists (RFC 5280 section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.plugin import RevocationReason
from certcore_local_ca.authority import Authority, issuer_identifier

__all__ = ["RevokedLeaf", "make_crl"]

_FLAGS: Final = {
    RevocationReason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    RevocationReason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    RevocationReason.SUPERSEDED: x509.ReasonFlags.superseded,
    RevocationReason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
}


@frozen(kw_only=True)
class RevokedLeaf:
    """An entry of a CRL."""

    serial_number: int
    revoked_at: datetime
    reason: RevocationReason


def make_crl(
    issuer: Authority, revoked: Iterable[RevokedLeaf], *, number: int, this_update: datetime, next_update: datetime
) -> x509.CertificateRevocationList:
    """Sign the CRL of what ``issuer`` has issued.

    Args:
        issuer: The CA.
        revoked: The revoked leaves.
        number: The CRL number: a later CRL has a higher one (RFC 5280 section 5.2.3).
        this_update: When it is issued.
        next_update: When clients ask for the next one at the latest.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(issuer_identifier(issuer), critical=False)
    )
    for leaf in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(leaf.serial_number).revocation_date(leaf.revoked_at)
        # "unspecified" is expressed by leaving the extension out (RFC 5280 section 5.3.1).
        if leaf.reason in _FLAGS:
            entry = entry.add_extension(x509.CRLReason(_FLAGS[leaf.reason]), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    # Deterministic signatures (RFC 6979): the same list is the same file whenever it is handed out.
    is_ec = isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    return builder.sign(issuer.key, issuer.digest, ecdsa_deterministic=True if is_ec else None)
