"""The CNAME from ``_acme-challenge.<domain>`` to a label of the tech zone that never changes.

The label depends on the owner as well as the domain, so that one tenant's CNAME never authorises another tenant's
request, and no tenant can guess another tenant's label. Retries, renewals, reissues and further certificates get the
same label.

A panel that moves from the original PUQ ACME may keep that panel's labels, which are the domains themselves; then
`certcore_puq_acme.orders.bound_names` keeps the owners apart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from attrs import frozen
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore.errors import StorageUnavailableError
from certcore.messages import Message
from certcore.model.names import DnsName
from certcore.ports.ca_module import Documents
from certcore_puq_acme.profile.settings import PuqAcmeProfile

__all__ = ["VALIDATION_LABEL", "Delegation", "adopted_target", "delegation_key", "delegations", "validation_name"]

#: RFC 8555 section 8.4.
VALIDATION_LABEL: Final = "_acme-challenge"
_KEY_DOCUMENT: Final = "delegation-key"
_KEY_BITS: Final = 256
#: 26 base32 characters carry 130 bits: impossible to guess, and short enough for one label.
_LABEL_LENGTH: Final = 26


@frozen(kw_only=True)
class Delegation:
    """A CNAME that the owner of a name sets once."""

    #: The name that the CA validates, without ``*.``.
    base: str
    #: The name of the CNAME: ``_acme-challenge.<base>``.
    name: str
    #: The target of the CNAME, at which the TXT values are published: ``<label>.<tech zone>``.
    target: str

    @property
    def is_adopted(self) -> bool:
        """Whether the label is the domain itself, the same for every owner."""
        return self.target.startswith(f"{self.base}.")

    @property
    def zone(self) -> str:
        """The tech zone that contains the target."""
        return self.target.removeprefix(f"{self.base}.") if self.is_adopted else self.target.partition(".")[2]


def validation_name(base: str) -> str:
    """The name at which a CA looks for TXT values (RFC 8555 section 8.4)."""
    return f"{VALIDATION_LABEL}.{base}"


def delegation_key(documents: Documents) -> bytes:
    """The HMAC key of this installation's labels, generated at the first use and stored sealed in the database.

    If the key is lost, all labels change, and every owner has to set new CNAMEs.
    """
    key = documents.unseal(_KEY_DOCUMENT)
    if key is None:
        documents.seal(_KEY_DOCUMENT, AESGCM.generate_key(bit_length=_KEY_BITS))
        key = documents.unseal(_KEY_DOCUMENT)  # this process's key, or that of another process that was faster
    if key is None:
        raise StorageUnavailableError(
            Message("puq_acme.labels.not_stored", "The key of the CNAME labels could not be stored."),
            advice=Message("puq_acme.labels.not_stored.advice", "Check the database."),
        )
    return key


def delegations(
    profile: PuqAcmeProfile, documents: Documents, owner: str, names: Iterable[DnsName]
) -> tuple[Delegation, ...]:
    """The CNAMEs that these names need, in the order of the names; a wildcard shares the CNAME of its parent.

    Args:
        profile: The CA profile, with the tech zone and the kind of labels.
        documents: The module's documents, with the key of the labels.
        owner: The owner of the certificate.
        names: The names of the certificate.
    """
    bases, zone = dict.fromkeys(name.base.ascii for name in names), profile.tech_zone.ascii
    if profile.adopt_labels:
        targets = {base: adopted_target(base, zone) for base in bases}
    else:
        key = delegation_key(documents)
        targets = {base: f"{_label(key, owner, base)}.{zone}" for base in bases}
    return tuple(Delegation(base=base, name=validation_name(base), target=targets[base]) for base in bases)


def adopted_target(base: str, tech_zone: str) -> str:
    """The target of a name's CNAME in the original PUQ ACME: the domain itself as a label of the tech zone."""
    return f"{base}.{tech_zone}"


def _label(key: bytes, owner: str, base: str) -> str:
    # A domain contains no NUL, so two different pairs of domain and owner never give the same bytes.
    digest = hmac.new(key, f"{base}\0{owner}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:_LABEL_LENGTH]
