"""ACME directory URLs as other clients write them down: checked, and found again where they keep the host alone."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

__all__ = ["PUBLIC_DIRECTORIES", "caddy_key", "checked_url", "directory_of", "is_staging", "server_of"]

_LONGEST: Final = 500
#: The first ACME servers of Let's Encrypt are gone; what clients have of them counts for the present ones.
_MOVED: Final = MappingProxyType(
    {
        "https://acme-v01.api.letsencrypt.org/directory": "https://acme-v02.api.letsencrypt.org/directory",
        "https://acme-staging.api.letsencrypt.org/directory": "https://acme-staging-v02.api.letsencrypt.org/directory",
    }
)
#: The directory of each public CA that has one; where there are several on one host, it is not known from the host.
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
#: All of them.
PUBLIC_DIRECTORIES: Final = tuple(_DIRECTORIES.values())
_STAGING: Final = frozenset(
    {
        "acme-staging-v02.api.letsencrypt.org",
        "acme-staging.api.letsencrypt.org",
        "api.test4.buypass.no",
        "dv.acme-v02.test-api.pki.goog",
    }
)
#: What Caddy leaves out of the names of its folders.
_NOT_IN_KEYS: Final = re.compile(r"[^\w@.-]", re.ASCII)


def checked_url(value: object) -> str:
    """A URL of an ACME server; empty for what is none."""
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
    """The ``host`` or ``host:port`` of a URL; empty for what is none."""
    parts = _split(url) if checked_url(url) else None
    return "" if parts is None else parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")


def directory_of(server: str) -> str:
    """The directory of a public CA by its host; empty for others."""
    return _DIRECTORIES.get(server, "")


def is_staging(server: str) -> bool:
    """Whether certificates from there are for trying things out, and are trusted by nobody."""
    return server in _STAGING


def caddy_key(directory_url: str) -> str:
    """What Caddy calls the folder of a CA."""
    parts = _split(directory_url)
    if parts is None:
        return ""
    path = parts.path.replace("/", "-").strip("-")
    key = f"{parts.netloc}-{path}" if path else parts.netloc
    return _NOT_IN_KEYS.sub("", key.lower().replace("+", "_plus_").replace("*", "wildcard_").replace(":", "-"))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    return parts
