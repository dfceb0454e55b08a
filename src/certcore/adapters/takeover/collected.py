"""What all readers share: reading one thing at a time, and telling what is worth taking along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from certcore.adapters.takeover.directories import is_staging
from certcore.adapters.takeover.found import Client, Found, FoundAccount, FoundCertificate, Unreadable
from certcore.adapters.takeover.tree import Tree, shown
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.subject import parse_email
from certcore.x509.bundle import read_bundle

__all__ = ["Thing", "attempt", "certificate", "collected", "emails_of", "member", "refusals"]

#: One thing in a folder.
Thing = FoundCertificate | FoundAccount | Unreadable

#: How many things of one folder are taken: they are held in memory.
_MOST: Final = 20_000
_MOST_EMAILS: Final = 10


def attempt(path: str, read: Callable[[], Thing]) -> Thing:
    """Read one thing; whatever is wrong with it becomes a sentence, and the others are read all the same."""
    try:
        return read()
    except CertCoreError as error:
        return Unreadable(path=path, reason=str(error))
    except Exception as error:  # isolation: a file that nobody thought of must not keep the others from being read
        return Unreadable(
            path=path, reason=f"Reading it raised {type(error).__name__}, which is a bug in certcore; please report it."
        )


def certificate(  # noqa: PLR0913 - what is known of it
    client: Client,
    *,
    path: str,
    name: str,
    leaf: bytes,
    private_key: bytes | None,
    chain: bytes | None,
    now: datetime,
    directory_url: str = "",
    server: str = "",
    account: str = "",
    email: str = "",
    renews: bool = True,
) -> FoundCertificate:
    """Check a certificate with its key and chain.

    Raises:
        CertCoreError: The three do not belong together, or no server can be given them.
    """
    try:
        bundle = read_bundle(leaf, private_key, chain or None, now=now)
    except InvalidInput as error:
        # The fields are a form's; who looks at files knows them by what they are.
        what = {"private_key": "Its private key", "ca_bundle": "Its chain"}.get(error.field, "It")
        raise CertCoreError(f"{what} is not usable: {error.reason}", advice=error.advice) from None
    if bundle.private_key is None:
        raise CertCoreError(
            "There is no private key beside it, so no server can be given it.",
            advice="It may have been made from a request whose key is somewhere else.",
        )
    return FoundCertificate(
        path=path,
        client=client,
        name=shown(name),
        bundle=bundle,
        private_key=bundle.private_key,
        directory_url=directory_url,
        server=server,
        account=account,
        email=email,
        renews=renews,
    )


def collected(client: Client, things: Iterable[Thing], *, now: datetime) -> Found:
    """All that is worth taking along, and why the rest is not."""
    certificates: list[FoundCertificate] = []
    accounts: dict[tuple[str, str, str], FoundAccount] = {}
    unreadable: list[Unreadable] = []
    for thing in _bounded(things):
        needless = "" if isinstance(thing, Unreadable) else _needless(thing, now)
        if isinstance(thing, Unreadable):
            unreadable.append(thing)
        elif needless:
            unreadable.append(Unreadable(path=thing.path, reason=needless, needless=True))
        elif isinstance(thing, FoundCertificate):
            certificates.append(thing)
        else:
            # Two folders may lead to one account, as certbot's have done since ACME 2.
            accounts.setdefault((thing.directory_url, thing.server, thing.private_key.reveal_text()), thing)
    newest, older = _newest(certificates)
    return Found(
        client=client,
        certificates=newest,
        accounts=tuple(accounts.values()),
        unreadable=(*unreadable, *older),
    )


def refusals(tree: Tree, *parts: str) -> Iterator[Unreadable]:
    """Says so where a folder cannot be read, or not as a whole."""
    if reason := tree.refusal(*parts):
        yield Unreadable(path=shown(*parts) or ".", reason=reason)


def member(document: object, *names: str) -> Any:
    """What stands in nested JSON objects under these names; None when there is no such thing."""
    for name in names:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def emails_of(*given: object) -> tuple[str, ...]:
    """The e-mail addresses among contacts (RFC 8555 section 7.1.2), each once; what is none is left out."""
    found: dict[str, None] = {}
    for one in given:
        for text in one if isinstance(one, list) else [one]:
            if not isinstance(text, str) or len(found) >= _MOST_EMAILS:
                continue
            try:
                address = parse_email(text.strip().removeprefix("mailto:"))
            except InvalidInput:
                continue
            if address:
                found[address] = None
    return tuple(found)


def _bounded(things: Iterable[Thing]) -> Iterator[Thing]:
    rest = iter(things)
    yield from islice(rest, _MOST)
    if next(rest, None) is not None:
        reason = f"There are more than {_MOST} certificates and accounts; the rest was not looked at."
        yield Unreadable(path=".", reason=reason)


def _needless(thing: FoundCertificate | FoundAccount, now: datetime) -> str:
    staging = is_staging(thing.server)
    if isinstance(thing, FoundAccount):
        return "It is an account at a staging server, which issues nothing that is of use." if staging else ""
    leaf = thing.bundle.leaf
    if staging or "(STAGING)" in leaf.issuer:
        return "It is from a staging server: nobody trusts it."
    if leaf.not_after <= now:
        return f"It expired on {leaf.not_after:%Y-%m-%d}: nothing is served with it any more."
    return ""


def _newest(certificates: Iterable[FoundCertificate]) -> tuple[tuple[FoundCertificate, ...], list[Unreadable]]:
    """Of several for the same names and kind of key the newest; a server may well have one of each kind."""
    best: dict[tuple[frozenset[str], str], FoundCertificate] = {}
    given = list(certificates)
    for one in given:
        key = (frozenset(one.names), one.bundle.leaf.public_key_algorithm)
        if key not in best or _age(one) > _age(best[key]):
            best[key] = one
    kept = {id(one) for one in best.values()}
    older = [
        Unreadable(
            path=one.path,
            reason="There is a newer one for the same names: "
            + best[frozenset(one.names), one.bundle.leaf.public_key_algorithm].path,
            needless=True,
        )
        for one in given
        if id(one) not in kept
    ]
    return tuple(one for one in given if id(one) in kept), older


def _age(one: FoundCertificate) -> tuple[datetime, datetime]:
    return one.bundle.leaf.not_before, one.bundle.leaf.not_after
