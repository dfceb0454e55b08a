"""The details of an issued certificate, as values."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from attrs import frozen

__all__ = ["Leaf"]


@frozen(kw_only=True)
class Leaf:
    """The details of a leaf (RFC 5280 section 4.1), parsed once."""

    #: The subject alternative names (DNS names as A-labels, IP addresses in text form), in the leaf's order.
    names: tuple[str, ...]
    #: The subject and the issuer (RFC 4514).
    subject: str
    issuer: str
    #: The serial number (RFC 5280 section 4.1.2.2) as lower-case hex without separators.
    serial_hex: str
    #: The beginning and the end of the validity, UTC.
    not_before: datetime
    not_after: datetime
    #: For example ``ecdsa-with-SHA256``.
    signature_algorithm: str
    #: ``EC P-256`` or ``RSA``.
    public_key_algorithm: str
    #: The size of the public key, in bits.
    key_size: int
    #: The fingerprints of the certificate as lower-case hex without colons.
    fingerprint_sha256: str
    fingerprint_sha1: str
    #: SHA-256 over the SubjectPublicKeyInfo as lower-case hex, as used for key pinning.
    spki_sha256: str

    @property
    def serial_decimal(self) -> str:
        """The serial number in decimal. It is a text, because JSON numbers cannot represent 160 bits."""
        return str(int(self.serial_hex, 16))

    @property
    def lifetime(self) -> timedelta:
        """The length of the validity period."""
        return self.not_after - self.not_before

    def days_remaining(self, now: datetime) -> int:
        """Whole days until not_after, rounded down; negative once it has passed."""
        return math.floor((self.not_after - now) / timedelta(days=1))
