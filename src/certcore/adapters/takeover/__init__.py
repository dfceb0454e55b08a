"""Import from other ACME clients. Their data directories are only read."""

from certcore.adapters.takeover.acme_sh import read_acme_sh
from certcore.adapters.takeover.caddy import read_caddy
from certcore.adapters.takeover.certbot import read_certbot
from certcore.adapters.takeover.detect import read_folder
from certcore.adapters.takeover.lego import read_lego
from certcore.adapters.takeover.results import Client, Found, FoundAccount, FoundCertificate, Unreadable

__all__ = [
    "Client",
    "Found",
    "FoundAccount",
    "FoundCertificate",
    "Unreadable",
    "read_acme_sh",
    "read_caddy",
    "read_certbot",
    "read_folder",
    "read_lego",
]
