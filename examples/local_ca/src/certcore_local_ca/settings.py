"""The settings of a CA profile of this module."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from certcore.hints import Choice, Message
from certcore.plugin import DnsName, InvalidInputError, Secret, form
from certcore_local_ca.authority import CAKeyType, UnusableAuthorityError, read_given
from certcore_local_ca.leaves import LeafUsage
from certcore_local_ca.name_constraints import NameConstraints

__all__ = ["LocalCAProfile", "check_settings"]

_ISSUER: Final = "{issuer}"


def _domain(text: str, field: str) -> str:
    name = DnsName.parse(text.strip().removeprefix("."), field=field)
    if name.is_wildcard:
        reason = Message(
            "local_ca.constraint_wildcard", "must be a domain without a wildcard: names below it are included."
        )
        raise InvalidInputError(field, reason)
    return name.ascii


def _url(text: str, field: str) -> str:
    parts = urlsplit(text)
    is_url = parts.scheme in {"http", "https"} and parts.hostname and text.isascii() and text.isprintable()
    if not text or (is_url and " " not in text and _ISSUER in parts.path):
        return text
    reason = Message(
        "local_ca.url", "must be an http or https URL with {placeholder} in its path.", {"placeholder": _ISSUER}
    )
    advice = Message(
        "local_ca.url.advice",
        "Each issuing CA has its own file: http://pki.example/{placeholder}.crl",
        {"placeholder": _ISSUER},
    )
    raise InvalidInputError(field, reason, advice=advice)


@frozen(kw_only=True)
class LocalCAProfile:
    """What the administrator fills in."""

    name: str = form.text(
        "Name of the CA", default="Private CA", maximum=40, help="Part of the names of root and issuing CA."
    )
    organization: str = form.text("Organization", default="", maximum=64, help="In the subject of root and issuing CA.")
    lifetime_days: int = form.integer("Lifetime of certificates", minimum=1, maximum=825, default=90, unit="days")
    usage: str = form.choice(
        "Certificates are for",
        [
            Choice(LeafUsage.SERVER, "TLS servers"),
            Choice(LeafUsage.CLIENT, "TLS clients"),
            Choice(LeafUsage.BOTH, "TLS servers and clients"),
        ],
        default=LeafUsage.SERVER,
    )
    permitted_domains: tuple[str, ...] = form.lines(
        "Permitted domains",
        parse=_domain,
        placeholder="corp.example",
        help="Names in and below them. Empty: all names.",
    )
    excluded_domains: tuple[str, ...] = form.lines(
        "Excluded domains", parse=_domain, help="Not even if they are permitted."
    )
    crl_days: int = form.integer(
        "Validity of the CRL", minimum=1, maximum=60, default=7, unit="days", help="A new one is made after half of it."
    )
    crl_url: str = form.text(
        "URL of the CRL",
        default="",
        parse=_url,
        placeholder="http://pki.example/{issuer}.crl",
        help=Message(
            "local_ca.crl_url.help",
            "Where you publish the CRLs. Written into certificates; {placeholder} becomes the issuing CA's number.",
            {"placeholder": _ISSUER},
        ),
    )
    issuer_url: str = form.text(
        "URL of the issuing CA's certificate",
        default="",
        parse=_url,
        placeholder="http://pki.example/{issuer}.crt",
        advanced=True,
    )
    ca_key_type: str = form.choice(
        "Keys of root and issuing CA",
        [
            Choice(CAKeyType.EC_P256, "EC P-256"),
            Choice(CAKeyType.EC_P384, "EC P-384"),
            Choice(CAKeyType.RSA_3072, "RSA 3072"),
        ],
        default=CAKeyType.EC_P256,
        advanced=True,
    )
    root_years: int = form.integer(
        "Lifetime of the root", minimum=2, maximum=30, default=10, unit="years", advanced=True
    )
    issuing_years: int = form.integer(
        "Lifetime of an issuing CA", minimum=1, maximum=10, default=3, unit="years", advanced=True
    )
    ca_certificates: str = form.text(
        "Certificates of your own issuing CA",
        default="",
        multiline=True,
        maximum=65536,
        advanced=True,
        help="PEM: the issuing CA, then what signed it, up to the root. Empty: certcore makes a root and issuing CAs.",
    )
    ca_private_key: Secret | None = form.secret(
        "Private key of your own issuing CA", default=None, multiline=True, maximum=16384, advanced=True
    )

    @property
    def constraints(self) -> NameConstraints:
        """Which names may be certified."""
        return NameConstraints(permitted=self.permitted_domains, excluded=self.excluded_domains)

    @property
    def lifetime(self) -> timedelta:
        """The lifetime of leaves."""
        return timedelta(days=self.lifetime_days)

    @property
    def crl_validity(self) -> timedelta:
        """From one CRL's thisUpdate to its nextUpdate."""
        return timedelta(days=self.crl_days)


def check_settings(profile: LocalCAProfile) -> None:
    """Refuse settings that do not fit together.

    Raises:
        InvalidInputError: It names the field.
    """
    if profile.issuing_years > profile.root_years:
        reason = Message("local_ca.issuing_years", "must not be longer than the lifetime of the root.")
        raise InvalidInputError("issuing_years", reason)
    if bool(profile.ca_certificates.strip()) != (profile.ca_private_key is not None):
        missing = "ca_private_key" if profile.ca_private_key is None else "ca_certificates"
        reason = Message(
            "local_ca.half_given", "is needed: your own issuing CA has both, certificates and private key."
        )
        raise InvalidInputError(missing, reason)
    if profile.ca_private_key is None:
        return
    try:
        read_given(profile.ca_certificates, profile.ca_private_key.reveal())
    except UnusableAuthorityError as error:
        field = "ca_private_key" if "private key" in str(error) else "ca_certificates"
        reason = Message("local_ca.given", "cannot be used: {reason}", {"reason": error.reason})
        raise InvalidInputError(field, reason) from None
