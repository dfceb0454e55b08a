"""Network access for the ACME module, webhooks and mail: address rules, TLS, deadlines and HTTP requests.

Import the modules `http`, `tls`, `urls`, `failures`, `deadline` and `foreign_text` by their names; this package does
not load them.
"""

from __future__ import annotations

from certcore.net.addresses import AddressKind, address_kind, is_loopback
from certcore.net.connecting import AddressRefusedError, connect

__all__ = ["AddressKind", "AddressRefusedError", "address_kind", "connect", "is_loopback"]
