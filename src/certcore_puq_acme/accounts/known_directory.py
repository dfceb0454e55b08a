"""A CA's directory as it was fetched last, stored for pages and forms, which do not query the CA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from certcore_puq_acme.profile.settings import AcmeContext

if TYPE_CHECKING:
    from certcore_puq_acme.protocol.resources import Directory

__all__ = ["KnownDirectory", "directory_key", "keep_directory", "known_directory"]


@frozen(kw_only=True)
class KnownDirectory:
    """The parts of a directory (RFC 8555 section 7.1.1) that pages show."""

    terms_of_service: str = ""
    website: str = ""
    external_account_required: bool = False
    #: Certificate profiles, with the CA's description of each.
    profiles: Mapping[str, str] = field(factory=dict)
    #: The names with which a CAA record permits this CA.
    caa_identities: tuple[str, ...] = ()
    #: The names that a dns-persist-01 record may begin with; empty if the directory does not list them.
    issuer_names: tuple[str, ...] = ()
    #: The prefix of hashed account URIs (draft-ietf-acme-dns-persist-02); empty if plain URIs are used.
    account_hash_prefix: str = ""
    #: Whether the CA offers renewal information (RFC 9773).
    renewal_info: bool = False
    fetched_at: str = ""

    @property
    def record_issuers(self) -> tuple[str, ...]:
        """The names that a dns-persist-01 record may begin with; in earlier drafts these are the CAA identities."""
        return self.issuer_names or self.caa_identities


def known_directory(context: AcmeContext) -> KnownDirectory | None:
    """The stored directory of the profile's present CA; None if it was never fetched."""
    document = context.documents.get(directory_key(context))
    if document is None or document.value.get("url") != context.profile.directory:
        return None
    stored: dict[str, Any] = dict(document.value)
    return KnownDirectory(
        terms_of_service=str(stored.get("terms_of_service", "")),
        website=str(stored.get("website", "")),
        external_account_required=bool(stored.get("external_account_required")),
        profiles=dict(stored.get("profiles", {})),
        caa_identities=tuple(stored.get("caa_identities", ())),
        issuer_names=tuple(stored.get("issuer_names", ())),
        account_hash_prefix=str(stored.get("account_hash_prefix", "")),
        renewal_info=bool(stored.get("renewal_info")),
        fetched_at=str(stored.get("fetched_at", "")),
    )


def keep_directory(context: AcmeContext, directory: Directory) -> None:
    """Store a directory."""
    context.documents.put(
        directory_key(context),
        {
            "url": context.profile.directory,
            "terms_of_service": directory.terms_of_service,
            "website": directory.website,
            "external_account_required": directory.external_account_required,
            "profiles": dict(directory.profiles),
            "caa_identities": list(directory.caa_identities),
            "issuer_names": list(directory.issuer_names),
            "account_hash_prefix": directory.account_hash_prefix,
            "renewal_info": bool(directory.renewal_info),
            "fetched_at": context.environment.now().isoformat(),
        },
    )


def directory_key(context: AcmeContext) -> str:
    """The key of the document that stores the directory."""
    return f"directory/{context.authority_id}"
