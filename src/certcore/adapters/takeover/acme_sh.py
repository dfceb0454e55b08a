"""Read acme.sh's directory, usually ~/.acme.sh.

It has a directory per domain, whose name ends in ``_ecc`` if the key is an EC key, and ``ca`` with the accounts.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from attrs import evolve

from certcore.adapters.takeover.account_keys import pem_key
from certcore.adapters.takeover.directories import checked_url, directory_of, server_of
from certcore.adapters.takeover.reader import (
    ACCOUNT_DEACTIVATED,
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
from certcore.messages import Message

__all__ = ["is_domain", "read_acme_sh"]

_SETTING: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII)
_WRAPPED: Final = re.compile(r"__ACME_BASE64__START_(.*)__ACME_BASE64__END_")
_ECC: Final = "_ecc"
#: Directories of acme.sh that contain no certificates.
_OTHERS: Final = frozenset({"ca", "deploy", "dnsapi", "notify"})
#: Maximum number of path segments in a directory URL.
_DEEPEST: Final = 6


def read_acme_sh(folder: Path, *, now: datetime) -> Found:
    """Read acme.sh's directory, or the directory of its ``--cert-home``.

    Args:
        folder: The directory of acme.sh's ``--home`` or ``--cert-home``.
        now: The current time.

    Raises:
        InvalidInputError: The directory does not exist or cannot be opened.
    """
    with opened_tree(folder) as tree:
        return collected(Client.ACME_SH, _entries(tree, now), now=now)


def is_domain(tree: Tree, *parts: str) -> bool:
    """Whether a directory contains a certificate or its settings, unlike ``fonts/fonts.conf`` in ``/etc``."""
    domain = parts[-1].removesuffix(_ECC)
    if tree.has(*parts, f"{domain}.cer"):
        return True
    try:
        return "Le_Domain" in settings_of(tree.text(*parts, f"{domain}.conf"))
    except CertCoreError:
        return False


def settings_of(text: str) -> dict[str, str]:
    """Parse a settings file: lines of ``NAME='value'``, where some values are base64."""
    settings = {}
    for line in map(str.strip, text.splitlines()):
        if match := _SETTING.fullmatch(line):
            value = match[2].strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            settings[match[1]] = _unwrapped(value)
    return settings


def _unwrapped(value: str) -> str:
    if not (wrapped := _WRAPPED.fullmatch(value)):
        return value
    try:
        return b64decode(wrapped[1], validate=True).decode().rstrip("\n")
    except ValueError:
        return ""


def _entries(tree: Tree, now: datetime) -> Iterator[Entry]:
    yield from refusals(tree)
    certificates: list[Entry] = []
    for folder in tree.folders():
        if folder not in _OTHERS:
            certificates += _domain(tree, folder, now)
    directories = {
        _place(certificate.directory_url): certificate.directory_url
        for certificate in certificates
        if isinstance(certificate, FoundCertificate)
    }
    accounts: dict[tuple[str, ...], FoundAccount] = {}
    for entry in _accounts(tree, directories):
        if isinstance(entry, FoundAccount):
            accounts[tuple(entry.reference.split("/"))] = entry
        yield entry
    for entry in certificates:
        if isinstance(entry, FoundCertificate) and (account := accounts.get(_place(entry.directory_url))):
            email = account.emails[0] if account.emails else ""
            yield evolve(entry, account=account.reference, email=email)
        else:
            yield entry
    yield from _elsewhere(tree)


def _domain(tree: Tree, folder: str, now: datetime) -> Iterator[Entry]:
    yield from refusals(tree, folder)
    domain = folder.removesuffix(_ECC)
    if tree.has(folder, f"{domain}.cer"):
        yield attempt(shown(folder, f"{domain}.cer"), partial(_certificate, tree, folder, domain, now))
    elif is_domain(tree, folder):
        reason = f"There is no certificate for {shown(domain)}: it was never issued, or was revoked and removed."
        yield Unreadable(path=shown(folder), reason=reason, needless=True)


def _certificate(tree: Tree, folder: str, domain: str, now: datetime) -> FoundCertificate:
    # `acme.sh --remove` renames the file, which disables the renewal.
    renews = tree.has(folder, f"{domain}.conf")
    settings = settings_of(tree.text(folder, f"{domain}.conf")) if renews else {}
    directory = checked_url(settings.get("Le_API"))
    chain = next((name for name in ("ca.cer", "fullchain.cer") if tree.has(folder, name)), None)
    return certificate(
        Client.ACME_SH,
        path=shown(folder, f"{domain}.cer"),
        name=settings.get("Le_Domain") or domain,
        leaf=tree.read(folder, f"{domain}.cer"),
        private_key=tree.read(folder, f"{domain}.key") if tree.has(folder, f"{domain}.key") else None,
        chain=tree.read(folder, chain) if chain else None,
        now=now,
        directory_url=directory,
        server=server_of(directory),
        renews=renews,
    )


def _place(directory_url: str) -> tuple[str, ...]:
    """acme.sh's directory below ``ca`` for a CA: the host without its port, and the segments of the path."""
    parts = urlsplit(directory_url)
    return (parts.hostname or "", *(step for step in parts.path.split("/") if step))


def _accounts(tree: Tree, directories: Mapping[tuple[str, ...], str]) -> Iterator[Entry]:
    waiting: list[tuple[str, ...]] = [("ca", host) for host in tree.folders("ca")]
    while waiting:
        here = waiting.pop()
        if tree.has(*here, "account.key"):
            yield attempt(shown(*here), partial(_account, tree, here, directories))
        elif tree.has(*here, "account.json"):
            yield Unreadable(path=shown(*here), reason="The account's private key, account.key, is missing.")
        if len(here) <= _DEEPEST:
            yield from refusals(tree, *here)
            waiting += [(*here, name) for name in tree.folders(*here)]


def _account(tree: Tree, parts: tuple[str, ...], directories: Mapping[tuple[str, ...], str]) -> FoundAccount:
    place = parts[1:]
    known = tree.document(*parts, "account.json") if tree.has(*parts, "account.json") else {}
    settings = settings_of(tree.text(*parts, "ca.conf")) if tree.has(*parts, "ca.conf") else {}
    if known.get("status") == "deactivated":
        raise TakeoverError(ACCOUNT_DEACTIVATED)
    if not known and not settings:
        raise TakeoverError(Message("takeover.never_registered", "The account's key was never registered at the CA."))
    # Versions before 3 had no directories for the path.
    directory = directories.get(place) or (
        checked_url("https://" + "/".join(place)) if len(place) > 1 else directory_of(place[0])
    )
    url = checked_url(settings.get("ACCOUNT_URL"))
    return FoundAccount(
        path=shown(*parts, "account.key"),
        client=Client.ACME_SH,
        reference="/".join(place),
        directory_url=directory,
        server=server_of(directory) or server_of(url) or place[0],
        url=url,
        emails=emails_of(settings.get("CA_EMAIL"), member(known, "contact")),
        private_key=pem_key(tree, *parts, "account.key").pem,
    )


def _elsewhere(tree: Tree) -> Iterator[Unreadable]:
    """Report that certificates are stored in another directory."""
    try:
        other = settings_of(tree.text("account.conf")).get("CERT_HOME", "")
    except CertCoreError:
        return
    if other:
        reason = f"Certificates are stored in {shown(other)}; read that directory as well if it is another one."
        yield Unreadable(path="account.conf", reason=reason, needless=True)
