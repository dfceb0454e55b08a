"""The settings of a PUQ ACME profile: an attrs class that defines the form, the validation and the options."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.model import form
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import parse_email
from certcore.ports.ca_module import ModuleContext, Work
from certcore.ports.dns import SecondaryServer
from certcore_puq_acme.profile.limits import Limit, NoLimits, limits_of, parse_limit
from certcore_puq_acme.profile.name_servers import (
    NameServer,
    ZoneServerName,
    parse_mailbox,
    parse_name_server,
    parse_secondary,
    parse_zone,
    parse_zone_server,
)
from certcore_puq_acme.profile.presets import PRESETS, DirectoryPreset
from certcore_puq_acme.profile.values import (
    ServersAsked,
    ZoneWriterKind,
    base64url_bytes,
    parse_acme_url,
    parse_api_url,
    parse_certificate_profile,
    parse_key_name,
    parse_provider,
    parse_roots,
    parse_writer_name,
)
from certcore_puq_acme.protocol.account_key_types import AccountKeyType
from certcore_puq_acme.techzone.tsig import TSIG_ALGORITHMS

__all__ = [
    "CUSTOM",
    "SHORTEST_HMAC_KEY",
    "AcmeContext",
    "AcmeWork",
    "ChallengeType",
    "NameServer",
    "PuqAcmeProfile",
    "PuqAcmeSettings",
    "ServersAsked",
    "ZoneServerName",
    "ZoneWriterKind",
]

#: The value of ``ca`` for a CA without a preset; then the directory URL is used.
CUSTOM: Final = "custom"
#: The value of ``challenges`` that lets each certificate choose its challenge type.
_BOTH: Final = "both"
#: The shortest key for HS256 (RFC 7518 section 3.2), in bytes.
SHORTEST_HMAC_KEY: Final = 32


class ChallengeType(StrEnum):
    """The challenge types that this module supports."""

    #: A TXT value for each order, through the owner's CNAME (RFC 8555 section 8.4).
    DNS = "dns-01"
    #: A permanent TXT record that the owner sets (draft-ietf-acme-dns-persist).
    DNS_PERSIST = "dns-persist-01"


def _email(text: str, field: str) -> str:
    return parse_email(text, field=field)


@frozen(kw_only=True)
class PuqAcmeProfile:
    """One way to obtain certificates from an ACME CA, validated through CNAMEs into the tech zone."""

    ca: str = form.choice(
        "Certification authority",
        [
            *(form.Choice(preset.name, preset.title) for preset in PRESETS.values()),
            form.Choice(CUSTOM, "Another ACME CA"),
        ],
        default="letsencrypt",
    )
    directory_url: str = form.text(
        "Directory URL",
        default="",
        parse=parse_acme_url,
        placeholder="https://acme.example.com/directory",
        help="Only for another ACME CA.",
    )
    email: str = form.text(
        "Account e-mail",
        default="",
        parse=_email,
        help="The CA's contact address for the account; some CAs require it.",
    )
    terms_agreed: bool = form.boolean(
        "Agree to the CA's terms of service",
        default=False,
        help="Needed by CAs that have terms of service. You must agree again when the CA changes.",
        consent_to=("ca", "directory_url"),
    )
    tech_zone: DnsName = form.text(
        "Tech zone",
        parse=parse_zone,
        placeholder="acme.panel.example",
        help="The DNS zone under your control that the owners' CNAMEs point into.",
    )
    tech_zone_nameservers: tuple[ZoneServerName, ...] = form.lines(
        "Name servers of the tech zone",
        parse=parse_zone_server,
        maximum=8,
        placeholder="ns1.acme.panel.example 192.0.2.1",
        help=(
            "The host names that the zone is delegated to. If empty: ns.<tech zone>. After a name inside the zone, "
            "write its addresses."
        ),
    )
    adopt_labels: bool = form.boolean(
        "Keep the labels of the original panel",
        default=False,
        help=(
            "For domains whose CNAMEs point to <domain>.<tech zone>. Such a label is the same for every owner, so a "
            "domain is bound to the first owner who proves control. Otherwise each owner gets a separate label."
        ),
    )
    zone_writer: str = form.choice(
        "Where the tech zone is",
        [form.Choice(kind.value, kind.label) for kind in ZoneWriterKind],
        default=ZoneWriterKind.EMBEDDED.value,
        help="The DNS server that serves the tech zone, and how the TXT values get there.",
    )
    zone_at_server: DnsName | None = form.text(
        "Zone at the DNS server",
        default=None,
        parse=parse_zone,
        placeholder="panel.example",
        help="The zone at the server, if the tech zone is a part of a larger zone. If empty: the tech zone.",
        advanced=True,
    )
    zone_primary: NameServer | None = form.text(
        "Primary server (RFC 2136)",
        default=None,
        parse=parse_name_server,
        placeholder="192.0.2.53",
        help="The address that accepts dynamic updates of the zone, with :port if it is not 53.",
    )
    zone_tsig_name: str = form.text(
        "TSIG key name", default="", parse=parse_key_name, placeholder="certcore", help="As configured at the server."
    )
    zone_tsig_algorithm: str = form.choice(
        "TSIG algorithm",
        [form.Choice(name, name) for name in TSIG_ALGORITHMS],
        default=TSIG_ALGORITHMS[0],
        advanced=True,
    )
    zone_tsig_secret: Secret | None = form.secret(
        "TSIG secret", default=None, help="In Base64, as configured at the server."
    )
    zone_api_url: str = form.text(
        "URL of the PowerDNS API",
        default="",
        parse=parse_api_url,
        placeholder="https://dns.example.net:8081",
        help="Plain http is only for a server on this machine: the API key would be readable on the way.",
    )
    zone_api_key: Secret | None = form.secret("PowerDNS API key", default=None, help="`api-key` in pdns.conf.")
    zone_provider: str = form.text(
        "Provider (dns-lexicon)",
        default="",
        parse=parse_provider,
        placeholder="gandi",
        help="The hosted DNS service, as dns-lexicon names it.",
    )
    zone_provider_options: Secret | None = form.secret(
        "Options of the provider",
        default=None,
        multiline=True,
        help="One option per line, as dns-lexicon names them: auth_token = …",
    )
    zone_plugin: str = form.text(
        "Writer of the panel",
        default="",
        parse=parse_writer_name,
        help="The name of a writer from a plugin. If empty: the only one.",
        advanced=True,
    )
    set_cnames: bool = form.boolean(
        "Set the CNAMEs of hosted domains",
        default=False,
        help=(
            "If that DNS server also serves the zone of a domain, certcore sets the domain's CNAMEs there, once the "
            "panel confirms through the hook certcore_controls_name that the owner controls the domain. Existing "
            "records are not changed."
        ),
    )
    zone_shown_by: tuple[NameServer, ...] = form.lines(
        "Servers that must show a value",
        parse=parse_name_server,
        maximum=8,
        placeholder="192.0.2.53",
        help=(
            "Addresses of the zone's name servers, with :port where it is not 53. Each is queried before the CA "
            "validates. If empty: the addresses given with the tech zone's name servers. Not for certcore's own server."
        ),
        advanced=True,
    )
    allow_wildcard: bool = form.boolean("Allow wildcard certificates", default=True)
    tech_zone_secondaries: tuple[SecondaryServer, ...] = form.lines(
        "Secondaries of the tech zone",
        parse=parse_secondary,
        maximum=8,
        placeholder="192.0.2.54 transfer-key",
        help=(
            "Your name servers that serve a copy of the zone: they are notified of changes and may transfer it. For "
            "each, an address with an optional :port, and the name of its TSIG key, if it signs. The keys are passed "
            "to the DNS server."
        ),
        advanced=True,
    )
    tech_zone_mailbox: str = form.text(
        "Mailbox of the tech zone's maintainer",
        default="",
        parse=parse_mailbox,
        placeholder="hostmaster@panel.example",
        help="It is published in the zone's SOA record. If empty: hostmaster@<tech zone>.",
        advanced=True,
    )
    ttl: int = form.integer(
        "TTL of the TXT records", minimum=30, maximum=86400, default=30, unit="seconds", advanced=True
    )
    zone_ttl: int = form.integer(
        "TTL of the tech zone's own records",
        minimum=30,
        maximum=604800,
        default=3600,
        unit="seconds",
        help="For its NS records and for the addresses of name servers inside the zone.",
        advanced=True,
    )
    api_timeout: int = form.integer(
        "Timeout of the CA's API", minimum=1, maximum=300, default=10, unit="seconds", advanced=True
    )
    account_key_type: str = form.choice(
        "Kind of account key",
        [form.Choice(kind.value, kind.title) for kind in AccountKeyType],
        default=AccountKeyType.EC_P256.value,
        help="For new accounts and at the next key rollover.",
        advanced=True,
    )
    eab_kid: str = form.text("EAB key id", default="", help="External account binding, for CAs that require it.")
    eab_hmac_key: Secret | None = form.secret(
        "EAB HMAC key",
        default=None,
        help="Base64url, as the CA shows it. Keys of fewer than 32 bytes may be refused (RFC 7518 section 3.2).",
    )
    eab_url: str = form.text(
        "EAB by e-mail",
        default="",
        parse=parse_acme_url,
        placeholder="https://api.example.com/acme/eab-credentials-email",
        help="Only for another ACME CA: where it gives EAB credentials for the account e-mail, as ZeroSSL does.",
        advanced=True,
    )
    own_accounts: bool = form.boolean(
        "Certificates may have their own accounts",
        default=False,
        help="Whether a certificate's account e-mail opens an account at the CA. Existing accounts keep working.",
    )
    max_accounts: int = form.integer(
        "Accounts of certificates",
        minimum=1,
        maximum=10000,
        default=50,
        help="How many accounts may be open in this profile.",
        advanced=True,
    )
    max_accounts_per_owner: int = form.integer(
        "Accounts of certificates per owner", minimum=1, maximum=10000, default=5, advanced=True
    )
    certificate_profile: str = form.text(
        "Certificate profile",
        default="",
        parse=parse_certificate_profile,
        help="One of the profiles that the CA offers. If empty, the CA chooses.",
        advanced=True,
    )
    validity_days: int = form.integer(
        "Validity",
        minimum=0,
        maximum=398,
        default=0,
        unit="days",
        help="For CAs that let the customer choose; 0 leaves it to the CA.",
        advanced=True,
    )
    preferred_chain: str = form.text(
        "Preferred chain",
        default="",
        help="The name of the root or of an issuer in the chain, where the CA offers several chains.",
        advanced=True,
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
        help="The lifetime of the record that the owner sets, in days; 0 for no end.",
        advanced=True,
    )
    check_caa: bool = form.boolean(
        "Check CAA records first", default=True, help="No order is placed that a CAA record forbids.", advanced=True
    )
    preflights: bool = form.boolean(
        "Check ahead whether certificates can be renewed",
        default=True,
        help="Once a week, and before a renewal is due: records, CAA, tech zone, account and limits.",
        advanced=True,
    )
    limits: tuple[Limit | NoLimits, ...] = form.lines(
        "Limits of the CA",
        parse=parse_limit,
        maximum=10,
        placeholder="orders 300 per 3h except renewals and ari",
        help=(
            "What the CA permits: certificates wait here, so that the CA does not refuse them. Kinds: orders, "
            "registered_domain, same_names and failed_authorizations. If empty: the CA's published limits; none: no "
            "limits."
        ),
        advanced=True,
    )
    max_orders: int = form.integer(
        "Orders in flight", minimum=1, maximum=1000, default=20, help="Of all workers together.", advanced=True
    )
    dns_servers: tuple[NameServer, ...] = form.lines(
        "DNS servers used for checks",
        parse=parse_name_server,
        maximum=8,
        placeholder="192.0.2.53",
        help=(
            "Recursive resolvers. If empty: those of the system. If the domains' own name servers cannot be queried, "
            "all of the resolvers must see a record."
        ),
        advanced=True,
    )
    servers_asked: str = form.choice(
        "Name servers to query directly",
        [
            form.Choice(ServersAsked.PUBLIC.value, "Those at public addresses"),
            form.Choice(ServersAsked.ALL.value, "All, including private addresses and this machine"),
            form.Choice(ServersAsked.NONE.value, "None: only the DNS servers used for checks"),
        ],
        default=ServersAsked.PUBLIC.value,
        help="The authoritative servers of domains and tech zone. With a CA in your own network: all, or none.",
        advanced=True,
    )
    trusted_roots: str = form.text(
        "Additional trusted roots",
        default="",
        parse=parse_roots,
        multiline=True,
        maximum=65536,
        help="Root certificates in PEM, for your own CA whose server the system does not trust.",
        advanced=True,
    )
    chain_roots: str = form.text(
        "Roots of the certificates",
        default="",
        parse=parse_roots,
        multiline=True,
        maximum=65536,
        help=(
            "Root certificates in PEM. Each chain must lead to one of them, or the certificate is not installed. If "
            "empty, every chain is accepted; for the production CAs named above, the certificate's page reports a "
            "chain to a root that the system does not know."
        ),
        advanced=True,
    )

    @property
    def directory(self) -> str:
        """The directory URL in use."""
        return self.directory_url if self.ca == CUSTOM else PRESETS[self.ca].url

    @property
    def preset(self) -> DirectoryPreset | None:
        """The CA's preset; None for another CA."""
        return PRESETS.get(self.ca)

    @property
    def eab_by_email(self) -> str:
        """The URL that issues EAB credentials for an e-mail address; empty if there is none or if some are set."""
        if self.eab_hmac_key:
            return ""
        return self.preset.eab_by_email if self.preset else self.eab_url

    @property
    def short_hmac_key(self) -> int:
        """The length of an EAB HMAC key that is shorter than RFC 7518 section 3.2 asks for, in bytes; 0 for none."""
        length = len(base64url_bytes(self.eab_hmac_key)) if self.eab_hmac_key else 0
        return length if length < SHORTEST_HMAC_KEY else 0

    @property
    def limits_in_force(self) -> tuple[Limit, ...]:
        """The limits in force: those of the profile, or those that the CA publishes if the profile has none."""
        return limits_of(self.limits, self.preset.limits if self.preset else ())

    @property
    def challenge_types(self) -> tuple[ChallengeType, ...]:
        """The permitted challenge types, the default first."""
        return tuple(ChallengeType) if self.challenges == _BOTH else (ChallengeType(self.challenges),)

    @property
    def written_zone(self) -> DnsName:
        """The zone that TXT values are written to: the tech zone, or a parent zone that contains it."""
        return self.zone_at_server or self.tech_zone

    @property
    def zone_servers(self) -> tuple[ZoneServerName, ...]:
        """The tech zone's name servers."""
        return self.tech_zone_nameservers or (ZoneServerName(f"ns.{self.tech_zone}"),)

    @property
    def servers_without_address(self) -> tuple[str, ...]:
        """The hosts of name servers inside the tech zone for which no address is set.

        Empty if the tech zone is on another DNS server, because that server has the addresses.
        """
        if self.zone_writer != ZoneWriterKind.EMBEDDED:
            return ()
        inside = f".{self.tech_zone.ascii}"
        return tuple(
            server.host for server in self.zone_servers if server.host.endswith(inside) and not server.addresses
        )


@frozen(kw_only=True)
class PuqAcmeSettings:
    """The fields of a certificate of this module."""

    account_email: str = form.text(
        "Account e-mail",
        default="",
        parse=_email,
        personal=True,
        help=("For a separate account at the CA, if the CA profile permits it. If empty: the CA profile's account."),
    )
    terms_agreed: bool = form.boolean(
        "Agree to the CA's terms of service",
        default=False,
        help=(
            "For a separate account, at the CAs of all CA profiles that the certificate names. You must agree "
            "again when the certificate gets another CA profile."
        ),
        consent_to=("authority", "fallbacks"),
    )
    challenge: str = form.choice(
        "Validation",
        [form.Choice("", "As the CA profile says"), *(form.Choice(kind.value, kind.value) for kind in ChallengeType)],
        default="",
        advanced=True,
    )
    certificate_profile: str = form.text(
        "Certificate profile",
        default="",
        parse=parse_certificate_profile,
        help="One of the profiles that the CA offers. If empty, the CA profile's setting is used.",
        advanced=True,
    )

    def challenge_type(self, profile: PuqAcmeProfile) -> ChallengeType:
        """The challenge type of this certificate. If the profile does not permit it, the profile's default is used."""
        allowed = profile.challenge_types
        return ChallengeType(self.challenge) if self.challenge in allowed else allowed[0]


#: The context of calls for a CA profile of this module.
AcmeContext = ModuleContext[PuqAcmeProfile]
#: An issuance with a CA profile of this module.
AcmeWork = Work[PuqAcmeProfile, PuqAcmeSettings]
