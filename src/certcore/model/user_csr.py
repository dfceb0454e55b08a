"""A certificate signing request that the user supplies."""

from __future__ import annotations

from attrs import frozen

from certcore.model.keys import KeyType
from certcore.model.names import DnsName

__all__ = ["UserCsr"]


@frozen(kw_only=True)
class UserCsr:
    """A certificate signing request whose private key stays with the user."""

    #: The request as PEM.
    pem: str
    #: The names in the order of the request. A common name that is not an alternative name comes first.
    names: tuple[DnsName, ...]
    key_type: KeyType
