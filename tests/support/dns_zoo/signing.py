"""Zones that are signed once, with keys and times of one's choice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dns.dnssec
import dns.dnssecalgs
import dns.name
import dns.zone
from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from dns.rdtypes.ANY.DNSKEY import DNSKEY

__all__ = ["Key", "signed_long_ago", "signed_now"]

#: When signatures that have expired began and ended, before now; and how long others are valid on both sides of now.
_BEGAN, _ENDED = timedelta(days=60), timedelta(days=30)
_VALID = timedelta(days=1)


@frozen
class Key:
    """A key that signs the whole of one zone."""

    zone: str
    private: ec.EllipticCurvePrivateKey = field(factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def dnskey(self) -> DNSKEY:
        """The public key."""
        return dns.dnssec.make_dnskey(self.private.public_key(), "ECDSAP256SHA256", flags=257)

    @property
    def record(self) -> str:
        """The DNSKEY record, for a resolver that trusts it."""
        return f"{self.zone}. IN DNSKEY {self.dnskey.to_text()}"

    @property
    def ds_record(self) -> str:
        """The DS record, for the parent zone."""
        return f"{self.zone}. IN DS {dns.dnssec.make_ds(f'{self.zone}.', self.dnskey, 'SHA256').to_text()}"


def signed_long_ago(key: Key, text: str) -> str:
    """A zone's text with signatures that have expired."""
    now = datetime.now(UTC)
    return _signed(key, text, now - _BEGAN, now - _ENDED)


def signed_now(key: Key, text: str) -> str:
    """A zone's text with signatures that are valid."""
    now = datetime.now(UTC)
    return _signed(key, text, now - _VALID, now + _VALID)


def _signed(key: Key, text: str, began: datetime, ends: datetime) -> str:
    zone = dns.zone.from_text(text, key.zone, relativize=False)
    with zone.writer() as changes:
        dns.dnssec.sign_zone(
            zone, changes, keys=[(key.private, key.dnskey)], inception=began, expiration=ends, dnskey_ttl=5
        )
    return zone.to_text(relativize=False)
