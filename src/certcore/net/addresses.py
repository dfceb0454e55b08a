"""The kind of network that an IP address belongs to, which decides whether a foreign URL may lead there."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import lru_cache
from typing import Final

__all__ = ["AddressKind", "address_kind", "is_loopback"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 prefixes whose last 32 bits are an IPv4 address: IPv4-compatible (RFC 4291) and NAT64 (RFC 6052).
_EMBEDDING: Final = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))
#: "This host on this network" (RFC 1122). Operating systems connect to themselves.
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
#: Further networks that are not global (RFC 6890, RFC 3879, RFC 8215); not every version of Python knows them.
_NOT_GLOBAL: Final = tuple(ipaddress.ip_network(prefix) for prefix in ("192.0.0.0/24", "fec0::/10", "64:ff9b:1::/48"))
#: Reserved addresses (RFC 1112), including the broadcast address.
_RESERVED: Final = ipaddress.IPv4Network("240.0.0.0/4")
#: An address from a public range on which the hypervisor of a well-known cloud answers.
_OF_THE_HYPERVISOR: Final = frozenset({ipaddress.IPv4Address("168.63.129.16")})


class AddressKind(StrEnum):
    """The kinds of network that are distinguished."""

    #: The public Internet.
    PUBLIC = "public"
    #: A network that is not routed on the Internet (RFC 1918, RFC 4193, RFC 6598, and other non-global prefixes).
    PRIVATE = "private"
    #: Only on this link (RFC 3927, RFC 4291). The metadata services of clouds have such addresses.
    LINK_LOCAL = "link-local"
    #: This machine, including the unspecified address.
    LOOPBACK = "loopback"
    #: Not a destination of connections: multicast, reserved, or not an address.
    UNUSABLE = "unusable"


@lru_cache(maxsize=256)
def address_kind(address: str) -> AddressKind:
    """The kind of network that an IP address belongs to.

    An IPv6 address that contains an IPv4 address (mapped, NAT64, 6to4) has the kind of the IPv4 address.

    Args:
        address: The address as text, with or without a zone index.
    """
    try:
        parsed = _carried(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return AddressKind.UNUSABLE
    if parsed.is_loopback or parsed.is_unspecified or parsed in _THIS_NETWORK:
        return AddressKind.LOOPBACK
    if parsed.is_link_local or parsed in _OF_THE_HYPERVISOR:
        return AddressKind.LINK_LOCAL
    if parsed.is_multicast or parsed in _RESERVED:
        return AddressKind.UNUSABLE
    is_private = not parsed.is_global or any(parsed in network for network in _NOT_GLOBAL)
    return AddressKind.PRIVATE if is_private else AddressKind.PUBLIC


def is_loopback(host: str) -> bool:
    """Whether a host is this machine according to its name or address, without a DNS query.

    Args:
        host: A name or an address, an IPv6 address with or without brackets.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _carried(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address contains, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if not address.is_loopback and not address.is_unspecified and any(address in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
