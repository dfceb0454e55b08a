"""Read Caddy's data directory: ``certificates/<CA>/<site>`` and ``acme/<CA>/users``. CertMagic uses the same layout.

The directory ``<CA>`` is named after the CA's directory URL, but the URL cannot always be derived from the name. It is
read from the metadata that newer versions store with a certificate, or from the list of public CAs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from certcore.adapters.takeover.account_keys import pem_key
from certcore.adapters.takeover.directories import PUBLIC_DIRECTORIES, caddy_key, checked_url, server_of
from certcore.adapters.takeover.reader import (
    ACCOUNT_DEACTIVATED,
    KEY_MISSING,
    SEVERAL_KEYS,
    Entry,
    attempt,
    certificate,
    collected,
    emails_of,
    member,
    refusals,
)
from certcore.adapters.takeover.results import Client, Found, FoundAccount, FoundCertificate, Unreadable
from certcore.adapters.takeover.source_directory import Tree, opened_tree, shown
from certcore.errors import CertCoreError, TakeoverError

__all__ = ["read_caddy"]

#: The directory of Caddy's internal CA.
_OWN: Final = "local"
_WILDCARD: Final = "wildcard_"


def read_caddy(folder: Path, *, now: datetime) -> Found:
    """Read Caddy's data directory.

    Args:
        folder: The directory that contains ``certificates`` and ``acme``.
        now: The current time.

    Raises:
        InvalidInputError: The directory does not exist or cannot be opened.
    """
    with opened_tree(folder) as tree:
        return collected(Client.CADDY, _entries(tree, now), now=now)


def _entries(tree: Tree, now: datetime) -> Iterator[Entry]:
    directories = {caddy_key(url): url for url in PUBLIC_DIRECTORIES} | _written_down(tree)
    accounts = []
    for entry in _accounts(tree, directories):
        if isinstance(entry, FoundAccount):
            accounts.append(entry)
        yield entry
    yield from refusals(tree, "certificates")
    for issuer in tree.folders("certificates"):
        if issuer == _OWN:
            reason = "Certificates of Caddy's internal CA are not imported; Caddy issues them itself."
            yield Unreadable(path=shown("certificates", issuer), reason=reason, needless=True)
            continue
        issuer_accounts = [account for account in accounts if account.path.startswith(f"acme/{shown(issuer)}/")]
        yield from refusals(tree, "certificates", issuer)
        for site in tree.folders("certificates", issuer):
            parts = ("certificates", issuer, site)
            yield attempt(shown(*parts), partial(_certificate, tree, parts, directories, issuer_accounts, now))


def _written_down(tree: Tree) -> dict[str, str]:
    """The directory URLs stored with certificates, by the CA's directory name."""
    urls: dict[str, str] = {}
    for issuer in tree.folders("certificates"):
        for site in tree.folders("certificates", issuer):
            url = checked_url(member(_metadata(tree, ("certificates", issuer, site)), "issuer_data", "ca"))
            if url and caddy_key(url) == issuer:
                urls[issuer] = url
                break
    return urls


def _metadata(tree: Tree, parts: tuple[str, ...]) -> dict[str, Any]:
    try:
        return tree.document(*parts, f"{parts[-1]}.json")
    except CertCoreError:
        return {}


def _certificate(
    tree: Tree,
    parts: tuple[str, ...],
    directories: Mapping[str, str],
    accounts: list[FoundAccount],
    now: datetime,
) -> FoundCertificate:
    site = parts[-1]
    known = tree.document(*parts, f"{site}.json") if tree.has(*parts, f"{site}.json") else {}
    url = directories.get(parts[1], "")
    names = member(known, "sans")
    first = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    its_url = checked_url(member(known, "issuer_data", "account"))
    matching = [account for account in accounts if not its_url or account.url == its_url]
    account = matching[0] if len(matching) == 1 else None
    return certificate(
        Client.CADDY,
        path=shown(*parts, f"{site}.crt"),
        name=first or site.replace(_WILDCARD, "*", 1),
        leaf=tree.read(*parts, f"{site}.crt"),
        private_key=tree.read(*parts, f"{site}.key"),
        chain=None,
        now=now,
        directory_url=url,
        server=server_of(url)
        or server_of(checked_url(member(known, "issuer_data", "url")))
        or (accounts[0].server if accounts else ""),
        account=account.reference if account is not None else "",
        email=account.emails[0] if account is not None and account.emails else "",
    )


def _accounts(tree: Tree, directories: Mapping[str, str]) -> Iterator[Entry]:
    yield from refusals(tree, "acme")
    for issuer in tree.folders("acme"):
        yield from refusals(tree, "acme", issuer, "users")
        for user in tree.folders("acme", issuer, "users"):
            parts = ("acme", issuer, "users", user)
            yield attempt(shown(*parts), partial(_account, tree, parts, directories))


def _account(tree: Tree, parts: tuple[str, ...], directories: Mapping[str, str]) -> FoundAccount:
    names = [name.removesuffix(".key") for name in tree.names(*parts) if name.endswith(".key")]
    if len(names) != 1:
        raise TakeoverError(SEVERAL_KEYS if names else KEY_MISSING)
    known = tree.document(*parts, f"{names[0]}.json")
    # Caddy 1 and early versions of Caddy 2 used another format.
    old = member(known, "Registration")
    if "deactivated" in (known.get("status"), member(old, "body", "status")):
        raise TakeoverError(ACCOUNT_DEACTIVATED)
    location = checked_url(known.get("location")) or checked_url(member(old, "uri"))
    directory = directories.get(parts[1], "")
    return FoundAccount(
        path=shown(*parts, f"{names[0]}.key"),
        client=Client.CADDY,
        reference=f"{parts[1]}/{parts[3]}",
        directory_url=directory,
        server=server_of(directory) or server_of(location),
        url=location,
        emails=emails_of(known.get("contact"), known.get("Email"), parts[3]),
        private_key=pem_key(tree, *parts, f"{names[0]}.key").pem,
    )
