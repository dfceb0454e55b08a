"""What was found in another ACME client's folder: plain values, with private keys as secrets only."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from certcore.model.secret import Secret
from certcore.x509.bundle import Bundle

__all__ = ["Client", "Found", "FoundAccount", "FoundCertificate", "Unreadable"]


class Client(StrEnum):
    """The ACME clients whose folders can be read."""

    CERTBOT = "certbot"
    LEGO = "lego"
    ACME_SH = "acme.sh"
    CADDY = "caddy"


@frozen(kw_only=True)
class FoundCertificate:
    """A certificate that is in service, with its private key."""

    #: Where it lies, below the folder.
    path: str
    client: Client
    #: What that client calls it: its primary name, or the lineage's.
    name: str
    #: Leaf and chain in PEM, and what is known of them.
    bundle: Bundle
    private_key: Secret
    #: The ACME directory that it came from; empty when the folder does not tell.
    directory_url: str = ""
    #: ``host`` or ``host:port`` of that CA; for clients that keep no more than that.
    server: str = ""
    #: Which of the accounts it came from, as `FoundAccount.reference`; empty when the folder does not tell.
    account: str = ""
    #: The e-mail address that the client has for it.
    email: str = ""
    #: Whether that client renews it.
    renews: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, in the leaf's order."""
        return tuple(map(str, self.bundle.names))


@frozen(kw_only=True)
class FoundAccount:
    """An account at a CA (RFC 8555 section 7.1.2), with its key."""

    #: Where its key lies, below the folder.
    path: str
    client: Client
    #: What certificates of the same folder call it.
    reference: str
    #: The ACME directory that it is for; empty when the folder does not tell.
    directory_url: str = ""
    #: ``host`` or ``host:port`` of that CA.
    server: str = ""
    #: The account's own URL.
    url: str = ""
    #: The e-mail addresses that the client has for it.
    emails: tuple[str, ...] = ()
    #: Unencrypted PKCS#8 PEM.
    private_key: Secret


@frozen(kw_only=True)
class Unreadable:
    """What is not taken along, and why."""

    #: Where it lies, below the folder.
    path: str
    #: A sentence.
    reason: str
    #: Whether it is whole, but nobody needs it: expired, replaced by a newer one, from a staging CA.
    needless: bool = False


@frozen(kw_only=True)
class Found:
    """A folder as it was found."""

    client: Client
    certificates: tuple[FoundCertificate, ...] = ()
    accounts: tuple[FoundAccount, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
