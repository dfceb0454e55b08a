"""The keys of TSIG (RFC 8945), as people write them down."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from certcore.model.secret import Secret

__all__ = ["TSIG_ALGORITHMS", "tsig_secret"]

#: The algorithms of RFC 8945 section 6 that are not forbidden there, the usual one first.
TSIG_ALGORITHMS: Final = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")


def tsig_secret(key: Secret) -> bytes | None:
    """The bytes of a TSIG secret, which is base64 as servers have it; None when it is not."""
    try:
        return base64.b64decode(key.reveal().strip(), validate=True) or None
    except (binascii.Error, ValueError):
        return None
