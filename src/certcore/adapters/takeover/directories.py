"""ACME directory URLs as other clients store them: validated, and completed where only the host is stored."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

__all__ = ["PUBLIC_DIRECTORIES", "caddy_key", "checked_url", "directory_of", "is_staging", "server_of"]

_LONGEST: Final = 500
#: The ACME v1 servers of Let's Encrypt are gone; their URLs are mapped to the current ones.
_MOVED: Final = MappingProxyType(
    {
        "https://acme-v01.api.letsencrypt.org/directory": "https://acme-v02.api.letsencrypt.org/directory",
        "https://acme-staging.api.letsencrypt.org/directory": "https://acme-staging-v02.api.letsencrypt.org/directory",
    }
)
#: The directories of public CAs that have exactly one directory per host.
_DIRECTORIES: Final = MappingProxyType(
    {
        "acme-v02.api.letsencrypt.org": "https://acme-v02.api.letsencrypt.org/directory",
        "acme-staging-v02.api.letsencrypt.org": "https://acme-staging-v02.api.letsencrypt.org/directory",
        "acme.zerossl.com": "https://acme.zerossl.com/v2/DV90",
        "api.buypass.com": "https://api.buypass.com/acme/directory",
        "api.test4.buypass.no": "https://api.test4.buypass.no/acme/directory",
        "dv.acme-v02.api.pki.goog": "https://dv.acme-v02.api.pki.goog/directory",
        "dv.acme-v02.test-api.pki.goog": "https://dv.acme-v02.test-api.pki.goog/directory",
    }
)
#: The directory URLs of these CAs.
PUBLIC_DIRECTORIES: Final = tuple(_DIRECTORIES.values())
_STAGING: Final = frozenset(
    {
        "acme-staging-v02.api.letsencrypt.org",
        "acme-staging.api.letsencrypt.org",
        "api.test4.buypass.no",
        "dv.acme-v02.test-api.pki.goog",
    }
)
#: Characters that Caddy removes from the names of its directories.
_NOT_IN_KEYS: Final = re.compile(r"[^\w@.-]", re.ASCII)


def checked_url(value: object) -> str:
    """Check the URL of an ACME server; empty if it is not a usable URL. URLs of ACME v1 are replaced."""
    if not isinstance(value, str):
        return ""
    text = value.strip()
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        return ""
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return ""
    return _MOVED.get(text.rstrip("/"), text)


def server_of(url: str) -> str:
    """The ``host`` or ``host:port`` of a URL; empty if it is not a URL."""
    parts = _split(url) if checked_url(url) else None
    return "" if parts is None else parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")


def directory_of(server: str) -> str:
    """The directory URL of a public CA with this host; empty for others."""
    return _DIRECTORIES.get(server, "")


def is_staging(server: str) -> bool:
    """Whether a host is a staging server, whose certificates are not trusted."""
    return server in _STAGING


def caddy_key(directory_url: str) -> str:
    """The name of the directory in which Caddy stores the files of a CA."""
    parts = _split(directory_url)
    if parts is None:
        return ""
    path = parts.path.replace("/", "-").strip("-")
    key = f"{parts.netloc}-{path}" if path else parts.netloc
    return _NOT_IN_KEYS.sub("", key.lower().replace("+", "_plus_").replace("*", "wildcard_").replace(":", "-"))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if the port is invalid
    except ValueError:
        return None
    return parts
