"""Read certbot's directory, usually /etc/letsencrypt.

It has ``renewal`` with settings, ``live`` with links into ``archive``, and ``accounts``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen

from certcore.adapters.takeover.account_keys import jwk_key
from certcore.adapters.takeover.directories import checked_url, server_of
from certcore.adapters.takeover.reader import Entry, attempt, certificate, collected, emails_of, member, refusals
from certcore.adapters.takeover.results import Client, Found, FoundAccount, FoundCertificate, Unreadable
from certcore.adapters.takeover.source_directory import Tree, opened_tree, shown
from certcore.errors import CertCoreError, TakeoverError
from certcore.messages import Message

__all__ = ["read_certbot"]

_SETTING: Final = re.compile(r"([\w.-]+)\s*=\s*(.*)")
#: Maximum number of path segments in a directory URL.
_DEEPEST: Final = 6
_NO: Final = frozenset({"false", "no", "off", "0"})


@frozen(kw_only=True)
class _Renewal:
    """The settings of a lineage in ``renewal/<lineage>.conf``."""

    server: str = ""
    account: str = ""
    renews: bool = True


def read_certbot(folder: Path, *, now: datetime) -> Found:
    """Read certbot's directory.

    Args:
        folder: The directory of certbot's ``--config-dir``.
        now: The current time.

    Raises:
        InvalidInputError: The directory does not exist or cannot be opened.
    """
    with opened_tree(folder) as tree:
        return collected(Client.CERTBOT, _entries(tree, now), now=now)


def _entries(tree: Tree, now: datetime) -> Iterator[Entry]:
    for part in ("renewal", "live"):
        yield from refusals(tree, part)
    accounts: dict[str, FoundAccount] = {}
    for entry in _accounts(tree):
        if isinstance(entry, FoundAccount):
            accounts.setdefault(entry.reference, entry)
        yield entry
    configured = {
        name.removesuffix(".conf") for name in tree.names("renewal") if name.endswith(".conf") and name != ".conf"
    }
    served = {name for name in tree.names("live") if tree.is_folder("live", name) or tree.is_link("live", name)}
    for lineage in sorted(configured | served):
        renewal = _Renewal(renews=False)
        if lineage in configured:
            try:
                renewal = _renewal(tree, lineage)
            except CertCoreError as error:
                yield Unreadable(path=shown("renewal", f"{lineage}.conf"), reason=str(error))
        if lineage not in served:
            reason = f"There is a renewal configuration for {shown(lineage)}, but no certificate."
            yield Unreadable(path=shown("renewal", f"{lineage}.conf"), reason=reason)
            continue
        yield attempt(shown("live", lineage), partial(_lineage, tree, lineage, renewal, accounts, now))


def _lineage(
    tree: Tree, lineage: str, renewal: _Renewal, accounts: Mapping[str, FoundAccount], now: datetime
) -> FoundCertificate:
    if tree.is_link("live", lineage):
        text = "{path} is a symbolic link, which is not followed."
        raise TakeoverError(Message("takeover.link", text, {"path": shown("live", lineage)}))
    has_leaf = tree.has("live", lineage, "cert.pem")
    chain = "chain.pem" if has_leaf else "fullchain.pem"
    account = accounts.get(renewal.account)
    return certificate(
        Client.CERTBOT,
        path=shown("live", lineage),
        name=lineage,
        leaf=_live(tree, lineage, "cert.pem" if has_leaf else chain),
        private_key=_live(tree, lineage, "privkey.pem"),
        chain=_live(tree, lineage, chain) if has_leaf and tree.has("live", lineage, chain) else None,
        now=now,
        directory_url=renewal.server,
        server=server_of(renewal.server),
        account=renewal.account,
        email=account.emails[0] if account is not None and account.emails else "",
        renews=renewal.renews,
    )


def _live(tree: Tree, lineage: str, name: str) -> bytes:
    """Read a file of a lineage: usually a link into ``archive``."""
    parts = ("live", lineage, name)
    if tree.is_link(*parts):
        target = tree.target(*parts)
        if target[0] != "archive":
            text = "{path} is a link to {target}, which is outside of certbot's archive directory."
            params = {"path": shown(*parts), "target": shown(*target)}
            raise TakeoverError(Message("takeover.outside_archive", text, params))
        return tree.read(*target)
    return tree.read(*parts)


def _renewal(tree: Tree, lineage: str) -> _Renewal:
    text = tree.text("renewal", f"{lineage}.conf")
    settings, section = dict[str, str](), ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = "" if line.startswith("[[") else line.strip("[] ")
        elif section == "renewalparams" and (match := _SETTING.match(line)):
            settings[match[1]] = match[2].split(" #")[0].strip().strip("\"'")
    if not settings:
        raise TakeoverError(Message("takeover.renewal_damaged", "The renewal configuration is empty or damaged."))
    account = settings.get("account", "")
    return _Renewal(
        server=checked_url(settings.get("server")),
        account=account if re.fullmatch("[0-9a-f]{1,64}", account) else "",
        renews=settings.get("autorenew", "").lower() not in _NO,
    )


def _accounts(tree: Tree) -> Iterator[Entry]:
    """``accounts/<host>/<path>/<id>``; the path has as many segments as the directory URL."""
    waiting: list[tuple[str, ...]] = [("accounts",)]
    while waiting:
        parts = waiting.pop()
        yield from refusals(tree, *parts)
        for name in tree.folders(*parts):
            # Links from ACME v2 to ACME v1 accounts are skipped, because the v1 accounts are read at their own path.
            here = (*parts, name)
            if tree.has(*here, "private_key.json"):
                yield attempt(shown(*here), partial(_account, tree, here))
            elif tree.has(*here, "regr.json"):
                yield Unreadable(path=shown(*here), reason="The account's private key, private_key.json, is missing.")
            elif len(here) <= _DEEPEST:
                waiting.append(here)


def _account(tree: Tree, parts: tuple[str, ...]) -> FoundAccount:
    key = jwk_key(tree, *parts, "private_key.json")
    registered = tree.document(*parts, "regr.json")
    directory = checked_url("https://" + "/".join(parts[1:-1]))
    url = checked_url(registered.get("uri"))
    if server_of(url) == server_of(directory) and url.startswith("http:"):
        directory = directory.replace("https:", "http:", 1)
    return FoundAccount(
        path=shown(*parts),
        client=Client.CERTBOT,
        reference=parts[-1],
        directory_url=directory,
        server=server_of(directory),
        url=url,
        emails=emails_of(member(registered, "body", "contact")),
        private_key=key.pem,
    )
