"""TSIG keys (RFC 8945) with which the secondaries of a zone sign, and the files that contain them."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.secret import Secret

__all__ = ["TransferKey", "parse_key_name", "parse_transfer_keys"]

#: Without HMAC-MD5 and HMAC-SHA1, which are weak (RFC 8945 section 6).
_ALGORITHMS: Final = frozenset({"hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"})
_COMMENT: Final = re.compile(r"(?://|#)[^\n]*|/\*.*?\*/", re.DOTALL)
_CLAUSE: Final = re.compile(r'key\s+"?([^\s"{};]+)"?\s*\{([^{}]*)\}\s*;?\s*')
_FIELD: Final = re.compile(r'(algorithm|secret)\s+(?:"([^"]*)"|([^\s"{};]+))\s*;')
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MAX_NAME: Final = 253
#: The shortest secret, in bytes.
_SHORTEST: Final = 16


@frozen
class TransferKey:
    """A TSIG key, shared by both sides of a zone transfer."""

    #: A domain name in lower case, without a trailing dot.
    name: str
    #: For example ``hmac-sha256``.
    algorithm: str
    secret: Secret = field(repr=False)


def parse_transfer_keys(text: str) -> tuple[TransferKey, ...]:
    """Read keys in the form that BIND's ``tsig-keygen`` writes.

    Example:
        >>> text = 'key "ns2" { algorithm hmac-sha256; secret "MDEyMzQ1Njc4OWFiY2RlZg=="; };'
        >>> parse_transfer_keys(text)
        (TransferKey(name='ns2', algorithm='hmac-sha256'),)

    Raises:
        InvalidInputError: The text does not have this form, a key appears twice, or a key is too weak. The message
            contains no secret.
    """
    rest = _COMMENT.sub(" ", text).strip()
    keys: dict[str, TransferKey] = {}
    while rest:
        clause = _CLAUSE.match(rest)
        if clause is None:
            expected = 'expected: key "name" { algorithm hmac-sha256; secret "…"; };'
            raise InvalidInputError(
                "transfer_keys",
                Message("transfer_key.unreadable", expected),
                advice=Message("transfer_key.unreadable.advice", "See tsig-keygen."),
            )
        key = _key(clause[1], clause[2])
        if key.name in keys:
            reason = Message("transfer_key.twice", "the key {name} is given twice.", {"name": key.name})
            raise InvalidInputError("transfer_keys", reason)
        keys[key.name] = key
        rest = rest[clause.end() :]
    return tuple(keys.values())


def _key(name: str, body: str) -> TransferKey:
    params = {"name": name[:60]}
    fields = {kind: quoted or bare for kind, quoted, bare in _FIELD.findall(body)}
    if _FIELD.sub("", body).strip() or set(fields) != {"algorithm", "secret"}:
        text = "the key {name} needs an algorithm and a secret, and nothing else."
        raise InvalidInputError("transfer_keys", Message("transfer_key.wrong_members", text, params))
    algorithm = fields["algorithm"].lower()
    if algorithm not in _ALGORITHMS:
        text = "the algorithm of the key {name} is not one of {known}."
        reason = Message("transfer_key.algorithm", text, {**params, "known": ", ".join(sorted(_ALGORITHMS))})
        raise InvalidInputError("transfer_keys", reason)
    try:
        secret = base64.b64decode(fields["secret"], validate=True)
    except (binascii.Error, ValueError):
        reason = Message("transfer_key.not_base64", "the secret of the key {name} is not base64.", params)
        raise InvalidInputError("transfer_keys", reason) from None
    if len(secret) < _SHORTEST:
        reason = Message("transfer_key.too_short", "the secret of the key {name} has fewer than 16 bytes.", params)
        raise InvalidInputError("transfer_keys", reason)
    return TransferKey(parse_key_name(name, field="transfer_keys"), algorithm, Secret(secret))


def parse_key_name(text: str, *, field: str) -> str:
    """The name of a key, a domain name of one or more labels.

    Raises:
        InvalidInputError: The text is not a domain name.
    """
    name = text.lower().removesuffix(".")
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        reason = Message("transfer_key.name", "{name} is not the name of a key.", {"name": repr(text[:60])})
        raise InvalidInputError(field, reason)
    return name
