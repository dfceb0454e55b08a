"""The settings of a PUQ ACME profile: one attrs class that is the form, the validation and the options at once."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from certcore.errors import CertCoreError, InvalidInput
from certcore.model import form
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import parse_email
from certcore.x509.chain import parse_certificates
from certcore_puq_acme.directories import PRESETS

__all__ = ["CUSTOM", "NameServer", "PuqAcmeProfile", "ZoneServerName", "check_profile"]

#: The value of ``ca`` with which the directory URL counts.
CUSTOM: Final = "custom"
_DNS_PORT: Final = 53
_MAX_PORT: Final = 65535


@frozen
class NameServer:
    """A DNS server by address and port."""

    address: str
    port: int = _DNS_PORT

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port == _DNS_PORT else f"{host}:{self.port}"


@frozen
class ZoneServerName:
    """A name server of the tech zone: its host name, and its addresses when the name lies inside the zone."""

    host: str
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.host, *self.addresses))


def _directory_url(text: str, field: str) -> str:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise InvalidInput(field, "is not a URL; it looks like https://acme.example.com/directory.") from None
    if parts.username or parts.password or parts.fragment:
        raise InvalidInput(field, "must not hold a user name, a password or a fragment.")
    if not parts.hostname:
        raise InvalidInput(field, "is not a URL; it looks like https://acme.example.com/directory.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return text
    raise InvalidInput(field, "must begin with https:// (plain http is only for a test server on this machine).")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _email(text: str, field: str) -> str:
    return parse_email(text, field=field)


def _zone(text: str, field: str) -> DnsName:
    name = DnsName.parse(text, field=field)
    if name.is_wildcard:
        raise InvalidInput(field, "a zone is not a wildcard.")
    return name


def _name_server(text: str, field: str) -> NameServer:
    bracketed = re.fullmatch(r"\[(.+)\](?::(\d+))?", text)
    plain = re.fullmatch(r"([0-9.]+)(?::(\d+))?", text)
    host, port = bracketed.groups() if bracketed else plain.groups() if plain else (text, None)
    number = int(port) if port and len(port) <= 5 else _DNS_PORT  # noqa: PLR2004 - longer is out of range anyway
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        raise InvalidInput(field, f"{text[:60]!r} is not an IP address with an optional :port.") from None
    if not 1 <= number <= _MAX_PORT or (port and len(port) > 5):  # noqa: PLR2004
        raise InvalidInput(field, f"the port of {text[:60]!r} is out of range.")
    return NameServer(address, number)


def _zone_server(text: str, field: str) -> ZoneServerName:
    host, *addresses = text.split()
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InvalidInput(field, f"{address[:60]!r} is not an IP address.") from None
    return ZoneServerName(_zone(host, field).ascii, tuple(str(ipaddress.ip_address(one)) for one in addresses))


def _roots(text: str, field: str) -> str:
    try:
        parse_certificates(text)
    except CertCoreError as error:
        raise InvalidInput(field, f"must be certificates in PEM: {error.message}") from None
    return text


@frozen(kw_only=True)
class PuqAcmeProfile:
    """One way to obtain certificates from an ACME CA, validated through CNAMEs into the tech zone."""

    ca: str = form.choice(
        "Certification authority",
        [*(form.Choice(one.name, one.title) for one in PRESETS.values()), form.Choice(CUSTOM, "Another ACME CA")],
        default="letsencrypt",
    )
    directory_url: str = form.text(
        "Directory URL",
        default="",
        parse=_directory_url,
        placeholder="https://acme.example.com/directory",
        help="Only for another ACME CA.",
    )
    email: str = form.text(
        "Account e-mail", default="", parse=_email, help="The CA writes to it about the account; some CAs need one."
    )
    terms_agreed: bool = form.boolean(
        "Agree to the CA's terms of service", default=False, help="Needed by CAs that have terms of service."
    )
    tech_zone: DnsName = form.text(
        "Tech zone",
        parse=_zone,
        placeholder="acme.panel.example",
        help="The DNS zone under your control that the owners' CNAMEs point into.",
    )
    tech_zone_nameservers: tuple[ZoneServerName, ...] = form.lines(
        "Name servers of the tech zone",
        parse=_zone_server,
        maximum=8,
        placeholder="ns1.acme.panel.example 192.0.2.1",
        help=(
            "The host names that the zone is delegated to; ns.<tech zone> when empty. A name inside the zone is "
            "followed by its addresses."
        ),
    )
    allow_wildcard: bool = form.boolean("Allow wildcard certificates", default=True)
    ttl: int = form.integer("TTL of the TXT records", minimum=30, maximum=86400, default=30, unit="seconds")
    api_timeout: int = form.integer("Timeout of the CA's API", minimum=1, maximum=300, default=10, unit="seconds")
    eab_kid: str = form.text("EAB key id", default="", help="External account binding, for CAs that require it.")
    eab_hmac_key: Secret | None = form.secret("EAB HMAC key", default=None)
    dns_servers: tuple[NameServer, ...] = form.lines(
        "DNS servers used for checks",
        parse=_name_server,
        maximum=8,
        placeholder="192.0.2.53",
        help="Recursive resolvers; all of them have to see a record. The system's resolvers when empty.",
    )
    trusted_roots: str = form.text(
        "Additional trusted roots",
        default="",
        parse=_roots,
        multiline=True,
        maximum=65536,
        help="Root certificates in PEM, for a CA of your own whose server the system does not trust.",
    )

    @property
    def directory(self) -> str:
        """The directory URL that counts."""
        return self.directory_url if self.ca == CUSTOM else PRESETS[self.ca].url

    @property
    def zone_servers(self) -> tuple[ZoneServerName, ...]:
        """The tech zone's name servers."""
        return self.tech_zone_nameservers or (ZoneServerName(f"ns.{self.tech_zone}"),)


def check_profile(profile: PuqAcmeProfile) -> None:
    """Refuse settings that do not fit together.

    Raises:
        InvalidInput: With the name of the field.
    """
    if profile.ca == CUSTOM and not profile.directory_url:
        raise InvalidInput("directory_url", "is required for another ACME CA.")
    if profile.ca != CUSTOM and profile.directory_url:
        raise InvalidInput("directory_url", f"is only for another ACME CA; set ca to {CUSTOM} or leave it empty.")
    key = profile.eab_hmac_key
    if bool(profile.eab_kid) != bool(key):
        missing = "eab_hmac_key" if profile.eab_kid else "eab_kid"
        raise InvalidInput(missing, "external account binding needs both the key id and the HMAC key.")
    if key:
        _check_hmac_key(key)
    preset = PRESETS.get(profile.ca)
    if preset is not None and preset.eab_required and not key:
        raise InvalidInput("eab_kid", f"{preset.title} needs external account binding: create the pair on its site.")


def _check_hmac_key(key: Secret) -> None:
    text = key.reveal_text().rstrip("=")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        raise InvalidInput("eab_hmac_key", "is not base64url, the form in which CAs give it.") from None
