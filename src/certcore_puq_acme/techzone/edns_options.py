"""The EDNS options of answers: the server's identifier (RFC 5001) and DNS cookies (RFC 7873, RFC 9018)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore_puq_acme.techzone.wire import OPTION_COOKIE, OPTION_NSID, Edns

__all__ = ["EdnsOptions", "ServerCookies"]

#: Octets of a client's cookie; of a server's cookie, which is version, time and hash; and of its part before the hash
#: (RFC 9018 section 4).
_CLIENT: Final = 8
_SERVER: Final = 16
_HEAD_SIZE: Final = 8
#: Version and reserved octets of RFC 9018's layout. The version is one for private use, because our hash is another:
#: only servers that share a secret must use the same hash, and here each process has its own secret.
_HEAD: Final = bytes((240, 0, 0, 0))
#: How old and how far ahead a cookie may be, in seconds (RFC 9018 section 4.3).
_MAX_AGE: Final = 3600
_MAX_AHEAD: Final = 300


@frozen
class ServerCookies:
    """Makes and checks server cookies. A query with a valid one comes from an address that is not forged."""

    _secret: bytes = field(factory=lambda: AESGCM.generate_key(128), repr=False)

    def answer(self, cookie: bytes, address: str, now: int) -> bytes:
        """The COOKIE option of an answer: the client's cookie and a new server cookie.

        Args:
            cookie: The query's COOKIE option.
            address: The sender's IP address as text.
            now: Seconds since 1970.
        """
        client, head = cookie[:_CLIENT], _HEAD + (now & 0xFFFFFFFF).to_bytes(4, "big")
        return client + head + self._hash(client, head, address)

    def proves(self, cookie: bytes, address: str, now: int) -> bool:
        """Whether the query's COOKIE option holds a cookie that this address was sent within the last hour."""
        client, server = cookie[:_CLIENT], cookie[_CLIENT:]
        head, shown = server[:_HEAD_SIZE], server[_HEAD_SIZE:]
        if len(server) != _SERVER or head[:4] != _HEAD:
            return False
        age = (now - int.from_bytes(head[4:], "big") + 2**31) % 2**32 - 2**31  # RFC 1982
        return -_MAX_AHEAD <= age <= _MAX_AGE and hmac.compare_digest(shown, self._hash(client, head, address))

    def _hash(self, client: bytes, head: bytes, address: str) -> bytes:
        data = client + head + address.encode("utf-8", "replace")
        return hashlib.blake2s(data, key=self._secret, digest_size=_SERVER - _HEAD_SIZE).digest()


@frozen
class EdnsOptions:
    """Makes the EDNS options of a server's answers."""

    #: The server's identifier, for clients that ask; empty for none.
    identity: bytes = b""
    #: None if answers have no cookies.
    cookies: ServerCookies | None = None

    def options(self, edns: Edns, address: str, now: int) -> Sequence[tuple[int, bytes]]:
        """The options of the answer to a query, as pairs of code and data.

        Args:
            edns: The query's OPT record.
            address: The sender's IP address as text.
            now: Seconds since 1970.
        """
        if edns.version != 0:
            return ()
        options: list[tuple[int, bytes]] = []
        if edns.nsid and self.identity:
            options.append((OPTION_NSID, self.identity))
        if edns.cookie and self.cookies is not None:
            options.append((OPTION_COOKIE, self.cookies.answer(edns.cookie, address, now)))
        return options

    def proves(self, edns: Edns, address: str, now: int) -> bool:
        """Whether a cookie shows that the query's address is not forged; arguments as for `options`."""
        return bool(edns.cookie) and self.cookies is not None and self.cookies.proves(edns.cookie, address, now)
