"""Network access that the ACME module, webhooks and mail share: address rules, TLS, deadlines, one HTTP exchange.

`http`, `tls`, `urls`, `failures`, `deadline` and `foreign_text` are imported by their own names; this package alone is
light.
"""

from __future__ import annotations

from certcore.net.addresses import AddressKind, address_kind, is_loopback
from certcore.net.connecting import AddressRefusedError, connect

__all__ = ["AddressKind", "AddressRefusedError", "address_kind", "connect", "is_loopback"]
