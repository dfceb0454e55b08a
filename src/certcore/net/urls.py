"""Parse URLs of servers: https, or http if it is permitted."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from certcore.messages import Message
from certcore.net.addresses import is_loopback

__all__ = ["BadUrlError", "Origin", "parse_url"]

#: In characters: a name has at most 255 octets (RFC 1035 section 2.3.4), which are 253 characters of text.
_MAX_HOST: Final = 253
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_PARTS: Final = re.compile(r"([^:/?#]*://[^/?#]*)([^#]*)", re.DOTALL)
#: The characters of a path and a query that are not percent-encoded (RFC 3986 section 3.3).
_PLAIN: Final = "%/:=&?~!$'()*+,;@[]"


class BadUrlError(ValueError):
    """A URL that must not be requested.

    Args:
        clause: The reason, as a clause whose subject is the URL.
    """

    def __init__(self, clause: Message) -> None:
        super().__init__(str(clause))
        self.clause = clause


class Origin(NamedTuple):
    """The origin of a URL (RFC 6454 section 4)."""

    #: The host, with the port if that is not the default: the value of the Host header, and the name in messages.
    label: str
    #: ``https`` or ``http``.
    scheme: str
    #: A name or an address; IPv6 addresses without brackets.
    host: str
    port: int

    @property
    def is_permitted(self) -> bool:
        """Whether the connection is encrypted, or the host is this machine."""
        return self.scheme == "https" or is_loopback(self.host)


@lru_cache(maxsize=256)
def parse_url(url: str, *, allow_http: bool = False) -> tuple[Origin, str]:
    """Split a URL into its origin, and its path and query, percent-encoded as necessary.

    Args:
        url: An ``https`` URL, or an ``http`` URL whose host is this machine. It must not contain a user or a password.
        allow_http: Whether ``http`` URLs of other machines are permitted, too.

    Raises:
        BadUrlError: The URL is not permitted.
    """
    parts = _PARTS.match(url)
    if parts is None:
        raise BadUrlError(Message("url.not_https", "is not the https URL of a server"))
    origin = _origin(parts[1])
    if not allow_http and not origin.is_permitted:
        raise BadUrlError(Message("url.not_encrypted", "is not encrypted"))
    target = parts[2] if parts[2].startswith("/") else f"/{parts[2]}"
    return origin, quote(target, safe=_PLAIN)


def _origin(url: str) -> Origin:
    try:
        parsed = urlsplit(url)
        port = parsed.port
    except ValueError:
        raise BadUrlError(Message("url.not_parsed", "cannot be parsed")) from None
    host, scheme = parsed.hostname or "", parsed.scheme
    if scheme not in _DEFAULT_PORTS or not host or port == 0:
        raise BadUrlError(Message("url.not_https", "is not the https URL of a server"))
    if "@" in parsed.netloc:
        raise BadUrlError(Message("url.with_user", "holds a user name or a password"))
    if not host.isascii() or not host.isprintable() or " " in host or len(host) > _MAX_HOST:
        raise BadUrlError(Message("url.no_server_name", "has a host that is not the name of a server"))
    usual = _DEFAULT_PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    return Origin(shown if port in (None, usual) else f"{shown}:{port}", scheme, host, port or usual)
