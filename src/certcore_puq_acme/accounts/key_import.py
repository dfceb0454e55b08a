"""Read the account key of another ACME client from that client's file."""

from __future__ import annotations

import json
from typing import Final

from certcore.errors import InvalidInputError, UnreadablePemError
from certcore.messages import Message
from certcore.x509.jwk import private_key_of_jwk
from certcore.x509.keys import load_private_key, private_key_pem
from certcore_puq_acme.protocol.jws import load_account_key

__all__ = ["read_account_key"]

#: In bytes. An RSA key of 4096 bits takes less than 4 KiB.
_MAX_SIZE: Final = 16 * 1024


def read_account_key(text: str | bytes) -> bytes:
    """Read an account key: PEM of any form (lego, acme.sh), or a JWK (certbot's ``private_key.json``).

    Returns:
        Unencrypted PKCS#8 PEM: a secret.

    Raises:
        InvalidInputError: The text is neither, or the kind of key is not supported; the error does not repeat the text.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > _MAX_SIZE:
        raise InvalidInputError(
            "account_key",
            Message(
                "puq_acme.account_key.too_long",
                "is longer than {most} bytes, which no account key is.",
                {"most": _MAX_SIZE},
            ),
        )
    is_jwk = data.lstrip()[:1] == b"{"
    try:
        if not is_jwk:
            load_account_key(data)  # its error names the unsupported kind of key
        key = private_key_of_jwk(json.loads(data)) if is_jwk else load_private_key(data)
    except (UnreadablePemError, ValueError, RecursionError):
        if is_jwk:
            raise InvalidInputError(
                "account_key", Message("puq_acme.account_key.not_jwk", "is not the JWK of a private key (RFC 7517).")
            ) from None
        raise InvalidInputError(
            "account_key",
            Message("puq_acme.account_key.not_pem", "is neither an unencrypted private key in PEM nor a JWK."),
            advice=Message(
                "puq_acme.account_key.not_pem.advice",
                "Paste the whole file: certbot's private_key.json, or the .key of lego or acme.sh.",
            ),
        ) from None
    pem = private_key_pem(key)
    load_account_key(pem)
    return pem
