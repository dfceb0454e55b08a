"""The CNAME: from ``_acme-challenge.<domain>`` to a label of the tech zone that stays the same for ever.

The label is keyed by owner as well as domain, so that one tenant's CNAME never authorises another tenant's request,
and nobody can guess another one's label. Retries, renewals, reissues and further certificates get the same one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from attrs import frozen
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore.errors import CertCoreError
from certcore.model.names import DnsName
from certcore.ports.ca_module import Documents

__all__ = ["CHECK_ZONE", "VALIDATION_LABEL", "Delegation", "delegation_key", "delegations", "validation_name"]

#: What the operator can do while a value of ours is not to be seen in the DNS; with the ``zone``.
CHECK_ZONE: Final = (
    "Check that the zone {zone} is delegated to the server that runs `certcore dns serve`, that this server runs, and "
    "that it can be reached on UDP and TCP port 53."
)

#: RFC 8555 section 8.4.
VALIDATION_LABEL: Final = "_acme-challenge"
_KEY_DOCUMENT: Final = "delegation-key"
_KEY_BITS: Final = 256
#: 26 base32 characters carry 130 bits: nothing to guess, and one label.
_LABEL_LENGTH: Final = 26


@frozen(kw_only=True)
class Delegation:
    """One CNAME that the owner of a name sets, once."""

    #: The name that the CA validates, without ``*.``.
    base: str
    #: ``_acme-challenge.<base>``: where the CNAME stands.
    name: str
    #: ``<label>.<tech zone>``: where it points, and where the TXT values are written.
    target: str

    @property
    def zone(self) -> str:
        """The tech zone that it points into."""
        return self.target.partition(".")[2]


def validation_name(base: str) -> str:
    """Where a CA looks for the TXT values of a name (RFC 8555 section 8.4)."""
    return f"{VALIDATION_LABEL}.{base}"


def delegation_key(documents: Documents) -> bytes:
    """The key of this installation's labels, made at its first use and sealed.

    Whoever loses it loses every owner's CNAME; so it is part of the database.
    """
    key = documents.unseal(_KEY_DOCUMENT)
    if key is None:
        documents.seal(_KEY_DOCUMENT, AESGCM.generate_key(bit_length=_KEY_BITS))
        key = documents.unseal(_KEY_DOCUMENT)  # ours, or that of another process that was faster
    if key is None:
        raise CertCoreError("The key of the CNAME labels could not be stored.", advice="Check the database.")
    return key


def delegations(key: bytes, owner: str, names: Iterable[DnsName], tech_zone: str) -> tuple[Delegation, ...]:
    """The CNAMEs that these names need, in their order; a wildcard shares its parent's."""
    bases = dict.fromkeys(name.base.ascii for name in names)
    return tuple(
        Delegation(base=base, name=validation_name(base), target=f"{_label(key, owner, base)}.{tech_zone}")
        for base in bases
    )


def _label(key: bytes, owner: str, base: str) -> str:
    # The domain holds no NUL, so that owner and domain cannot run into each other.
    digest = hmac.new(key, f"{base}\0{owner}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:_LABEL_LENGTH]
