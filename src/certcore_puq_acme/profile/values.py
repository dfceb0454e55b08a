"""Types of the fields of a CA profile, and parsers for them."""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certcore.errors import CertCoreError, InvalidInputError
from certcore.messages import Message
from certcore.model.plugin_results import SHORT_NAME
from certcore.model.secret import Secret
from certcore.net.addresses import AddressKind, address_kind
from certcore.net.urls import BadUrlError, parse_url
from certcore.x509.chain import parse_certificates
from certcore_puq_acme.techzone.records import is_record_name

__all__ = [
    "ServersAsked",
    "ZoneWriterKind",
    "base64url_bytes",
    "parse_acme_url",
    "parse_api_url",
    "parse_certificate_profile",
    "parse_key_name",
    "parse_provider",
    "parse_roots",
    "parse_writer_name",
]

_PROFILE_NAME: Final = re.compile(r"[!-~]{1,100}")
_PROVIDER: Final = re.compile(r"[a-z0-9_]{1,40}")


class ServersAsked(StrEnum):
    """Which authoritative name servers are queried directly."""

    #: Servers at public addresses only, because tenants choose the NS records that are followed.
    PUBLIC = "public"
    #: All servers, including those at private, link-local and loopback addresses.
    ALL = "all"
    #: No authoritative servers; only resolvers are queried.
    NONE = "none"

    def allows(self, address: str) -> bool:
        """Whether a server at this address may be queried."""
        kind = address_kind(address)
        return kind is AddressKind.PUBLIC if self is ServersAsked.PUBLIC else kind is not AddressKind.UNUSABLE


class ZoneWriterKind(StrEnum):
    """How TXT values get to the server of the tech zone."""

    #: `certcore dns serve` reads them from the store.
    EMBEDDED = "embedded"
    #: Dynamic updates (RFC 2136) signed with TSIG.
    RFC2136 = "rfc2136"
    #: The HTTP API of the PowerDNS Authoritative Server.
    POWERDNS = "powerdns"
    #: The API of a hosted DNS service, called with dns-lexicon.
    LEXICON = "lexicon"
    #: The zone writer of a plugin, see `certcore.hookspecs.certcore_zone_writers`.
    PLUGIN = "plugin"

    @property
    def label(self) -> Message:
        """The name that users see."""
        return _LABELS[self]


_LABELS: Final = MappingProxyType(
    {
        ZoneWriterKind.EMBEDDED: Message("puq_acme.zone_writer.embedded", "certcore's own DNS server"),
        ZoneWriterKind.RFC2136: Message(
            "puq_acme.zone_writer.rfc2136", "BIND, Knot and others, by dynamic updates (RFC 2136)"
        ),
        ZoneWriterKind.POWERDNS: Message("puq_acme.zone_writer.powerdns", "PowerDNS, by its HTTP API"),
        ZoneWriterKind.LEXICON: Message("puq_acme.zone_writer.lexicon", "A hosted DNS service, by dns-lexicon"),
        ZoneWriterKind.PLUGIN: Message("puq_acme.zone_writer.plugin", "The panel's own writer (a plugin)"),
    }
)


def parse_acme_url(text: str, field: str) -> str:
    """Read a URL of a CA: https, or http to this machine."""
    try:
        origin, _ = parse_url(text, allow_http=True)
    except BadUrlError as error:
        text = "{reason}; an example is https://acme.example.com/directory."
        raise InvalidInputError(field, Message("puq_acme.url.bad", text, {"reason": error.clause})) from None
    if "#" in text:
        raise InvalidInputError(field, Message("puq_acme.url.fragment", "must not hold a fragment."))
    if not origin.is_permitted:
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.url.not_https",
                "must begin with https:// (plain http is only for a test server on this machine).",
            ),
        )
    return text


def parse_certificate_profile(text: str, field: str) -> str:
    """Read the name of a certificate profile."""
    if not _PROFILE_NAME.fullmatch(text):
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.certificate_profile.not_a_name",
                "is not the name of a certificate profile: printable ASCII without spaces.",
            ),
        )
    return text


def parse_roots(text: str, field: str) -> str:
    """Check certificates in PEM."""
    try:
        parse_certificates(text)
    except CertCoreError as error:
        text = "must be certificates in PEM: {reason}"
        raise InvalidInputError(field, Message("puq_acme.roots.bad", text, {"reason": error.text})) from None
    return text


def parse_key_name(text: str, field: str) -> str:
    """Read the name of a TSIG key."""
    if not is_record_name(name := text.removesuffix(".").lower()):
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.tsig.not_a_name",
                "{name} is not the name of a TSIG key: letters, digits, - _ and dots.",
                {"name": repr(text[:60])},
            ),
        )
    return name


def parse_api_url(text: str, field: str) -> str:
    """Read the URL of an API: https, or http to this machine."""
    url = parse_acme_url(text, field).rstrip("/")
    if "?" in url:
        raise InvalidInputError(field, Message("puq_acme.url.query", "must not hold a query."))
    return url


def parse_writer_name(text: str, field: str) -> str:
    """Read the name of a plugin's zone writer."""
    if not SHORT_NAME.fullmatch(text):
        raise InvalidInputError(
            field,
            Message(
                "puq_acme.writer.not_a_name", "is not the name of a writer: lower-case letters, digits and underscores."
            ),
        )
    return text


def parse_provider(text: str, field: str) -> str:
    """Read the name of a provider of dns-lexicon. ``auto`` is refused, because it finds the provider by DNS queries."""
    if not _PROVIDER.fullmatch(text) or text == "auto":
        reason = "is not the name of a provider: lower-case letters and digits, such as gandi."
        raise InvalidInputError(field, Message("puq_acme.provider.unfit", reason))
    return text


def base64url_bytes(key: Secret) -> bytes:
    """The bytes of a key in base64url, with or without padding; empty if the text is not base64url."""
    text = key.reveal_text().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
