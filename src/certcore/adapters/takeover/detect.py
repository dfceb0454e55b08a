"""Detect the ACME client of a data directory, and read it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from certcore.adapters.takeover.acme_sh import is_domain, read_acme_sh
from certcore.adapters.takeover.caddy import read_caddy
from certcore.adapters.takeover.certbot import read_certbot
from certcore.adapters.takeover.lego import read_lego
from certcore.adapters.takeover.results import Client, Found
from certcore.adapters.takeover.source_directory import Tree, opened_tree, shown
from certcore.errors import InvalidInputError
from certcore.messages import Message

__all__ = ["read_folder"]

_READERS: Final = MappingProxyType(
    {
        Client.CERTBOT: read_certbot,
        Client.LEGO: read_lego,
        Client.ACME_SH: read_acme_sh,
        Client.CADDY: read_caddy,
    }
)
#: Usual paths of data directories, relative to directories that users name by mistake.
_INSIDE: Final = (
    ("letsencrypt",),
    (".lego",),
    (".acme.sh",),
    ("caddy",),
    (".local", "share", "caddy"),
    ("etc", "letsencrypt"),
    ("data", "caddy"),
)
_USUAL: Final = Message(
    "takeover.folder.unknown.advice",
    "Usual directories: certbot's is /etc/letsencrypt, lego's .lego, acme.sh's ~/.acme.sh, "
    "and Caddy's /var/lib/caddy/.local/share/caddy.",
)


def read_folder(folder: Path, client: Client | str | None = None, *, now: datetime) -> Found:
    """Read an ACME client's data directory. Nothing in it is changed.

    Args:
        folder: The data directory.
        client: The client; detected if None.
        now: The current time.

    Raises:
        InvalidInputError: The directory or the client does not exist; or no client was detected, or several were.
    """
    return _READERS[_known(client) or _detected(folder)](folder, now=now)


def _known(client: Client | str | None) -> Client | None:
    if client is None:
        return None
    try:
        return Client(client)
    except ValueError:
        reason = Message("takeover.client.unknown", "there is no client {client}.", {"client": repr(client[:40])})
        advice = Message("takeover.client.unknown.advice", "Known clients: {clients}.", {"clients": ", ".join(Client)})
        raise InvalidInputError("client", reason, advice=advice) from None


def _detected(folder: Path) -> Client:
    with opened_tree(folder) as tree:
        candidates = _candidates(tree)
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            text = "{path} fits several clients: {clients}."
            params = {"path": shown(str(folder)), "clients": ", ".join(candidates)}
            raise InvalidInputError(
                "client",
                Message("takeover.client.several", text, params),
                advice=Message("takeover.client.several.advice", "Name the client."),
            )
        for parts in _INSIDE:
            if _candidates(tree, *parts):
                text = "{path} is not a client's data directory, but {inner} in it is."
                inner = {"path": shown(str(folder / Path(*parts)))}
                raise InvalidInputError(
                    "folder",
                    Message("takeover.folder.inside", text, {"path": shown(str(folder)), "inner": shown(*parts)}),
                    advice=Message("takeover.folder.inside.advice", "Name {path}.", inner),
                )
    text = "{path} is not the data directory of a known client: {clients}."
    params = {"path": shown(str(folder)), "clients": ", ".join(Client)}
    raise InvalidInputError("folder", Message("takeover.folder.unknown", text, params), advice=_USUAL)


def _candidates(tree: Tree, *parts: str) -> list[Client]:
    tests = (
        (Client.CERTBOT, _is_certbot),
        (Client.LEGO, _is_lego),
        (Client.ACME_SH, _is_acme_sh),
        (Client.CADDY, _is_caddy),
    )
    return [client for client, test in tests if test(tree, parts)]


def _is_certbot(tree: Tree, parts: tuple[str, ...]) -> bool:
    return tree.is_folder(*parts, "renewal") or (tree.is_folder(*parts, "live") and tree.is_folder(*parts, "archive"))


def _is_lego(tree: Tree, parts: tuple[str, ...]) -> bool:
    if any(name.endswith((".crt", ".json")) for name in tree.names(*parts, "certificates")):
        return True
    return any(
        tree.has(*parts, "accounts", host, email, "account.json")
        or tree.is_folder(*parts, "accounts", host, email, "keys")
        for host in tree.folders(*parts, "accounts")
        for email in tree.folders(*parts, "accounts", host)
    )


def _is_acme_sh(tree: Tree, parts: tuple[str, ...]) -> bool:
    if tree.has(*parts, "account.conf") or tree.has(*parts, "acme.sh"):
        return True
    return any(is_domain(tree, *parts, folder) for folder in tree.folders(*parts))


def _is_caddy(tree: Tree, parts: tuple[str, ...]) -> bool:
    return any(tree.is_folder(*parts, "acme", issuer, "users") for issuer in tree.folders(*parts, "acme")) or any(
        tree.has(*parts, "certificates", issuer, site, f"{site}.crt")
        for issuer in tree.folders(*parts, "certificates")
        for site in tree.folders(*parts, "certificates", issuer)
    )
