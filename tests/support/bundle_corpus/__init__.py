"""Pasted inputs, good and bad, as people bring them: each made when it is asked for, from a few keys made at the start.

`GOOD` and `BAD` name the inputs; each is a function that takes the `World` and returns the arguments of `read_bundle`.
"""

from support.bundle_corpus import bad, bad_certificates, bad_passwords, good, good_keys  # noqa: F401 - they register
from support.bundle_corpus.world import (
    BAD,
    DAY,
    GOOD,
    NOW,
    OIDS,
    World,
    address,
    armour,
    der,
    fingerprint,
    indefinite,
    integer,
    issuers_at,
    key_der,
    key_pem,
    name,
    pem,
    tlv,
    usage,
    world,
)

__all__ = [
    "BAD",
    "DAY",
    "GOOD",
    "NOW",
    "OIDS",
    "World",
    "address",
    "armour",
    "der",
    "fingerprint",
    "indefinite",
    "integer",
    "issuers_at",
    "key_der",
    "key_pem",
    "name",
    "pem",
    "tlv",
    "usage",
    "world",
]
