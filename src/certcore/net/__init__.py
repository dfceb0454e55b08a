"""What may be talked to over the network: the rules that the ACME module, webhooks and mail share."""

from __future__ import annotations

from certcore.net.addresses import AddressKind, address_kind, is_loopback
from certcore.net.connecting import AddressRefused, connect

__all__ = ["AddressKind", "AddressRefused", "address_kind", "connect", "is_loopback"]
