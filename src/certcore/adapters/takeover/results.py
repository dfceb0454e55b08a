"""The content of another ACME client's directory, as plain values; private keys are `Secret`."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from certcore.model.secret import Secret
from certcore.x509.import_bundle import Bundle

__all__ = ["Client", "Found", "FoundAccount", "FoundCertificate", "Unreadable"]


class Client(StrEnum):
    """The ACME clients whose directories can be read."""

    CERTBOT = "certbot"
    LEGO = "lego"
    ACME_SH = "acme.sh"
    CADDY = "caddy"


@frozen(kw_only=True)
class FoundCertificate:
    """A certificate that is in service, with its private key."""

    #: Its path relative to the directory.
    path: str
    client: Client
    #: The client's name for it: the primary name, or the lineage.
    name: str
    #: The validated leaf and chain.
    bundle: Bundle
    private_key: Secret
    #: The URL of its ACME directory; empty if unknown.
    directory_url: str = ""
    #: ``host`` or ``host:port`` of the CA, for clients that store only this.
    server: str = ""
    #: The `FoundAccount.reference` of its account; empty if unknown.
    account: str = ""
    #: The e-mail address of its account; empty if unknown.
    email: str = ""
    #: Whether the client renews it.
    renews: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the leaf, in order."""
        return tuple(map(str, self.bundle.names))


@frozen(kw_only=True)
class FoundAccount:
    """An account at a CA (RFC 8555 section 7.1.2), with its key."""

    #: The path of its key relative to the directory.
    path: str
    client: Client
    #: The reference that certificates of the same directory use.
    reference: str
    #: The URL of its ACME directory; empty if unknown.
    directory_url: str = ""
    #: ``host`` or ``host:port`` of the CA.
    server: str = ""
    #: The account's own URL.
    url: str = ""
    #: Its e-mail addresses in the client's configuration.
    emails: tuple[str, ...] = ()
    #: Unencrypted PKCS#8 PEM.
    private_key: Secret


@frozen(kw_only=True)
class Unreadable:
    """A file or entry that is not imported, and the reason."""

    #: Its path relative to the directory.
    path: str
    #: The reason, as a sentence.
    reason: str
    #: Whether it is valid but not needed: expired, superseded, or from a staging CA.
    needless: bool = False


@frozen(kw_only=True)
class Found:
    """The content of a data directory."""

    client: Client
    certificates: tuple[FoundCertificate, ...] = ()
    accounts: tuple[FoundAccount, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
