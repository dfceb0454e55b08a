"""Certificates in sentences: their names on one line and not too long, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from certcore.x509.csr import alternative_names

__all__ = ["called", "clean", "issuer_source", "last_day", "listed", "shown_name"]

#: How much of a name, and how many names, a sentence shows.
_LONGEST: Final = 100
_MOST: Final = 3


def called(certificate: x509.Certificate) -> str:
    """A certificate by its subject, or by its first name when it has none."""
    if certificate.subject:
        return shown_name(certificate.subject)
    names = alternative_names(certificate.extensions)
    return clean(names[0]) if names else "(no subject)"


def shown_name(name: x509.Name) -> str:
    """A distinguished name as RFC 4514 writes it."""
    return clean(name.rfc4514_string()) or "(no name)"


def clean(text: str) -> str:
    """A text from a certificate, without control characters."""
    plain = "".join(character if character.isprintable() else "?" for character in text[: _LONGEST + 1])
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"


def issuer_source(certificate: x509.Certificate) -> str:
    """Where the issuer's certificate can be had (RFC 5280 section 4.2.2.1), as a sentence, or nothing."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    for one in access:
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            one.access_location, x509.UniformResourceIdentifier
        ):
            return f" It can be had from {clean(one.access_location.value)}"
    return ""


def listed(names: Iterable[str]) -> str:
    """The first few of several, and how many more there are."""
    every = list(names)
    more = f"; and {len(every) - _MOST} more" if len(every) > _MOST else ""
    return "; ".join(every[:_MOST]) + more


def last_day(certificate: x509.Certificate) -> str:
    """When it ends."""
    return f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
