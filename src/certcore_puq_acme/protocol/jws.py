"""Account keys and the flattened JWS of ACME (RFC 8555 section 6.2, RFC 7515, RFC 7638).

Keys, JWKs and signature algorithms are those of josepy, the library under the `acme` package; `acme` makes the external
account binding. Two things are not left to them (CPU times by `benchmarks/acme_package.py`):

- The JWS around a signature. It takes 21 us here and 62 us with `acme.jws.JWS`; one certificate needs seven.
- Key authorizations (`AcmeClient.key_authorization`). RFC 8555 section 8.1 makes them from the token's text, which may
  be any characters of base64url. `acme.challenges` decodes the token and encodes it again. This changes a token that is
  not the encoding of whole octets, so that the CA finds a wrong value. It takes 20 us, and 1 us here.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.jwa import ES256, ES384, RS256
from josepy.jwk import JWK, JWKEC, JWKRSA
from josepy.util import ComparableECKey, ComparableRSAKey

from certcore.errors import InvalidInputError, UnreadablePemError
from certcore.messages import Message
from certcore_puq_acme.protocol.account_key_types import AccountKeyType

__all__ = [
    "AccountSigner",
    "ExternalAccountBinding",
    "b64url",
    "compact",
    "generate_account_key",
    "load_account_key",
]

_MIN_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537
#: Kept, because `json.dumps` with these options would make a new encoder for every call.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


@frozen(kw_only=True)
class ExternalAccountBinding:
    """The credentials that tie a new ACME account to an account at the CA (RFC 8555 section 7.3.4).

    Raises:
        InvalidInputError: The key ID is empty, or the HMAC key is not base64url.
    """

    #: The key ID from the CA.
    kid: str
    #: The MAC key as the CA shows it: base64url, with or without padding. A secret.
    hmac_key: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.kid:
            raise InvalidInputError(
                "eab_kid",
                Message("puq_acme.eab.no_key_id", "is missing."),
                advice=Message("puq_acme.eab.no_key_id.advice", "The CA shows it next to the HMAC key."),
            )
        self.key_bytes()

    def key_bytes(self) -> bytes:
        """The MAC key, decoded.

        Raises:
            InvalidInputError: It is not base64url. The message does not contain it.
        """
        text = "".join(self.hmac_key.split()).rstrip("=").replace("+", "-").replace("/", "_")
        try:
            key = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            key = b""
        if not key or b64url(key)[:-1] != text[:-1]:  # the decoder skips characters outside of its alphabet
            raise InvalidInputError(
                "eab_hmac_key",
                Message("puq_acme.eab.not_base64url", "is not base64url."),
                advice=Message("puq_acme.eab.not_base64url.advice", "Copy the whole HMAC key from the CA's page."),
            ) from None
        return key


class AccountSigner:
    """Signs with an account key. The values derived from the key are computed once. Safe to share between threads.

    Args:
        key: An EC P-256 or P-384 key, or an RSA key, as :func:`load_account_key` returns it.

    Raises:
        InvalidInputError: The key is of another type.
    """

    def __init__(self, key: JWK) -> None:
        self._jwk = key
        self._key = key.key
        self._algorithm = _algorithm(key)
        self.alg: str = self._algorithm.name
        #: The public key as a JWK (RFC 7517).
        self.jwk: dict[str, Any] = key.public_key().to_json()
        #: The JWK thumbprint (RFC 7638), base64url.
        self.thumbprint = b64url(key.thumbprint())

    def sign(self, payload: bytes, *, url: str, nonce: str = "", kid: str = "") -> bytes:
        """Sign a payload; returns the flattened JWS (RFC 8555 section 6.2).

        Args:
            payload: The JSON to sign; empty for POST-as-GET.
            url: The URL that the request goes to.
            nonce: The replay nonce; left out when empty (the inner JWS of a key change has none).
            kid: The account URL; when empty, the public key itself is sent.
        """
        protected: dict[str, Any] = {"alg": self.alg, "url": url}
        if nonce:
            protected["nonce"] = nonce
        if kid:
            protected["kid"] = kid
        else:
            protected["jwk"] = self.jwk
        head, body = b64url(compact(protected)), b64url(payload)
        signature = self._algorithm.sign(self._key, f"{head}.{body}".encode())
        return f'{{"protected":"{head}","payload":"{body}","signature":"{b64url(signature)}"}}'.encode()

    def bind(self, eab: ExternalAccountBinding, url: str) -> dict[str, Any]:
        """The ``externalAccountBinding`` member of a newAccount request (RFC 8555 section 7.3.4).

        Args:
            eab: The credentials from the CA.
            url: The newAccount URL.
        """
        from acme import messages  # noqa: PLC0415 - takes 0.1 s, and is needed once per account

        directory: Any = {"newAccount": url}
        return messages.ExternalAccountBinding.from_data(
            self._jwk.public_key(), eab.kid, b64url(eab.key_bytes()), directory
        )

    def __repr__(self) -> str:
        return f"AccountSigner({self.alg}, {self.thumbprint})"


def generate_account_key(kind: AccountKeyType = AccountKeyType.EC_P256) -> bytes:
    """Make a new account key, as unencrypted PKCS#8 PEM. It is a secret: seal it at once. RSA may take seconds."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    match kind:
        case AccountKeyType.EC_P256:
            key = ec.generate_private_key(ec.SECP256R1())
        case AccountKeyType.EC_P384:
            key = ec.generate_private_key(ec.SECP384R1())
        case _:
            key = rsa.generate_private_key(_RSA_EXPONENT, int(kind.removeprefix("rsa_")))
    return _pem(key)


def load_account_key(pem: bytes) -> JWK:
    """Read an account key: EC P-256 or P-384, or RSA of at least 2048 bits, PEM, unencrypted.

    Raises:
        UnreadablePemError: It is not the PEM of a private key, or is encrypted.
        InvalidInputError: It is a private key of another type or size.
    """
    try:
        # RSA keys were checked when they were made or imported. Checking them at each use would block other threads.
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnreadablePemError(
            Message(
                "puq_acme.account_key.not_readable",
                "The ACME account key is not the PEM of an unencrypted private key.",
            ),
            advice=Message("puq_acme.account_key.not_readable.advice", "Import it again, without a password."),
        ) from None
    jwk: JWK
    if isinstance(key, ec.EllipticCurvePrivateKey):
        jwk = JWKEC(key=ComparableECKey(key))
    elif isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        jwk = JWKRSA(key=ComparableRSAKey(key))
    else:
        raise _unsupported()
    _algorithm(jwk)
    return jwk


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def compact(document: Any) -> bytes:
    """JSON without white space."""
    return _ENCODER.encode(document).encode()


def _pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _algorithm(key: JWK) -> Any:
    if isinstance(key, JWKRSA):
        return RS256
    if isinstance(key, JWKEC):
        algorithm = {"secp256r1": ES256, "secp384r1": ES384}.get(key.key.curve.name)
        if algorithm is not None:
            return algorithm
    raise _unsupported()


def _unsupported() -> InvalidInputError:
    return InvalidInputError(
        "account_key",
        Message("puq_acme.account_key.kind", "is not an EC P-256 or P-384 key, nor an RSA key of at least 2048 bits."),
    )
