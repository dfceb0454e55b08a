"""The text form of TSIG keys (RFC 8945)."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from certcore.model.secret import Secret

__all__ = ["TSIG_ALGORITHMS", "tsig_secret"]

#: The algorithms that RFC 8945 section 6 permits, the usual one first.
TSIG_ALGORITHMS: Final = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")


def tsig_secret(key: Secret) -> bytes | None:
    """Decode a TSIG secret, which name servers write in base64; None if it is not base64, or empty."""
    try:
        return base64.b64decode(key.reveal().strip(), validate=True) or None
    except (binascii.Error, ValueError):
        return None
