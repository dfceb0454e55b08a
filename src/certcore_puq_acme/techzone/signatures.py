"""Signed queries and answers (TSIG, RFC 8945): dnspython makes and checks the signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig
from attrs import frozen

from certcore.model.transfer_keys import TransferKey
from certcore_puq_acme.techzone.wire import header_only, last_record_at, with_additional_records

__all__ = ["KeyRing", "SignedQuery", "may_be_signed"]

#: Type TSIG and class ANY: every TSIG record has these octets.
_TSIG_ANY: Final = b"\x00\xfa\x00\xff"
_NOTAUTH: Final = 9
_REFUSED: Final = (dns.message.UnknownTSIGKey, dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.BadKey)
#: dnspython has no type annotations for these two.
_Signature: Any = dns.rdtypes.ANY.TSIG.TSIG
_sign: Any = dns.tsig.sign
#: Seconds that two clocks may differ by.
_FUDGE: Final = 300


def may_be_signed(wire: bytes) -> bool:
    """A cheap test whether a message may have a TSIG record. It is true for all that have one, and for a few others."""
    return _TSIG_ANY in wire


@frozen
class SignedQuery:
    """A query with a valid signature."""

    #: The query without its signature.
    wire: bytes
    #: The name of the key.
    key_name: str
    _key: dns.tsig.Key
    _message: dns.message.Message

    def signed(self, answers: Iterable[bytes], now: Callable[[], int]) -> Iterator[bytes]:
        """The messages of the answer, each with its signature (RFC 8945 section 5.3.1)."""
        context: Any = None
        for wire in answers:
            template = _Signature(
                dns.rdataclass.ANY, dns.rdatatype.TSIG, self._key.algorithm, 0, _FUDGE, b"", self._message.id, 0, b""
            )
            rdata, context = _sign(
                wire, self._key, template, now(), request_mac=self._message.mac, ctx=context, multi=True
            )
            data = rdata.to_wire() or b""
            record = self._key.name.to_wire() or b""
            record += _TSIG_ANY + b"\0\0\0\0" + len(data).to_bytes(2, "big") + data
            yield with_additional_records(wire, 1) + record


class KeyRing:
    """The keys that queries may be signed with."""

    def __init__(self, keys: Sequence[TransferKey]) -> None:
        self._keys = {
            dns.name.from_text(key.name): dns.tsig.Key(key.name, key.secret.reveal(), key.algorithm) for key in keys
        }

    def read(self, wire: bytes) -> SignedQuery | bytes | None:
        """Check a query's signature.

        Returns:
            The query without its signature; or the answer NOTAUTH, if the signature is wrong or the key is unknown; or
            None for a query without a signature.
        """
        try:
            message = dns.message.from_wire(wire, keyring=self._keys)
        except dns.exception.DNSException as error:
            return header_only(wire, _NOTAUTH) if isinstance(error, _REFUSED) else None
        if not message.had_tsig or message.keyname is None:
            return None
        plain = with_additional_records(wire[: last_record_at(wire)], -1)
        name = message.keyname.to_text(omit_final_dot=True).lower()
        return SignedQuery(plain, name, self._keys[message.keyname], message)

    def sign_request(self, message: dns.message.Message, name: str) -> None:
        """Sign a message to send with the key of this name; it stays unsigned if there is no such key."""
        key = self._keys.get(dns.name.from_text(name)) if name else None
        if key is not None:
            message.use_tsig(key)
