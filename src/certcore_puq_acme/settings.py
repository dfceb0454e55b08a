"""The settings of a PUQ ACME profile: one attrs class that is the form, the validation and the options at once."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from certcore.errors import CertCoreError, InvalidInput
from certcore.model import form
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import parse_email
from certcore.net import is_loopback
from certcore.x509.chain import parse_certificates
from certcore_puq_acme.account_keys import AccountKeyType
from certcore_puq_acme.directories import PRESETS, DirectoryPreset
from certcore_puq_acme.limits import Limit, NoLimits, limits_of, parse_limit

__all__ = [
    "CUSTOM",
    "SHORTEST_HMAC_KEY",
    "ChallengeType",
    "NameServer",
    "PuqAcmeProfile",
    "PuqAcmeSettings",
    "ZoneServerName",
    "check_profile",
]

#: The value of ``ca`` with which the directory URL counts.
CUSTOM: Final = "custom"
#: The value of ``challenges`` with which each certificate may choose.
_BOTH: Final = "both"
#: The shortest key for HS256 (RFC 7518 section 3.2), in bytes.
SHORTEST_HMAC_KEY: Final = 32
_PROFILE_NAME: Final = re.compile(r"[!-~]{1,100}")
_DNS_PORT: Final = 53
_MAX_PORT: Final = 65535


class ChallengeType(StrEnum):
    """The ways to prove control of a name that this module knows."""

    #: A TXT value for each order, through the owner's CNAME (RFC 8555 section 8.4).
    DNS = "dns-01"
    #: One TXT record that the owner sets and that stays (draft-ietf-acme-dns-persist).
    DNS_PERSIST = "dns-persist-01"


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
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return text
    raise InvalidInput(field, "must begin with https:// (plain http is only for a test server on this machine).")


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


def _certificate_profile(text: str, field: str) -> str:
    if not _PROFILE_NAME.fullmatch(text):
        raise InvalidInput(field, "is not the name of a certificate profile: printable ASCII without blanks.")
    return text


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
        "Agree to the CA's terms of service",
        default=False,
        help="Needed by CAs that have terms of service. It is said again when the CA is changed.",
        consent_to=("ca", "directory_url"),
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
    account_key_type: str = form.choice(
        "Kind of account key",
        [form.Choice(kind.value, kind.title) for kind in AccountKeyType],
        default=AccountKeyType.EC_P256.value,
        help="For new accounts and at the next key rollover.",
    )
    eab_kid: str = form.text("EAB key id", default="", help="External account binding, for CAs that require it.")
    eab_hmac_key: Secret | None = form.secret(
        "EAB HMAC key",
        default=None,
        help="Base64url, as the CA shows it. Of fewer than 32 bytes it may be refused (RFC 7518 section 3.2).",
    )
    eab_url: str = form.text(
        "EAB by e-mail",
        default="",
        parse=_directory_url,
        placeholder="https://api.example.com/acme/eab-credentials-email",
        help="Only for another ACME CA: where it gives EAB credentials for the account e-mail, as ZeroSSL does.",
    )
    own_accounts: bool = form.boolean(
        "Certificates may have accounts of their own",
        default=False,
        help="Whether a certificate's account e-mail opens an account at the CA. Accounts that exist go on working.",
    )
    max_accounts: int = form.integer(
        "Accounts of certificates", minimum=1, maximum=10000, default=50, help="How many may be open in this profile."
    )
    max_accounts_per_owner: int = form.integer(
        "Accounts of certificates per owner", minimum=1, maximum=10000, default=5
    )
    certificate_profile: str = form.text(
        "Certificate profile",
        default="",
        parse=_certificate_profile,
        help="One of those that the CA offers; the CA's own choice when empty.",
    )
    validity_days: int = form.integer(
        "Validity",
        minimum=0,
        maximum=398,
        default=0,
        unit="days",
        help="For CAs that let the customer choose; 0 leaves it to the CA.",
    )
    preferred_chain: str = form.text(
        "Preferred chain",
        default="",
        help="The name of the root or of an issuer in the chain, where the CA offers several chains.",
    )
    challenges: str = form.choice(
        "Validation",
        [
            form.Choice(ChallengeType.DNS.value, "dns-01 through the owner's CNAME"),
            form.Choice(ChallengeType.DNS_PERSIST.value, "dns-persist-01: one lasting TXT record of the owner"),
            form.Choice(_BOTH, "dns-01, or dns-persist-01 where a certificate asks for it"),
        ],
        default=ChallengeType.DNS.value,
    )
    persist_days: int = form.integer(
        "Life of a dns-persist-01 record",
        minimum=0,
        maximum=3650,
        default=0,
        unit="days",
        help="What the owner is told to write into the record; 0 for one without an end.",
    )
    check_caa: bool = form.boolean(
        "Check CAA records first", default=True, help="An order that a CAA record forbids is not placed."
    )
    limits: tuple[Limit | NoLimits, ...] = form.lines(
        "Limits of the CA",
        parse=parse_limit,
        maximum=10,
        placeholder="orders 300 per 3h except renewals and ari",
        help=(
            "What the CA permits, so that certificates wait here instead of being refused there: orders, "
            "registered_domain, same_names and failed_authorizations. Its published limits when empty; none for none."
        ),
    )
    max_orders: int = form.integer(
        "Orders in flight", minimum=1, maximum=1000, default=20, help="At once, of all workers together."
    )
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
    chain_roots: str = form.text(
        "Roots of the certificates",
        default="",
        parse=_roots,
        multiline=True,
        maximum=65536,
        help=(
            "Root certificates in PEM that every chain has to lead to; without one nothing is installed. When empty, "
            "every chain is taken; where the CA is one of those named above, and no staging, the certificate's page "
            "tells of a chain to a root that the system does not know."
        ),
    )

    @property
    def directory(self) -> str:
        """The directory URL that counts."""
        return self.directory_url if self.ca == CUSTOM else PRESETS[self.ca].url

    @property
    def preset(self) -> DirectoryPreset | None:
        """The CA's preset; None for another CA."""
        return PRESETS.get(self.ca)

    @property
    def eab_by_email(self) -> str:
        """Where EAB credentials are given for an e-mail address; empty where the profile has its own, or for none."""
        if self.eab_hmac_key:
            return ""
        return self.preset.eab_by_email if self.preset else self.eab_url

    @property
    def short_hmac_key(self) -> int:
        """The length of an EAB HMAC key that is shorter than RFC 7518 section 3.2 asks for, in bytes; 0 for none."""
        length = len(_hmac_key_bytes(self.eab_hmac_key)) if self.eab_hmac_key else 0
        return length if length < SHORTEST_HMAC_KEY else 0

    @property
    def limits_in_force(self) -> tuple[Limit, ...]:
        """The limits that count: the profile's, else those that the CA publishes."""
        return limits_of(self.limits, self.preset.limits if self.preset else ())

    @property
    def challenge_types(self) -> tuple[ChallengeType, ...]:
        """The ways of validation that are allowed, the usual one first."""
        return tuple(ChallengeType) if self.challenges == _BOTH else (ChallengeType(self.challenges),)

    @property
    def zone_servers(self) -> tuple[ZoneServerName, ...]:
        """The tech zone's name servers."""
        return self.tech_zone_nameservers or (ZoneServerName(f"ns.{self.tech_zone}"),)


@frozen(kw_only=True)
class PuqAcmeSettings:
    """What a certificate is asked besides its names."""

    account_email: str = form.text(
        "Account e-mail",
        default="",
        parse=_email,
        help=(
            "For an account of its own at the CA, where the CA profile permits it; the CA profile's account when empty."
        ),
    )
    terms_agreed: bool = form.boolean(
        "Agree to the CA's terms of service",
        default=False,
        help=(
            "For an account of its own, at the CAs of all the CA profiles that the certificate names. It is said again "
            "when it gets another one."
        ),
        consent_to=("authority", "fallbacks"),
    )
    challenge: str = form.choice(
        "Validation",
        [form.Choice("", "As the CA profile says"), *(form.Choice(kind.value, kind.value) for kind in ChallengeType)],
        default="",
    )
    certificate_profile: str = form.text(
        "Certificate profile",
        default="",
        parse=_certificate_profile,
        help="One of those that the CA offers; that of the CA profile when empty.",
    )

    def challenge_type(self, profile: PuqAcmeProfile) -> ChallengeType:
        """How this certificate is validated; what the profile does not allow (any more) falls back to what it does."""
        allowed = profile.challenge_types
        return ChallengeType(self.challenge) if self.challenge in allowed else allowed[0]


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
        if not preset.eab_by_email:
            raise InvalidInput(
                "eab_kid", f"{preset.title} needs external account binding: create the pair on its site."
            )
        if not profile.email:
            raise InvalidInput(
                "email", f"{preset.title} needs an account e-mail, for which it gives EAB credentials, or the pair."
            )
    if profile.eab_url and profile.ca != CUSTOM:
        raise InvalidInput("eab_url", f"is only for another ACME CA; set ca to {CUSTOM} or leave it empty.")
    if profile.eab_url and not key and not profile.email:
        raise InvalidInput("email", "is needed: EAB credentials are given for the account e-mail.")
    if any(isinstance(one, NoLimits) for one in profile.limits) and len(profile.limits) > 1:
        raise InvalidInput("limits", "none stands alone.")


def _check_hmac_key(key: Secret) -> None:
    if not _hmac_key_bytes(key):
        raise InvalidInput("eab_hmac_key", "is not base64url, the form in which CAs give it.") from None


def _hmac_key_bytes(key: Secret) -> bytes:
    text = key.reveal_text().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
