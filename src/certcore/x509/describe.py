"""Texts about certificates for messages: names without control characters, on one line and of limited length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from certcore.messages import Message, shown_moment
from certcore.x509.csr import alternative_names

__all__ = ["called", "clean", "following_source", "issuer_source", "last_day", "listed", "shown_name"]

#: How many characters of a name, and how many names, a message shows.
_LONGEST: Final = 100
_MOST: Final = 3


def called(certificate: x509.Certificate) -> str | Message:
    """The name of a certificate in a message: its subject, or else its first alternative name."""
    if certificate.subject:
        return shown_name(certificate.subject)
    names = alternative_names(certificate.extensions)
    return clean(names[0]) if names else Message("x509.no_subject", "(no subject)")


def shown_name(name: x509.Name) -> str | Message:
    """A distinguished name as text (RFC 4514)."""
    return clean(name.rfc4514_string()) or Message("x509.no_name", "(no name)")


def clean(text: str) -> str:
    """A text from a certificate, shortened, with ``?`` in place of unprintable characters."""
    plain = "".join(character if character.isprintable() else "?" for character in text[: _LONGEST + 1])
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"


def issuer_source(certificate: x509.Certificate) -> Message | None:
    """A sentence with the URL of the issuer's certificate (RFC 5280 section 4.2.2.1); None without such a URL."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return None
    for description in access:
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            description.access_location, x509.UniformResourceIdentifier
        ):
            url = clean(description.access_location.value)
            return Message("x509.issuer_source", "It can be had from {url}", {"url": url})
    return None


def following_source(certificate: x509.Certificate) -> Message | str:
    """`issuer_source` with a leading space, to append it to another sentence; empty without such a URL."""
    source = issuer_source(certificate)
    return "" if source is None else Message("", " {source}", {"source": source})


def listed(names: Iterable[str | Message]) -> Message:
    """The first three of several items, and the number of the others."""
    every = list(names)
    params = {f"item{number}": item for number, item in enumerate(every[:_MOST])}
    first = Message("", "; ".join(f"{{{name}}}" for name in params), params)  # text: those of the items
    if len(every) <= _MOST:
        return first
    return Message("x509.and_more", "{names}; and {more} more", {"names": first, "more": len(every) - _MOST})


def last_day(certificate: x509.Certificate) -> str:
    """The end of a certificate's validity, as text."""
    return shown_moment(certificate.not_valid_after_utc)
