"""Read lego's directory, usually .lego: ``certificates`` and ``accounts`` in the layouts of versions 2 to 5.

lego does not store the CA's directory URL, only its host. For public CAs, the directory URL follows from the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from certcore.adapters.takeover.account_keys import pem_key
from certcore.adapters.takeover.directories import checked_url, directory_of, server_of
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
from certcore.errors import TakeoverError

__all__ = ["read_lego"]

_PORT: Final = re.compile(r"_(\d{1,5})$")


def read_lego(folder: Path, *, now: datetime) -> Found:
    """Read lego's directory.

    Args:
        folder: The directory of lego's ``--path``.
        now: The current time.

    Raises:
        InvalidInputError: The directory does not exist or cannot be opened.
    """
    with opened_tree(folder) as tree:
        return collected(Client.LEGO, _entries(tree, now), now=now)


def _entries(tree: Tree, now: datetime) -> Iterator[Entry]:
    accounts = []
    for entry in _accounts(tree):
        if isinstance(entry, FoundAccount):
            accounts.append(entry)
        yield entry
    yield from refusals(tree, "certificates")
    names = tree.names("certificates")
    stems = {name.removesuffix(".crt") for name in names if name.endswith(".crt") and not name.endswith(".issuer.crt")}
    for stem in sorted(stems):
        path = shown("certificates", f"{stem}.crt")
        yield attempt(path, partial(_certificate, tree, stem, accounts, now))
    for stem in sorted({name.removesuffix(".json") for name in names if name.endswith(".json")} - stems):
        yield Unreadable(path=shown("certificates", f"{stem}.json"), reason="There is no certificate for it.")


def _certificate(tree: Tree, stem: str, accounts: Sequence[FoundAccount], now: datetime) -> FoundCertificate:
    def beside(ending: str) -> bytes | None:
        parts = ("certificates", stem + ending)
        return tree.read(*parts) if tree.has(*parts) else None

    known = tree.document("certificates", f"{stem}.json") if tree.has("certificates", f"{stem}.json") else {}
    server = server_of(checked_url(known.get("certUrl"))) or server_of(checked_url(known.get("certStableUrl")))
    if not server and len({account.server for account in accounts}) == 1:
        server = accounts[0].server
    matching = [account for account in accounts if account.server == server]
    account = matching[0] if len(matching) == 1 else None
    names = (known.get("domain"), known.get("id"), stem.replace("_.", "*."))
    return certificate(
        Client.LEGO,
        path=shown("certificates", f"{stem}.crt"),
        name=next(name for name in names if isinstance(name, str) and name),
        leaf=tree.read("certificates", f"{stem}.crt"),
        private_key=beside(".key"),
        chain=beside(".issuer.crt"),
        now=now,
        directory_url=directory_of(server),
        server=server,
        account=account.reference if account is not None else "",
        email=account.emails[0] if account is not None and account.emails else "",
    )


def _accounts(tree: Tree) -> Iterator[Entry]:
    """``accounts/<host>/<id>``, since version 5 with a subdirectory for the type of key."""
    yield from refusals(tree, "accounts")
    for host in tree.folders("accounts"):
        yield from refusals(tree, "accounts", host)
        for email in tree.folders("accounts", host):
            here = ("accounts", host, email)
            yield from refusals(tree, *here)
            for parts in (here, *((*here, kind) for kind in tree.folders(*here) if kind != "keys")):
                if tree.has(*parts, "account.json"):
                    yield attempt(shown(*parts), partial(_account, tree, parts))


def _account(tree: Tree, parts: tuple[str, ...]) -> FoundAccount:
    known = tree.document(*parts, "account.json")
    registered = known.get("registration")
    # Version 5 stores the account's members in the registration itself.
    body = member(registered, "body") or registered
    if member(body, "status") == "deactivated":
        raise TakeoverError(ACCOUNT_DEACTIVATED)
    place = (*parts, "keys") if tree.is_folder(*parts, "keys") else parts
    keys = [name for name in tree.names(*place) if name.endswith(".key")]
    if len(keys) != 1:
        raise TakeoverError(SEVERAL_KEYS if keys else KEY_MISSING)
    urls = (checked_url(member(registered, name)) for name in ("uri", "accountURL", "location"))
    url = next((url for url in urls if url), "")
    server = server_of(url) or _PORT.sub(r":\1", parts[1]).lower()
    return FoundAccount(
        path=shown(*place, keys[0]),
        client=Client.LEGO,
        reference="/".join(parts[1:]),
        directory_url=directory_of(server),
        server=server,
        url=url,
        emails=emails_of(known.get("email"), member(body, "contact")),
        private_key=pem_key(tree, *place, keys[0]).pem,
    )
